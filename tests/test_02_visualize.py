"""Step 2: the inverse transform restores every pixel, and the pictures show something."""
import common
import pytest
import torch
from conftest import check_drawn, check_printed, find, raw, split

PIXELS = torch.arange(3 * 784).view(3, 28, 28) % 150 + 50  # three pictures, not black, not white


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:1], PIXELS[0]])
def test_the_inverse_restores_every_pixel(pixels):
    flat = (pixels / 255 - common.MEAN) / common.STD
    flat = flat.flatten(-2)  # (3, 784), (1, 784) or (784,)
    before = flat.clone()
    restored = common.inverse_transform(flat)
    assert restored.shape == pixels.shape, (
        f"inverse_transform makes {tuple(restored.shape)} of {tuple(flat.shape)}, not "
        f"{tuple(pixels.shape)}: unflatten only the last dimension, flat.unflatten(-1, (28, 28))")
    wrong = (restored.double() - pixels).abs().max()
    assert wrong == 0, (
        f"a restored pixel is off by {wrong:g}. The inverse of (x - mean) / std is x * std + mean, "
        "in this order; then times 255, and rounded, not cut off.")
    assert torch.equal(flat, before), (
        "the inverse changed its input: compute a new tensor instead of x *= std")


def test_all_digits_of_the_training_loader_are_restored():
    images, _, numbers = split("training")
    digits, *_ = raw()
    assert torch.equal(common.inverse_transform(images).int(), digits[numbers].int()), (
        "digits of the training loader are not the raw digits after the inverse: if nothing else "
        "is wrong here, do transform and inverse use the same MEAN and STD, and the same order?")


def test_the_script_prints_shapes_before_and_after(step2):
    check_printed(step2, ["784", "28 x 28"])


def test_the_script_draws_its_four_figures(course, step2):
    check_drawn(course, step2, "02_*.png", 4)


def test_a_figure_shows_training_digits_upright_and_with_their_labels(step2):
    _, labels, size = raw()
    most = 0
    for figure in step2.figures.values():
        right = 0
        for number, title in zip(find(figure.pictures), figure.titles):
            right += 0 <= number < size and str(labels[number].item()) in title
        most = max(most, right)
    assert most >= 8, (
        f"a figure shows at most {most} digits of the training set, upright, each in an axis with "
        "its label in the title; 8 are asked for. Are they mirrored, or the labels of others?")
