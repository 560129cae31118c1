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
from matplotlib.figure import Figure
from matplotlib.widgets import LassoSelector
from PIL import Image, ImageChops, ImageDraw, ImageOps
from PIL.ImageFilter import BoxBlur
from torch.nn.functional import max_pool2d
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

import common

PICTURES = sys.argv[1:]
if "ipykernel" in sys.modules:
    PICTURES = []  # in a notebook or Spyder, write the names of your files into this list
SIZE = 800  # pixels: larger pictures are reduced to it. More finds smaller digits, and takes longer
INK = 90  # a pixel is ink if it is as dark as this, where the clear ink of its picture is 255. A
# lower limit finds fainter strokes, and the lines of ruled paper, too
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
# the middle of its ink is nearly that of the 28 x 28 pixels. A photo is nothing of the kind. Most
# cases of "99 % on the test set, but it gets my own digit wrong" come from that.
def as_mnist(ink):
    """One digit as MNIST has them, 28 x 28, made of a picture of its ink, light on 0, of any size

    The longer side of the ink's box, ink.getbbox(), becomes 20 pixels, the other at least 1. Thin
    strokes become faint then: ImageOps.autocontrast(picture, cutoff=(0, 12)) makes the lightest
    12 % of the pixels 255. Last, the mean row and the mean column of all pixels that are not 0 come
    to 13.5, by crop(), which finds 0 beyond a picture.
    """
    digit = ink.crop(ink.getbbox())
    scale = 20 / max(digit.size)
    small = digit.resize([max(1, round(scale * side)) for side in digit.size])
    small = ImageOps.autocontrast(small, cutoff=(0, 12))  # of the darkest and the lightest, in %
    top, left = np.argwhere(small).mean(axis=0) - 13.5
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


# %% From a picture to its ink
# What follows holds no new idea about networks. It does the same for pictures of many digits, and
# for photos, where paper and ink are not two colours: you may read the docstrings first.
def open_picture(path):
    """The picture in a file, upright, in colours, at most SIZE pixels high and wide"""
    picture = ImageOps.exif_transpose(Image.open(path))  # phones note how they were held
    if picture.mode.startswith("I"):  # 16 bits a pixel, of which 8 are enough
        picture = picture.point(lambda level: level / 256)
    picture = picture.convert("RGBA")
    picture.thumbnail((SIZE, SIZE))
    paper = Image.new("RGBA", picture.size, "silver")  # to be seen where it is transparent
    return Image.alpha_composite(paper, picture).convert("RGB")


def compare_with_paper(gray):
    """How much darker each pixel is than the paper around it, as a share of the paper's light

    How dark is ink? No number will do: paper in the shade may be darker than pencil in the light.
    So each pixel is compared with the mean of those around it: most of them are paper.
    """
    around = gray.filter(BoxBlur(min(gray.size) // 8))
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
    if clear < 0.01 or ink[ink < INK].mean() > 9:  # too faint, or on too rough paper: by trial
        raise ValueError("there is no ink in it")
    ink[ink < 50] = 0  # surely paper; from 50 to INK it counts only within an outline
    return to_pil_image(ink.byte())


# %% From ink to outlines, and from outlines to digits
# On a map, what is higher than some level lies within a contour line. An outline is such a line
# around ink that hangs together: (points, 2), x and y, with a point about every pixel.
def area_within(outline):
    """Its area; less than 0 if the line runs the other way round, as those of holes do"""
    x, y = outline.T
    return np.dot(x[:-1], np.diff(y))


def find_outlines(ink):
    """The outlines of all pieces of ink, an array; those of the holes in them are left out"""
    contours = Figure().add_subplot().contourf(ink, [INK, 256])
    lines = contours.get_paths()[0].to_polygons()
    return [line for line in lines if area_within(line) > 0]


def height_of(outline):
    return np.ptp(outline[:, 1])  # from the smallest y to the largest


def cut_out(ink, outlines):
    """A picture of the ink within some outlines, and of 0 everywhere else"""
    mask = Image.new("L", ink.size)
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon(outline.flatten().tolist(), fill=255)
    return ImageChops.darker(ink, mask)


def clean(ink):
    """The ink without specks, shadows and edges; and the height of a large piece of it

    That piece has the longest outline of those that do not touch the picture's rim. The outline
    of a speck is shorter than 3/4 of its height. Shadows and edges are at least twice as high.
    """
    outlines = find_outlines(np.asarray(ink))
    rim = np.subtract(ink.size, 2)
    inside = [outline for outline in outlines if outline.min() > 1 and (outline < rim).all()]
    height = height_of(max(inside or outlines, key=len))
    kept = [outline for outline in outlines if len(outline) > 0.75 * height]
    kept = [outline for outline in kept if height_of(outline) < 2 * height]
    return cut_out(ink, kept), height


def find_digits(ink):
    """Pictures of one digit's ink each, at the place where it was found

    A digit may have several pieces. So ink is made thicker until they meet, more up and down than
    sideways, where the neighbours begin: each pixel gets the largest value of those around it.
    """
    if max(ink.size) <= 28:  # a picture of MNIST's size has one digit
        return [ink]
    ink, height = clean(ink)
    down, across = round(0.06 * height), round(0.02 * height)
    window = 2 * down + 1, 2 * across + 1
    thick = max_pool2d(pil_to_tensor(ink).float(), window, stride=1, padding=(down, across))[0]
    outlines = [outline for outline in find_outlines(thick) if height_of(outline) > height / 2]
    return [cut_out(ink, [outline]) for outline in outlines]


def middle_of(digit):
    _, top, _, bottom = digit.getbbox()
    return (top + bottom) / 2


def find_rows(digits):
    """Lists of digits, from left to right, each about as high up as the one before"""
    rows = []
    for digit in sorted(digits, key=Image.Image.getbbox):  # a box begins with its left side
        _, top, _, bottom = digit.getbbox()
        mine = [row for row in rows if top < middle_of(row[-1]) < bottom]
        if mine:
            mine[0].append(digit)
        else:
            rows.append([digit])
    return sorted(rows, key=lambda row: middle_of(row[0]))


# %% From digits to their reading
def describe(row):
    """What a row of digits says, and between which two the network hesitates, if it does"""
    probabilities, best = read(list(map(as_mnist, row))).topk(2)  # the two highest: (digits, 2)
    names = np.take(common.CLASS_NAMES, best)  # (digits, 2)
    reading = "".join(names[:, 0])
    unsure = probabilities[:, 0].argmin()  # the digit that it is least sure of
    if probabilities[unsure, 0] < SURE:
        reading += f"  (not sure of digit {unsure + 1}: {' or '.join(names[unsure])}?)"
    return reading


def draw_boxes(picture, digits, names):
    """Draw a box around each digit, and above it how it was read"""
    draw = ImageDraw.Draw(picture)
    for digit, name in zip(digits, names):
        left, top, right, bottom = digit.getbbox()
        size = (bottom - top) / 2
        draw.rectangle((left, top, right, bottom), outline="orangered", width=2)
        draw.text((left, max(top, size)), name, "orangered", anchor="lb", font_size=size)


def draw_reading(picture, ink, rows):
    """What was found in a picture, and what the network made of it"""
    digits = sum(rows, [])  # all rows in one list
    seen = list(map(as_mnist, digits))
    probabilities = read(seen)  # (digits, 10)
    names = np.take(common.CLASS_NAMES, probabilities.argmax(dim=1))
    draw_boxes(picture, digits, names)
    grid = make_grid(list(map(pil_to_tensor, seen)))[0]  # one of three equal colours
    titles = ["what was read", "its ink", "what the network sees", "its ten probabilities"]
    figure = common.draw_digits([picture, ink, grid, probabilities], titles, columns=2)
    figure.set_size_inches(8, 7)
    axis = figure.axes[3]
    axis.axis("on")
    axis.tick_params(labelsize=6)
    axis.set(xticks=range(10), yticks=range(len(names)), yticklabels=names, aspect="auto")
    common.save_figure(figure, "05_your_digits.png")


# %% A sheet to write on
def read_picture(picture):
    """Its ink, its rows of digits, and what each row says"""
    ink = find_ink(picture)
    rows = find_rows(find_digits(ink))
    if not rows:
        raise ValueError("there is no digit in it")
    return ink, rows, list(map(describe, rows))


def write_picture():
    """What stands on a sheet in a window when it is closed; it is read after each stroke, too"""
    paper = Image.new("RGB", (800, 500), "white")
    plt.close("all")  # the figures of above: they are saved, and need no window
    figure, axis = plt.subplots(figsize=(9, 6.6))
    if not figure.canvas.required_interactive_framework:
        raise ValueError("no window can be opened here; on Linux, try apt install python3-tk")
    image = axis.imshow(paper)
    axis.set(xticks=[], yticks=[], xlabel="right button, or the key c: a new sheet")

    def show(text):
        axis.set_title(text, loc="left")
        image.set_data(paper)
        plt.draw()

    def write(stroke):  # a list of points, (x, y), from where the button is pressed to its release
        ImageDraw.Draw(paper).line(stroke, "black", width=12, joint="curve")
        try:
            *_, lines = read_picture(paper)
        except ValueError as error:  # ink, but no digit
            lines = [str(error)]
        show("\n".join(lines))

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
        ink, rows, lines = read_picture(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        print(f"{name}: not read, {error}")
        failed = True
        continue
    for number, line in enumerate(lines, 1):
        place = f", row {number}" if len(lines) > 1 else ""
        print(f"{name}{place}: {line}")
    shown = [picture, ink, rows]

if shown:
    draw_reading(*shown)  # the last one
if failed:
    sys.exit(1)

# Try this: write a 7 with and without a bar. Write digits that touch. What is read of a letter?
# Write it yourself: as_mnist.
