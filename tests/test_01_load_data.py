"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import common
import pytest
import torch
from conftest import gather
from PIL import Image


def test_the_training_set_is_split_into_training_and_validation(training_split, validation_split, raw_training):
    sizes = len(training_split[1]), len(validation_split[1])
    assert sum(sizes) == len(raw_training.labels), (
        f"training and validation have {sizes} digits, together they must be the {len(raw_training.labels)} of the "
        "training set. Look at the split in training_loaders, and for a drop_last or train=False.")
    assert 0.04 < sizes[1] / sum(sizes) < 0.25, f"validation has {sizes[1]} of {sum(sizes)} digits; 1 of 12 is meant"


def test_every_training_digit_is_in_exactly_one_split(training_split, validation_split, raw_training):
    found = torch.cat([raw_training.find(training_split[0]), raw_training.find(validation_split[0])])
    assert (found >= 0).all(), (
        f"{(found < 0).sum()} digits of the two splits are not in the training set. Are the rows still whole digits in "
        "their pixel order, and do both loaders come from train=True?")
    assert len(found.unique()) == len(found), "some digits are in both splits or twice in one: look at the indices"


def test_the_test_set_is_complete_and_shares_no_digit_with_training(test_split, raw_test, raw_training):
    found = raw_test.find(test_split[0])
    assert len(test_split[1]) == len(raw_test.labels) and len(found.unique()) == len(found) and (found >= 0).all(), (
        "test_loader() must give every digit of the test set once: look for train=True, drop_last, or a sampler.")
    assert (raw_training.find(test_split[0]) < 0).all(), "test_loader() gives training digits: is train=False forgotten?"


@pytest.mark.parametrize("split", ["training_split", "validation_split", "test_split"])
def test_labels_still_belong_to_their_images(split, request):
    raw = request.getfixturevalue("raw_test" if split == "test_split" else "raw_training")
    images, labels = request.getfixturevalue(split)
    found = raw.find(images)
    right = (raw.labels[found] == labels)[found >= 0]
    assert len(right) and right.all(), (
        f"in the {split.replace('_', ' ')} most labels belong to other images. "
        "Images and labels must be shuffled and split together.") if not len(right) or not right.any() else (
        f"in the {split.replace('_', ' ')} {(~right).sum()} labels are not those of their images.")


def test_a_batch_has_the_right_shapes_and_types():
    for loader in (*common.training_loaders(), common.test_loader()):
        images, labels = next(iter(loader))
        assert images.shape == (len(labels), 784), f"images are {tuple(images.shape)}, not (batch, 784): is flatten missing?"
        assert images.dtype == torch.float32, f"images are {images.dtype}, not torch.float32: is to_tensor missing?"
        assert labels.dtype == torch.int64, f"labels are {labels.dtype}; cross_entropy wants class numbers, torch.int64"
        assert labels.min() >= 0 and labels.max() <= 9, "labels must be class numbers from 0 to 9"


@pytest.mark.parametrize("split", ["training_split", "validation_split", "test_split"])
def test_normalization_is_applied_exactly_once(split, request):
    images, _ = request.getfixturevalue(split)
    assert abs(images.mean()) < 0.05 and abs(images.std() - 1) < 0.05, (
        f"the {split.replace('_', ' ')} has mean {images.mean():.2f} and standard deviation {images.std():.2f}, not 0 "
        "and 1. Normalize once, with the training set's own constants; 0.5 and 0.5 would train, too, but are another "
        "dataset's. (-0.4 and 3.2: normalized twice. 0.13 and 0.31: not at all.)")


def test_the_constants_are_those_of_the_training_pixels(raw_training):
    pixels = raw_training.pixels / 255
    assert abs(common.MEAN - pixels.mean()) < 0.002 and abs(common.STD - pixels.std()) < 0.002, (
        f"MEAN and STD in common.py are {common.MEAN} and {common.STD}, but the training pixels have "
        f"{pixels.mean():.4f} and {pixels.std():.4f}. Are they swapped, or another dataset's?")


def test_flatten_goes_row_by_row():
    picture = Image.new("L", (28, 28))
    picture.putpixel((5, 3), 255)  # column 5 of row 3
    flat = common.transform(picture)
    assert flat.shape == (784,), f"transform makes {tuple(flat.shape)} of one picture, not (784,): look at flatten"
    assert flat.argmax() == 3 * 28 + 5, f"the pixel of row 3, column 5 went to {flat.argmax()}, not to 3 * 28 + 5 = 89. " \
                                        "Is the picture turned on its side before it is flattened?"


def test_training_digits_come_in_a_new_order_each_epoch(raw_training, training_split):
    training_loader, _ = common.training_loaders()
    first, second = raw_training.find(gather(training_loader)[0]), raw_training.find(gather(training_loader)[0])
    assert (first.diff() < 0).float().mean() > 0.3, "training digits come in the file's order: shuffle the training loader"
    assert not torch.equal(first, second), "two epochs have the same order: let the sampler shuffle anew in each epoch"
    assert torch.equal(first.sort().values, second.sort().values), "each epoch must show the same digits"


def test_validation_and_test_digits_keep_their_order(validation_split, test_split):
    for loader, (_, labels) in [(common.training_loaders()[1], validation_split), (common.test_loader(), test_split)]:
        assert torch.equal(gather(loader)[1], labels), "validation and test loaders must give the same order every time"


def test_the_script_shows_sizes_shapes_and_constants(step_1):
    for text in ["28, 28", "784", "float32", "0.1307", "1000"]:
        assert text in step_1, f"01_load_data.py does not print {text!r}: show sizes, shapes and the two constants"
