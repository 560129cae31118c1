"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import common
import pytest
import torch
from conftest import gather
from PIL import Image

each_split = pytest.mark.parametrize("split", ["training", "validation", "test"])


def test_every_training_digit_is_in_exactly_one_of_training_and_validation(splits, raw):
    sizes = len(splits["training"][1]), len(splits["validation"][1])
    assert sum(sizes) == len(raw["training"].labels) and 0.04 < sizes[1] / sum(sizes) < 0.25, (
        f"training and validation have {sizes} digits, together they must be the {len(raw['training'].labels)} of the "
        "training set, 1 of 12 for validation. Look at training_loaders, and for a drop_last or train=False.")
    found = torch.cat([raw["training"].find(splits[split][0]) for split in ("training", "validation")])
    assert (found >= 0).all(), (f"{(found < 0).sum()} digits of the two splits are not in the training set. Are the rows still "
                                "whole digits in their pixel order, and do both loaders come from train=True?")
    assert len(found.unique()) == len(found), "some digits are in both splits or twice in one: look at the indices"
    assert (found[-sizes[1]:].sort().values.diff() > 1).any(), "validation is one block of the training set: split at random"


def test_the_test_set_is_complete_and_shares_no_digit_with_training(splits, raw):
    found = raw["test"].find(splits["test"][0])
    assert (raw["training"].find(splits["test"][0]) < 0).all(), "test_loader() gives training digits: train=False forgotten?"
    assert len(found) == len(raw["test"].labels) == len(found.unique()) and (found >= 0).all(), \
        "test_loader() must give every digit of the test set once: look for train=True, drop_last, or a sampler"


@each_split
def test_labels_still_belong_to_their_images(split, splits, raw):
    images, labels = splits[split]
    found = raw[split].find(images)
    wrong = (raw[split].labels[found] != labels)[found >= 0].float().mean()
    assert wrong == 0, (f"{wrong:.0%} of the labels in the {split} split are not those of their images: "
                        "images and labels must be shuffled and split together")


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
    pixels = raw["training"].pixels / 255
    assert abs(common.MEAN - pixels.mean()) < 0.002 and abs(common.STD - pixels.std()) < 0.002, (
        f"MEAN and STD in common.py are {common.MEAN} and {common.STD}, but the training pixels have "
        f"{pixels.mean():.4f} and {pixels.std():.4f}. Are they swapped, or another dataset's?")


def test_flatten_goes_row_by_row():
    picture = Image.new("L", (28, 28))
    picture.putpixel((5, 3), 255)  # column 5 of row 3
    flat = common.transform(picture)
    assert flat.shape == (784,) and flat.argmax() == 89, (
        f"transform makes {tuple(flat.shape)} of one picture, and the pixel of row 3, column 5 goes to {flat.argmax()}; it should "
        "be (784,) and 3 * 28 + 5 = 89. Look at flatten: is it missing, or the picture turned?")


def test_training_digits_come_in_a_new_order_each_epoch_and_the_others_in_a_fixed_one(splits, raw):
    training_loader, validation_loader = common.training_loaders()
    first, second = [raw["training"].find(gather(training_loader)[0]) for _ in range(2)]
    assert (first.diff() < 0).float().mean() > 0.3, "training digits come in the file's order: shuffle the training loader"
    assert not torch.equal(first, second), "two epochs have the same order: let the sampler shuffle anew in each epoch"
    assert torch.equal(first.sort().values, second.sort().values), "each epoch must show the same digits"
    for split, loader in [("validation", validation_loader), ("test", common.test_loader())]:
        assert torch.equal(gather(loader)[1], splits[split][1]), \
            f"the {split} loader must give the same digits in the same order every time: seed the split, and do not shuffle here"


def test_the_script_shows_sizes_shapes_and_constants(printed):
    for text in ["28, 28", "784", "float32", "0.1307", "1000"]:
        assert text in printed(1), f"01_load_data.py does not print {text!r}: show sizes, shapes and the two constants"
