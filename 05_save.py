"""Step 5: how is a trained network kept, and does it read your own handwriting?

python 05_save.py                      saves the tuned network, and checks what was saved
python 05_save.py draw                 opens a window to write digits in, too, and reads them
python 05_save.py photo.jpg page.png   reads the handwritten digits in pictures, too, row by row
"""
# %% Settings
import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from contourpy import contour_generator  # with it matplotlib draws contour lines
from matplotlib.widgets import LassoSelector
from PIL import Image, ImageChops, ImageDraw, ImageOps
from PIL.ImageFilter import BoxBlur, MaxFilter, MinFilter
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

import common

PICTURES = sys.argv[1:]
if "ipykernel" in sys.modules:
    PICTURES = []  # in a notebook or Spyder, write the names of your files into this list
SIZE = 640  # pixels of a picture's longer side: it is made as large, but not if it is of 28 x 28
INK = 60  # a pixel is ink if it is as dark as this, where the clear ink of its picture is 255 ...
CLEAR = 180  # ... and a piece of ink is none, but a shadow or a smudge, if nothing in it is darker
SURE = 0.7  # where the highest of the ten probabilities is lower, the second best digit is named

# %% A file by hand
# What training has changed are numbers: the weights (step 4 said how many), and the averages that
# batch normalization has kept. state_dict() gives them by name: 1.weight is that of network[1].
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
_, accuracy = common.evaluate(network, test_loader)  # nothing is chosen by it
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

    The longer side of the ink's box, ink.getbbox(), becomes 20 pixels, the other at least 1. Thin
    strokes become faint then: ImageOps.autocontrast(picture, cutoff=(0, 12)) makes the lightest
    12 % of the pixels 255. Last, the mean row and the mean column of all pixels that are not 0 come
    to 14, by crop(), which finds 0 beyond a picture.
    """
    digit = ink.crop(ink.getbbox())
    scale = 20 / max(digit.size)
    small = digit.resize([max(1, round(scale * side)) for side in digit.size])
    small = ImageOps.autocontrast(small, cutoff=(0, 12))  # of the darkest and the lightest, in %
    top, left = np.argwhere(small).mean(axis=0) - 14
    return small.crop((left, top, left + 28, top + 28))  # with 0 around it


def read(pictures):
    """The ten probabilities of each of some pictures of 28 x 28: (pictures, 10)"""
    images = torch.stack([common.transform(picture) for picture in pictures])  # (pictures, 784)
    logits = network(images.to(common.DEVICE))
    return logits.softmax(dim=1).detach().cpu()


# A test digit, large and not in the middle, as in a photo; only made smaller; and as MNIST's.
digit, label = common.raw_digits(train=False)[0]
ink = ImageOps.expand(digit.resize((112, 112)), (30, 150, 180, 20))  # left, top, right, bottom
pictures = [ink.resize((28, 28)), as_mnist(ink)]
answers = read(pictures).argmax(dim=1).tolist()
print(f"A {label} that is only shrunk to 28 x 28 is read as {answers[0]}, as MNIST's: {answers[1]}")
titles = ["as in a photo", "only shrunk", "as MNIST's"]
figure = common.draw_digits([ink, *pictures], titles, columns=3)
common.save_figure(figure, "05_one_digit.png")


# ==================================================================================================
# From here on: your own pages. No new idea about networks.
# ==================================================================================================
# %% From a file to its reading
def open_picture(path):
    """The picture in a file, upright, in colours, on grey where it is transparent"""
    picture = ImageOps.exif_transpose(Image.open(path))  # phones note how they were held
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "silver")
    picture = Image.alpha_composite(paper, picture).convert("RGB")
    if max(picture.size) > 28:
        picture = ImageOps.contain(picture, (SIZE, SIZE))
    return picture


def read_picture(picture):
    """Its rows of digits, and for each row what each digit is read as"""
    ink = find_ink(picture)
    pieces = find_pieces(ink)
    if max(ink.size) <= 28:  # MNIST's size: it is one digit
        pieces = [ink]
    if not pieces:
        raise ValueError("there is no digit in it")
    rows = find_rows(keep_digits(pieces))
    return rows, [read_row(row) for row in rows]


# %% Ink: what is darker than the paper around it
# How dark is ink? No number will do: paper in the shade may be darker than pencil in the light. So
# each pixel is compared with the mean of those around it, most of which are paper.
def compare_with_paper(gray):
    """How much darker each pixel is than the paper around it, as a share of the paper's light"""
    around = gray.filter(BoxBlur(min(gray.size) // 5))
    paper = pil_to_tensor(around)[0] / 255
    darker = paper - pil_to_tensor(gray)[0] / 255
    if darker.pow(3).sum() < 0:  # a cube keeps its sign; by far the largest ones are those of ink
        darker = -darker
        paper = 1 - paper
    return darker / (paper + 0.08)  # the same for ink in the shade and in the light


def find_ink(picture):
    """A picture of how much each pixel looks like ink, from 0, paper, to 255, clear ink"""
    ink = compare_with_paper(picture.convert("L"))  # L: from 0, black, to 255, white
    clear = ink[ink >= ink.max() / 2].median()  # how dark clear ink is in this picture
    ink = (255 * ink / clear).clamp(0, 255)
    if clear < 0.01 or ink[ink < 128].mean() > 12:  # too faint, or on too rough paper: by trial
        raise ValueError("there is no ink in it")
    return to_pil_image(ink.byte())


# %% Pieces: ink that hangs together
# On a map, what is higher than some level lies within a contour line. Such a line around a piece of
# ink is its outline: (points, 2), x and y, with a point about every pixel.
def find_outlines(ink):
    closed = ink.filter(MaxFilter(3)).filter(MinFilter(3))  # gaps of two pixels are closed
    contours = contour_generator(z=np.asarray(closed), fill_type="OuterOffset")
    lines, starts = contours.filled(INK, 256)  # a line's points may be followed by those of holes
    return [line[:start[1]] for line, start in zip(lines, starts)]


def cut_out(ink, outline):
    """A picture of the ink within an outline, and of 0 everywhere else"""
    mask = Image.new("L", ink.size)
    ImageDraw.Draw(mask).polygon(outline.flatten().tolist(), fill=255)
    return ImageChops.darker(ink, mask)


def find_pieces(ink):
    """Pictures of one piece of ink each, at the place where it was found"""
    pieces = []
    for outline in find_outlines(ink):
        width, height = np.ptp(outline, axis=0)  # from the lowest x and y to the highest
        if height > 8 and width < 3 * height:  # less is a speck, more a line of ruled paper
            piece = cut_out(ink, outline)
            if piece.getextrema()[1] > CLEAR:
                pieces.append(piece)
    return pieces


# %% Digits: pieces of the usual height
def height_of(piece):
    _, top, _, bottom = piece.getbbox()
    return bottom - top


def keep_digits(pieces):
    """Those that are neither much lower nor much higher than usual, as dots and edges are"""
    heights = [height_of(piece) for piece in pieces]
    usual = np.median(np.repeat(heights, heights))  # each height counts as often as it is high
    return [piece for piece in pieces if 0.4 * usual < height_of(piece) < 2 * usual]


# %% Rows
def middle_of(piece):
    left, top, right, bottom = piece.getbbox()
    return (left + right) / 2, (top + bottom) / 2


def find_rows(pieces):
    """Lists of digits, from left to right, each about as high up as the one before

    A piece whose middle lies above, below or within another one is a piece of the same digit.
    """
    rows = []
    for piece in sorted(pieces, key=Image.Image.getbbox):  # a box begins with its left side
        x, y = middle_of(piece)
        mine = [row for row in rows if row[-1].getbbox()[1] < y < row[-1].getbbox()[3]]
        if not mine:
            rows.append([piece])
        elif x < mine[0][-1].getbbox()[2]:
            mine[0][-1] = ImageChops.lighter(mine[0][-1], piece)
        else:
            mine[0].append(piece)
    return sorted(rows, key=lambda row: middle_of(row[0])[1])


def read_row(row):
    """What each digit is read as; where the network is not sure, what else it may be, too"""
    probabilities, best = read(list(map(as_mnist, row))).topk(2)  # the two highest: (digits, 2)
    names = np.take(common.CLASS_NAMES, best)  # (digits, 2)
    sure = probabilities[:, 0].numpy() >= SURE
    names[sure, 1] = ""
    return names


# %% What is printed, and what is drawn
def describe(names):
    """A row as a line of text; names are its digits' best and second best: (digits, 2)"""
    line = "".join(names[:, 0])
    for number, (name, other) in enumerate(names, 1):
        if other:
            line += f"  (digit {number}: {name} or {other}?)"
    return line


def draw_reading(picture, rows, names):
    """The page with a box around each digit, and at the same places what the network saw"""
    paper = Image.new("RGB", picture.size, "white")
    titles = ["what was found", "what the network saw, and read"]
    figure = common.draw_digits([picture, paper], titles, columns=2)
    figure.set_size_inches(12, 5)
    page, seen = figure.axes
    seen.autoscale(False)
    for digit, (name, other) in zip(sum(rows, []), np.concatenate(names)):
        left, top, right, bottom = digit.getbbox()
        x, y = middle_of(digit)
        half = max(right - left, bottom - top) / 2
        page.plot([left, right, right, left, left], [top, top, bottom, bottom, top], "orangered")
        seen.imshow(as_mnist(digit), cmap="gray_r", extent=(x - half, x + half, y + half, y - half))
        label = f"{name} or {other}?" if other else name
        seen.text(x, y - half, label, color="orangered", ha="center", va="bottom")
    common.save_figure(figure, "05_your_digits.png")


# %% A sheet to write on
def write_picture():
    """What stands on a sheet in a window when it is closed; it is read after each stroke, too"""
    paper = Image.new("RGB", (800, 500), "white")
    plt.close("all")  # the figures of above: they are saved, and need no window
    figure, axis = plt.subplots(figsize=(9, 6.6))
    if not figure.canvas.required_interactive_framework:
        raise ValueError("no window can be opened here; on Linux, try apt install python3-tk")
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.06, top=0.86)
    image = axis.imshow(paper)
    axis.set(xticks=[], yticks=[], xlabel="right button, or the key c: a new sheet")

    def show(text):
        axis.set_title(text, loc="left")
        image.set_data(paper)
        plt.draw()

    def write(stroke):  # a list of points, (x, y), from where the button is pressed to its release
        ImageDraw.Draw(paper).line(stroke, "black", width=12, joint="curve")
        try:
            _, names = read_picture(paper)
            show("\n".join(map(describe, names)))
        except ValueError as error:  # ink, but no digit
            show(str(error))

    def clear(event):
        if event.key == "c" or getattr(event, "button", 0) == 3:  # right; keys have none
            paper.paste("white", (0, 0, *paper.size))
            show("")

    style = {"color": "black", "linewidth": 9}
    pen = LassoSelector(axis, write, props=style, button=1)  # the left one; it writes while named
    plt.connect("button_press_event", clear)
    plt.connect("key_press_event", clear)
    show("Write a number here, or several rows, and close the window in the end")
    plt.show(block=True)
    return paper


# %% Read the pictures
shown = []
failed = False
for path in PICTURES:
    name = "drawing" if path == "draw" else path
    try:
        picture = write_picture() if path == "draw" else open_picture(path)
        rows, names = read_picture(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        print(f"{name}: not read, {error}")
        failed = True
        continue
    for number, row in enumerate(names, 1):
        place = f", row {number}" if len(names) > 1 else ""
        print(f"{name}{place}: {describe(row)}")
    shown = [picture, rows, names]

if shown:
    draw_reading(*shown)  # the last one
if failed:
    sys.exit(1)

# Try this: write a 7 with and without a bar. Write digits that touch. What is read of a letter?
# Write it yourself: as_mnist.
