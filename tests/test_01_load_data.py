"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import shutil

import common
import pytest
import torch
from conftest import ROOT, check_printed, copy_course, finish, gather, start
from PIL import Image

each_split = pytest.mark.parametrize("split", ["training", "validation", "test"])


class Raw:
    """The digits as they lie on the disk, read by torchvision alone: first the training set, then the test set"""

    def __init__(self):
        self.training, test = [common.DATASET(common.data_folder(), train=train) for train in (True, False)]
        self.labels = torch.cat([self.training.targets, test.targets])
        digits = torch.cat([self.training.data, test.data]).numpy()
        self.number = {digit.tobytes(): number for number, digit in enumerate(digits)}

    def find(self, images):
        """Which digits these are, however they were normalized; -1 for one that is none of them"""
        low, high = images.min(), images.max()
        pixels = ((images - low) / (high - low) * 255).round().to(torch.uint8).numpy()
        return torch.tensor([self.number.get(digit.tobytes(), -1) for digit in pixels])


@pytest.fixture(scope="module")
def raw():
    return Raw()


@pytest.fixture(scope="module")
def splits():
    training, validation = common.training_loaders()
    return {"training": gather(training), "validation": gather(validation), "test": gather(common.test_loader())}


@pytest.fixture(scope="module")
def found(splits, raw):
    """The numbers of the digits of each split, as Raw counts them"""
    return {split: raw.find(images) for split, (images, _) in splits.items()}


def test_every_training_digit_is_in_exactly_one_of_training_and_validation(found, raw):
    size, training, validation = len(raw.training), found["training"], found["validation"]
    both = torch.cat([training, validation])
    assert len(both) == size and 0.04 < len(validation) / size < 0.25, (
        f"training and validation have {len(training)} and {len(validation)} digits; together they must be the {size} of the "
        "training set, 1 of 12 for validation. Look at training_loaders, and for a drop_last or train=False.")
    assert (both >= 0).all() and (both < size).all(), (
        f"{((both < 0) | (both >= size)).sum()} digits of the two splits are not in the training set. Are the rows still whole "
        "digits in their pixel order, all normalized by the same two constants, and do both loaders come from train=True?")
    assert len(both.unique()) == size, "some digits are in both splits or twice in one: look at the indices"
    shares = raw.labels[validation].bincount(minlength=10) / raw.labels[:size].bincount(minlength=10)
    assert (validation.sort().values.diff() > 1).any() and shares.min() > shares.max() / 3, \
        "validation is one block of the training set, or has other digits than training: split at random"


def test_the_test_set_is_complete_and_shares_no_digit_with_training(found, raw):
    size, test = len(raw.training), found["test"]
    assert not ((test >= 0) & (test < size)).any(), "test_loader() gives training digits: train=False forgotten?"
    assert torch.equal(test.sort().values, torch.arange(size, len(raw.labels))), \
        "test_loader() must give every digit of the test set once: look for train=True, drop_last, or a sampler"


@each_split
def test_labels_still_belong_to_their_images(split, splits, found, raw):
    labels, number = splits[split][1], found[split]
    wrong = (raw.labels[number] != labels)[number >= 0].sum()
    assert wrong == 0, (f"{wrong} of the {len(labels)} labels in the {split} split are not those of their images: images and "
                        "labels must be shuffled and split together")


@each_split
def test_images_and_labels_have_the_right_shapes_types_and_values(split, splits):
    images, labels = splits[split]
    assert images.shape == (len(labels), 784), f"images are {tuple(images.shape)}, not (digits, 784): is flatten missing?"
    assert images.dtype == torch.float32, f"images are {images.dtype}, not torch.float32: is to_tensor missing?"
    assert labels.dtype == torch.int64, f"labels are {labels.dtype}; cross_entropy wants class numbers, torch.int64"
    assert set(labels.tolist()) == set(range(10)), "labels must be the class numbers from 0 to 9"
    mean, std = images.mean(), images.std()
    assert abs(mean) < 0.05 and abs(std - 1) < 0.05, (
        f"the {split} split has mean {mean:.2f} and standard deviation {std:.2f}, not 0 and 1. Normalize once, with the "
        "training set's own constants; 0.5 and 0.5 would train, too, but are another dataset's. (-0.4 and 3.2: normalized "
        "twice. 0.13 and 0.31: not at all.)")
    assert images.min().item() == pytest.approx(-common.MEAN / common.STD, abs=1e-3), \
        f"plain paper is {images.min():.3f} in the {split} split, not (0 - MEAN) / STD: every split needs the same two constants"


def test_the_constants_are_those_of_the_training_pixels(raw):
    pixels = raw.training.data / 255
    mean, std = pixels.mean().item(), pixels.std().item()
    assert (common.MEAN, common.STD) == pytest.approx((mean, std), abs=0.002), \
        f"MEAN and STD are {common.MEAN} and {common.STD}, those of the training pixels {mean:.4f} and {std:.4f}: swapped?"


def test_flatten_goes_row_by_row():
    picture = Image.new("L", (28, 28))
    picture.putpixel((5, 3), 255)  # column 5 of row 3
    flat = common.transform(picture)
    assert flat.shape == (784,) and flat.argmax() == 89, (
        f"transform makes {tuple(flat.shape)} of one picture, and the pixel of row 3, column 5 goes to {flat.argmax()}; that "
        "should be (784,) and 3 * 28 + 5 = 89. Look at flatten: is it missing, or the picture turned?")


def test_training_digits_come_in_a_new_order_each_epoch_and_the_others_in_a_fixed_one(splits, raw):
    training_loader, validation_loader = common.training_loaders()
    first, second = [raw.find(gather(training_loader)[0]) for _ in range(2)]
    assert (first.diff() < 0).float().mean() > 0.3, "training digits come in the file's order: shuffle the training loader"
    assert not torch.equal(first, second), "two epochs have the same order: let the sampler shuffle anew in each epoch"
    assert torch.equal(first.sort().values, second.sort().values), "each epoch must show the same digits"
    for split, loader in [("validation", validation_loader), ("test", common.test_loader())]:
        assert torch.equal(gather(loader)[1], splits[split][1]), \
            f"the {split} loader must give the same digits in the same order every time: seed the split, and do not shuffle here"


def test_the_script_shows_sizes_shapes_and_constants(printed):
    wanted = ["28 x 28", "784", "float32", "0.1307", "1,000"]
    check_printed(printed(1), wanted, "01_load_data.py shows sizes, shapes and the two constants")


# ---- machines without internet, and files that are damaged ---------------------------------------
OFFLINE = {"DIGITS_SAMPLE": "0", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
FETCH = ["-c", "import common; common.training_loaders()"]


def test_without_internet_the_sample_is_used_and_a_line_says_so(tmp_path):
    printed, _ = finish(start(copy_course(tmp_path), *FETCH, **OFFLINE))
    assert "sample" in printed.lower(), (
        "without internet nothing was printed about the sample: who reads the accuracies must know "
        f"that they are not MNIST's. Printed was: {printed!r}")


def test_a_damaged_file_in_data_is_one_line_that_names_the_folder_to_delete(tmp_path):
    images = (ROOT / "tests/sample/MNIST/raw/train-images-idx3-ubyte").read_bytes()
    damages = {"cut short": images[:-1000], "empty": b"", "a web page": b"<html>Please log in</html>"}
    processes = {}
    for damage, content in damages.items():
        course = copy_course(tmp_path / damage)
        shutil.copytree(course / "tests/sample", course / "data")
        (course / "data/MNIST/raw/train-images-idx3-ubyte").write_bytes(content)
        processes[damage] = start(course, *FETCH, **OFFLINE)
    for damage, process in processes.items():
        _, errors = finish(process, code=1)
        assert "MNIST" in errors and "delete" in errors.lower() and len(errors.splitlines()) == 1, (
            f"a file of digits in data/MNIST is {damage}. One line should say which folder to delete, "
            f"but what is said is: {errors[-500:]!r}")


def test_the_script_runs_from_another_folder_without_warnings(course, tmp_path):
    finish(start(tmp_path, "-W", "error", str(course / "01_load_data.py")))
    written = [file.name for file in tmp_path.iterdir()]
    assert not written, f"{written} was written into the working directory, not beside the script"
