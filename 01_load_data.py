"""Step 1: what does a computer see when it looks at a handwritten digit?

70,000 digits come from torchvision, become tensors (PyTorch's arrays), are normalized, flattened and put into batches.
Run it with: python 01_load_data.py
"""
# %% One digit, as torchvision gives it
import torch

import common

raw = common.raw_digits(train=True)
image, label = raw[0]
print(f"One item: a PIL picture of {image.size} pixels in mode {image.mode!r}, and its label, {label}\n")

# %% The same digit after each stage of the transform
# Mode "L" means one byte a pixel: 0 is black paper, 255 is white ink (the figures of steps 2 and 4 show it the other
# way round). A network wants decimals around zero, all in one row.
print("stage       shape          dtype     min     max    mean  standard deviation")
for name, stage in [("tensor", common.to_tensor), ("normalize", common.normalize), ("flatten", common.flatten)]:
    image = stage(image)
    print(f"{name:<10}  {str(tuple(image.shape)):<13}  {str(image.dtype)[6:]}  {image.min():6.3f}  {image.max():6.3f}  "
          f"{image.mean():6.3f}  {image.std():6.3f}")

# %% Where the two numbers of the normalization come from
# They are the mean and the standard deviation of all training pixels. The test pixels have no say in them, or else they
# would no longer stand for digits that nobody has seen.
pixels = raw.data / 255
print(f"\nMean and standard deviation of all {len(raw):,} training digits: {pixels.mean():.4f} and {pixels.std():.4f}\n"
      f"In common.py, from all 60,000 of {common.DATASET.__name__}: {common.MEAN:.4f} and {common.STD:.4f}")

# %% Three splits, each for one purpose
# The training digits are learned from, the validation digits choose between networks, the test digits judge the choice.
# The split is random, the same in every run, and plain: it does not force the same share of each digit into both.
training_loader, validation_loader = common.training_loaders()
test_loader = common.test_loader()
print("\nsplit       digits   of each class: " + "  ".join(f"{name[:5]:>5}" for name in common.CLASS_NAMES))
for name, loader in [("training", training_loader), ("validation", validation_loader), ("test", test_loader)]:
    labels = torch.cat([labels for _, labels in loader])
    counts = "  ".join(f"{count:5}" for count in labels.bincount(minlength=len(common.CLASS_NAMES)))
    print(f"{name:<10}  {len(labels):6}                   {counts}")

images, labels = next(iter(training_loader))
print(f"\nOne batch: images {tuple(images.shape)} of {images.dtype}, labels {tuple(labels.shape)} of {labels.dtype}")

# Try this: ask for training_loaders(batch_size=32). Which printed line changes, and which does not?
# Try this: change SEED in common.py. What happens to the counts of the training and the test split?
