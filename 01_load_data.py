"""Step 1: what does a computer see when it looks at a handwritten digit?

MNIST is a collection of 70,000 handwritten digits: small grey pictures, each with its label, which
is the digit that was meant. Here they are loaded, turned into numbers that suit a neural network,
and put into batches.

Run it with: python 01_load_data.py
"""
# %% The digits, and what each of them is for
import torch

import common

# torchvision, PyTorch's library for pictures, downloads MNIST the first time. It comes as two sets,
# and common.py splits the first of them once more, at random. That makes three parts, each for one
# purpose:
#
# - 55,000 training digits: the network learns from them.
# - 5,000 validation digits: kept aside, to compare networks and settings with each other.
# - 10,000 test digits: used only at the very end. Only digits that had no influence on anything
#   can say how well the final network reads digits that it has never seen.
training_set = common.raw_digits(train=True)
test_set = common.raw_digits(train=False)
print(f"For training and validation: {len(training_set):,} digits")
print(f"For the test: {len(test_set):,} digits\n")

# %% One of them
# Each pixel is a whole number from 0 (no ink) to 255 (full ink). Here each is printed as one of
# five characters, and twice, since a character is about twice as high as it is wide.
image, label = training_set[0]  # a picture of the library Pillow, and a whole number
name = common.CLASS_NAMES[label]  # a class is a kind of picture, here one of ten digits
print(f"A picture of {image.width} x {image.height} pixels, labelled {name}:")
raw = training_set.data[0]  # the same picture as a tensor, PyTorch's block of numbers: (28, 28)
characters = " .:+#"
for row in raw:
    line = [2 * characters[pixel // 52] for pixel in row]  # 0 ... 255 -> 0 ... 4
    print("".join(line))

# %% One pixel by hand: from a whole number to what the network gets
# 1. Divide by 255: a network computes with decimals. These lie between 0.0 and 1.0.
# 2. Normalize: subtract the mean of all pixels and divide by their standard deviation, which says
#    how far they typically are from the mean. The results lie around 0, some negative, some
#    positive; step 2 says what that is good for.
row, column = 9, 9
pixel = raw[row, column]
decimal = pixel / 255
normalized = (decimal - common.MEAN) / common.STD
print(f"The pixel in row {row}, column {column}: {pixel} -> {decimal:.4f} -> {normalized:.4f}")

# 3. Flatten: put the 28 rows of the picture one behind the other, since our first network takes one
#    row of 28 x 28 = 784 numbers. The pixel is now number 28 x row + column, counted from 0.
flat = common.transform(image)  # common.py's way for the whole picture: (784,)
print(f"The same pixel after common.transform: {flat[28 * row + column]:.4f}\n")

# %% The whole picture after each stage of common.transform
# The shape (1, 28, 28) says: one colour channel (grey), 28 rows, 28 columns.
print("stage      shape        type           smallest  largest")
for stage in common.transform.transforms:
    image = stage(image)
    name = type(stage).__name__
    shape = tuple(image.shape)
    numbers = f"{image.dtype!s:<13}  {image.min():8.3f}  {image.max():7.3f}"
    print(f"{name:<9}  {shape!s:<11}  {numbers}")

# %% Where the mean and the standard deviation come from
# From all pixels of these 60,000 digits. The test digits have to stay unseen, in this too. (That
# the validation digits are among the 60,000 does no harm: it is two numbers of 47 million pixels.)
pixels = training_set.data / 255  # (60000, 28, 28)
print(f"\nMean {pixels.mean():.4f}, standard deviation {pixels.std():.4f} of all these pixels")
print(f"Mean {common.MEAN:.4f}, standard deviation {common.STD:.4f} in common.py\n")

# %% Batches, and the loaders that hand them out
# A network looks at many digits at once, here 128: a batch. Computing them together is quicker, and
# the network corrects itself once for each batch. A loader hands out the batches of its digits one
# after the other. One pass over all training digits is called an epoch. The training loader
# shuffles them anew in each epoch, so that every batch is a fair sample of all digits, and new.
torch.manual_seed(common.SEED)  # so that the order is the same in each run
training_loader, validation_loader = common.training_loaders()
test_loader = common.test_loader()
loaders = {"training": training_loader, "validation": validation_loader, "test": test_loader}
print("part        digits  batches")
for name, loader in loaders.items():
    print(f"{name:<10}  {len(loader.dataset):6,}  {len(loader):7}")

images, labels = next(iter(training_loader))  # what `for images, labels in loader` gives first
print(f"\nThe first batch: images {tuple(images.shape)}, labels {tuple(labels.shape)}")
print(f"Its first ten labels: {labels[:10].tolist()}")

# Try this: print another digit, training_set[7] and training_set.data[7].
# Try this: ask for training_loaders(batch_size=32). Which of the printed lines change?
# Try this: change SEED in common.py. Which labels does the first batch have now?
# Write it yourself: common.transform and training_loaders. (README, "Do it yourself")
