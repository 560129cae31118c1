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
import torch.nn.functional as F
from PIL import Image, ImageFilter, ImageOps

import common

PICTURES = [] if "ipykernel" in sys.modules else sys.argv[1:]  # in a notebook, write file names here

# %% Save the network, load it, and compare
# What is saved are the weights, the name and settings of the network they belong to, and how good it is. With
# weights_only=True (see load_network) loading accepts nothing else: an unknown file cannot run code on your machine.
if not PICTURES or not (common.OUTPUTS / "digits.pt").exists():
    tuned, facts = common.load_network("tuned_network.pt", "04_evaluate.py", same_data=True)
    logits, labels = common.predict(tuned, common.test_loader())
    accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
    common.save_network("digits.pt", tuned, facts["network"], facts["settings"], test_accuracy=accuracy)
    print(f"{common.OUTPUTS / 'digits.pt'}: {(common.OUTPUTS / 'digits.pt').stat().st_size:,} bytes, {accuracy:.2%} right")

    loaded, facts = common.load_network("digits.pt", "05_save.py")
    again, _ = common.predict(loaded, common.test_loader())
    print(f"The loaded network gives the same logits to the last bit: {torch.equal(again, logits)}")
    print("""
Another program in this folder uses the file like this:
    network, facts = common.load_network("digits.pt", "05_save.py")
    logits = network(common.transform(picture).unsqueeze(0))  # picture: 28 x 28, light ink on dark paper
    digit = logits.argmax().item()

To read your own handwriting: python 05_save.py photo.jpg scan.png ...""")


# %% From a picture to what the network knows
# MNIST's digits are light on dark, 20 pixels high or wide, and have their centre of mass in the middle of 28 x 28 pixels.
# A photo is nothing of the kind. Most "99 % on the test set, but it gets my own digit wrong" come from this difference.
def open_picture(path):
    """Upright, in colour, at most 400 pixels high and wide, and on paper where it is transparent"""
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # what would fill the memory is refused
    with Image.open(path) as picture:
        picture.draft("RGB", (400, 400))  # a JPEG need not be decoded larger than it is used
        picture = ImageOps.exif_transpose(picture)  # phones note how they were held
    if picture.mode[0] in "IF":  # 16 bits a pixel
        values = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray((255 * (values - values.min()) / max(np.ptp(values), 1)).astype(np.uint8))
    if picture.mode not in ("L", "RGB", "RGBA"):
        picture = picture.convert("RGBA")
    picture.thumbnail((400, 400), Image.Resampling.BOX)
    picture = picture.convert("RGBA")
    visible = np.asarray(picture)[..., 3] > 127
    paper = np.median(np.asarray(picture.convert("L"))[visible]) if visible.any() else 0
    if visible.mean() < 0.5:  # only ink can be seen, so the paper has the opposite brightness
        paper = 255 if paper < 128 else 0
    return Image.alpha_composite(Image.new("RGBA", picture.size, (int(paper),) * 3), picture).convert("RGB")


def find_ink(picture):
    """How far each pixel is from the colour of the paper there: 0 is paper, 1 is ink, whatever their colours"""
    pixels = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1)  # (3, height, width)
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j].astype(np.float32)
    plane = np.stack([np.ones_like(x), x, y])  # paper is lighter towards the lamp, so it is a plane and not one colour
    rim = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    paper = np.median(rim, axis=1)[:, None, None]
    for limit in (0.5, 0.3, 0.15):  # what is far from the paper is ink, and has no say in how the paper looks
        distance = np.abs(pixels - paper).max(axis=0)
        clean = distance <= limit * distance.max()
        some = np.flatnonzero(clean)[:: 1 + clean.sum() // 5000]  # 5,000 pixels are enough for a plane
        slopes = np.linalg.lstsq(plane.reshape(3, -1)[:, some].T, pixels.reshape(3, -1)[:, some].T, rcond=None)[0]
        paper = np.tensordot(slopes.T, plane, axes=1)
    ink = np.abs(pixels - paper).max(axis=0)
    threshold = ink.max() / 2
    for _ in range(5):  # half-way between the mean of the ink and the mean of the paper
        threshold = (ink[ink >= threshold].mean() + ink[ink <= threshold].mean()) / 2
    if threshold < 10:
        raise ValueError("there is no ink in it")
    noise, full = min(3 * np.median(ink[ink <= threshold]), threshold / 2), np.percentile(ink[ink > threshold], 75)
    return ((ink - noise) / (full - noise)).clip(0, 1)


def extent(mask, axis):
    where = np.flatnonzero(mask.any(axis=axis))
    return where[0], where[-1] + 1


def cut_out(ink):
    """The digit alone, without specks, and without what hangs at the rim of the picture"""
    shrink = max(1, max(ink.shape) / 100)
    small = F.adaptive_max_pool2d(torch.from_numpy(ink)[None], [math.ceil(side / shrink) for side in ink.shape])
    mask = (small > 0.4).float()
    names, before, reach = mask * torch.arange(1, mask.numel() + 1).view_as(mask), None, 3 if shrink > 1 else 1
    while before is None or not torch.equal(names, before):  # every pixel takes on the largest name near it, until
        before, names = names, F.max_pool2d(names, 2 * reach + 1, stride=1, padding=reach) * mask  # pieces have one
    pieces = sorted([(names[0] == name).numpy() for name in names.unique() if name], key=np.sum, reverse=True)
    inside = [piece for piece in pieces if not (piece[[0, -1]].any() or piece[:, [0, -1]].any())]
    if inside and inside[0].sum() > 0.1 * pieces[0].sum():
        pieces = inside
    pieces = [piece for piece in pieces if piece.sum() > 0.05 * pieces[0].sum()]
    tallest = max(piece.any(axis=1).sum() for piece in pieces)
    large = [piece for piece in pieces if piece.sum() > 0.25 * pieces[0].sum() and piece.any(axis=1).sum() > tallest / 2]
    spans = sorted(extent(piece, axis=0) for piece in large)
    if any(left[1] <= right[0] for left, right in zip(spans, spans[1:])):
        raise ValueError("it shows several digits side by side; give each a picture of its own")
    keep = F.max_pool2d(torch.from_numpy(np.any(pieces, axis=0)).float()[None], 3, stride=1, padding=1)
    ink = ink * F.interpolate(keep[None], size=ink.shape)[0, 0].numpy()
    (top, bottom), (left, right) = extent(ink > 0.3, axis=1), extent(ink > 0.3, axis=0)
    return ink[top:bottom, left:right]


def resized(picture, side):
    """The same picture, with its longer side of this length"""
    scale = side / max(picture.size)
    size = [max(1, round(length * scale)) for length in picture.size]
    return picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def read_picture(path):
    """The picture as MNIST would have stored it: (28, 28), bytes"""
    digit = Image.fromarray((255 * cut_out(find_ink(open_picture(path)))).astype(np.uint8))
    if max(digit.size) != 20:
        digit = ImageOps.expand(resized(digit, 80), 12)  # four times as large as in the end
        ink, core = [(np.asarray(layer) > 127).sum() for layer in (digit, digit.filter(ImageFilter.MinFilter(3)))]
        stroke = 2 * ink / max(ink - core, 1)  # area over half of the outline
        if stroke < 7:  # a thin pen would nearly vanish; MNIST's strokes are about 10 of these small pixels wide
            digit = digit.filter(ImageFilter.MaxFilter(2 * round((8 - stroke) / 2) + 1))
        digit = resized(digit.crop(digit.point(lambda value: 255 * (value > 80)).getbbox()), 20)
    weight = np.asarray(digit, dtype=np.float32)
    row, column = [weight.sum(axis=1 - axis) @ (np.arange(weight.shape[axis]) + 0.5) / weight.sum() for axis in (0, 1)]
    picture = Image.new("L", (28, 28))
    picture.paste(digit, (round(14 - column), round(14 - row)))  # the centre of mass goes to the middle
    return torch.from_numpy(np.array(picture))


# %% Read the pictures, all in one batch
read, failed = {}, False
for path in PICTURES:
    try:
        read[path] = read_picture(path)
    except Exception as error:  # every kind of damaged picture has its own; the other pictures are still read
        failed = True
        print(f"{Path(path).name}: not read, {str(error) or type(error).__name__}")
if read:
    network, _ = common.load_network("digits.pt", "05_save.py")
    with torch.no_grad():
        probabilities = network(common.transform(torch.stack(list(read.values())).unsqueeze(1))).softmax(dim=1)
    for path, row in zip(read, probabilities):
        (best, second), (digit, runner_up) = [part.tolist() for part in row.topk(2)]
        # Label smoothing has taught the network to say about 91 % where it might say 100 %.
        close = f"  or perhaps {common.CLASS_NAMES[runner_up]} ({second:.0%})" if second > best / 4 else ""
        print(f"{Path(path).name}: {common.CLASS_NAMES[digit]}  ({best:.0%} sure){close}")

    shown = list(read)[:12]
    figure, axes = plt.subplots(len(shown), 3, figsize=(7, 1.6 * len(shown) + 0.5), squeeze=False, width_ratios=[1, 1, 2])
    for (given, seen, bars), path, row in zip(axes, shown, probabilities):
        with Image.open(path) as picture:
            picture.thumbnail((300, 300))
            given.imshow(ImageOps.exif_transpose(picture).convert("RGBA"))
        seen.imshow(read[path], cmap="gray")
        bars.bar(common.CLASS_NAMES, row)
        bars.set_ylim(0, 1)
        given.axis("off")
        seen.axis("off")
    axes[0, 0].set_title("as given")
    axes[0, 1].set_title("as the network sees it")
    axes[0, 2].set_title("probability of each digit")
    common.save("05_your_digits.png", figure.savefig)
if failed:
    sys.exit(1)

# Try this: write a 7 with and without a bar, photograph both, and read them.
