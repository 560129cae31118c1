"""Step 4: how good is the network, and what would make it better?

Several changes are tried, and the validation digits say which of them help. The test digits are
looked at once, at the end, when there is nothing left to choose.

Run it with: python 04_evaluate.py
"""
# %% Settings
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import common

EPOCHS = 8  # for the winner: more of them take longer, and bring a little

# %% What could be better than 98 %?
training_loader, validation_loader = common.training_loaders()
validation_digits = validation_loader.dataset
first, _ = common.load_network("first_network.pt", "03_train.py")
_, accuracy = common.evaluate(first, validation_loader)
print(f"The first network reads {accuracy:.2%} of the validation digits. What would help?\n")

# %% A window by hand
# The first network gets 784 numbers in a row, and nothing tells it which of them are neighbours. A
# convolution looks at the picture through a window, here of 5 x 5 pixels. It has a weight for each
# of them, and makes one number of what it sees: 25 pixels times 25 weights, added up, plus a bias.
images, labels = validation_digits[:128]  # (128, 784) and (128,)
pictures = images.unflatten(1, (1, 28, 28))  # (128, 1, 28, 28)
torch.manual_seed(common.SEED)
convolution = nn.Conv2d(1, 16, 5)  # makes 16 pictures of one, with 16 windows of 5 x 5 weights
window = convolution.weight[0, 0]  # (5, 5), the first window; all of them are (16, 1, 5, 5)
patch = pictures[0, 0, 12:17, 10:15]  # (5, 5), a part of the first digit
number = (patch * window).sum() + convolution.bias[0]
found = convolution(pictures)  # (128, 1, 28, 28) -> (128, 16, 24, 24)
print(f"One window on one patch, by hand: {number:.4f}")
print(f"The same number from nn.Conv2d:   {found[0, 0, 12, 10]:.4f}")
# The window slides over the whole digit. 5 pixels fit into 28 at 28 - 5 + 1 = 24 places, across and
# down, and the weights are the same everywhere: a stroke that the window has learned to see in one
# place, it sees in all. So one window makes one new picture, of 24 x 24 numbers, 16 windows make
# 16, and each window of the next convolution, of 3 x 3, looks at all 16 at once, with 16 x 3 x 3
# weights.

# %% Pooling by hand
# It keeps the largest of each 2 x 2 numbers. The pictures become half as high and wide, and it
# matters less where exactly a stroke lies.
square = found[0, 0, 12:14, 10:12]  # (2, 2)
pooled = nn.MaxPool2d(2)(found)  # (128, 16, 24, 24) -> (128, 16, 12, 12)
print(f"\nThe largest of 2 x 2 numbers:   {square.max():.4f}")
print(f"The same from nn.MaxPool2d:     {pooled[0, 0, 6, 5]:.4f}")

# %% Batch normalization by hand
# Between layers it does what step 1 did with the pixels: what a window has made of a batch is
# brought to mean 0 and deviation 1, so that the next layer, too, gets inputs around 0, and learns
# faster. (Each window also gets two weights, to scale and shift that: at first 1 and 0.) A network
# that reads takes averages of the means and deviations instead, kept from its
# learning: the answer to one digit must not depend on the others. network.eval() tells it to,
# network.train() not to.
one_window = pooled[:, 0]  # (128, 12, 12)
normalized = (one_window - one_window.mean()) / one_window.std()
print(f"\nThat number, normalized:        {normalized[0, 6, 5]:.3f}")
print(f"The same from nn.BatchNorm2d:   {nn.BatchNorm2d(16)(pooled)[0, 0, 6, 5]:.3f}")

# %% Dropout: some numbers are missing
# It is a remedy for overfitting. While a network learns, some of the numbers that it computes with
# are set to 0, each time others, so that it relies on no single one. The rest is made larger, so
# that sums remain about the same. While it reads, nothing happens.
dropout = nn.Dropout(0.5)  # half of them, more or less
ones = torch.ones(10)
print(f"\nTen ones after dropout:         {dropout(ones).tolist()}")
print(f"Ten ones, once more:            {dropout(ones).tolist()}")

# %% Label smoothing: not quite so sure
# The loss of step 3 asks for a probability of 100 % for the right digit. Smoothing of 0.1 deals out
# a tenth of that evenly to all ten digits, so that the network does not become surer and surer. The
# loss is a sum over all ten then: the probability that is asked for, times minus the logarithm of
# the one that the network gives. It is lowest where both are equal, and even there not 0.
percent = torch.ones(10)  # 1 for each digit: 10 %, dealt out to ten
percent[labels[0]] += 90
wanted = percent / 100
print(
    f"\nSmoothing asks for, in percent: {percent.int().tolist()}\n"
    f"The lowest possible loss is then: {-(wanted * wanted.log()).sum():.2f}\n"
)

# %% Augmentation: more digits, made of the same digits
# A slanted 2 is a 2, and so is one that is smaller, or written further to the left. Nobody has told
# the network. So it is shown each digit a little differently in each epoch. This is another remedy
# for overfitting. (To be quick, all digits of a batch are moved alike; the next batch otherwise.)
random_move = v2.RandomAffine(
    degrees=6,  # turn it by up to 6 degrees to the left or right
    shear=6,  # slant it by up to 6 degrees
    scale=(0.9, 1.1),  # make it up to 10 % smaller or larger
    translate=(0.06, 0.06),  # move it by up to 2 pixels: 6 % of 28, rounded
    interpolation=v2.InterpolationMode.BILINEAR,  # smooth edges; those of the picture become grey
    fill=-common.MEAN / common.STD,  # paper, what 0 becomes in step 1, for empty corners
)


def move_digits(images):
    """Move one digit, or all digits of a batch alike, at random: (batch, 784) -> (batch, 784)"""
    pictures = images.unflatten(-1, (1, 28, 28))  # (batch, 784) -> (batch, 1, 28, 28)
    return random_move(pictures).flatten(-3)


digit = images[0]  # (784,)
versions = torch.stack([digit] + [move_digits(digit) for _ in range(8)])  # (9, 784)
versions = versions.unflatten(1, (28, 28))  # -> (9, 28, 28)
figure = common.draw_digits(versions, ["as it is"] + ["augmented"] * 8, columns=3)
for axis in figure.axes:
    axis.contour(versions[0], levels=[0], colors="orangered", linewidths=1)
figure.suptitle("Orange: the digit's outline as it is")
figure.set_size_inches(5, 6)
common.save_figure(figure, "04_augmented.png")

untidy_digits = [(move_digits(image), label) for image, label in validation_digits]
untidy_loader = DataLoader(untidy_digits, batch_size=1000)
_, accuracy = common.evaluate(first, untidy_loader)
print(f"Of the same digits, augmented, the first network reads only {accuracy:.2%}.\n")


# %% Training one candidate
# It is done as in step 3, but for the schedule, which suits a short training: the learning rate is
# low while the weights still are random, rises, and may then be as high as 0.01 before it falls.
def train(digits, name, learning_rate=0.01, smoothing=0.0, augment=None, epochs=1):
    """Build the network of that name in common.NETWORKS, and train it on some digits"""
    torch.manual_seed(common.SEED)
    loader = DataLoader(digits, batch_size=128, shuffle=True)
    network = common.NETWORKS[name]().to(common.DEVICE)
    if common.DEVICE.type == "cpu":  # quicker there: another order of the numbers in memory
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.1)  # its rate: see schedule
    updates = epochs * len(loader)  # the rate rises during the first 30 % of them, then it falls
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=updates)
    for epoch in range(1, epochs + 1):
        loss = common.train_one_epoch(network, loader, optimizer, schedule, smoothing, augment)
        if epochs > 1:  # it takes a while
            print(f"epoch {epoch} of {epochs}: training loss {loss:.4f}")
    return network


# %% The table: one change at a time
# A candidate is what train() is called with. Each is trained for one epoch, and judged by augmented
# validation digits: your handwriting, in step 5, will be less tidy than MNIST's, and the tidy ones
# hardly tell the last candidates apart. (The very last has an advantage: it learned from such.)
CANDIDATES = {
    "like the first network": {"name": "first"},
    "  learning rate 0.001": {"name": "first", "learning_rate": 0.001},
    "  512 and 256 wide": {"name": "first, wider"},
    "  dropout of 20 %": {"name": "first, with dropout"},
    "convolutional": {"name": "convolutional"},
    "  label smoothing": {"name": "convolutional", "smoothing": 0.1},
    "  ... and augmentation": {"name": "convolutional", "smoothing": 0.1, "augment": move_digits},
}
print("candidate                   weights  seconds  augmented digits")
accuracies = {}
for candidate, settings in CANDIDATES.items():
    start = time.perf_counter()
    network = train(training_loader.dataset, **settings)
    seconds = time.perf_counter() - start
    _, accuracies[candidate] = common.evaluate(network, untidy_loader)
    weights = sum(weights.numel() for weights in network.parameters())
    print(f"{candidate:<25}{weights:10,}  {seconds:7.1f}  {accuracies[candidate]:16.2%}")

best = max(accuracies, key=accuracies.get)  # the candidate with the highest accuracy

# %% The winner, trained for longer, and on all 60,000 digits
# The validation digits have done their work, and now are digits to learn from.
print("\nThe best candidate learns from the training and the validation digits:")
settings = CANDIDATES[best] | {"epochs": EPOCHS}
tuned = train(common.load_digits(train=True), **settings)
common.save_network("tuned_network.pt", settings["name"], tuned)

# %% The test digits, once
# Nothing above has used them. Whoever now changes a setting because of them makes validation digits
# of them, and does not know any more how the network reads digits that it has never met.
_, first_accuracy = common.evaluate(first, common.test_loader())
logits, labels = common.predict(tuned, common.test_loader())  # (10000, 10) and (10000,)
guesses = logits.argmax(dim=1)  # (10000,)
wrong = guesses != labels  # (10000,), True or False
print(
    f"\nTest accuracy of the first network: {first_accuracy:.2%}"
    f"\nTest accuracy of the tuned network: {1 - wrong.float().mean():.2%}"
)

# %% What the tuned network takes for what
# A row for each label, a column for each answer: a 7 read as a 2 counts in row 7, column 2. The
# diagonal holds what was read right.
classes = range(10)
confusion = torch.zeros(10, 10)
for label, guess in zip(labels, guesses):
    confusion[label, guess] += 1

figure, axis = plt.subplots(figsize=(8, 7), layout="constrained")
axis.imshow(confusion.numpy(), cmap="Blues", vmax=20, alpha=0.5)  # 20 and more look alike
for label in classes:
    for guess in classes:
        axis.text(guess, label, f"{confusion[label, guess]:.0f}", ha="center", va="center")
axis.set(title="How often the tuned network reads a label (row) as a digit (column)")
axis.set_xticks(classes, common.CLASS_NAMES, size=8)
axis.set_yticks(classes, common.CLASS_NAMES, size=8)
common.save_figure(figure, "04_confusion_matrix.png")

# %% The mistakes that it was most sure of
# Would you have read them right? With some of them it is the label that is doubtful.
confidence = logits.softmax(dim=1).amax(dim=1)  # the highest of ten probabilities: (10000,)
mistakes = wrong.nonzero().flatten()  # the places of the digits that were read wrong
order = confidence[mistakes].argsort(descending=True)
surest = mistakes[order][:18]
images, _ = common.load_digits(train=False)[surest]  # (18, 784)
titles = []
for place in surest:
    label = common.CLASS_NAMES[labels[place]]
    guess = common.CLASS_NAMES[guesses[place]]
    titles.append(f"{label}\nread as {guess}\n{confidence[place]:.0%} sure")
if titles:  # a network that makes no mistakes has no such figure
    figure = common.draw_digits(common.inverse_transform(images), titles, columns=6)
    common.save_figure(figure, "04_mistakes.png")

# %% What eight windows of the tuned network make of one digit
# Grey is 0, black large, white far below 0. So black is where a window finds what it looks for: a
# stroke that rises, one that lies flat, an edge.
if settings["name"] == "convolutional":  # the others of the table have no windows
    convolution = tuned[1]  # the layer after nn.Unflatten
    windows = convolution.weight[:8, 0].detach().cpu()  # (8, 5, 5)
    windows = windows / windows.abs().max()  # from -1 to 1
    found = convolution(pictures[0].to(common.DEVICE))[:8].detach().cpu()  # (8, 24, 24)
    paper = common.inverse_transform(digit) / 127.5 - 1  # from -1, white, to 1, black: (28, 28)
    titles = ["a window"] * 8 + ["a digit"] + ["what it makes"] * 8
    shown = [*windows, paper, *found]  # each below its window
    figure = common.draw_digits(shown, titles, columns=9, vmin=-1, vmax=1)
    figure.suptitle("Eight windows of 5 x 5 weights, and what each makes of the digit")
    common.save_figure(figure, "04_windows.png")

# Try this: add a candidate in which one thing is changed. What do the validation digits say?
# (A learning rate is a setting of train(); another network is a new line in common.NETWORKS.)
# Try this: take batch normalization out of common.convolutional_network. How much is it worth?
# Try this: change SEED in common.py and run steps 3 and 4 again. What in the table was only luck?
# (With five seeds, the first row was 84.3 to 85.6 %, the last one 98.5 to 99.0 %.)
# Write it yourself: common.convolutional_network, or one with fewer weights that is as good.
