"""Step 5: the saved file holds the trained network, and reads pictures that are not MNIST's."""
import re

import numpy
import pytest
import torch
from course import PIXELS, SIZE, TEST_IMAGES, accuracy, check_drawn, copy_course, load, optional
from course import run, run_step
from PIL import Image, ImageDraw


@pytest.fixture(scope="module")
def saved(step5):
    return load(step5, "digits.pt")


def test_the_network_is_loaded_in_evaluation_mode(saved):
    network, _ = saved
    assert not network.training, "load_network must call network.eval()"


def test_the_file_says_how_good_the_network_is(saved):
    network, facts = saved
    share = accuracy(network)
    assert facts["test_accuracy"] == pytest.approx(share, abs=6e-4), (
        f"the file says {facts['test_accuracy']:.2%}, the network reads {share:.2%}: compute it in "
        "this run, over all test digits, as a share from 0 to 1")


def test_the_file_gives_the_same_logits_as_the_tuned_network(step4, saved):
    network, _ = saved
    tuned, _ = load(step4, "tuned_network.pt")
    assert torch.equal(tuned(TEST_IMAGES), network(TEST_IMAGES)), (
        "digits.pt gives other logits than tuned_network.pt: save all weights, and load them "
        "strictly into the same network")


@pytest.mark.parametrize("damage", ["another program's", "without some weights"])
def test_a_damaged_file_is_a_line_that_says_what_to_run(damage, step4, tmp_path):
    name = "outputs/tuned_network.pt"
    contents = torch.load(step4.folder / name, weights_only=True)
    for part in contents.values():
        if isinstance(part, dict):
            part.popitem()
    damaged = copy_course(tmp_path) / name
    damaged.parent.mkdir()
    torch.save(contents, damaged)
    if damage == "another program's":
        damaged.write_bytes(b"cbuiltins\nprint\n(S'RUN'\ntR.")  # which is run where that is allowed
    done = run(tmp_path, "05_save.py")
    assert "RUN" not in done.printed, "loading a file ran code: use weights_only=True"
    said = str(done.stopped)
    assert "04_evaluate.py" in said and len(said.splitlines()) <= 2, (
        f"{name} is {damage}: 05_save.py must stop with a line or two that say to run "
        f"04_evaluate.py, not: {said[-500:]!r}")


# ---- one digit -----------------------------------------------------------------------------------
def size_of_ink(picture):
    assert picture.getbbox(), "as_mnist leaves no ink in the picture: is it shifted the wrong way?"
    left, top, right, bottom = picture.getbbox()
    return right - left, bottom - top


def test_as_mnist_makes_28_x_28_and_keeps_the_proportions(step5):
    ink = Image.new("L", (200, 100))
    ink.paste(255, (20, 40, 140, 60))  # a bar
    ink.paste(255, (20, 20, 60, 80))  # whose left end is thick: 120 x 60 pixels
    ready = optional(step5.variables, "as_mnist")(ink)
    assert ready.size == (28, 28), f"as_mnist makes a picture of {ready.size}, not 28 x 28"
    size = size_of_ink(ready)
    assert size == (20, 10), (
        f"as_mnist makes {size} pixels of 120 x 60; 20 x 10 keep their proportions: first crop the "
        "picture to the ink's box, then resize it. (If one side is right, the other was cut off "
        "at last: are rows and columns, or left and top, exchanged?)")
    rows, columns = (numpy.asarray(ready) > 127).nonzero()
    assert (rows.mean(), columns.mean()) == pytest.approx((14, 14), abs=0.6), (
        f"as_mnist puts the mean of the ink to row {rows.mean():.1f}, column "
        f"{columns.mean():.1f}, not to 14 and 14: is it the middle of its box, or are rows "
        "and columns, or left and top, exchanged?")


def test_as_mnist_keeps_thin_strokes_and_makes_them_clear(step5):
    as_mnist = optional(step5.variables, "as_mnist")
    ink = Image.new("L", (300, 300))
    pen = ImageDraw.Draw(ink)
    pen.line((50, 20, 50, 280), 255, width=3)
    size = size_of_ink(as_mnist(ink))
    assert size == (1, 20), f"of an upright stroke as_mnist makes {size} pixels, not 1 x 20"
    pen.ellipse((50, 20, 250, 280), outline=255, width=3)
    _, clearest = as_mnist(ink).getextrema()
    assert clearest == 255, (
        f"thin strokes have become faint, {clearest} of 255 at most: autocontrast comes last")


# ---- handwriting: the same ten digits on different pages -----------------------------------------
LABELS = "4081975362"
EASY = [53, 64, 3, 94, 1, 47, 97, 4, 83, 37]  # test digits with these labels, clearly written
DIGITS = PIXELS[SIZE:][EASY].numpy()


def page():
    """Two rows of five digits of two sizes, dark, 0, on white, 255: (500, 1250)"""
    cells = []
    for digit, size in zip(DIGITS, 5 * [140, 210]):
        large = Image.fromarray(digit).resize((size, size), Image.BICUBIC)
        cells.append(255 - numpy.pad(large, (250 - size) // 2))
    return numpy.block([cells[:5], cells[5:]])


TURNED = Image.Exif()
TURNED[0x0112] = 6  # "turn by 90 degrees to the right for viewing", as phones write
ROW, COLUMN = numpy.indices((500, 1250))
GAPS = (ROW % 250 - 100) // 3 == COLUMN // 250 * 3  # as of a pen that gave no ink for a moment

PAGES = {  # what is done to the page; the name says what has to be minded
    "light on dark, as MNIST.png": numpy.invert,
    "dark on light, off the centre.png": (
        lambda paper: numpy.pad(paper, ((300, 20), (0, 500)), constant_values=255)),
    "on transparent paper.png": lambda paper: numpy.dstack([paper // 9, 255 - paper]),
    "turned by its EXIF entry.jpg": numpy.rot90,
    "of two sizes, with broken strokes.png": lambda paper: numpy.where(GAPS, 255, paper),
}


@pytest.fixture(scope="module")
def reading(step5, tmp_path_factory):
    """What step 5 prints about ten single digits, and all pages"""
    folder = tmp_path_factory.mktemp("pictures")
    paper = page()
    pictures = {f"digit {label}.png": digit for label, digit in zip(LABELS, DIGITS)}
    pictures |= {name: disguise(paper) for name, disguise in PAGES.items()}
    for name, picture in pictures.items():
        exif = TURNED if "EXIF" in name else b""
        Image.fromarray(picture).save(folder / name, exif=exif)
    return run_step(step5.folder, "05_save.py", *[str(folder / name) for name in pictures])


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_row_by_row(name, reading):
    said = re.findall(rf"{name}[:,] (.*)", reading.printed)
    rows = re.findall(r"row \d+: +(\d+)\b", "\n".join(said))
    right = sum(map(str.__eq__, LABELS, "".join(rows)))
    assert list(map(len, rows)) == [5, 5] and right >= 9, (
        f"the page {name!r} has the rows {LABELS[:5]} and {LABELS[5:]}, nine of ten digits must be "
        f"read, but what is said is {said}")


def test_a_digit_of_mnist_is_read_as_it_is(reading):
    answers = re.findall(r"digit (\d)\.png:? +(\d)\b", reading.printed)
    right = [label == answer for label, answer in answers]
    assert sum(right) >= 9, (
        f"of ten pictures of 28 x 28, {sum(right)} are read right. Each must get one line, 'digit "
        "3.png: 3'. If as_mnist is right: is common.transform used, the network in eval()?")


def test_what_was_read_is_drawn(reading):
    check_drawn(reading, "05_your_digits.png", 1)
