"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg page.png   reads the handwritten digits in pictures, too, row by row
"""
# %% Settings
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch.nn.functional import max_pool2d
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

import common

PICTURES = sys.argv[1:]  # in a notebook, write a list of file names here
if "ipykernel" in sys.modules:
    PICTURES = []
SIZE = 640  # pixels: larger pictures are reduced to it. More finds smaller digits, and takes longer
INK = 0.5  # what is half as clear as clear ink is ink. Less finds faint strokes, and ruled lines
SURE = 0.5  # digits of which the network is less sure are doubtful

# %% Save the network, load it, and compare
# What is saved are the weights, which network they belong to, and how good it is. With
# weights_only=True (see load_network) nothing else is accepted when a file is loaded: an unknown
# one cannot run code on your machine.
tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py")
logits, labels = common.predict(tuned, common.test_loader())  # (10000, 10) and (10000,)
right = logits.argmax(dim=1) == labels
accuracy = right.float().mean().item()
common.save_network("digits.pt", facts["network"], tuned, test_accuracy=accuracy)

network, facts = common.load_network("digits.pt", "05_save.py")
again, _ = common.predict(network, common.test_loader())
print(f"The file says that the network reads {facts['test_accuracy']:.2%} of the test digits.")
print(f"It gives the same logits to the last bit: {torch.equal(again, logits)}")
print("""
Another program in this folder uses the file like this:
    network, facts = common.load_network("digits.pt", "05_save.py")
    pixels = common.transform(picture).unsqueeze(0)  # a PIL picture, 28 x 28, light on dark
    logits = network(pixels.to(common.DEVICE))
    digit = logits.argmax().item()

To read your own handwriting: python 05_save.py photo.jpg page.png ...""")


# %% From a picture to its ink
# MNIST's digits are light on dark, 20 pixels high or wide, with their centre of mass in the middle
# of 28 x 28 pixels. A photo is nothing of the kind. Most cases of "99 % on the test set, but it
# gets my own digit wrong" come from that.
def open_picture(path):
    """The picture in a file, upright and in colours, at most SIZE pixels high and wide"""
    with Image.open(path) as picture:
        picture.draft("RGB", (SIZE, SIZE))  # a JPEG need not be decoded larger than it is used
        picture = ImageOps.exif_transpose(picture)  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel
        picture = Image.fromarray(np.uint8(np.asarray(picture) // 256))
    picture = reduced(picture.convert("RGBA"), SIZE)
    visible = picture.getchannel("A")
    if np.mean(visible) < 128:  # mostly transparent: what can be seen is ink
        picture = ImageOps.invert(visible)
    return picture.convert("RGB")


def reduced(picture, size):
    """A copy, at most size pixels high and wide"""
    small = picture.copy()
    small.thumbnail((size, size), Image.Resampling.BOX)
    return small


def is_light_on_dark(gray):
    """Ink differs from the median around it, which is paper. Cubes keep the sign of large ones."""
    small = reduced(gray, 64)
    paper = small.filter(ImageFilter.MedianFilter(max(small.size) // 5 * 2 + 1))
    difference = np.subtract(small, paper, dtype=float)
    return (difference ** 3).sum() > 0


def find_paper(gray, light):
    """The picture without what is narrow and dark, or, with light ink, narrow and light"""
    small = reduced(gray, 125)
    window = max(small.size) // 8 * 2 + 1  # a quarter of the picture: wider than any stroke
    filters = [ImageFilter.MaxFilter(window), ImageFilter.MinFilter(window)]
    if light:
        filters.reverse()
    for step in filters:
        small = small.filter(step)
    return small.resize(gray.size)


def find_ink(picture):
    """How much each pixel looks like ink, from 0, paper, to 1, clear ink: (height, width)"""
    gray = picture.convert("L")
    light = is_light_on_dark(gray)
    paper = pil_to_tensor(find_paper(gray, light))[0].float()
    difference = pil_to_tensor(gray)[0] - paper
    if not light:
        difference = -difference
    ink = difference / (paper + 10)  # in the shade, paper and ink are darker by the same factor
    clear = ink[ink >= ink.max() / 2].median()
    grain = ink.abs().median()
    if clear < max(0.02, 4 * grain):
        raise ValueError("there is no ink in it")
    return (ink / clear).clamp(0, 1)


# %% From ink to pieces, and from pieces to digits
def thicken(mask, pixels):
    """A mask, True or False for each pixel, that is wider by some pixels on each side"""
    picture = to_pil_image(255 * mask.to(torch.uint8))
    return pil_to_tensor(picture.filter(ImageFilter.MaxFilter(2 * pixels + 1)))[0] > 0


def find_pieces(mask, gap=0):
    """The connected pieces of ink. A piece is the list of its pixels, (pixels, 2): row, column"""
    closed = thicken(mask, gap)
    numbers = torch.arange(1.0, mask.numel() + 1).view_as(mask) * closed  # each pixel its own
    before = torch.zeros_like(numbers)
    while not torch.equal(numbers, before):
        before = numbers
        largest = max_pool2d(numbers[None], 3, stride=1, padding=1)[0] * closed  # of its neighbours
        numbers = largest.flatten()[largest.long() - 1] * closed  # ... and what that pixel has now
    numbers = numbers[mask]
    _, sizes = numbers.unique(return_counts=True)
    pixels = mask.nonzero()[numbers.argsort()]
    return pixels.split(sizes.tolist())


def box(piece):
    """The first row and column of a piece, and those behind its last"""
    top, left = piece.amin(dim=0).tolist()
    bottom, right = piece.amax(dim=0).tolist()
    return top, left, bottom + 1, right + 1


def height_of(piece):
    top, _, bottom, _ = box(piece)
    return bottom - top


def without_rim(pieces, height, width):
    """The pieces that do not touch the picture's rim, as a shadow or the sheet's edge does"""
    inside = []
    for piece in pieces:
        top, left, bottom, right = box(piece)
        if min(top, left, height - bottom, width - right) > 0:
            inside.append(piece)
    if sum(map(len, inside)) > 0.1 * sum(map(len, pieces)):
        return inside
    return pieces  # a digit may fill the picture


def typical_height(pieces):
    """The height of the piece that the middle one of all pixels belongs to: specks hardly count"""
    heights = torch.tensor([height_of(piece) for piece in pieces])
    sizes = torch.tensor([len(piece) for piece in pieces])
    return heights.repeat_interleave(sizes).median().item()


def are_one_digit(piece, other, height):
    """Is one small and near the other, or do they stand above one another, or in one another?"""
    top, left, bottom, right = box(piece)
    other_top, other_left, other_bottom, other_right = box(other)
    across = min(right, other_right) - max(left, other_left)  # columns that both have
    down = min(bottom, other_bottom) - max(top, other_top)  # rows that both have
    if min(across, down) < -0.15 * height:
        return False
    if min(bottom - top, other_bottom - other_top) < 0.45 * height:
        return True
    together = max(bottom, other_bottom) - min(top, other_top)
    shared = across / min(right - left, other_right - other_left)
    return together < 1.5 * height and shared > (0.8 if down > 0.2 * height else 0.4)


def find_digits(ink):
    """The pieces of ink that are digits, those of a broken digit put together"""
    mask = ink > INK
    height = typical_height(without_rim(find_pieces(mask), *mask.shape))
    pieces = without_rim(find_pieces(mask, gap=round(0.02 * height)), *mask.shape)
    digits = []
    for piece in sorted(pieces, key=len, reverse=True):
        partners = [n for n, digit in enumerate(digits) if are_one_digit(piece, digit, height)]
        if len(piece) < (0.08 * height) ** 2:
            continue  # a speck
        if partners:
            digits[partners[0]] = torch.cat([digits[partners[0]], piece])
        else:
            digits.append(piece)
    return [digit for digit in digits if height_of(digit) > 0.45 * height]


def find_rows(digits):
    """Lists of digits, from left to right, each of which has rows in common with the one before"""
    rows = []
    for digit in sorted(digits, key=lambda digit: box(digit)[1]):
        top, _, bottom, _ = box(digit)
        best, mine = 0.4, None
        for row in rows:
            last_top, _, last_bottom, _ = box(row[-1])
            shared = min(bottom, last_bottom) - max(top, last_top)
            shared = shared / min(bottom - top, last_bottom - last_top)
            if shared > best:
                best, mine = shared, row
        if mine is None:
            rows.append([digit])
        else:
            mine.append(digit)
    return sorted(rows, key=lambda row: sum(box(digit)[0] for digit in row) / len(row))


# %% From a digit to what the network knows
def cut_out(ink, digit):
    """A picture of one digit's ink, without that of its neighbours"""
    top, left, bottom, right = box(digit)
    own = torch.zeros_like(ink)
    own[digit[:, 0], digit[:, 1]] = 1
    own = thicken(own, 2) * ink  # also the faint edge of its strokes
    return to_pil_image(own[None, top:bottom, left:right])


def widen(digit):
    """The digit 80 pixels high or wide, and its strokes 9: a thin pen would vanish in 20 pixels"""
    digit = ImageOps.autocontrast(ImageOps.contain(digit, (80, 80)))
    while np.max(digit.filter(ImageFilter.MinFilter(9))) < np.max(digit) / 2:
        digit = ImageOps.expand(digit, 1).filter(ImageFilter.MaxFilter(3))
    return digit


def as_mnist(digit):
    """Into a box of 20 x 20, and its centre of mass into the middle of 28 x 28"""
    if max(digit.size) != 20:  # a digit of MNIST's own size needs no more than its place
        digit = ImageOps.contain(widen(digit), (20, 20))
    rows, columns = np.indices(np.shape(digit))
    top = round(np.average(rows + 0.5, weights=digit) - 14)
    left = round(np.average(columns + 0.5, weights=digit) - 14)
    return pil_to_tensor(digit.crop((left, top, left + 28, top + 28)))  # (1, 28, 28), 0 around


def describe(probabilities):
    """What a row says, (digits, 10), and a word on the digit of which the network is least sure"""
    names = [common.CLASS_NAMES[best] for best in probabilities.argmax(dim=1)]
    least = probabilities.amax(dim=1).argmin().item()
    sure, less_sure = probabilities[least].topk(2).values.tolist()
    _, second = probabilities[least].topk(2).indices.tolist()
    second = common.CLASS_NAMES[second]
    guesses = f"{names[least]} ({sure:.0%}) or {second} ({less_sure:.0%})"
    which = f"digit {least + 1}: "
    if len(names) == 1:
        which = ""
    reading = "".join(names)
    if sure < SURE:
        return f"not sure, {guesses}" if len(names) == 1 else f"{reading}  (not sure of {which}{guesses})"
    if less_sure > sure / 4:
        return f"{reading}  ({which}{guesses})"
    return f"{reading}  ({sure:.0%} sure)" if len(names) == 1 else f"{reading}  (at least {sure:.0%} sure)"


# %% Read the pictures
def read_picture(path):
    """The picture, its ink, its digits row by row, and each as MNIST would have stored it"""
    picture = open_picture(path)
    ink = find_ink(picture)
    rows = find_rows(find_digits(ink))
    seen = [torch.stack([as_mnist(cut_out(ink, digit)) for digit in row]) for row in rows]
    return picture, ink, rows, seen


results = []
for path in PICTURES:
    name = Path(path).name
    try:
        picture, ink, rows, seen = read_picture(path)
    except Exception as error:  # each kind of damage has its own; the other pictures are read
        print(f"{name}: not read, {str(error) or type(error).__name__}")
        continue
    probabilities = []
    for number, row in enumerate(seen, start=1):
        images = common.transform(row)  # (digits, 1, 28, 28) -> (digits, 784)
        with torch.no_grad():
            logits = network(images.to(common.DEVICE)).cpu()
        probabilities.append(logits.softmax(dim=1))  # (digits, 10)
        place = "" if len(seen) == 1 else f", row {number}"
        print(f"{name}{place}: {describe(probabilities[-1])}")
    results.append((name, picture, ink, rows, torch.cat(seen), torch.cat(probabilities)))

# %% Show what was read
if results:
    height = min(len(results), 8)  # of the figure, in pictures
    figure, axes = plt.subplots(
        height, 3, figsize=(9, 2.4 * height), layout="constrained", squeeze=False)
    for (left, middle, right), result in zip(axes, results):
        name, picture, ink, rows, seen, probabilities = result
        left.imshow(picture)
        left.set_title(name, size=8)
        left.axis("off")
        digits = [digit for row in rows for digit in row]
        for digit, best in zip(digits, probabilities.argmax(dim=1)):
            top, first, bottom, last = box(digit)
            left.add_patch(plt.Rectangle((first, top), last - first, bottom - top, fill=False, color="C0"))
            left.text(first, top, common.CLASS_NAMES[best], color="C0", va="bottom")
        middle.imshow(make_grid(seen, nrow=10, pad_value=128)[0].numpy(), cmap="gray")
        middle.set_title("as the network sees it", size=8)
        middle.axis("off")
        least = probabilities.amax(dim=1).argmin()
        right.bar([name[:4] for name in common.CLASS_NAMES], probabilities[least].numpy())
        right.set_title("probabilities of the least sure digit", size=8)
        right.set_ylim(0, 1)
    common.save_figure(figure, "05_your_digits.png")

    _, picture, ink, rows, seen, _ = results[0]
    pieces = torch.zeros(ink.shape)
    for number, piece in enumerate(find_pieces(ink > INK)):
        pieces[piece[:, 0], piece[:, 1]] = 1 + number % 9
    figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
    axes[0].imshow(picture)
    axes[1].imshow(ink.numpy(), cmap="gray_r")
    axes[2].imshow(pieces.numpy(), cmap="tab10_r")
    axes[3].imshow(make_grid(seen, nrow=5, pad_value=128)[0].numpy(), cmap="gray")
    for axis, title in zip(axes, ["as given", "its ink", "its pieces", "28 x 28"]):
        axis.set_title(title)
        axis.axis("off")
    common.save_figure(figure, "05_way.png")

if len(results) < len(set(PICTURES)):
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
