"""Step 2: what do the digits look like, and why is each preprocessing step there?

The network will learn from rows of 784 numbers around 0. Undoing the transform shows that these
rows still are the digits, down to the last pixel.

Run it with: python 02_visualize.py
"""
# %% One pixel by hand: back from what the network gets
import matplotlib.pyplot as plt
import torch

import common

# Each stage of step 1 is undone, the last one first. Flattening had moved the pixel to the number
# 28 x row + column, so that is where it is found. Normalizing was (decimal - MEAN) / STD, so
# that its inverse is: times STD, plus MEAN. Then times 255, since it had been divided by 255.
torch.manual_seed(common.SEED)  # the same random numbers, and so the same batch, in each run
training_loader, validation_loader = common.training_loaders()
batch, labels = next(iter(training_loader))  # (128, 784) and (128,)
row, column = 7, 17
normalized = batch[0, 28 * row + column]
decimal = normalized * common.STD + common.MEAN
pixel = decimal * 255
print(f"One pixel: {normalized:.4f} -> {decimal:.4f} -> {pixel:.4f} -> {pixel.round().int()}")

# Decimals are stored with about seven digits, so the result can be a tiny bit off the whole
# number that it was, but never by as much as a half: rounding gives back exactly that number.
pictures = common.inverse_transform(batch)  # common.py's way for the whole batch: (128, 28, 28)
print(f"The same pixel after common.inverse_transform: {pictures[0, row, column]}\n")

print("             shape          type           smallest  largest")
for name, images in {"the batch": batch, "as pictures": pictures}.items():
    shape = tuple(images.shape)
    numbers = f"{images.dtype!s:<13}  {images.min():8.3f}  {images.max():7.3f}"
    print(f"{name:<11}  {shape!s:<13}  {numbers}")

names = [common.CLASS_NAMES[label] for label in labels]
figure = common.draw_digits(pictures[:32], names, columns=8)
figure.suptitle("32 digits of a training batch, and their labels")
common.save_figure(figure, "02_digits.png")

# %% One digit: raw, as the network gets it, and restored
# Why each preprocessing step is there:
#
# - To decimals: a network multiplies and adds, and the results are hardly ever whole numbers.
# - Normalize: with inputs around 0 a network learns a little faster at first. The first exercise
#   below shows how much.
# - Flatten: our first network takes one row of numbers for each digit. The strip in
#   02_one_digit.png shows the price: which pixels stood above each other can no longer be seen.
#   Step 4 has a remedy.
training_set = common.raw_digits(train=True)
raw = training_set.data[0]  # (28, 28)
flat = common.transform(raw.unsqueeze(0))  # (28, 28) -> (1, 28, 28) -> (784,)
restored = common.inverse_transform(flat)  # (28, 28)
different = (restored != raw).sum()
print(f"\nPixels of one digit that are not restored exactly: {different}")

strip = flat.expand(784, 784).T  # the 784 numbers one below the other, each as a line 784 wide
titles = ["raw: 28 x 28", "for the network: 784", f"restored: {different} pixels differ"]
figure = common.draw_digits([raw, strip, restored], titles, columns=3)
figure.set_size_inches(8, 3)
common.save_figure(figure, "02_one_digit.png")

# %% How many there are of each
# If one digit were rare, a network could ignore it and still be right most of the time.
# bincount() counts how many labels are 0, how many are 1, and so on.
figure, axis = plt.subplots(layout="constrained")
bars = axis.barh(common.CLASS_NAMES, training_set.targets.bincount().numpy())
axis.bar_label(bars, label_type="center")
axis.invert_yaxis()  # the first class at the top
axis.set_title("Number of digits of each kind")
common.save_figure(figure, "02_counts.png")

# %% The average of each digit
# Where an average is sharp, people write alike; where it is blurred, they do not.
training_digits, training_labels = training_loader.dataset[:]  # all: (55000, 784) and (55000,)
averages = []
for label in range(10):
    alike = training_digits[training_labels == label]  # (number of them, 784)
    averages.append(alike.mean(dim=0))  # (784,)
averages = torch.stack(averages)  # (10, 784)
figure = common.draw_digits(common.inverse_transform(averages), common.CLASS_NAMES, columns=5)
figure.suptitle(f"Averages of {len(training_digits):,} training digits")
common.save_figure(figure, "02_average_digits.png")

# %% A first reading, without a network
# Read each digit as the one whose average is nearest. The distance of two pictures: subtract pixel
# from pixel, square the 784 differences, add them up, and take the root. cdist computes it for all
# pairs. A network has to be better than this.
digits, right_answers = validation_loader.dataset[:]  # (5000, 784) and (5000,)
distances = torch.cdist(digits, averages)  # (5000, 10): a row for each digit
guesses = distances.argmin(dim=1)  # (5000,): where in each row the smallest number stands
share = (guesses == right_answers).float().mean()
print(f"\nRead as the nearest average: {share:.1%} of the validation digits are right")

# Try this: leave v2.Normalize out of `transform` in common.py. What becomes of the first row of the
# table, and, in step 3, of the training loss of the first epoch? (Put it back afterwards: the
# inverse does not fit without it.)
# Try this: draw only the fives, with common.draw_digits(pictures[labels == 5], ["5"] * 128, 8)
# and common.save_figure as above. Would you have read all of them right?
# Write it yourself: common.inverse_transform. The script has shown it for one pixel.
