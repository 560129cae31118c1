"""Step 4: how good is the network, and what would make it better?

One change at a time is tried and judged on the validation digits. The winner is trained properly, and only then the
test digits are looked at, once. Run it with: python 04_evaluate.py
"""
# %% Settings
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

import common

EPOCHS = 2  # for each candidate; more of them compare better and take longer
WINNER_EPOCHS = 14  # for the winner

device = common.choose_device()
first, facts = common.load_network("first_network.pt", "03_train.py")
print(f"The first network reads {facts['validation_accuracy']:.2%} of the validation digits. What helps?\n")


# %% More digits out of the same digits
def augment(flat):
    """Turn, slant, stretch, shift and bend each digit of a batch at random: (batch, 784) -> (batch, 784)"""
    pictures = flat.view(-1, 1, 28, 28)
    size = len(flat), 2, 2
    distort = torch.eye(2) + torch.empty(size).uniform_(-0.2, 0.2)  # turns, slants, stretches
    shift = torch.empty(len(flat), 2, 1).uniform_(-2 / 14, 2 / 14)  # at most 2 pixels of the 14 from middle to rim
    bend = F.interpolate(torch.randn(len(flat), 2, 5, 5) / 20, size=(28, 28), mode="bicubic", align_corners=True)
    where = F.affine_grid(torch.cat([distort, shift], dim=2), pictures.shape, align_corners=False)
    where = (where + bend.permute(0, 2, 3, 1)).to(flat.device)
    return F.grid_sample(pictures, where, padding_mode="border", align_corners=False).flatten(1)


# %% Training one candidate
# Judged on the validation digits, first as they are, then augmented: in step 5 the network will read your handwriting,
# which is not as tidy as MNIST's.
def train(kind="first", settings={}, learning_rate=0.01, batch_size=128, change=None, smoothing=0.0, epochs=EPOCHS):
    """The trained network and its two validation accuracies: on plain and on augmented digits"""
    torch.manual_seed(common.SEED)
    training_loader, validation_loader = common.training_loaders(batch_size)
    network = common.NETWORKS[kind](**settings).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(training_loader))
    for epoch in range(1, epochs + 1):
        if epoch > epochs - epochs // 6:
            change = None  # the last epochs show digits as they are; an augmented digit never looks quite real
        loss = common.train_one_epoch(network, training_loader, optimizer, schedule, change, smoothing)
        if epochs == WINNER_EPOCHS:
            accuracy = common.evaluate(network, validation_loader)[1]
            print(f"epoch {epoch:2}: training loss {loss:.4f}, validation accuracy {accuracy:.2%}", flush=True)
    augmented = [(augment(images), labels) for images, labels in validation_loader]
    return network, common.evaluate(network, validation_loader)[1], common.evaluate(network, augmented)[1]


# %% The table: one change at a time
convolutional = {"kind": "tuned"}
CANDIDATES = {
    "the first network": {},
    "learning rate 10 times lower": {"learning_rate": 0.001},
    "batches of 32 digits": {"batch_size": 32},
    "wider: 512-256-128": {"settings": {"hidden": (512, 256, 128)}},
    "deeper: 5 hidden layers": {"settings": {"hidden": (128, 90, 90, 90, 50)}},
    "dropout of 20 %": {"settings": {"dropout": 0.2}},
    "convolutions": convolutional | {"settings": {"batch_norm": False}},
    "  + batch normalization": convolutional,
    "  ... in half the epochs": convolutional | {"epochs": EPOCHS // 2},
    "  + label smoothing": convolutional | {"smoothing": 0.1},  # 0.91 and 0.01 are to be answered instead of 1 and 0
    "  + augmented digits": convolutional | {"smoothing": 0.1, "change": augment},
}
print("                                                 validation accuracy")
print("candidate                     weights  seconds   plain  augmented  mean")
score = {}
for name, changed in CANDIDATES.items():
    print(f"{name:<28}", end="  ", flush=True)
    start = time.perf_counter()
    network, plain, augmented = train(**changed)
    weights, score[name] = sum(weight.numel() for weight in network.parameters()), (plain + augmented) / 2
    print(f"{weights:7,}  {time.perf_counter() - start:7.1f}  {plain:6.2%}  {augmented:9.2%}  {score[name]:6.2%}")

# %% The winner, trained properly
winner = max(score, key=score.get)
recipe = {"kind": "first", "settings": {}} | CANDIDATES[winner] | {"epochs": WINNER_EPOCHS}
print(f"\nThe validation digits choose {winner.strip(' +.')!r}, which is now trained for {WINNER_EPOCHS} epochs.")
start = time.perf_counter()
tuned, accuracy, _ = train(**recipe)
print(f"Trained in {time.perf_counter() - start:.0f} s")
common.save_network("tuned_network.pt", tuned, recipe["kind"], recipe["settings"], validation_accuracy=accuracy)

# %% The test digits, for the first and only time
# Nothing above has seen them, so that they stand for digits that nobody has seen. Looking, changing a number and
# looking again would make them a second validation split, and their accuracy a promise that is not kept.
test_loader = common.test_loader()
_, labels = common.predict(tuned, test_loader)
predicted = {}
for name, network in [("first", first.to(device)), ("tuned", tuned)]:
    logits, _ = common.predict(network, test_loader)
    predicted[name] = logits.argmax(dim=1)
probabilities = logits.softmax(dim=1)  # of the tuned network, (10000, 10)

of_each = {name: [(choice == labels)[labels == digit].float().mean().item() for digit in range(len(common.CLASS_NAMES))]
           for name, choice in predicted.items()}
print(f"\nTest accuracy     first    tuned")
for digit, class_name in enumerate(common.CLASS_NAMES):
    print(f"{class_name:<13}  {of_each['first'][digit]:8.2%} {of_each['tuned'][digit]:8.2%}")
print(f"{'all':<13}  " + " ".join(f"{(choice == labels).float().mean():8.2%}" for choice in predicted.values()))

# %% First against tuned
figure, axis = plt.subplots(figsize=(8, 4))
for shift, (name, values) in zip([-0.2, 0.2], of_each.items()):
    total = (predicted[name] == labels).float().mean()
    axis.bar([digit + shift for digit in range(len(values))], [100 * (1 - value) for value in values], 0.4,
             label=f"{name} network: {1 - total:.2%} of all", hatch="//" if name == "first" else "")
axis.set(title="Test digits read wrong: the shorter, the better", ylabel="read wrong (%)")
axis.set_xticks(range(len(common.CLASS_NAMES)), common.CLASS_NAMES, rotation=30 * (len(max(common.CLASS_NAMES)) > 1))
axis.legend()
common.save("04_first_against_tuned.png", figure.savefig)

# %% What is taken for what
classes = len(common.CLASS_NAMES)
confusion = (labels * classes + predicted["tuned"]).bincount(minlength=classes**2).view(classes, classes)
figure, axis = plt.subplots(figsize=(7, 6.5))
axis.imshow(confusion - confusion.diag().diag(), cmap="Blues")  # only the mistakes are coloured
for row in range(classes):
    for column in range(classes):
        axis.text(column, row, confusion[row, column].item(), ha="center", va="center", fontsize=9)
axis.set(title="Confusion matrix of the tuned network: coloured cells are mistakes", xlabel="predicted", ylabel="true")
axis.set_xticks(range(classes), common.CLASS_NAMES)
axis.set_yticks(range(classes), common.CLASS_NAMES)
common.save("04_confusion_matrix.png", figure.savefig)

# %% The mistakes that it was most sure of
# Often the label is the doubtful one: no network reads all of MNIST right, and one that did would have seen the answers.
confidence, choice = probabilities.max(dim=1)
wrong = (choice != labels).nonzero().flatten()
wrong = wrong[confidence[wrong].argsort(descending=True)][:18]
figure, axes = plt.subplots(3, 6, figsize=(8, 5))
for axis in axes.flat:
    axis.axis("off")
for axis, index in zip(axes.flat, wrong):
    axis.imshow(common.inverse_transform(test_loader.dataset[index][0]))
    axis.set_title(f"true {common.CLASS_NAMES[labels[index]]}\nread {common.CLASS_NAMES[choice[index]]}, "
                   f"{confidence[index]:.0%}", fontsize=9)
figure.suptitle(f"The tuned network's {len(wrong)} surest mistakes among {len(labels):,} test digits")
common.save("04_mistakes.png", figure.savefig)

# Try this: add a candidate of your own, with only one thing changed. Does the validation split agree with you?
# Try this: change SEED in common.py and run this step again. Which differences in the table were only luck?
