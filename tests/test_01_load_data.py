"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import os
import shutil
import subprocess
import sys

import common
import pytest
import torch
from conftest import SAMPLE, check_printed, copy_course, gather, run
from PIL import Image

each_split = pytest.mark.parametrize("split", ["training", "validation", "test"])


@pytest.fixture(scope="module")
def raw():
    """The digits as they lie on the disk, training set first: pixels, labels, size of the former"""
    training = common.DATASET(common.data_folder(), train=True)
    test = common.DATASET(common.data_folder(), train=False)
    pixels = torch.cat([training.data, test.data])
    return pixels, torch.cat([training.targets, test.targets]), len(training)


def find(images, raw):
    """Which of the raw digits these are, however they were normalized; -1 is none of them"""
    digits, *_ = raw
    numbers = {digit.tobytes(): number for number, digit in enumerate(digits.numpy())}
    low, high = images.aminmax()
    pixels = (images - low) / (high - low) * 255
    pixels = pixels.round().to(torch.uint8).numpy()
    return torch.tensor([numbers.get(digit.tobytes(), -1) for digit in pixels])


@pytest.fixture(scope="module")
def splits(raw):
    """For each split its images, their labels, and which of the raw digits they are"""
    training_loader, validation_loader = common.training_loaders()
    loaders = {
        "training": training_loader,
        "validation": validation_loader,
        "test": common.test_loader(),
    }
    splits = {}
    for split, loader in loaders.items():
        images, labels = gather(loader)
        splits[split] = images, labels, find(images, raw)
    return splits


# ---- each digit once, in the right split ---------------------------------------------------------
def test_every_training_digit_is_in_exactly_one_of_training_and_validation(splits, raw):
    *_, size = raw
    *_, training = splits["training"]
    *_, validation = splits["validation"]
    both = torch.cat([training, validation])
    share = len(validation) / size
    assert len(both) == size and 0.04 < share < 0.25, (
        f"training and validation have {len(both)} digits together, {share:.0%} for validation; "
        f"it must be the {size} of the training set, 1 of 12 for validation. Look at "
        "training_loaders, and for a drop_last or train=False.")
    foreign = (both < 0) | (both >= size)
    assert not foreign.any(), (
        f"{foreign.sum()} digits of the two splits are not in the training set. Are the rows still "
        "whole digits in their pixel order, all normalized by the same two constants, and do both "
        "loaders come from train=True?")
    assert len(both.unique()) == size, (
        "some digits are in both splits or twice in one: look at the indices")


def test_validation_digits_are_drawn_at_random(splits):
    *_, validation = splits["validation"]
    distances = validation.sort().values.diff()
    assert len(distances.unique()) > 5, (
        "validation is one block of the training set, or every n-th digit: split at random")


def test_the_test_loader_gives_each_digit_of_the_test_set(splits, raw):
    digits, _, size = raw
    *_, test = splits["test"]
    expected = torch.arange(size, len(digits))
    assert torch.equal(test.sort().values, expected), (
        "test_loader() must give every digit of the test set once, and no training digit: look for "
        "train=True, drop_last, or a sampler")


@each_split
def test_labels_still_belong_to_their_images(split, splits, raw):
    _, labels, numbers = splits[split]
    assert labels.ndim == 1, (
        f"labels of the {split} split have the shape {tuple(labels.shape)}: give one class number "
        "for each image, not a vector")
    _, true, _ = raw
    wrong = (labels != true[numbers])[numbers >= 0].sum()
    assert wrong == 0, (
        f"{wrong} of the {len(labels)} labels in the {split} split are not those of their images: "
        "images and labels must be shuffled and split together")


def test_training_digits_come_in_a_new_order_each_epoch():
    training_loader, _ = common.training_loaders()
    _, first = gather(training_loader)
    _, second = gather(training_loader)
    assert not torch.equal(first, second), (
        "two epochs have the same order: let the training loader shuffle, and anew in each epoch")


# ---- 784 normalized numbers ----------------------------------------------------------------------
@each_split
def test_images_and_labels_have_the_right_shapes_and_types(split, splits):
    images, labels, _ = splits[split]
    assert images.shape == (len(labels), 784), (
        f"images are {tuple(images.shape)}, not (digits, 784): is flatten missing?")
    assert images.dtype == torch.float32, (
        f"images are {images.dtype}, not torch.float32: are they turned into decimals?")
    assert labels.dtype == torch.int64, (
        f"labels are {labels.dtype}; cross_entropy wants class numbers, torch.int64")


@each_split
def test_images_are_normalized_with_the_two_constants(split, splits):
    images, *_ = splits[split]
    lightest = images.min() * common.STD + common.MEAN
    darkest = images.max() * common.STD + common.MEAN
    assert (lightest.item(), darkest.item()) == pytest.approx((0, 1), abs=1e-3), (
        f"the {split} split goes from {images.min():.2f} to {images.max():.2f}: normalize once, "
        "(pixel - MEAN) / STD, in every split. -0.42 to 2.82 is right. (0 to 1: not normalized. "
        "-1 to 1: with 0.5 and 0.5. Below -1.5: twice.)")


def test_the_constants_are_those_of_the_training_pixels(raw):
    pixels, _, size = raw
    std, mean = torch.std_mean(pixels[:size] / 255)
    assert (common.MEAN, common.STD) == pytest.approx((mean.item(), std.item()), abs=0.002), (
        f"MEAN and STD are {common.MEAN} and {common.STD}, those of the training pixels {mean:.4f} "
        f"and {std:.4f}: swapped, or of another dataset?")


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
    check_printed(step1, ["28 x 28", "784", "float32", "0.1307", "1,000"])


NOWHERE = "http://127.0.0.1:9"  # an address where nothing answers
OFFLINE = {"DIGITS_SAMPLE": "0", "http_proxy": NOWHERE, "https_proxy": NOWHERE}


def test_a_user_without_internet_gets_the_sample_and_a_line_that_says_so(tmp_path):
    script = copy_course(tmp_path / "course") / "01_load_data.py"
    ours = ["-W", "error:::__main__", "-W", "error:::common"]  # no warnings, but for libraries'
    command = [sys.executable, *ours, script]
    environment = os.environ | OFFLINE
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, (
        f"started from another folder, without internet, 01_load_data.py stops: {done.stderr}")
    assert b"sample" in done.stdout.lower(), (
        "without internet nothing was printed about the sample: who reads the accuracies must know "
        f"that they are not MNIST's. Printed was: {done.stdout}")


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_file_in_data_is_one_line_that_names_the_folder_to_delete(kept, tmp_path):
    course = copy_course(tmp_path)
    shutil.copytree(SAMPLE, course / "data")
    file = course / "data/MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:kept])
    said = str(run(course, "01_load_data.py", **OFFLINE).stopped)
    assert "data" in said and "delete" in said.lower() and len(said.splitlines()) == 1, (
        f"only {kept} bytes are left of a file in data/MNIST. One line should say which folder to "
        f"delete, but what is said is: {said[-500:]!r}")
