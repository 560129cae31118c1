"""Step 5: the saved file holds the trained network, and reads pictures that are not MNIST's."""
import re

import common
import numpy
import pytest
import torch
from conftest import ROOT, accuracy, check_drawn, check_that_it_asks_for, load, run
from PIL import Image, ImageChops, ImageDraw, ImageOps


@pytest.fixture(scope="module")
def saved(course, step5):
    return load(course, "digits.pt")


def test_the_file_holds_a_trained_network(saved, sample_test):
    network, _ = saved
    assert not network.training, (
        "load_network must return the network in evaluation mode: call network.eval()")
    share = accuracy(network, *sample_test)
    assert share >= 0.9, (
        f"the network in outputs/digits.pt reads {share:.1%} of the test digits: save all of the "
        "trained one")


def test_the_file_says_how_good_the_network_is(saved, sample_test):
    network, facts = saved
    share = accuracy(network, *sample_test)
    assert facts["test_accuracy"] == pytest.approx(share, abs=6e-4), (
        f"the file says {facts['test_accuracy']:.2%}, the network reads {share:.2%}: compute it in "
        "this run, over all test digits")


def test_the_file_gives_the_same_logits_as_the_tuned_network(course, saved, sample_test):
    images, _ = sample_test
    network, _ = saved
    tuned, _ = load(course, "tuned_network.pt")
    assert torch.equal(tuned(images), network(images)), (
        "digits.pt gives other logits than tuned_network.pt: save all weights, and load them "
        "strictly into the same network")


def without_the_last_weights(file):
    """The network's own dictionary is looked for first: a fact beside it may be a tensor, too."""
    facts = torch.load(file, weights_only=True)
    for part in (*facts.values(), facts):
        if isinstance(part, dict) and any(map(torch.is_tensor, part.values())):
            part.popitem()
            return facts


@pytest.mark.parametrize("damage", ["empty", "cut short", "code", "without some weights"])
def test_a_damaged_or_foreign_file_is_refused(damage, course, saved, tmp_path, capsys):
    whole = course / "outputs/digits.pt"
    file = tmp_path / "outputs/digits.pt"
    file.parent.mkdir()
    if damage == "without some weights":
        torch.save(without_the_last_weights(whole), file)
    if damage == "cut short":
        file.write_bytes(whole.read_bytes()[:-1000])
    if damage == "empty":
        file.touch()
    if damage == "code":
        file.write_bytes(b"cbuiltins\nprint\n(S'code in the file was run'\ntR.")
    with pytest.raises((Exception, SystemExit)) as refused:
        load(tmp_path, "digits.pt")
        pytest.fail(
            f"a file that is {damage} was accepted: use weights_only=True, and load_state_dict "
            "without strict=False", False)
    assert "code in the file was run" not in capsys.readouterr().out, (
        "loading ran code: use weights_only=True")
    assert "digits.pt" in str(refused.value), (
        f"load_network refuses a damaged digits.pt with {refused.value!r:.99}: stop with a line "
        "that names the file")


def test_before_step_4_a_line_says_what_to_run(tmp_path):
    check_that_it_asks_for("04_evaluate.py", "05_save.py", tmp_path)


# ---- handwriting: the same ten digits on pages of all kinds --------------------------------------
@pytest.fixture(scope="module")
def known(saved, sample_test):
    """Ten test digits, as pictures and labels, that the network reads right as they are"""
    images, labels = sample_test
    network, _ = saved
    sample = common.DATASET(ROOT / "tests/sample", train=False)
    read_right = network(images).argmax(dim=1) == labels
    numbers = read_right.nonzero().flatten()
    return [sample[number] for number in numbers[:900:90]]


def page(known):
    """Two rows of five digits of two sizes, dark on white"""
    paper = Image.new("L", (1200, 560), 255)
    for number, (digit, _) in enumerate(known):
        size = 210 if number % 2 else 140
        row, column = divmod(number, 5)
        corner = 160 + 220 * column - size // 2, 150 + 260 * row - size // 2
        paper.paste(ImageOps.invert(digit).resize((size, size), Image.BICUBIC), corner)
    return paper


def transparent(paper):
    black = Image.new("L", paper.size, 20)
    return Image.merge("LA", [black, ImageOps.invert(paper)])


def sixteen_bits(paper):
    return Image.fromarray(numpy.asarray(paper).astype(numpy.uint16) * 257)


def broken(paper):
    """With a white line through each row, as of a pen that gave no ink for a moment"""
    draw = ImageDraw.Draw(paper)
    for height in 140, 400:
        draw.line([(0, height), (1200, height)], fill=255, width=5)
    return paper


def squared(paper):
    lines = Image.new("L", paper.size, 255)
    draw = ImageDraw.Draw(lines)
    for place in range(20, 1200, 40):
        draw.line([(place, 0), (place, 560)], fill=195, width=2)
        draw.line([(0, place), (1200, place)], fill=195, width=2)
    return ImageChops.multiply(paper, lines)


def shaded(paper):
    """In pencil, and the right half in the shade: the paper there is as dark as the pencil here"""
    shade = Image.new("L", paper.size, 255)
    ImageDraw.Draw(shade).polygon([(700, 0), (1200, 0), (1200, 560), (500, 560)], fill=150)
    pencil = paper.point(lambda level: 130 + level * 125 // 255)
    return ImageChops.multiply(pencil, shade)


TURNED = Image.Exif()
TURNED[0x0112] = 6  # "turn by 90 degrees to the right for viewing", as phones write

PAGES = {
    "plain.png": (
        lambda paper: paper,
        "is each digit found, also the smaller ones, and does a row end where the next begins?"),
    "light on dark.png": (ImageOps.invert, "MNIST is light on dark, and so is this"),
    "red on yellow.png": (
        lambda paper: ImageOps.colorize(paper, "darkred", "khaki"), "convert colours to grey"),
    "off centre.png": (
        lambda paper: ImageOps.expand(paper, (0, 300, 500, 20), fill=255),
        "is each digit cut out, resized and centred?"),
    "transparent.png": (transparent, "what is behind a transparent picture is paper"),
    "turned by EXIF.jpg": (
        lambda paper: paper.rotate(90, expand=True), "turn it as its EXIF entry says"),
    "16 bits.png": (sixteen_bits, "values go up to 65,535 here"),
    "slanted.png": (
        lambda paper: paper.rotate(8, expand=True, fillcolor=255),
        "a row may rise: compare a digit with its neighbour, not with the whole row"),
    "broken stroke.png": (
        broken, "are pieces that lie close above one another put together to one digit?"),
    "squared paper.png": (squared, "were the lines taken for ink? They are much fainter"),
    "hard shadow.png": (
        shaded, "is the ink compared with the paper around it, instead of with one number for all?"),
}
UNREADABLE = ["missing.png", "folder.png", "text.jpg", "cut.png", "white.png", "black.png"]


@pytest.fixture(scope="module")
def reading(course, known, tmp_path_factory):
    """What step 5 says to all pages, to ten single digits, and to what cannot be read"""
    folder = tmp_path_factory.mktemp("pictures")
    for name, (disguise, _) in PAGES.items():
        exif = TURNED if "EXIF" in name else b""
        disguise(page(known)).save(folder / name, exif=exif)
    for number, (digit, _) in enumerate(known):
        digit.save(folder / f"digit {number}.png")
    (folder / "folder.png").mkdir()
    (folder / "text.jpg").write_text("text")
    (folder / "cut.png").write_bytes((folder / "plain.png").read_bytes()[:500])
    Image.new("L", (300, 300), "white").save(folder / "white.png")
    Image.new("L", (300, 300), "black").save(folder / "black.png")
    files = sorted({*folder.iterdir(), folder / "missing.png"})
    return run(course, "05_save.py", *map(str, files))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_read_row_by_row(name, known, reading):
    _, advice = PAGES[name]
    labels = "".join(str(label) for _, label in known)
    rows = re.findall(rf"{name}, row \d+: +(\d+)\b", reading.printed)
    found = f"{name} shows the rows {labels[:5]} and {labels[5:]}, but is read as {rows}: "
    assert [len(row) for row in rows] == [5, 5], found + advice
    right = sum(map(str.__eq__, labels, "".join(rows)))
    assert right >= 9, found + (
        f"{advice}. Are rows read from top to bottom, each from left to right, and is each digit "
        "cut out alone, like MNIST's?")


def test_a_digit_of_mnist_is_read_as_it_is(known, reading):
    lines = re.findall(r"digit (\d)\.png:? +(\d)\b", reading.printed)
    right = [known[int(number)][1] == int(digit) for number, digit in lines]
    assert sum(right) >= 9, (
        f"of ten pictures of 28 x 28, {sum(right)} are read right. Each must get one line, 'digit "
        "3.png: 7'. Is the picture put through common.transform, and the network in evaluation mode?")


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_picture_that_cannot_be_read_gets_a_line_and_no_digits(name, reading):
    lines = [line for line in reading.printed.splitlines() if name in line]
    assert len(lines) == 1 and not re.search(rf"{name}:? +\d+\b", lines[0]), (
        f"{name} must get one line with a reason and without digits, and the other pictures are "
        f"read all the same, but what is printed is {lines}")


def test_what_could_not_be_read_ends_in_exit_code_1(reading):
    assert reading.stopped == 1, "some pictures could not be read: end with sys.exit(1)"


def test_what_was_read_is_drawn(course, reading):
    check_drawn(course, reading, "05_your_digits.png", 1)
