"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py photo.jpg page.png   reads the handwritten digits in pictures, too, row by row
"""
# %% Settings
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from PIL.ImageFilter import GaussianBlur, MaxFilter, MinFilter
from torch.nn.functional import max_pool2d, unfold
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

import common

PICTURES = sys.argv[1:]
if "ipykernel" in sys.modules:
    PICTURES = []  # in a notebook, write the names of your files into this list
SIZE = 800  # pixels: larger pictures are reduced to it. More finds smaller digits, and takes longer
INK = 0.5  # a pixel is ink if it is half as clear as the clear ink of its picture, or more. A lower
# limit finds faint strokes, too, and the lines of ruled paper
SURE = 0.7  # a digit that is less sure is called doubtful. Of digits kept aside in a trial, 2 % of
# the right answers were below it, and 8 of the 10 wrong ones

# %% Save the network, load it, and compare
# What is saved are the weights, which network they belong to, and a fact, how good it is; you may
# add others: numbers, texts, tensors, and lists or dictionaries of them. With weights_only=True
# (see load_network) these are all that is accepted when a file is loaded: a file of a stranger
# cannot run code on your machine.
tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py")
loss, accuracy = common.evaluate(tuned, common.test_loader())  # nothing is chosen by it
common.save_network("digits.pt", facts["network"], tuned, test_accuracy=accuracy)

network, facts = common.load_network("digits.pt", "05_save.py")
same_loss, _ = common.evaluate(network, common.test_loader())
print(f"The file says that the network reads {facts['test_accuracy']:.2%} of the test digits.")
print(f"Its mean loss is the same to the last bit: {loss == same_loss}")
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
#
# How dark is ink? No number will do: paper in the shade may be darker than pencil in the light. So
# each pixel is compared with the paper around it. A maximum filter gives each pixel the lightest
# value of its neighbourhood: strokes, which are narrow, vanish, but a wide shadow shrinks all
# round, too. A minimum filter, which takes the darkest value, lets the shadow grow back, and 1
# pixel further, so that its edge is not taken for ink; the strokes are gone by then.
def open_picture(path):
    """The picture in a file, upright, in colours, at most SIZE pixels high and wide"""
    picture = ImageOps.exif_transpose(Image.open(path))  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel, of which 8 are enough
        picture = picture.point(lambda level: level / 256)
    size = np.clip(max(picture.size), 160, SIZE)
    picture = ImageOps.contain(picture.convert("RGBA"), (size, size))
    behind = Image.new("RGBA", picture.size, "silver")  # to be seen where it is transparent
    return Image.alpha_composite(behind, picture).convert("RGB")


def is_light_on_dark(picture):
    """Add up how far pixels are from the mean around them, lighter ones +, darker ones -

    In the fifth power the few that are far from it, the ink, weigh more than all others.
    """
    around = picture.filter(GaussianBlur(0.15 * max(picture.size)))
    difference = np.subtract(picture, around, dtype=float)
    return np.sum(difference ** 5) > 0


def find_ink(picture):
    """How much each pixel looks like ink, from 0, paper, to 1, clear ink: (height, width)"""
    gray = np.float32(picture.convert("L"))  # 0, black, ... 255, white
    if is_light_on_dark(picture):
        gray = 255 - gray
    paper = ImageOps.contain(Image.fromarray(gray), (125, 125))
    window = min(paper.size) // 6 * 2 + 1  # a third of the picture: wider than any stroke
    paper = paper.filter(MaxFilter(window)).filter(MinFilter(window + 2)).resize(picture.size)
    # In the shade paper and ink have the same share of their light left: so divide. 20 more keeps
    # what is nearly black from looking like ink.
    ink = torch.tensor(np.subtract(paper, gray) / np.add(paper, 20))
    clear = ink[ink >= ink.max() / 2].median()  # how dark clear ink is in this picture
    ink = ink / clear
    grain = ink[ink < INK].abs().mean()  # how rough the paper is
    if clear < 0.028 or grain > 0.18:  # limits found by trial
        raise ValueError("there is no ink in it")
    return ink.clamp(0, 1)


# %% From ink to pieces, and from pieces to digits
# A piece is ink that hangs together. Each of its pixels gets a number of its own, and takes the
# largest number around it, again and again, until the whole piece has the same. A digit may have
# several pieces. So the ink is made thicker until they meet, a lot up and down, where a digit's
# pieces lie, and a little sideways, where its neighbour begins.
def find_pieces(mask):
    """The connected pieces of a mask, each as a list of its pixels, (pixels, 2): row, column"""
    pixels = mask.nonzero()
    numbers = torch.zeros(mask.shape)
    numbers[mask] = torch.arange(1.0, len(pixels) + 1)  # each pixel has its own, from 1 on
    # unfold lists the 3 x 3 numbers around each pixel, 0 where there is no ink.
    around = unfold(numbers[None, None], 3, padding=1)[0, :, mask.flatten()].long()  # (9, pixels)
    # largest[n] is the largest number that pixel n has met so far. Place 0 is no ink, and stays 0.
    largest = torch.arange(len(pixels) + 1)
    before = -largest
    while not torch.equal(largest, before):
        before = largest.clone()
        largest[1:] = largest[around].amax(dim=0)  # of what the pixels around have by now
        largest = largest[largest]  # a short cut: if mine is 7 and that of pixel 7 is 12, take 12
    largest = largest[1:]
    _, sizes = largest.unique(return_counts=True)
    # Sorted by these numbers, the pixels of a piece lie together: cut between the pieces.
    return pixels[largest.argsort()].split(sizes.tolist())


def find_inside(mask):
    """The pieces that do not touch the picture's rim, as a shadow or the sheet's edge does"""
    rim = torch.ones_like(mask)
    rim[2:-2, 2:-2] = False
    # The rim joins all that touches it to one piece. It has the last pixel, the largest number, and
    # comes last.
    pieces = find_pieces(mask | rim)[:-1]
    if sum(map(len, pieces)) < 0.1 * mask.sum():  # a digit may fill the picture
        pieces = find_pieces(mask)
    return pieces


def height_of(piece):
    top, bottom = piece[:, 0].aminmax()
    return (bottom - top + 1).item()


def middle_of(piece):
    return piece[:, 0].float().mean()


def find_digits(ink):
    """The pieces of the ink when it is made thicker, but for specks: those that are not as high"""
    pieces = find_inside(ink > INK)
    heights = list(map(height_of, pieces))
    sizes = list(map(len, pieces))
    height = np.median(np.repeat(heights, sizes))  # the usual one; large pieces count for more
    clean = torch.zeros(1, *ink.shape)
    clean[0][tuple(torch.cat(pieces).T)] = 1
    down, across = round(0.11 * height), round(0.04 * height)
    # Pooling with a stride of 1 moves on by 1 pixel: each gets the largest of those around it.
    thick = max_pool2d(clean, (2 * down + 1, 1), 1, (down, 0))
    thick = max_pool2d(thick, (1, 2 * across + 1), 1, (0, across))
    return [piece for piece in find_pieces(thick[0] > 0) if height_of(piece) > 0.6 * height]


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
    """Its ink alone, in a box of 20 x 20, with the middle of the ink in that of 28 x 28"""
    pixels = tuple(digit.T)  # their rows and columns, as an index
    own = torch.zeros_like(ink)
    own[pixels] = ink[pixels]  # without what is near
    own[own < 0.2] = 0
    picture = to_pil_image(own)
    picture = ImageOps.contain(picture.crop(picture.getbbox()), (20, 20))
    top, left = np.argwhere(picture).mean(axis=0) - 13.5
    return pil_to_tensor(picture.crop((left, top, left + 28, top + 28)))  # (1, 28, 28), 0 around


def describe(probabilities):
    """What a row says, and how sure the network is where it is least sure: (digits, 10)"""
    reading = "".join(np.take(common.CLASS_NAMES, probabilities.argmax(dim=1)))
    least = probabilities.amax(dim=1).argmin()
    (sure, other), guesses = probabilities[least].topk(2)
    if sure > SURE:
        at_least = "at least " if len(reading) > 1 else ""
        return f"{reading}  ({at_least}{sure:.0%} sure)"
    first, second = np.take(common.CLASS_NAMES, guesses)
    return f"{reading}  (not sure of digit {least + 1}: {first} {sure:.0%} or {second} {other:.0%})"


def draw_boxes(picture, digits, probabilities):
    """A box around each digit, and its reading above it"""
    draw = ImageDraw.Draw(picture)
    for digit, best in zip(digits, probabilities.argmax(dim=1)):
        box = torch.cat(digit.flip(1).aminmax(dim=0)).tolist()  # left, top, right, bottom
        draw.rectangle(box, outline="orangered", width=2)
        draw.text(box[:2], common.CLASS_NAMES[best], "orangered", anchor="lb", font_size=40)
    return torch.tensor(np.array(picture))  # (height, width, 3)


# %% Read the pictures
drawn = []
titles = []
for path in PICTURES:
    try:
        picture = open_picture(path)
        ink = find_ink(picture)
        rows = find_rows(find_digits(ink))
    except Exception as error:  # each kind of damage has its own; the other pictures are read
        print(f"{path}: not read, {error}")
        continue
    digits = sum(rows, [])  # all rows in one list
    seen = torch.stack([as_mnist(ink, digit) for digit in digits])  # (digits, 1, 28, 28)
    logits = network(common.transform(seen).to(common.DEVICE))
    probabilities = logits.softmax(dim=1).detach().cpu()  # (digits, 10)
    for number, row in enumerate(probabilities.split(list(map(len, rows))), 1):
        place = f", row {number}" if len(rows) > 1 else ""
        print(f"{path}{place}: {describe(row)}")
    drawn += [draw_boxes(picture, digits, probabilities), ink]
    drawn += [make_grid(seen)[0], probabilities]  # black is sure; a line for each digit
    titles += [path, "its ink", "28 x 28", "probabilities of 0 to 9"]

if drawn:
    figure = common.draw_digits(drawn[:32], titles, columns=4)
    figure.set_size_inches(9, 0.6 * len(figure.axes))
    common.save_figure(figure, "05_your_digits.png")

if len(titles) < 4 * len(PICTURES):
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
