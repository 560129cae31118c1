"""Step 2: what do the digits look like, and what does each preprocessing step do to them?

The network is trained on rows of 784 strange numbers. Undoing the transform shows that they are still the same digits.
Run it with: python 02_visualize.py
"""
# %% One batch from the training loader, and back
import matplotlib.pyplot as plt
import torch

import common

training_loader, _ = common.training_loaders()
batch, labels = next(iter(training_loader))  # (128, 784)
pictures = common.inverse_transform(batch)  # (128, 28, 28)
names = [common.CLASS_NAMES[label] for label in labels]
print(f"Rows:     {tuple(batch.shape)} {batch.dtype}, values from {batch.min():.3f} to {batch.max():.3f}, "
      f"{batch.nbytes:,} bytes")
print(f"Restored: {tuple(pictures.shape)} {pictures.dtype}, values from {pictures.min()} to {pictures.max()}, "
      f"{pictures.nbytes:,} bytes")

figure, axes = plt.subplots(4, 8, figsize=(8, 4.8), layout="constrained")
for axis, picture, name in zip(axes.flat, pictures, names):
    axis.imshow(picture.numpy(), cmap="gray_r")
    axis.set_title(name)
    axis.axis("off")
figure.suptitle("32 digits of one training batch, and their labels")
common.save_figure(figure, "02_digits.png")

# %% One digit: raw, as the network sees it, restored
# Tensor: a network computes with decimals from 0 to 1 and not with a picture file's bytes. Bytes could not be
#   normalized at all: 0.13 and -0.42 do not exist among the whole numbers from 0 to 255.
# Normalize: paper becomes -0.42 and ink 2.82, so that the inputs have mean 0 and standard deviation 1, the range that
#   a layer's first random weights are made for. Without it training starts slower, and wants another learning rate.
# Flatten: the first network's layers take one row of 784 numbers. Without it, the shapes do not fit and PyTorch stops.
#   The strip in the middle shows the price: what stood above what is no longer to be seen (step 4 mends that).
raw = common.raw_digits(train=True)
raw_picture = raw.data[0]  # (28, 28)
flat = common.transform(raw[0][0])  # (784,)
restored = common.inverse_transform(flat)  # (28, 28)
difference = (restored.int() - raw_picture.int()).abs().max()
print(f"Largest difference between a raw pixel and a restored one: {difference}")

figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained", width_ratios=[3, 2, 3])
titles = ["raw: 28 x 28", "as the network sees it: 784", "restored: 28 x 28"]
for axis, title, picture in zip(axes, titles, [raw_picture, flat.reshape(-1, 1), restored]):
    axis.imshow(picture.numpy(), cmap="gray_r", aspect="auto" if picture.shape[1] == 1 else "equal", interpolation="nearest")
    axis.set(title=title, xticks=[])
axes[1].set_ylabel("position in the row")
figure.suptitle(f"One digit on its way into the network and back; largest pixel difference: {difference}")
common.save_figure(figure, "02_one_digit.png")

# %% How many there are of each
# Were one digit rare, guessing the others would already look like success. Here all ten are about equally frequent.
all_labels = torch.cat([labels for _, labels in training_loader])
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
bars = axis.bar([name[:6] for name in common.CLASS_NAMES], all_labels.bincount(minlength=len(common.CLASS_NAMES)).numpy())
axis.bar_label(bars)
axis.margins(y=0.1)  # room for the numbers
axis.set(title="Every digit is about equally frequent in the training split", ylabel="number of digits")
common.save_figure(figure, "02_counts.png")

# %% Pixel values, and what the transform makes of them
# Most pixels are plain paper; the transform shifts and scales the values, and does not change their order.
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained", sharey=True)
axes[0].hist(pictures.flatten().numpy(), bins=50)
axes[0].set(title="restored pixels: 0 to 255", xlabel="pixel value", ylabel="number of pixels", yscale="log")
axes[1].hist(batch.flatten().numpy(), bins=50, color="tab:orange")
axes[1].set(title=f"normalized: mean {batch.mean():.2f},\nstandard deviation {batch.std():.2f}", xlabel="pixel value")
common.save_figure(figure, "02_pixel_values.png")

# %% The average of each digit
# Where the average is sharp, people write alike (0, 1, 3); where it is blurred, they do not (4, 5).
figure, axes = plt.subplots(2, 5, figsize=(8, 3.9), layout="constrained")
for digit, axis in enumerate(axes.flat):
    axis.imshow(raw.data[raw.targets == digit].float().mean(dim=0).numpy(), cmap="gray_r")
    axis.set_title(common.CLASS_NAMES[digit])
    axis.axis("off")
figure.suptitle(f"The average of all {len(raw):,} training digits, class by class")
common.save_figure(figure, "02_average_digits.png")

# Try this: leave the normalization out of `transform` in common.py. What becomes of the histogram, and of step 3?
# Try this: show pictures[labels == 5]. Would you have read all of them?
