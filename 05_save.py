"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg page.png   reads the handwritten digits in pictures, too, row by row
"""
# %% Settings
import sys
from itertools import product

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from torch.nn.functional import avg_pool2d, max_pool2d
from torchvision.transforms.v2.functional import pad, pil_to_tensor, resize, to_pil_image
from torchvision.utils import make_grid

import common

PICTURES = sys.argv[1:]
if "ipykernel" in sys.modules:
    PICTURES = []  # in a notebook, write the names of your files into this list
SIZE = 800  # pixels: larger pictures are reduced to it. More finds smaller digits, and takes longer
INK = 0.35  # a pixel is ink if it is as dark as this, where the clear ink of its picture is 1. A
# lower limit finds fainter strokes, and the lines of ruled paper, too
SURE = 0.7  # a digit that is less sure is called doubtful. Of digits kept aside in a trial, 2 % of
# the right answers were below it, and 8 of the 10 wrong ones

# %% A file by hand
# What training has changed are numbers: the weights (step 4 said how many), and the averages that
# batch normalization has kept. state_dict() gives them by name.
tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py")
weights = tuned.state_dict()
print("The first three of the tuned network's weights, and their shapes:")
for name in list(weights)[:3]:
    print(f"    {name:<10}  {tuple(weights[name].shape)}")
file = common.OUTPUTS / "weights.pt"
torch.save(weights, file)
print(f"The file has {file.stat().st_size:,} bytes: 4 for each number, and some for the names.\n")

# A new network of the same kind has random weights. Then it gets those of the file.
_, validation_loader = common.training_loaders()
network = common.NETWORKS[facts["network"]]().to(common.DEVICE)
_, before = common.evaluate(network, validation_loader)
network.load_state_dict(torch.load(file, map_location=common.DEVICE, weights_only=True))
_, after = common.evaluate(network, validation_loader)
_, expected = common.evaluate(tuned, validation_loader)
print(f"Of the validation digits a new network reads {before:.2%}, with the weights of the file")
print(f"{after:.2%}. The network that was saved reads {expected:.2%}.\n")

# %% ... and with common.save_network and common.load_network
# What is not in the file is the network's code: which layers there are. So the network's name in
# common.NETWORKS goes in, too. You may add facts: numbers, texts, tensors, and lists or
# dictionaries of them. With weights_only=True these are all that is accepted when a file is loaded:
# a file of a stranger cannot run code on your machine.
_, accuracy = common.evaluate(tuned, common.test_loader())  # nothing is chosen by it
common.save_network("digits.pt", facts["network"], tuned, test_accuracy=accuracy)
network, facts = common.load_network("digits.pt", "05_save.py")
print(f"The file says that the network reads {facts['test_accuracy']:.2%} of the test digits.")
print("""
Another program in this folder uses the file like this:
    network, facts = common.load_network("digits.pt", "05_save.py")
    pixels = common.transform(picture).unsqueeze(0)  # a PIL picture, 28 x 28, light on dark
    logits = network(pixels.to(common.DEVICE))
    digit = logits.argmax().item()

To read your own handwriting: python 05_save.py photo.jpg page.png ...
""")

# %% One digit on its way into the network
# MNIST's digits are light on dark, 20 pixels high or wide, with the middle of their ink in that of
# 28 x 28 pixels. A photo is nothing of the kind. Most cases of "99 % on the test set, but it gets
# my own digit wrong" come from that.
def as_mnist(ink):
    """A picture of 28 x 28 as MNIST's, of a picture of one digit's ink, light on 0, of any size

    What lies in the box of the ink, ink.getbbox(), is made 20 pixels high or wide, and no larger
    (contain). Thin strokes become faint then, so the lightest 8 % of the pixels are made 255. Its
    middle, the mean row and column of its ink, comes to 13.5: crop() finds 0 beyond a picture.
    """
    small = ImageOps.contain(ink.crop(ink.getbbox()), (20, 20))
    small = ImageOps.autocontrast(small, (0, 8))
    top, left = np.argwhere(small).mean(axis=0) - 13.5
    return small.crop((left, top, left + 28, top + 28))  # with 0 around it


def read(pictures):
    """The ten probabilities of each of some pictures of 28 x 28: (pictures, 10)"""
    images = torch.stack([common.transform(picture) for picture in pictures])  # (pictures, 784)
    logits = network(images.to(common.DEVICE))
    return logits.softmax(dim=1).detach().cpu()


# A test digit, made large, not in the middle, and dark on light, as in a photo; and its way back.
digit, label = common.raw_digits(train=False)[0]
large = ImageOps.expand(digit.resize((112, 112)), (30, 150, 180, 20))  # left, top, right, bottom
photo = ImageOps.invert(large)  # 255 is paper, and 0 is ink
ink = ImageOps.invert(photo)  # 0 is paper, and 255 is ink
shrunk = ink.resize((28, 28))
ready = as_mnist(ink)
answers = read([shrunk, ready]).argmax(dim=1).tolist()
print(f"A {label} that is only shrunk to 28 x 28 is read as {answers[0]}, as MNIST's: {answers[1]}")
titles = ["like a photo", "its ink", "only shrunk", "as MNIST's"]
figure = common.draw_digits([photo.convert("RGB"), ink, shrunk, ready], titles, 4)
common.save_figure(figure, "05_one_digit.png")


# %% From a picture to its ink
# What follows holds no new idea about networks. It does the same for pictures of many digits, and
# for photos, where paper and ink are not two colours: you may read the docstrings first.
#
# How dark is ink? No number will do: paper in the shade may be darker than pencil in the light. So
# each pixel is compared with the paper around it. Pooling with a stride of 1 gives each pixel the
# largest value of its window, the lightest: strokes, which are narrow, vanish, but a wide shadow
# shrinks all round, too. Pooling the negative values, which finds the darkest, lets the shadow grow
# back, and 1 pixel further, so that its edge is not taken for ink; the strokes are gone by then.
def open_picture(path):
    """The picture in a file, upright, in colours, at most SIZE pixels high and wide"""
    picture = ImageOps.exif_transpose(Image.open(path))  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel, of which 8 are enough
        picture = picture.point(lambda level: level / 256)
    picture = picture.convert("RGBA")
    picture.thumbnail((SIZE, SIZE))
    paper = Image.new("RGBA", picture.size, "silver")  # to be seen where it is transparent
    return Image.alpha_composite(paper, picture).convert("RGB")


def largest_around(values, height, width):
    """Each value becomes the largest of those in a window of height x width around it"""
    around = height // 2, width // 2
    return max_pool2d(values.unsqueeze(0), (height, width), stride=1, padding=around)[0]


def find_ink(picture):
    """How much each pixel looks like ink, from 0, paper, to 1, clear ink: (height, width)"""
    gray = pil_to_tensor(picture.convert("L")) / 255  # (1, height, width), from 0, black, to 1
    small = resize(gray, None, max_size=125)
    window = min(small.shape[1:]) // 6 * 2 + 1  # a third of the picture: wider than any stroke
    edge = window // 2  # pad() repeats the pixels of the rim
    around = avg_pool2d(pad(small, [edge] * 4, padding_mode="edge"), window, stride=1)
    # The few pixels that differ most from those around them are ink, and weigh most in this sum.
    if (small - around).pow(3).sum() > 0:  # they are light, so the paper is dark
        gray = 1 - gray
        small = 1 - small
    paper = largest_around(small[0], window, window)
    paper = -largest_around(-paper, window + 2, window + 2)
    paper = resize(paper.unsqueeze(0), gray.shape[1:])
    # In the shade paper and ink have the same share of their light left: so divide. 0.08 more keeps
    # what is nearly black from looking like ink.
    ink = ((paper - gray) / (paper + 0.08))[0]
    clear = ink[ink >= ink.max() / 2].median()  # how dark clear ink is in this picture
    ink = ink / clear
    # Limits found by trial: how dark ink is at least, and how rough paper is at most.
    if clear < 0.01 or ink[ink < INK].abs().mean() > 0.18:
        raise ValueError("there is no ink in it")
    return ink.clamp(0, 1)


# %% From ink to pieces, and from pieces to digits
# A piece is ink that hangs together. A mask says of each pixel whether it is ink.
def find_pieces(mask):
    """The connected pieces of a mask, each as a list of its pixels, (pixels, 2): row, column"""
    unseen = set(map(tuple, mask.nonzero().tolist()))
    pieces = []
    while unseen:
        piece = [unseen.pop()]
        for row, column in piece:  # which grows while the loop goes through it
            square = product(range(row - 1, row + 2), range(column - 1, column + 2))
            near = unseen.intersection(square)
            unseen -= near
            piece += near
        pieces.append(torch.tensor(piece))
    return pieces


def find_inside(mask):
    """The pieces, but for shadows and edges: those at the rim that are larger than all others"""
    pieces = find_pieces(mask)
    rim = torch.tensor(mask.shape) - 2  # the last two rows and columns; the first are 0 and 1
    inside = [piece for piece in pieces if piece.min() > 1 and (piece < rim).all()]
    if sum(map(len, inside)) < 0.1 * mask.sum():  # a digit may fill the picture
        return pieces
    largest = max(map(len, inside))
    return [piece for piece in pieces if len(piece) <= largest]


def height_of(piece):
    return len(piece[:, 0].unique())  # in how many rows it has pixels


def middle_of(piece):
    return piece[:, 0].float().mean()


def find_digits(ink):
    """The pieces of the ink, without specks, and with gaps in their strokes closed"""
    if max(ink.shape) <= 28:  # a picture of MNIST's size has one digit
        return [(ink > 0.2).nonzero()]
    pieces = find_inside(ink > INK)
    # The usual height is that of most of the ink: large pieces count for more.
    heights = list(map(height_of, pieces))
    height = np.median(np.repeat(heights, list(map(len, pieces))))
    clean = torch.zeros_like(ink)
    for piece in pieces:
        if len(piece) > height / 2:
            clean[tuple(piece.T)] = 1
    # A digit may have several pieces. So each pixel grows, more up and down than sideways, where
    # the neighbours begin.
    tall = largest_around(clean, 2 * round(0.07 * height) + 1, 1)
    wide = largest_around(clean, 1, 2 * round(0.04 * height) + 1)
    digits = find_pieces(tall.maximum(wide) > 0)
    return [digit for digit in digits if height_of(digit) > height / 2]


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


# %% From a digit to its reading
def cut_out(ink, digit):
    """A picture of one digit's ink, without what is near"""
    pixels = tuple(digit.T)  # their rows and columns, as an index
    own = torch.zeros_like(ink)
    own[pixels] = ink[pixels]
    own[own < 0.2] = 0
    return to_pil_image(own)


def describe(probabilities):
    """What a row says, and how sure the network is where it is least sure: (digits, 10)"""
    reading = "".join(np.take(common.CLASS_NAMES, probabilities.argmax(dim=1)))
    sure, place = probabilities.amax(dim=1).min(dim=0)
    if sure < SURE:
        return f"{reading}  (not sure of digit {place + 1}: {sure:.0%})"
    return f"{reading}  (at least {sure:.0%} sure)"


def draw_boxes(picture, digits, probabilities):
    """Draw a box around each digit, and above it how it was read"""
    draw = ImageDraw.Draw(picture)
    for digit, best in zip(digits, probabilities.argmax(dim=1)):
        box = torch.cat(digit.flip(1).aminmax(dim=0)).tolist()  # left, top, right, bottom
        draw.rectangle(box, outline="orangered", width=2)
        draw.text(box[:2], common.CLASS_NAMES[best], "orangered", anchor="lb", font_size=40)


# %% Read the pictures
# "91 % sure" is no doubt: label smoothing asked the network for no more (step 4).
drawn = []
titles = []
for path in PICTURES:
    try:
        picture = open_picture(path)
        ink = find_ink(picture)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of files, and find_ink
        print(f"{path}: not read, {error}")
        continue
    rows = find_rows(find_digits(ink))
    digits = sum(rows, [])  # all rows in one list
    seen = [as_mnist(cut_out(ink, digit)) for digit in digits]
    probabilities = read(seen)  # (digits, 10)
    for number, row in enumerate(probabilities.split(list(map(len, rows))), 1):
        place = f", row {number}" if len(rows) > 1 else ""
        print(f"{path}{place}: {describe(row)}")
    draw_boxes(picture, digits, probabilities)
    grid = make_grid([pil_to_tensor(digit) for digit in seen])[0]  # one of three equal colours
    drawn += [picture, ink, grid, probabilities]  # black is sure; a line for each digit
    titles += [path, "its ink", "28 x 28", "probabilities of 0 to 9"]

if drawn:
    figure = common.draw_digits(drawn[:32], titles, columns=4)  # of the first eight pictures
    figure.set_size_inches(9, 0.6 * len(figure.axes))
    common.save_figure(figure, "05_your_digits.png")

if len(titles) < 4 * len(PICTURES):
    sys.exit(1)  # some pictures were not read

# Try this: write a 7 with and without a bar, photograph both, and read them.
# Write it yourself: as_mnist.
