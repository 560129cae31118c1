"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py draw                 also opens a window to write digits in, and reads them
python 05_save.py photo.jpg page.png   also reads the handwritten digits in pictures, row by row
"""
# %% Settings
import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.widgets import LassoSelector
from PIL import Image, ImageChops, ImageDraw, ImageOps
from PIL.ImageFilter import BoxBlur
from torch.nn.functional import max_pool2d
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

import common

PICTURES = sys.argv[1:]
if "ipykernel" in sys.modules:
    PICTURES = []  # in a notebook or Spyder, write the names of your files into this list
SIZE = 640  # pixels: the longer side of each picture is made as long, but not if it is 28 x 28
INK = 60  # a pixel is ink if it is as dark as this, where the clear ink of its picture is 255. A
# lower limit finds fainter strokes, and the lines of squared paper, too
CLEAR = 180  # what is nowhere as dark as this is no digit, but a shadow or a smudge
SURE = 0.7  # where the highest of the ten probabilities is lower, the second best digit is named

# %% A file by hand
# What training has changed are numbers: the weights (step 4 said how many), and the averages that
# batch normalization has kept. state_dict() gives them by name: 1.weight is that of tuned[1], a
# convolution, and 3.weight that of tuned[3], a batch normalization.
tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py")
weights = tuned.state_dict()
print("The first three of the tuned network's weights, and their shapes:")
for name in list(weights)[:3]:
    print(f"    {name:<10}  {tuple(weights[name].shape)}")
file = common.OUTPUTS / "weights.pt"
torch.save(weights, file)
print(f"The file has {file.stat().st_size:,} bytes: 4 for each number, and some for the names.\n")

# A new network of the same kind has random weights. Then it gets those of the file.
test_loader = common.test_loader()
network = common.NETWORKS[facts["network"]]().to(common.DEVICE)
_, before = common.evaluate(network, test_loader)
network.load_state_dict(torch.load(file, map_location=common.DEVICE, weights_only=True))
_, accuracy = common.evaluate(network, test_loader)  # again, but nothing is chosen by it
file.unlink()  # it has done its work
print(f"Of the test digits a new network reads {before:.2%}, with the weights of the file")
print(f"{accuracy:.2%}: the number that step 4 printed for the network that was saved.\n")

# %% ... and with common.save_network and common.load_network
# What is not in the file is the network's code: which layers there are. So the network's name in
# common.NETWORKS goes in, too. You may add facts: numbers, texts, tensors, and lists or
# dictionaries of them. With weights_only=True these are all that is accepted when a file is loaded:
# a file of a stranger cannot run code on your machine.
common.save_network("digits.pt", facts["network"], tuned, test_accuracy=accuracy)
network, facts = common.load_network("digits.pt", "05_save.py")
print(f"The file says that the network reads {facts['test_accuracy']:.2%} of the test digits.")
print("""
Another program in this folder uses the file like this:
    network, facts = common.load_network("digits.pt", "05_save.py")
    pixels = common.transform(picture).unsqueeze(0)  # a grey PIL picture, 28 x 28, light on dark
    logits = network(pixels.to(common.DEVICE))
    digit = logits.argmax().item()

To read your own handwriting: python 05_save.py draw
                          or: python 05_save.py photo.jpg page.png ...
""")

# %% One digit on its way into the network
# In MNIST's files ink is light, 255, and paper dark, 0. Each digit is 20 pixels high or wide, and
# the middle of its ink is at row 14, column 14. A photo is nothing of the kind. Most cases of "99 %
# on the test set, but it gets my own digit wrong" come from that.
def as_mnist(ink):
    """One digit as MNIST has them, 28 x 28, made of a picture of its ink, light on 0, of any size

    First crop(box) leaves the ink's box, ink.getbbox(): left, top, right, bottom. Its longer side
    becomes 20 pixels, by resize((width, height)), in proportion, but the other one at least 1. The
    mean row and the mean column of all pixels that are not 0, np.nonzero(picture), come to 14, by
    crop(), which finds 0 beyond a picture. Thin strokes have become faint: last,
    ImageOps.autocontrast(picture, cutoff=(0, 4)) makes the lightest 4 % of the pixels 255, and the
    others lighter in proportion.
    """
    digit = ink.crop(ink.getbbox())
    scale = 20 / max(digit.size)
    small = digit.resize([max(1, round(scale * side)) for side in digit.size])
    top, left = np.argwhere(small).mean(axis=0) - 14
    centred = small.crop((left, top, left + 28, top + 28))  # with 0 around it
    return ImageOps.autocontrast(centred, cutoff=(0, 4))  # of the darkest and the lightest, in %


def read(pictures):
    """What each picture of 28 x 28 is read as: "4", or "4 or 9?" where the network is not sure"""
    images = torch.stack([common.transform(picture) for picture in pictures])  # (pictures, 784)
    probabilities = network(images.to(common.DEVICE)).softmax(dim=1).cpu()  # (pictures, 10)
    highest, digits = probabilities.topk(2)  # the two highest, and whose they are: (pictures, 2)
    answers = []
    for (share, _), (best, second) in zip(highest, np.take(common.CLASS_NAMES, digits)):
        answers.append(best if share > SURE else f"{best} or {second}?")
    return answers


# A test digit, large and not in the middle, as in a photo; only made smaller; and as MNIST's.
digit, label = common.raw_digits(train=False)[0]
ink = ImageOps.expand(digit.resize((112, 112)), (30, 150, 180, 20))  # left, top, right, bottom
pictures = [ink.resize((28, 28)), as_mnist(ink)]
shrunk, ready = read(pictures)
print(f'A {label} that is only shrunk to 28 x 28 is read as "{shrunk}", as MNIST\'s as "{ready}".')
titles = ["as in a photo", "only shrunk", "as MNIST's"]
figure = common.draw_digits([ink, *pictures], titles, columns=3)
common.save_figure(figure, "05_one_digit.png")


# ==================================================================================================
# From here on: your own pages. No new idea about networks. The limits, such as INK, were found by
# trial on strangers' pages; a tenth more or less in one of them costs up to four rows of a hundred.
# ==================================================================================================
# %% From a file to its reading
def open_picture(path):
    """The picture in a file, upright, in colours, not transparent, and as large as SIZE says"""
    picture = ImageOps.exif_transpose(Image.open(path))  # phones note how they were held
    picture = picture.convert("RGBA")
    paper = Image.new("RGB", picture.size, "silver")  # to be seen where it is transparent
    paper.paste(picture, mask=picture)
    return ImageOps.contain(paper, (SIZE, SIZE)) if max(paper.size) > 28 else paper


def find_digits(picture):
    """Its rows of digits: lists of pictures of one digit's ink each, at the place where it is"""
    ink = find_ink(picture)
    if max(ink.size) <= 28:  # MNIST's size: it is one digit
        return [[ink]]
    pieces = find_pieces(ink)
    if not pieces:
        raise ValueError("there is no digit in it")
    return find_rows(keep_digits(pieces))


# %% Ink: what is darker than the paper around it
# How dark is ink? No number will do: paper in the shade may be darker than pencil in the light. So
# each pixel is compared with the mean of those around it, most of which are paper.
def compare_with_paper(gray):
    """How much darker each pixel is than the paper around it, as a share of the paper's light"""
    around = gray.filter(BoxBlur(min(gray.size) // 4))
    paper = np.asarray(around) / 255
    darker = paper - np.asarray(gray) / 255
    if (darker**3).sum() < 0:  # a cube keeps its sign; by far the largest ones are those of ink
        darker = -darker
        paper = 1 - paper
    return darker / (paper + 0.08)  # the same for ink in the shade and in the light


def find_ink(picture):
    """A picture of how much each pixel looks like ink, from 0, paper, to 255, clear ink"""
    ink = compare_with_paper(picture.convert("L"))  # L: from 0, black, to 255, white
    clear = np.median(ink[ink >= ink.max() / 2])  # how dark clear ink is in this picture
    ink = (255 * ink / max(clear, 0.01)).clip(0, 255)
    if clear < 0.01 or ink[ink < 128].mean() > 12:  # too faint, or on too rough paper
        raise ValueError("there is no ink in it")
    return Image.fromarray(ink.astype("uint8"))


# %% Pieces: ink that hangs together
def number_pixels(ink):
    """A number for each pixel: 0 for paper, and the same for all ink that hangs together

    Each pixel of ink begins with a number of its own. Then it takes the highest of those around it,
    again and again, until nothing changes. (Step 4 said what max pooling does.)
    """
    is_ink = (pil_to_tensor(ink) >= INK).float()  # (1, height, width)
    is_ink = max_pool2d(is_ink, 2, ceil_mode=True)  # half as high and wide: small gaps are closed
    numbers = is_ink * torch.arange(1.0, is_ink.numel() + 1).view(is_ink.shape)
    before = torch.zeros_like(numbers)
    while not numbers.equal(before):
        before = numbers
        numbers = is_ink * max_pool2d(numbers, 3, stride=1, padding=1)  # 3 x 3, at each pixel
    return numbers


def find_pieces(ink):
    """Pictures of one piece of ink each, at the place where it was found"""
    numbers = number_pixels(ink)
    found, sizes = numbers.unique(return_counts=True)  # from the lowest number on
    pieces = []
    for number in found[sizes > 10][1:]:  # less is a speck, and the first number is that of paper
        mask = to_pil_image((numbers == number).byte() * 255)
        piece = ImageChops.darker(ink, mask.resize(ink.size, Image.NEAREST))
        left, top, right, bottom = piece.getbbox()
        is_line = right - left > 3 * (bottom - top)  # of ruled paper
        if piece.getextrema()[1] > CLEAR and not is_line:
            pieces.append(piece)
    return pieces


# %% Digits: pieces of the usual height
def keep_digits(pieces):
    """All but those that are much lower or higher than usual, such as dots and edges"""
    boxes = np.array([piece.getbbox() for piece in pieces])  # left, top, right, bottom of each
    heights = boxes[:, 3] - boxes[:, 1]
    usual = np.median(np.repeat(heights, heights))  # the higher a piece is, the more it counts
    return [piece for piece, height in zip(pieces, heights) if 0.4 < height / usual < 2]


# %% Rows: digits side by side
def are_beside(left, right):
    """Whether the middle of the right one is within the height of the left one"""
    _, top, _, bottom = left.getbbox()
    _, right_top, _, right_bottom = right.getbbox()
    return top < (right_top + right_bottom) / 2 < bottom


def find_rows(digits):
    """Lists of digits, from left to right, each beside the one before"""
    rows = []
    for digit in sorted(digits, key=Image.Image.getbbox):  # a box begins with its left side
        mine = [row for row in rows if are_beside(row[-1], digit)]
        if mine:
            mine[0].append(digit)
        else:
            rows.append([digit])
    return sorted(rows, key=lambda row: row[0].getbbox()[1])  # from the top down


# %% What is printed, and what is drawn
def describe(row):
    """What a row says, and where the network is not sure"""
    answers = read(list(map(as_mnist, row)))
    reading = "".join(answer.split()[0] for answer in answers)
    unsure = [answer for answer in answers if "?" in answer]
    return f"{reading}  (not sure: {', '.join(unsure)})" if unsure else reading


def draw_reading(picture, digits):
    """The page with a box around each digit, and beside it what the network saw, and read"""
    for digit in digits:
        ImageDraw.Draw(picture).rectangle(digit.getbbox(), outline="orangered", width=2)
    seen = list(map(as_mnist, digits))
    figure = common.draw_digits(seen, read(seen), columns=8)
    figure.set_size_inches(12, 5)
    figure.get_layout_engine().set(rect=(0.5, 0, 0.5, 1))  # left, bottom, width, height: of 1
    page = figure.add_axes((0, 0, 0.49, 1))
    page.imshow(picture)
    page.axis("off")
    common.save_figure(figure, "05_your_digits.png")


# %% A sheet to write on
def write_picture():
    """What stands on a sheet in a window when it is closed; it is read after each stroke, too"""
    plt.close("all")  # the figures of above: they are saved, and need no window
    figure, sheet = plt.subplots(figsize=(9, 6.6), facecolor="silver")
    if not figure.canvas.required_interactive_framework:
        raise ValueError("no window can be opened here; on Linux, try apt install python3-tk")
    sheet.axis("off")
    paper = Image.new("RGB", (640, 400), "white")
    image = sheet.imshow(paper)
    hint = "Write digits, then close the window. The right button, or the key c: a new sheet"

    def show(text):
        sheet.set_title(text, loc="left")
        image.set_data(paper)
        plt.draw()

    def write(stroke):  # a list of points, (x, y), from where the button is pressed to its release
        ImageDraw.Draw(paper).line(stroke, "black", width=10, joint="curve")
        try:
            show("\n".join(map(describe, find_digits(paper))))
        except ValueError as error:  # ink, but no digit
            show(str(error))

    def clear(event):
        if event.key == "c" or getattr(event, "button", 0) == 3:  # right; keys have none
            paper.paste("white", (0, 0, *paper.size))
            show(hint)

    # A selector lives as long as it has a name. Button 1 is the left one.
    pen = LassoSelector(sheet, write, props={"color": "black", "linewidth": 9}, button=1)
    plt.connect("button_press_event", clear)
    plt.connect("key_press_event", clear)
    show(hint)
    plt.show(block=True)
    return paper


# %% Read the pictures
shown = []
failed = False
for path in PICTURES:
    try:
        picture = write_picture() if path == "draw" else open_picture(path)
        rows = find_digits(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        print(f"{path}: not read, {error}")
        failed = True
        continue
    for number, row in enumerate(rows, 1):
        place = f", row {number}" if len(rows) > 1 else ""
        print(f"{path}{place}: {describe(row)}")
    shown = [picture, sum(rows, [])]  # all rows in one list

if shown:
    draw_reading(*shown)  # the last one
if failed:
    sys.exit(1)

# Try this: write a 7 with and without a bar. Write digits that touch. What is read of a letter?
# Write it yourself: as_mnist.
