"""Step 1: the digits arrive complete, once each, normalized, flat, and with their labels."""
import re
from inspect import getsource, signature

import pytest
import torch
from course import LABELS, PIXELS, SIZE, check_printed, common, find, gather, optional, split
from PIL import Image

SPLITS = ["training", "validation", "test"]


# ---- each digit once, in the right split ---------------------------------------------------------
def test_every_training_digit_is_in_exactly_one_of_training_and_validation():
    *_, training = split("training")
    *_, validation = split("validation")
    both = torch.cat([training, validation])
    share = len(validation) / SIZE
    assert len(both) == SIZE and 0.04 < share < 0.25, (
        f"training and validation have {len(both)} digits together, {share:.0%} for validation; "
        f"it must be the {SIZE} of the training set, about 1 of 12 for validation. Look at "
        "training_loaders: are the two exchanged, are some in both, or is there a drop_last or "
        "train=False?")
    foreign = (both < 0) | (both >= SIZE)
    assert not foreign.any(), (
        f"{foreign.sum()} digits of the two splits are not in the training set. Are the rows still "
        "whole digits in their pixel order, all normalized by the same two constants, is nothing "
        "in transform random, and do both loaders come from train=True?")
    assert len(both.unique()) == SIZE, (
        "some digits are in both splits or twice in one: use random_split, or look at the indices")


def digits_to_validate(loaders):
    """Which digits the validation loader gives, from the lowest number on"""
    _, validation_loader = loaders
    images, _ = gather(validation_loader)
    return find(images).sort().values


def test_the_split_is_always_the_same():
    optional(signature(common.training_loaders).parameters, "batch_size")
    first = digits_to_validate(common.training_loaders())
    second = digits_to_validate(common.training_loaders(batch_size=32))
    assert torch.equal(first, second), (
        "training_loaders() splits otherwise each time, or for each batch size: then step 4 "
        "validates with digits that the network of step 3 has learned. Give random_split a "
        "generator that starts at SEED.")


def test_the_seed_and_nothing_else_chooses_the_split():
    other = {"__file__": common.__file__}
    exec(re.sub(r"(?m)^SEED *=", "SEED = 1 +", getsource(common)), other)
    others = digits_to_validate(other["training_loaders"]())
    assert not torch.equal(digits_to_validate(common.training_loaders()), others), (
        "with another SEED in common.py the split is the same: draw the validation digits at "
        "random, no block and not every n-th; random_split needs a generator with "
        ".manual_seed(SEED)")
    before = torch.get_rng_state()
    common.training_loaders()
    assert torch.equal(before, torch.get_rng_state()), (
        "training_loaders() changes everybody's random numbers: give random_split a generator of "
        "its own, torch.Generator().manual_seed(SEED), and do not call torch.manual_seed()")


def test_the_training_loader_makes_batches_of_the_size_that_is_asked_for():
    optional(signature(common.training_loaders).parameters, "batch_size")
    training_loader, _ = common.training_loaders(batch_size=32)
    images, _ = next(iter(training_loader))
    assert len(images) == 32, f"with batch_size=32 the first batch has {len(images)} digits"


def test_the_test_loader_gives_each_digit_of_the_test_set():
    *_, test = split("test")
    assert torch.equal(test, torch.arange(SIZE, len(PIXELS))), (
        "test_loader() must give every digit of the test set once, in the order in which they "
        "come, and no training digit: look for train=True, shuffle, drop_last, or a sampler")
    images, _ = next(iter(common.test_loader()))
    assert len(images) > 1, "test_loader() gives one digit after the other: give it a batch_size"


def test_labels_still_belong_to_their_images():
    for name in SPLITS:
        _, labels, places = split(name)
        assert labels.ndim == 1, (
            f"labels of the {name} split have the shape {tuple(labels.shape)}: give one class "
            "number for each image, not a vector")
        wrong = (labels != LABELS[places])[places >= 0].sum()
        assert wrong == 0, (
            f"{wrong} of the {len(labels)} labels in the {name} split are not those of their "
            "images: images and labels must be shuffled and split together")


def test_training_digits_come_in_a_new_order_each_epoch():
    training_loader, _ = common.training_loaders()
    _, first = gather(training_loader)
    _, second = gather(training_loader)
    assert not torch.equal(first, second), (
        "two epochs have the same order: let the training loader shuffle, and anew in each epoch")


# ---- 784 normalized numbers ----------------------------------------------------------------------
def test_images_are_784_normalized_numbers():
    for name in SPLITS:
        images, labels, _ = split(name)
        assert images.shape == (len(labels), 784), (
            f"images are {tuple(images.shape)}, not (digits, 784): is flatten missing?")
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64), (
            f"images are {images.dtype}, labels {labels.dtype}; a network wants decimals, "
            "torch.float32, and cross_entropy class numbers, torch.int64")
        decimals = images * 0.3081 + 0.1307  # as MNIST's 60,000 training digits are
        ends = decimals.min().item(), decimals.max().item()
        assert ends == pytest.approx((0, 1), abs=2e-4), (
            f"the {name} split goes from {images.min():.3f} to {images.max():.3f}: normalize once, "
            "(decimal - 0.1307) / 0.3081, in every split. -0.424 to 2.821 is right. (0 to 1: not "
            "normalized. -1 to 1: with 0.5 and 0.5. -2.357 to 5.294: MEAN and STD exchanged. Below "
            "-1.5: twice. Up to 827: not divided by 255, scale=True.)")


def test_one_picture_becomes_784_numbers_row_by_row():
    flat = common.transform(Image.fromarray(PIXELS[0].numpy()))
    assert flat.shape == (784,), (
        f"transform makes {tuple(flat.shape)} of one picture, not (784,): flatten all of the last "
        "three dimensions")
    assert find([flat]) == 0, (
        "of one picture transform makes other numbers than the loaders have, or in another order: "
        "is it turned, or a negative?")


# ---- the script ----------------------------------------------------------------------------------
def test_the_script_shows_sizes_shapes_and_constants(step1):
    check_printed(step1, ["28 x 28", "784", "float32", "0.1307", "1,000"])
