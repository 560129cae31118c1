"""Step 4: how good is the network, and what would make it better?

One change at a time is tried and judged on the validation digits. The winner is trained for longer, and only then the
test digits are looked at, once. Run it with: python 04_evaluate.py
"""
# %% Settings, and the first network
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch.utils.data import RandomSampler

import common

EPOCHS = 1  # for each candidate; more of them compare better and take longer
WINNER_EPOCHS = 12  # for the winner; the gain of more is small

device = common.choose_device()
first, facts = common.load_network("first_network.pt", "03_train.py", same_data=True)
print(f"The first network reads {facts['validation_accuracy']:.2%} of the validation digits. What helps?\n")


# %% More digits out of the same digits
def augment(flat):
    """Turn, slant, stretch, move and bend every digit of a batch at random: (batch, 784) -> (batch, 784)"""
    pictures = flat.view(-1, 1, 28, 28)
    turn = torch.eye(2) + torch.empty(len(flat), 2, 2).uniform_(-0.2, 0.2)  # or slant, or stretch
    move = torch.empty(len(flat), 2, 1).uniform_(-2 / 14, 2 / 14)  # by up to 2 pixels; from middle to rim there are 14
    sheet = F.affine_grid(torch.cat([turn, move], dim=2), [len(flat), 1, 5, 5], align_corners=True)  # 5 x 5 points
    sheet = (sheet + torch.randn(sheet.shape) / 20).permute(0, 3, 1, 2)  # bend it: each point goes astray a little
    source = F.interpolate(sheet, size=(28, 28), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(pictures, source.to(flat.device), padding_mode="border", align_corners=True).flatten(1)


# Each candidate is judged twice: on the validation digits as they are, and on augmented ones, because the network of
# step 5 will read your handwriting, which is less tidy than MNIST's.
_, plain_digits = common.training_loaders()
torch.manual_seed(common.SEED)
untidy_digits = [(augment(images), labels) for images, labels in plain_digits]


# %% Training one candidate
def train(network="first", settings={}, learning_rate=0.01, batch_size=128, change=None, smoothing=0.0, epochs=EPOCHS,
          loader=None):
    torch.manual_seed(common.SEED)
    loader = loader or common.training_loaders(batch_size)[0]
    network = common.NETWORKS[network](**settings).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(loader))
    for epoch in range(1, epochs + 1):
        plain = epoch > epochs - epochs // 5  # the last epochs show digits as they are, not quite so augmented ones
        loss = common.train_one_epoch(network, loader, optimizer, schedule, None if plain else change, smoothing)
        if epochs > EPOCHS:
            print(f"epoch {epoch:2} of {epochs}: training loss {loss:.4f}", flush=True)
    return network


# %% The table: one change at a time
flat, convolutional = {"network": "first"}, {"network": "tuned"}
CANDIDATES = {
    "the first network": flat,
    "learning rate 10 times lower": flat | {"learning_rate": 0.001},
    "batches of 32 digits": flat | {"batch_size": 32},
    "wider: 512-256-128": flat | {"settings": {"hidden": (512, 256, 128)}},
    "deeper: 5 hidden layers": flat | {"settings": {"hidden": (128, 90, 90, 90, 50)}},
    "dropout of 20 %": flat | {"settings": {"dropout": 0.2}},
    "convolutions": convolutional | {"settings": {"batch_norm": False}},
    "  + batch normalization": convolutional,
    "  + label smoothing": convolutional | {"smoothing": 0.1},  # the right answer is 0.91, not 1: doubt is allowed
    "  + augmented digits": convolutional | {"smoothing": 0.1, "change": augment},
}
print(f"{'validation accuracy':>69}\ncandidate                     weights  seconds   plain  untidy    mean")
score = {}
for name, candidate in CANDIDATES.items():
    print(f"{name:<28}", end="  ", flush=True)
    start = time.perf_counter()
    network = train(**candidate)
    seconds = time.perf_counter() - start
    plain, untidy = [common.evaluate(network, digits)[1] for digits in (plain_digits, untidy_digits)]
    score[name] = (plain + untidy) / 2
    weights = sum(weight.numel() for weight in network.parameters())
    print(f"{weights:7,}  {seconds:7.1f}  {plain:6.2%}  {untidy:6.2%}  {score[name]:6.2%}")

# %% The winner, trained for longer
# It has been chosen, so that the validation digits have done their work, and the winner may learn from them, too.
winner = max(score, key=score.get)
print(f"\nThe validation digits choose: {winner.strip(' +')}. Now it learns from all training digits.")
everything = common.digits(train=True)
recipe = CANDIDATES[winner] | {"epochs": WINNER_EPOCHS}
start = time.perf_counter()
tuned = train(**recipe, loader=common.loader(everything, RandomSampler(everything), 128))
print(f"Trained in {time.perf_counter() - start:.0f} s")
common.save_network("tuned_network.pt", tuned, recipe["network"], recipe.get("settings", {}))

# %% The test digits, for the first and only time
# Nothing above has seen them, so that they stand for digits that nobody has seen. To look, change a number and look
# again would make them a second validation split, and their accuracy a promise that is not kept.
test_loader = common.test_loader()
choices = {}
for name, network in [("first", first.to(device)), ("tuned", tuned)]:
    logits, labels = common.predict(network, test_loader)
    choices[name] = logits.argmax(dim=1)
right = {name: choice == labels for name, choice in choices.items()}

print("\nTest accuracy    first    tuned")
for digit, class_name in enumerate(common.CLASS_NAMES):
    print(f"{class_name:<13} " + " ".join(f"{hits[labels == digit].float().mean():8.2%}" for hits in right.values()))
print(f"{'all':<13} " + " ".join(f"{hits.float().mean():8.2%}" for hits in right.values()))

# %% First against tuned
classes = len(common.CLASS_NAMES)
figure, axis = plt.subplots(figsize=(8, 4))
for shift, hatch, (name, hits) in zip([-0.2, 0.2], ["//", ""], right.items()):
    wrong = [100 * (~hits[labels == digit]).float().mean() for digit in range(classes)]
    axis.bar([digit + shift for digit in range(classes)], wrong, width=0.4, hatch=hatch,
             label=f"{name} network: {(~hits).float().mean():.2%} of all")
axis.set(title="Test digits read wrong: the shorter, the better", ylabel="read wrong (%)")
axis.set_xticks(range(classes), common.CLASS_NAMES)
axis.legend()
common.save("04_first_against_tuned.png", figure.savefig)

# %% What is taken for what
confusion = (labels * classes + choices["tuned"]).bincount(minlength=classes**2).view(classes, classes)
mistakes = confusion - confusion.diag().diag()
figure, axis = plt.subplots(figsize=(7, 6.5))
axis.imshow(mistakes, cmap="Blues", vmax=2 * mistakes.max() + 1)
for row, column in torch.cartesian_prod(torch.arange(classes), torch.arange(classes)).tolist():
    axis.text(column, row, confusion[row, column].item(), ha="center", va="center", fontsize=9)
axis.set(title="What the tuned network takes for what: coloured cells are mistakes", xlabel="predicted", ylabel="true")
axis.set_xticks(range(classes), common.CLASS_NAMES)
axis.set_yticks(range(classes), common.CLASS_NAMES)
common.save("04_confusion_matrix.png", figure.savefig)

# %% The mistakes that it was most sure of
# Would you have read them right? With some of them it is the label that is doubtful.
confidence = logits.softmax(dim=1).amax(dim=1)
surest = [index for index in confidence.argsort(descending=True).tolist() if not right["tuned"][index]][:18]
figure, axes = plt.subplots(3, 6, figsize=(8, 5))
for axis in axes.flat:
    axis.axis("off")
for axis, index in zip(axes.flat, surest):
    axis.imshow(common.inverse_transform(test_loader.dataset[index][0]))
    true, predicted = common.CLASS_NAMES[labels[index]], common.CLASS_NAMES[choices["tuned"][index]]
    axis.set_title(f"true {true}\npredicted {predicted}, {confidence[index]:.0%}", fontsize=9)
figure.suptitle(f"The {len(surest)} surest mistakes of the tuned network among {len(labels):,} test digits")
common.save("04_mistakes.png", figure.savefig)

# Try this: add a candidate of your own in which one thing is changed. Does the validation split agree with you?
# Try this: change SEED in common.py and run the steps again. Which differences in the table were only luck?
