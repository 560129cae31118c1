"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import common
import pytest
import torch
from conftest import ROOT, check_printed, copy_course, gather, run
from PIL import Image

each_split = pytest.mark.parametrize("split", ["training", "validation", "test"])


@pytest.fixture(scope="module")
def raw():
    """The digits as they lie on the disk: first the training set, then the test set"""
    training = common.DATASET(common.data_folder(), train=True)
    test = common.DATASET(common.data_folder(), train=False)
    digits = torch.cat([training.data, test.data]).numpy()
    return SimpleNamespace(
        training=training,
        size=len(training),
        labels=torch.cat([training.targets, test.targets]),
        number={digit.tobytes(): number for number, digit in enumerate(digits)},
    )


def find(images, raw):
    """Which digits these are, however they were normalized; -1 for one that is none of them"""
    low, high = images.aminmax()
    pixels = (images - low) / (high - low) * 255
    pixels = pixels.round().to(torch.uint8).numpy()
    return torch.tensor([raw.number.get(digit.tobytes(), -1) for digit in pixels])


@pytest.fixture(scope="module")
def splits():
    training_loader, validation_loader = common.training_loaders()
    return {
        "training": gather(training_loader),
        "validation": gather(validation_loader),
        "test": gather(common.test_loader()),
    }


@pytest.fixture(scope="module")
def found(splits, raw):
    return {split: find(images, raw) for split, (images, _) in splits.items()}


# ---- each digit once, in the right split ---------------------------------------------------------
def test_every_training_digit_is_in_exactly_one_of_training_and_validation(found, raw):
    training = found["training"]
    validation = found["validation"]
    both = torch.cat([training, validation])
    assert len(both) == raw.size and 0.04 < len(validation) / raw.size < 0.25, (
        f"training and validation have {len(training)} and {len(validation)} digits; together they "
        f"must be the {raw.size} of the training set, 1 of 12 for validation. Look at "
        "training_loaders, and for a drop_last or train=False.")
    foreign = (both < 0) | (both >= raw.size)
    assert not foreign.any(), (
        f"{foreign.sum()} digits of the two splits are not in the training set. Are the rows still "
        "whole digits in their pixel order, all normalized by the same two constants, and do both "
        "loaders come from train=True?")
    assert len(both.unique()) == raw.size, (
        "some digits are in both splits or twice in one: look at the indices")


def test_validation_digits_are_drawn_at_random(found, raw):
    validation = found["validation"]
    shares = raw.labels[validation].bincount() / raw.labels[: raw.size].bincount()
    gaps = validation.sort().values.diff()
    assert (gaps > 1).any() and shares.min() > shares.max() / 3, (
        "validation is one block of the training set, or has other digits than training: split at "
        "random")


def test_the_test_set_is_complete_and_shares_no_digit_with_training(found, raw):
    test = found["test"]
    learned = (test >= 0) & (test < raw.size)
    assert not learned.any(), "test_loader() gives training digits: train=False forgotten?"
    assert torch.equal(test.sort().values, torch.arange(raw.size, len(raw.labels))), (
        "test_loader() must give every digit of the test set once: look for train=True, drop_last, "
        "or a sampler")


@each_split
def test_labels_still_belong_to_their_images(split, splits, found, raw):
    _, labels = splits[split]
    number = found[split]
    assert labels.shape == number.shape, (
        f"{len(number)} images of the {split} split have labels of the shape "
        f"{tuple(labels.shape)}: give one class number for each image, not a vector")
    wrong = (raw.labels[number] != labels)[number >= 0].sum()
    assert wrong == 0, (
        f"{wrong} of the {len(labels)} labels in the {split} split are not those of their images: "
        "images and labels must be shuffled and split together")


def test_training_digits_come_in_a_new_order_each_epoch(raw):
    training_loader, _ = common.training_loaders()
    first = find(gather(training_loader)[0], raw)
    second = find(gather(training_loader)[0], raw)
    downwards = first.diff() < 0
    assert downwards.float().mean() > 0.3, (
        "training digits come in the file's order: shuffle the training loader")
    assert not torch.equal(first, second), (
        "two epochs have the same order: let the training loader shuffle anew in each epoch")
    assert torch.equal(first.sort().values, second.sort().values), (
        "each epoch must show the same digits")


def test_validation_and_test_digits_come_in_a_fixed_order(splits):
    _, validation_loader = common.training_loaders()
    again = {"validation": validation_loader, "test": common.test_loader()}
    for split, loader in again.items():
        assert torch.equal(gather(loader)[1], splits[split][1]), (
            f"the {split} loader must give the same digits in the same order every time: seed the "
            "split, and do not shuffle here")


# ---- 784 normalized numbers ----------------------------------------------------------------------
@each_split
def test_images_and_labels_have_the_right_shapes_and_types(split, splits):
    images, labels = splits[split]
    assert images.shape == (len(labels), 784), (
        f"images are {tuple(images.shape)}, not (digits, 784): is flatten missing?")
    assert images.dtype == torch.float32, (
        f"images are {images.dtype}, not torch.float32: are they turned into decimals?")
    assert labels.dtype == torch.int64, (
        f"labels are {labels.dtype}; cross_entropy wants class numbers, torch.int64")
    assert labels.unique().tolist() == list(range(10)), (
        "labels must be the class numbers from 0 to 9")


@each_split
def test_images_are_normalized_with_the_constants_of_the_training_set(split, splits):
    images, _ = splits[split]
    mean = images.mean()
    std = images.std()
    assert abs(mean) < 0.05 and abs(std - 1) < 0.05, (
        f"the {split} split has mean {mean:.2f} and standard deviation {std:.2f}, not 0 and 1. "
        "Normalize once, with the training set's own constants; 0.5 and 0.5 would train, too, but "
        "are another dataset's. (-0.4 and 3.2: normalized twice. 0.13 and 0.31: not at all.)")
    paper = -common.MEAN / common.STD
    assert images.min().item() == pytest.approx(paper, abs=1e-3), (
        f"plain paper is {images.min():.3f} in the {split} split, not (0 - MEAN) / STD: every "
        "split needs the same two constants")


def test_the_constants_are_those_of_the_training_pixels(raw):
    pixels = raw.training.data / 255
    mean = pixels.mean().item()
    std = pixels.std().item()
    assert (common.MEAN, common.STD) == pytest.approx((mean, std), abs=0.002), (
        f"MEAN and STD are {common.MEAN} and {common.STD}, those of the training pixels {mean:.4f} "
        f"and {std:.4f}: swapped?")


def test_flatten_goes_row_by_row():
    picture = Image.new("L", (28, 28))
    picture.putpixel((5, 3), 255)  # column 5 of row 3
    flat = common.transform(picture)
    assert flat.shape == (784,) and flat.argmax() == 89, (
        f"transform makes {tuple(flat.shape)} of one picture, and the pixel of row 3, column 5 "
        f"goes to {flat.argmax()}; that should be (784,) and 3 * 28 + 5 = 89. Look at flatten: is "
        "it missing, or the picture turned?")


# ---- the script, machines without internet, and files that are damaged ---------------------------
def test_the_script_shows_sizes_shapes_and_constants(step1):
    wanted = ["28 x 28", "784", "float32", "0.1307", "1,000"]
    check_printed(step1.printed, wanted, "01_load_data.py shows sizes, shapes and the constants")


NOWHERE = "http://127.0.0.1:9"  # an address where nothing answers
OFFLINE = {"DIGITS_SAMPLE": "0", "http_proxy": NOWHERE, "https_proxy": NOWHERE}


def test_a_user_without_internet_gets_the_sample_and_a_line_that_says_so(tmp_path):
    script = copy_course(tmp_path / "course") / "01_load_data.py"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ours = ["-W", "error:::__main__", "-W", "error:::common"]  # no warnings, but for libraries'
    done = subprocess.run(
        [sys.executable, *ours, script],
        cwd=elsewhere,
        env=os.environ | OFFLINE,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, (
        f"started from another folder, without internet, 01_load_data.py stops: {done.stderr}")
    assert "sample" in done.stdout.lower(), (
        "without internet nothing was printed about the sample: who reads the accuracies must know "
        f"that they are not MNIST's. Printed was: {done.stdout!r}")
    written = list(elsewhere.iterdir())
    assert not written, f"{written} was written into the working directory, not beside the script"


@pytest.mark.parametrize("damage", ["cut short", "empty", "a web page"])
def test_a_damaged_file_in_data_is_one_line_that_names_the_folder_to_delete(damage, tmp_path):
    sample = ROOT / "tests/sample"
    name = "MNIST/raw/train-images-idx3-ubyte"
    images = (sample / name).read_bytes()
    contents = {"cut short": images[:-1000], "empty": b"", "a web page": b"<html>Log in</html>"}
    course = copy_course(tmp_path)
    shutil.copytree(sample, course / "data")
    (course / "data" / name).write_bytes(contents[damage])
    said = str(run(course, "01_load_data.py", **OFFLINE).stopped)
    assert "MNIST" in said and "delete" in said.lower() and len(said.splitlines()) == 1, (
        f"a file of digits in data/MNIST is {damage}. One line should say which folder to delete, "
        f"but what is said is: {said[-500:]!r}")
