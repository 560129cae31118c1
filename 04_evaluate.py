"""Step 4: how good is the network, and what would make it better?

Changes are tried and judged on the validation digits; the test digits are looked at after the choice.
Run it with: python 04_evaluate.py
"""
# %% Settings, and the first network
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

import common

EPOCHS = 1  # for each candidate: quick, but too short to overfit, so that dropout cannot show its use
WINNER_EPOCHS = 12  # for the winner; the gain of more is small

first, _ = common.load_network("first_network.pt", "03_train.py")
_, plain_loader = common.training_loaders()
_, accuracy = common.evaluate(first, plain_loader)
print(f"The first network reads {accuracy:.2%} of the validation digits. What helps?\n")


# %% Training one candidate, with more digits made out of the same digits if it wants them
def augment(flat, strength=1.0):
    """Turn, slant, stretch and move every digit of a batch at random: (batch, 784) -> (batch, 784)"""
    pictures = flat.view(-1, 1, 28, 28)
    matrix = torch.eye(2) + strength * torch.empty(len(flat), 2, 2).uniform_(-0.2, 0.2)  # eye(2) changes nothing
    move = strength * torch.empty(len(flat), 2, 1).uniform_(-1 / 7, 1 / 7)  # 2 of the 14 pixels from middle to rim
    source = torch.nn.functional.affine_grid(torch.cat([matrix, move], dim=2), pictures.shape, align_corners=False)
    return torch.nn.functional.grid_sample(pictures, source, padding_mode="border", align_corners=False).flatten(1)


def train(network, learning_rate=0.003, batch_size=128, smoothing=0, augmented=False, epochs=EPOCHS, data=None):
    start = time.perf_counter()
    torch.manual_seed(common.SEED)
    loader = (torch.utils.data.DataLoader(data, batch_size, shuffle=True) if data  # nothing kept aside
              else common.training_loaders(batch_size)[0])
    built = common.NETWORKS[network]()
    built.to(common.DEVICE, memory_format=torch.channels_last)  # the same numbers, quicker on a CPU
    optimizer = torch.optim.AdamW(built.parameters(), lr=learning_rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(loader))
    for epoch in range(epochs):
        strength = augmented * (1 - epoch / epochs)  # less and less, towards the digits as they are
        batches = ((augment(images, strength), labels) for images, labels in loader) if strength else loader
        loss = common.train_one_epoch(built, batches, optimizer, schedule, smoothing)
        if data:  # the winner
            print(f"epoch {epoch + 1:2} of {epochs}: training loss {loss:.4f}", flush=True)
    return built, time.perf_counter() - start


# %% The table: one change at a time; a row with a + keeps what was added since "convolutions"
# Each candidate is judged twice: on the validation digits as they are, and on augmented ones, because the network of
# step 5 will read your handwriting, which is less tidy than MNIST's. (There, the last candidate has the advantage.)
torch.manual_seed(common.SEED)
untidy_loader = [(augment(images), labels) for images, labels in plain_loader]
dense = {"network": "first"}
convolutional = {"network": "convolutional", "learning_rate": 0.01}
CANDIDATES = {
    "the first network": dense,
    "learning rate 10 times lower": dense | {"learning_rate": 0.0003},
    "batches of 32 digits": dense | {"batch_size": 32},
    "twice as wide": dense | {"network": "first, twice as wide"},
    "dropout of 20 %": dense | {"network": "first, with dropout"},
    "convolutions": convolutional | {"network": "convolutional, not normalized"},
    "  + batch normalization": convolutional,
    "  + label smoothing": convolutional | {"smoothing": 0.1},  # the right answer is 0.91, not 1: doubt is allowed
    "  + augmented digits": convolutional | {"smoothing": 0.1, "augmented": True},
}
print(f"{'validation accuracy':>69}\ncandidate                     weights  seconds   plain  untidy    mean")
score = {}
for name, candidate in CANDIDATES.items():
    print(f"{name:<28}  ", end="", flush=True)
    network, seconds = train(**candidate)
    plain, untidy = [common.evaluate(network, loader)[1] for loader in (plain_loader, untidy_loader)]
    score[name] = (plain + untidy) / 2
    weights = sum(map(torch.numel, network.parameters()))
    print(f"{weights:7,}  {seconds:7.1f}  {plain:6.2%}  {untidy:6.2%}  {score[name]:6.2%}")

# %% The winner, trained for longer, and on the validation digits, too: their choice is made
winner = max(score, key=score.get)
print(f"\nThe validation digits choose: {winner.strip()}. Now it learns from all training digits.")
tuned, seconds = train(**CANDIDATES[winner], epochs=WINNER_EPOCHS, data=common.load_digits(train=True))
print(f"Trained in {seconds:.0f} s")
common.save_network("tuned_network.pt", CANDIDATES[winner]["network"], tuned)
(common.OUTPUTS / "digits.pt").unlink(missing_ok=True)  # step 5 shall make it anew

# %% The test digits, only after the choice
# Nothing above has used them. Whoever now changes a number because of them makes them a second validation split.
names = [name[:6] for name in common.CLASS_NAMES]  # short enough to stand side by side
classes = range(len(names))
print("\nTest accuracy" + "".join(f"{name:>8}" for name in [*names, "all"]))
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for which, network, shift in [("first", first, -0.2), ("tuned", tuned, 0.2)]:
    logits, labels = common.predict(network, common.test_loader())  # (10000, 10) and (10000,)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    right = predicted == labels
    shares = [right[labels == digit].float().mean() for digit in classes] + [right.float().mean()]
    print(f"{which:<13}" + "".join(f"{share:8.2%}" for share in shares))
    *errors, overall = [100 - 100 * share.item() for share in shares]
    axis.bar([digit + shift for digit in classes], errors, width=0.4, label=f"{which} network: {overall:.2f} % of all")
axis.set(title="Test digits read wrong: the lower, the better", ylabel="read wrong (%)")
axis.set_xticks(classes, names)
figure.legend(loc="outside lower center", ncols=2)
common.save_figure(figure, "04_first_against_tuned.png")

# %% What the tuned network (the last in the loop above) takes for what: a 4 read as a 9 is counted at 4 * 10 + 9
confusion = (labels * len(classes) + predicted).bincount(minlength=len(classes) ** 2).view(len(classes), -1)
figure, axis = plt.subplots(figsize=(7, 6.5), layout="constrained")
axis.imshow((confusion - confusion.diag().diag()).numpy(), cmap="Blues", alpha=0.5)  # the mistakes alone
for (row, column), count in np.ndenumerate(confusion):
    axis.text(column, row, count, ha="center", va="center")
axis.set(title="What the tuned network takes for what: coloured cells are mistakes", xlabel="predicted", ylabel="true")
axis.set_xticks(classes, names)
axis.set_yticks(classes, names)
common.save_figure(figure, "04_confusion_matrix.png")

# %% The mistakes that it was most sure of
# Would you have read them right? With some of them it is the label that is doubtful.
surest = (confidence * ~right).topk(min(18, (~right).sum().item())).indices
pictures = common.inverse_transform(common.load_digits(train=False).tensors[0][surest])  # (18, 28, 28)
titles = []
for index in surest:
    reading = names[predicted[index]]
    titles.append(f"{names[labels[index]]}\nread as {reading}\n{confidence[index]:.0%} sure")
figure = common.draw_digits(pictures, titles, columns=6)
figure.suptitle(f"The {len(surest)} surest mistakes: the label, and what was read")
common.save_figure(figure, "04_mistakes.png")

# Try this: add a candidate of your own in which one thing is changed. What do the validation digits say?
# Try this: change SEED in common.py and run the steps again. Which differences in the table were only luck?
