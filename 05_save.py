"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg scan.png   reads pictures, one handwritten digit each
"""
# %% Settings
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

import common

PICTURES = [] if "ipykernel" in sys.modules else sys.argv[1:]  # in a notebook, write file names here
warnings.simplefilter("error", Image.DecompressionBombWarning)  # a picture that would fill the memory is refused

# %% Save the network, load it, and compare
# What is saved are the weights, which network they belong to, and how good it is. With weights_only=True (see
# load_network) nothing else is accepted when a file is loaded: an unknown one cannot run code on your machine.
file = common.OUTPUTS / "digits.pt"
if not PICTURES or not file.exists():
    tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py")
    logits, labels = common.predict(tuned, common.test_loader())  # (10000, 10) and (10000,)
    accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
    common.save_network("digits.pt", facts["network"], tuned, test_accuracy=accuracy)
    loaded, facts = common.load_network("digits.pt", "05_save.py")
    again, _ = common.predict(loaded, common.test_loader())
    print(f"{file}: {file.stat().st_size:,} bytes, reads {facts['test_accuracy']:.2%} of the test digits\n"
          f"The loaded network gives the same logits to the last bit: {torch.equal(again, logits)}\n"
          "\nAnother program in this folder uses the file like this:\n"
          '    network, facts = common.load_network("digits.pt", "05_save.py")\n'
          "    pixels = common.transform(picture).unsqueeze(0)  # a PIL picture, 28 x 28, light on dark\n"
          "    logits = network(pixels.to(common.DEVICE))\n"
          "    digit = logits.argmax().item()\n"
          "\nTo read your own handwriting: python 05_save.py photo.jpg scan.png ...")


# %% From a picture to what the network knows
# MNIST's digits are light on dark, 20 pixels high or wide, with their centre of mass in the middle of 28 x 28 pixels.
# A photo is nothing of the kind. Most cases of "99 % on the test set, but it gets my own digit wrong" come from that.
def read_picture(path):
    """The picture in a file, and the digit in it as MNIST would have stored it: (28, 28), bytes"""
    with Image.open(path) as picture:
        picture.draft("RGB", (400, 400))  # a JPEG need not be decoded larger than it is used
        picture = ImageOps.exif_transpose(picture)  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = Image.fromarray(np.uint8(np.asarray(picture) // 256))
    given = picture.convert("RGBA")
    given.thumbnail((400, 400), Image.Resampling.BOX)  # at most 400 pixels high and wide

    # Ink is what differs from the paper, whatever their colours. Paper is the median colour all around, which may be
    # lighter in one corner than in another. Where most of a picture is transparent, ink is what can be seen.
    visible = given.getchannel("A")
    picture = (visible if np.mean(visible) < 128 else given).convert("RGB")
    paper = picture.resize((20, 20), Image.Resampling.BOX).filter(ImageFilter.MedianFilter(37)).resize(picture.size)
    ink = np.asarray(ImageChops.difference(picture, paper)).max(axis=2)  # (height, width)
    full = np.percentile(ink[ink >= ink.max() / 2], 75)  # clear ink
    grain = min(3 * np.median(ink), full / 4)  # weaker than this is the grain of the paper
    if full - grain < 20:
        raise ValueError("there is no ink in it")
    ink = Image.fromarray(np.uint8(255 * ((ink - grain) / (full - grain)).clip(0, 1)))  # 0 is paper, 255 is ink

    # The digit is the largest piece of ink that does not hang at the rim, with others if they are no mere specks. A
    # piece that is tall, too, and stands in other columns is another digit.
    mask = ink.reduce(1 + max(ink.size) // 100).point(lambda value: 255 * (value > 50))  # at most 100 x 100
    mask, pieces = mask.filter(ImageFilter.MaxFilter(3)), []  # the filter closes gaps in a stroke
    while np.any(before := np.array(mask)):
        ImageDraw.floodfill(mask, tuple(np.argwhere(before)[0, ::-1].tolist()), 0)  # erases one piece of ink
        pieces.append(before > np.asarray(mask))  # what was there before and is no more
    pieces.sort(key=np.sum, reverse=True)
    inside = [piece for piece in pieces if not (piece[[0, -1]].any() or piece[:, [0, -1]].any())]
    if inside and inside[0].sum() > 0.1 * pieces[0].sum():
        pieces = inside
    pieces = [piece for piece in pieces if piece.sum() > 0.05 * pieces[0].sum()]
    rows, columns = [[piece.any(axis=axis) for piece in pieces] for axis in (1, 0)]
    if any(row.sum() > rows[0].sum() / 2 and not (column & columns[0]).any() for row, column in zip(rows, columns)):
        raise ValueError("it shows several digits side by side; give each a picture of its own")
    digit = ImageChops.multiply(ink, Image.fromarray(np.uint8(255 * np.any(pieces, axis=0))).resize(ink.size))

    # Into a box of 20 x 20, and its centre of mass into the middle of 28 x 28
    digit = digit.crop(digit.point(lambda value: 255 * (value > 77)).getbbox())  # where there is at least 30 % ink
    if max(digit.size) != 20:  # a digit of MNIST's own size needs no more than its place
        digit = ImageOps.autocontrast(ImageOps.contain(digit, (80, 80)))
        while np.max(digit.filter(ImageFilter.MinFilter(9))) < np.max(digit) / 2:  # a thin pen would nearly vanish
            digit = ImageOps.expand(digit, 1).filter(ImageFilter.MaxFilter(3))
        digit = ImageOps.contain(digit, (20, 20))
    top, left = [round(np.average(index + 0.5, weights=digit) - 14) for index in np.indices(np.shape(digit))]
    return given, torch.from_numpy(np.array(digit.crop((left, top, left + 28, top + 28))))  # 0 all around


# %% Read the pictures, all in one batch
given, seen = {}, {}
for path in PICTURES:
    try:
        given[path], seen[path] = read_picture(path)
    except Exception as error:  # every kind of damaged picture has its own; the other pictures are still read
        print(f"{Path(path).name}: not read, {str(error) or type(error).__name__}")
if seen:
    network, _ = common.load_network("digits.pt", "05_save.py")
    images = common.transform(torch.stack(list(seen.values())).unsqueeze(1))  # (pictures, 784)
    probabilities = network(images.to(common.DEVICE)).softmax(dim=1).detach().cpu()  # (pictures, 10)
    for path, row in zip(seen, probabilities):
        (best, second), (best_class, second_class) = [part.tolist() for part in row.topk(2)]
        # A network that was trained with label smoothing says about 91 % where it might say 100 %.
        close = f"  or perhaps {common.CLASS_NAMES[second_class]} ({second:.0%})" if second > best / 4 else ""
        print(f"{Path(path).name}: {common.CLASS_NAMES[best_class]}  ({best:.0%} sure){close}")

    height = min(len(seen), 12)  # of the figure, in pictures
    figure, axes = plt.subplots(height, 3, figsize=(7, 1.6 * height + 0.5), layout="constrained", squeeze=False, width_ratios=[1, 1, 2])
    for (left, middle, right), path, row in zip(axes, seen, probabilities):
        left.imshow(given[path])
        left.set(title="as given", xticks=[], yticks=[])
        middle.imshow(seen[path].numpy(), cmap="gray")
        middle.set(title="as the network sees it", xticks=[], yticks=[])
        right.bar([name[:4] for name in common.CLASS_NAMES], row.numpy())
        right.set(title="probability of each digit", ylim=(0, 1))
    common.save_figure(figure, "05_your_digits.png")
if len(seen) < len(set(PICTURES)):
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
