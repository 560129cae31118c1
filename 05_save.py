"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg scan.png   reads pictures, one handwritten digit each
"""
# %% Settings
import math
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
    tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py", same_data=True)
    _, accuracy = common.evaluate(tuned, common.test_loader())
    common.save_network("digits.pt", tuned, facts["build"], facts["settings"], test_accuracy=accuracy)
    loaded, facts = common.load_network("digits.pt", "05_save.py")
    logits, again = [common.predict(network, common.test_loader())[0] for network in (tuned, loaded)]  # (10000, 10)
    print(f"""{file}: {file.stat().st_size:,} bytes, reads {facts['test_accuracy']:.2%} of the test digits
The loaded network gives the same logits to the last bit: {torch.equal(again, logits)}

Another program in this folder uses the file like this:
    network, facts = common.load_network("digits.pt", "05_save.py")
    logits = network(common.transform(picture).unsqueeze(0))  # picture: 28 x 28, light ink on dark paper
    digit = logits.argmax().item()

To read your own handwriting: python 05_save.py photo.jpg scan.png ...""")


# %% From a picture to what the network knows
# MNIST's digits are light on dark, 20 pixels high or wide, with their centre of mass in the middle of 28 x 28 pixels.
# A photo is nothing of the kind. Most cases of "99 % on the test set, but it gets my own digit wrong" come from that.
def open_picture(path):
    """Upright, in colour, at most 400 pixels high and wide"""
    with Image.open(path) as picture:
        picture.draft("RGB", (400, 400))  # a JPEG need not be decoded larger than it is used
        picture = ImageOps.exif_transpose(picture)  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = Image.fromarray(np.uint8(np.asarray(picture) // 256))
    picture = picture.convert("RGBA")
    picture.thumbnail((400, 400), Image.Resampling.BOX)
    return picture


def find_ink(picture):
    """How far each pixel is from the colour of the paper there: 0 is paper, 1 is ink, whatever their colours"""
    if np.mean(picture.getchannel("A")) < 128:
        picture = picture.getchannel("A")  # most of it is transparent, so what can be seen is ink
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32).transpose(2, 0, 1)  # (3, height, width)
    rim = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    shape, pixels = pixels.shape[1:], pixels.reshape(3, -1)
    y, x = np.indices(shape, dtype=np.float32).reshape(2, -1) / 400
    plane = np.stack([np.ones_like(x), x, y])  # paper is lighter towards the lamp, so it is a plane and not one colour
    paper = np.median(rim, axis=1)[:, None]
    for limit in (0.5, 0.3, 0.15):  # what is far from the paper is ink, and has no say in how the paper looks
        distance = np.abs(pixels - paper).max(axis=0)
        clean = np.flatnonzero(distance <= limit * distance.max())
        clean = clean[:: 1 + len(clean) // 5000]  # 5,000 pixels are enough for a plane
        paper = np.linalg.lstsq(plane[:, clean].T, pixels[:, clean].T, rcond=None)[0].T @ plane  # fitted to them
    ink = np.abs(pixels - paper).max(axis=0).reshape(shape)
    threshold = ink.max() / 2
    for _ in range(5):  # half-way between the mean of the ink and the mean of the paper
        threshold = (ink[ink >= threshold].mean() + ink[ink <= threshold].mean()) / 2
    if threshold < 10:
        raise ValueError("there is no ink in it")
    noise = min(3 * np.median(ink[ink <= threshold]), threshold / 2)  # what counts as 0
    full = np.percentile(ink[ink > threshold], 75)  # what counts as 1: the darkest quarter of the ink
    return ((ink - noise) / (full - noise)).clip(0, 1)


def find_digit(ink):
    """The digit alone, without specks, and without what hangs at the rim of the picture"""
    digit = Image.fromarray(np.uint8(255 * ink))
    small = digit.reduce(math.ceil(max(digit.size) / 100)).point(lambda value: 255 * (value > 50))  # 20 % ink
    mask, pieces = small.filter(ImageFilter.MaxFilter(3)), []  # the filter closes gaps in a stroke
    while np.any(left := np.array(mask)):
        ImageDraw.floodfill(mask, tuple(np.argwhere(left)[0, ::-1].tolist()), 0)  # erases one piece of ink
        pieces.append(left > np.asarray(mask))
    pieces.sort(key=np.sum, reverse=True)
    inside = [piece for piece in pieces if not (piece[[0, -1]].any() or piece[:, [0, -1]].any())]
    if inside and inside[0].sum() > 0.1 * pieces[0].sum():
        pieces = inside
    pieces = [piece for piece in pieces if piece.sum() > 0.05 * pieces[0].sum()]
    rows, columns = [[piece.any(axis=axis) for piece in pieces] for axis in (1, 0)]
    if any(row.sum() > rows[0].sum() / 2 and not (column & columns[0]).any() for row, column in zip(rows, columns)):
        raise ValueError("it shows several digits side by side; give each a picture of its own")
    whole = np.any(pieces, axis=0)
    return trim(ImageChops.multiply(digit, Image.fromarray(np.uint8(255 * whole)).resize(digit.size)))


def trim(digit):
    return digit.crop(digit.point(lambda value: 255 * (value > 77)).getbbox())  # 30 % ink


def as_mnist(digit):
    """The digit as MNIST would have stored it: (28, 28), bytes"""
    if max(digit.size) != 20:  # a digit of MNIST's own size needs no more than its place
        digit = ImageOps.contain(ImageOps.expand(digit, 1 + max(digit.size) // 8), (100, 100))  # the digit itself: 80
        ink, core = [np.sum(np.asarray(layer) > 127) for layer in (digit, digit.filter(ImageFilter.MinFilter(3)))]
        stroke = 2 * ink / max(ink - core, 1)  # area over half of the outline
        if stroke < 7:  # a thin pen would nearly vanish; at this size MNIST's strokes are about 10 pixels wide
            digit = digit.filter(ImageFilter.MaxFilter(2 * round((8 - stroke) / 2) + 1))
        digit = ImageOps.contain(trim(digit), (20, 20))
    weight = np.asarray(digit, dtype=np.float32)
    row, column = [np.average(index + 0.5, weights=weight) for index in np.indices(weight.shape)]
    picture = Image.new("L", (28, 28))
    picture.paste(digit, (round(14 - column), round(14 - row)))  # the centre of mass goes to the middle
    return torch.from_numpy(np.array(picture))


# %% Read the pictures, all in one batch
given, seen = {}, {}
for path in PICTURES:
    try:
        given[path] = open_picture(path)
        seen[path] = as_mnist(find_digit(find_ink(given[path])))
    except Exception as error:  # every kind of damaged picture has its own; the other pictures are still read
        print(f"{Path(path).name}: not read, {str(error) or type(error).__name__}")
if seen:
    network, _ = common.load_network("digits.pt", "05_save.py")
    images = common.transform(torch.stack(list(seen.values())).unsqueeze(1))  # (pictures, 784)
    probabilities = network(images).softmax(dim=1).detach()  # (pictures, 10)
    for path, row in zip(seen, probabilities):
        (best, second), (best_class, second_class) = [part.tolist() for part in row.topk(2)]
        # A network that was trained with label smoothing says about 91 % where it might say 100 %.
        close = f"  or perhaps {common.CLASS_NAMES[second_class]} ({second:.0%})" if second > best / 4 else ""
        print(f"{Path(path).name}: {common.CLASS_NAMES[best_class]}  ({best:.0%} sure){close}")

    height = min(len(seen), 12)  # of the figure, in pictures
    figure, axes = plt.subplots(height, 3, figsize=(7, 1.6 * height + 0.5), squeeze=False, width_ratios=[1, 1, 2])
    for (left, middle, right), path, row in zip(axes, seen, probabilities):
        left.imshow(given[path])
        middle.imshow(seen[path].numpy(), cmap="gray")
        right.bar(common.CLASS_NAMES, row.numpy())
        left.set(title="as given", xticks=[], yticks=[])
        middle.set(title="as the network sees it", xticks=[], yticks=[])
        right.set(title="probability of each digit", ylim=(0, 1))
        right.tick_params("x", rotation=common.TILT)
    common.save("05_your_digits.png", figure.savefig)
if len(seen) < len(set(PICTURES)):
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
