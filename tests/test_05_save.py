"""Step 5: the saved file holds the trained network, and reads pictures that are not MNIST's."""
import pickle
import re

import common
import numpy
import pytest
import torch
from conftest import accuracy, finish, ink, load, start
from PIL import Image, ImageOps


def test_the_file_holds_a_trained_network(course, step_5, sample_test):
    share = accuracy(load(course / "outputs" / "digits.pt")[0], *sample_test)
    assert share >= 0.9, f"the network in outputs/digits.pt reads {share:.1%} of the test digits: is the trained one saved?"


def test_the_file_says_the_accuracy_that_it_has(course, step_5, sample_test):
    network, facts = load(course / "outputs" / "digits.pt")
    share = accuracy(network, *sample_test)
    assert facts["test_accuracy"] == pytest.approx(share, abs=6e-4), \
        f"the file says {facts['test_accuracy']:.2%}, the network reads {share:.2%}: compute it, do not type it in"


def test_a_new_process_gets_the_same_logits_to_the_last_bit(course, step_5):
    program = ("import torch, common; batch = next(iter(common.test_loader()))[0]; torch.set_grad_enabled(False); "
               "saved, loaded = [common.load_network(name, '')[0](batch) for name in ('tuned_network.pt', 'digits.pt')]; "
               "print('the same:', torch.equal(saved, loaded))")
    assert "the same: True" in finish(start(course, "-c", program)), \
        "digits.pt gives other logits than tuned_network.pt: save all weights, and load them strictly into the same network"


@pytest.fixture
def outputs(course, step_5, tmp_path, monkeypatch):
    monkeypatch.setattr(common, "OUTPUTS", tmp_path)
    return tmp_path, (course / "outputs" / "digits.pt").read_bytes()


class Code:
    def __reduce__(self):
        return print, ("code in the file was run",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("damage", ["empty", "cut short", "a picture", "with code", "another network's", "another kind"])
def test_a_damaged_or_foreign_file_is_refused(damage, outputs, capsys):
    folder, whole = outputs
    file = folder / "digits.pt"
    file.write_bytes({"empty": b"", "cut short": whole[: len(whole) // 2], "with code": pickle.dumps(Code())}.get(damage, whole))
    if damage == "a picture":
        Image.new("L", (28, 28)).save(file, format="PNG")
    if damage in ("another network's", "another kind"):
        saved = load(file)[1]
        changed = {"weights": common.first_network((30, 20)).state_dict()} if damage == "another network's" else {"network": "none"}
        torch.save(saved | changed, file)
    with pytest.raises(SystemExit, match="digits.pt") as stopped:
        common.load_network("digits.pt", "05_save.py")
        pytest.fail("the file was accepted: use weights_only=True, and load_state_dict without strict=False", False)
    assert "05_save.py" in str(stopped.value), "the message must say which script makes the file anew"
    assert "code in the file was run" not in capsys.readouterr().out, "loading ran code: use weights_only=True"


# ---- handwriting: the same digits in disguise --------------------------------------------------------------
def enlarged(digit, factor=8):
    """Dark ink on white paper, large, with a margin"""
    return ImageOps.invert(ImageOps.expand(digit.resize((28 * factor, 28 * factor), Image.BICUBIC), 5 * factor))


def on_shaded_paper(digit):
    shade = numpy.linspace(150, 235, 304)[None, :] * numpy.ones((304, 1))
    return Image.fromarray((numpy.asarray(enlarged(digit)) / 255 * shade).astype(numpy.uint8))


def transparent(digit):
    picture = Image.new("RGBA", (304, 304), "navy")
    picture.putalpha(ImageOps.invert(enlarged(digit)))
    return picture


def save_rotated_by_exif(digit, file):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees to the right for viewing", as phones write
    enlarged(digit).rotate(90, expand=True).save(file.with_suffix(".jpg"), exif=exif)


DISGUISES = {
    "untouched": lambda digit, file: digit.save(file),
    "enlarged": lambda digit, file: enlarged(digit).save(file),
    "light on dark": lambda digit, file: ImageOps.invert(enlarged(digit)).save(file),
    "red on yellow": lambda digit, file: ImageOps.colorize(enlarged(digit), "darkred", "khaki").save(file),
    "off centre": lambda digit, file: ImageOps.expand(enlarged(digit), (0, 300, 500, 20), fill=255).save(file),
    "shaded paper": lambda digit, file: on_shaded_paper(digit).save(file),
    "transparent": lambda digit, file: transparent(digit).save(file),
    "EXIF": save_rotated_by_exif,
    "JPEG": lambda digit, file: enlarged(digit, 20).save(file.with_suffix(".jpg"), quality=40),
    "16 bits": lambda digit, file: Image.fromarray(numpy.asarray(enlarged(digit)).astype(numpy.uint16) * 257).save(file),
}


@pytest.fixture(scope="module")
def read_disguised(course, step_5, tmp_path_factory):
    """What step 5 reads from 10 digits in each disguise, given in one call: {file name: digit}, and the true labels"""
    folder = tmp_path_factory.mktemp("pictures")
    dataset = common.DATASET(common.SAMPLE, train=False)
    network = load(course / "outputs" / "digits.pt")[0]
    labels = {}
    for number in range(len(dataset)):
        digit, label = dataset[number]
        if len(labels) < 10 * len(DISGUISES) and accuracy(network, common.transform(digit)[None], torch.tensor([label])):
            for name, disguise in DISGUISES.items():
                disguise(digit, folder / f"{name} {number}.png")
                labels[f"{name} {number}"] = label
    printed = finish(start(course, "05_save.py", *map(str, sorted(folder.iterdir()))))
    return dict(re.findall(r"^(.+)\.(?:png|jpg):? +(\d)\b", printed, re.MULTILINE)), labels


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_digit_is_still_read(name, read_disguised):
    read, labels = read_disguised
    mine = [key for key in labels if key.startswith(name)]
    right = sum(read.get(key) == str(labels[key]) for key in mine)
    assert right >= 0.9 * len(mine), f"{right} of {len(mine)} digits are read right when disguised as: {name}"


def test_nearly_all_disguised_digits_are_read(read_disguised):
    read, labels = read_disguised
    right = sum(read.get(key) == str(label) for key, label in labels.items())
    assert right >= 0.95 * len(labels), f"{right} of {len(labels)} disguised digits are read right; 95 % are asked for"


def test_a_picture_that_cannot_be_read_gets_one_line_and_the_others_are_read(course, step_5, tmp_path):
    digit = common.DATASET(common.SAMPLE, train=False)[0][0]
    enlarged(digit).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "folder.png").mkdir()
    Image.new("L", (300, 300), 255).save(tmp_path / "white.png")
    Image.new("L", (300, 300), 0).save(tmp_path / "black.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    two = Image.new("L", (608, 304), 255)
    two.paste(enlarged(digit), (0, 0))
    two.paste(enlarged(digit), (304, 0))
    two.save(tmp_path / "two.png")
    enlarged(digit).convert("P").save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("P", (304, 304))])
    bad = ["missing.png", "empty.png", "cut.png", "text.jpg", "page.pdf", "folder.png", "white.png", "black.png", "huge.png", "two.png"]
    process = start(course, "05_save.py", *[str(tmp_path / name) for name in [*bad, "good.png", "moving.gif"]])
    printed, errors = process.communicate(timeout=100)
    assert process.returncode == 1, "exit code 1 must tell that some pictures could not be read"
    assert "Traceback" not in errors, errors[-800:]
    for name in bad:
        lines = [line for line in printed.splitlines() if name in line]
        assert len(lines) == 1 and not re.search(rf"{name}:? +\d\b", lines[0]), f"{name} must get one line that says why: {lines}"
    for name in ["good.png", "moving.gif"]:
        assert re.search(rf"{name}:? +\d\b", printed), f"{name} can be read, though other pictures cannot:\n{printed}"


def test_the_reading_is_drawn(course, read_disguised):
    assert ink(course / "outputs" / "05_your_digits.png") > 0.03, "05_your_digits.png is (nearly) blank: draw, then save"
