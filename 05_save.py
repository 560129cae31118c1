"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg page.png   reads the handwritten digits in pictures, too, row by row
"""
# %% Settings
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from PIL.ImageFilter import GaussianBlur, MaxFilter, MinFilter
from torch.nn.functional import max_pool2d, unfold
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

import common

PICTURES = sys.argv[1:]  # in a notebook, write a list of file names here
if "ipykernel" in sys.modules:
    PICTURES = []
SIZE = 800  # pixels: larger pictures are reduced to it. More finds smaller digits, and takes longer
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
    """The picture in a file, upright, in colours, at most SIZE pixels high and wide"""
    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture)  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel, of which 8 are enough
        picture = Image.fromarray(np.uint8(np.asarray(picture) // 256))
    size = np.clip(max(picture.size), 160, SIZE)
    picture = ImageOps.contain(picture.convert("RGBA"), (size, size))
    behind = Image.new("RGBA", picture.size, "silver")  # to be seen where it is transparent
    return Image.alpha_composite(behind, picture).convert("RGB")


def is_light_on_dark(gray):
    """Ink differs most from the mean around it, and an odd power tells lighter from darker"""
    around = gray.filter(GaussianBlur(0.15 * max(gray.size)))
    difference = np.subtract(gray, around, dtype=float)
    return (difference ** 5).sum() > 0


def find_ink(picture):
    """How much each pixel looks like ink, from 0, paper, to 1, clear ink: (height, width)"""
    gray = picture.convert("L")
    if is_light_on_dark(gray):
        gray = ImageOps.invert(gray)
    paper = ImageOps.contain(gray, (125, 125))
    window = min(paper.size) // 6 * 2 + 1  # a third of the picture: wider than any stroke
    paper = paper.filter(MaxFilter(window))  # what is dark and narrow is gone
    paper = paper.filter(MinFilter(window + 2)).resize(gray.size)
    ink = torch.tensor(1 - np.add(gray, 10.0) / np.add(paper, 10.0))  # shade darkens both alike
    clear = ink[ink >= ink.max() / 2].median()
    grain = ink.abs().quantile(0.25)
    if clear < max(0.02, 8 * grain):
        raise ValueError("there is no ink in it")
    return (ink / clear).clamp(0, 1).float()


# %% From ink to pieces, and from pieces to digits
def find_pieces(mask):
    """The connected pieces of a mask, each as a list of its pixels, (pixels, 2): row, column"""
    pixels = mask.nonzero()
    numbers = torch.zeros(mask.shape)
    numbers[mask] = torch.arange(1.0, len(pixels) + 1)  # each pixel has its own, from 1 on
    around = unfold(numbers[None, None], 3, padding=1)  # (1, 9, height * width)
    around = around[0, :, mask.flatten()].long()  # the numbers around each pixel: (9, pixels)
    largest = torch.arange(len(pixels) + 1)
    before = -largest
    while not torch.equal(largest, before):
        before = largest.clone()
        largest[1:] = largest[around].amax(dim=0)  # of what the pixels around have by now
        largest = largest[largest]  # ... and of what the pixel with that number has
    _, sizes = largest[1:].unique(return_counts=True)
    return pixels[largest[1:].argsort()].split(sizes.tolist())


def find_inside(mask):
    """The pieces that do not touch the picture's rim, as a shadow or the sheet's edge does"""
    rim = torch.ones_like(mask)
    rim[2:-2, 2:-2] = False
    inside = find_pieces(mask | rim)[:-1]  # the last has the last pixel, and thus all of the rim
    return inside or find_pieces(mask)  # a digit may fill the picture


def height_of(piece):
    return np.ptp(piece[:, 0]) + 1


def middle_of(piece):
    return piece[:, 0].median()


def find_digits(ink):
    """Pieces that are not much lower than others, and what is near to them, most of all above"""
    pieces = find_inside(ink > INK)
    heights = [torch.full([len(piece)], height_of(piece)) for piece in pieces]
    height = torch.cat(heights).median().item()  # of the piece that the middle pixel belongs to
    rows, columns = torch.cat(pieces).T
    clean = torch.zeros(1, *ink.shape)
    clean[0, rows, columns] = 1
    down, across = round(0.12 * height), round(0.04 * height)
    thick = max_pool2d(clean, (2 * down + 1, 2 * across + 1), 1, (down, across))
    return [piece for piece in find_pieces(thick[0] > 0) if height_of(piece) > 0.7 * height]


def find_rows(digits):
    """Lists of digits, from left to right, each about as high up as the one before"""
    rows = []
    for digit in sorted(digits, key=lambda digit: digit[:, 1].min()):
        near = height_of(digit) / 2
        mine = [row for row in rows if abs(middle_of(row[-1]) - middle_of(digit)) < near]
        if mine:
            mine[0].append(digit)
        else:
            rows.append([digit])
    return sorted(rows, key=lambda row: middle_of(row[0]))


# %% From a digit to what the network knows
def as_mnist(ink, digit):
    """Into a box of 20 x 20, and its centre of mass into the middle of 28 x 28"""
    rows, columns = digit.T
    own = torch.zeros_like(ink)
    own[rows, columns] = ink[rows, columns]
    own[own < 0.2] = 0
    picture = to_pil_image(own)
    picture = ImageOps.contain(picture.crop(picture.getbbox()), (20, 20))
    picture = ImageOps.autocontrast(picture)
    rows, columns = np.indices(np.shape(picture))
    top = np.average(rows, weights=picture) - 13.5
    left = np.average(columns, weights=picture) - 13.5
    return pil_to_tensor(picture.crop((left, top, left + 28, top + 28)))  # (1, 28, 28), 0 around


def describe(probabilities):
    """What a row says, and how sure the network is where it is least sure: (digits, 10)"""
    reading = "".join([common.CLASS_NAMES[best] for best in probabilities.argmax(dim=1)])
    least = probabilities.amax(dim=1).argmin()
    (sure, less_sure), guesses = probabilities[least].topk(2)
    if sure < SURE:
        first, second = [common.CLASS_NAMES[guess] for guess in guesses]
        guesses = f"{first} ({sure:.0%}) or {second} ({less_sure:.0%})"
        return f"{reading}  (not sure of digit {least + 1}: {guesses})"
    at_least = "at least " if len(probabilities) > 1 else ""
    return f"{reading}  ({at_least}{sure:.0%} sure)"


def draw_boxes(picture, digits, probabilities):
    """A copy of the picture with a box around each digit, and its reading above it"""
    copy = picture.copy()
    draw = ImageDraw.Draw(copy)
    for digit, best in zip(digits, probabilities.argmax(dim=1)):
        top, left = digit.amin(dim=0).tolist()
        bottom, right = digit.amax(dim=0).tolist()
        draw.rectangle((left, top, right, bottom), outline="blue", width=2)
        draw.text((left, top), common.CLASS_NAMES[best], "blue", anchor="lb", font_size=SIZE / 20)
    return pil_to_tensor(copy).permute(1, 2, 0)  # (height, width, 3), as matplotlib draws it


# %% Read the pictures
drawn = []
titles = []
for path in PICTURES:
    name = Path(path).name
    try:
        picture = open_picture(path)
        ink = find_ink(picture)
        rows = find_rows(find_digits(ink))
    except Exception as error:  # each kind of damage has its own; the other pictures are read
        print(f"{name}: not read, {error}")
        continue
    digits = sum(rows, start=[])  # all rows in one list
    seen = torch.stack([as_mnist(ink, digit) for digit in digits])  # (digits, 1, 28, 28)
    logits = network(common.transform(seen).to(common.DEVICE))
    probabilities = logits.softmax(dim=1).detach().cpu()  # (digits, 10)
    lengths = [len(row) for row in rows]
    for number, row in enumerate(probabilities.split(lengths), start=1):
        place = f", row {number}" if len(rows) > 1 else ""
        print(f"{name}{place}: {describe(row)}")
    drawn += [draw_boxes(picture, digits, probabilities), ink]
    drawn += [make_grid(seen, nrow=5)[0], probabilities]
    titles += [name, "its ink", "28 x 28", "probabilities of 0 to 9"]

if drawn:
    figure = common.draw_digits(drawn[:32], titles, columns=4)
    figure.set_size_inches(9, 0.6 * len(figure.axes))
    common.save_figure(figure, "05_your_digits.png")

if len(titles) < 4 * len(PICTURES):
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
