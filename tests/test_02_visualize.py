"""Step 2: the inverse transform restores every pixel, and the pictures show something."""
import re

import pytest
import torch
from course import LABELS, PIXELS, SIZE, check_drawn, check_printed, common, find, split


@pytest.mark.parametrize("part", [slice(None), slice(1), 0])  # all digits, a batch of one, one
def test_the_inverse_restores_every_pixel(part):
    images, _, places = split("training")
    pixels = PIXELS[places[part]]
    flat = images[part].clone()
    restored = common.inverse_transform(flat)
    assert restored.shape == pixels.shape, (
        f"inverse_transform makes {tuple(restored.shape)} of {tuple(flat.shape)}, not "
        f"{tuple(pixels.shape)}: unflatten only the last dimension, flat.unflatten(-1, (28, 28))")
    assert restored.dtype == torch.uint8, (
        f"restored pixels are {restored.dtype}: whole numbers from 0 to 255 are torch.uint8")
    wrong = (restored.double() - pixels).abs().max()
    assert wrong == 0, (
        f"a restored pixel is off by {wrong:g}. The inverse of (x - mean) / std is x * std + mean, "
        "in this order, with the MEAN and STD of transform; then times 255, and rounded, not cut "
        "off.")
    assert torch.equal(flat, images[part]), (
        "the inverse changed its input: compute a new tensor instead of x *= std")


def test_the_script_prints_shapes_before_and_after(step2):
    check_printed(step2, ["784", "28 x 28"])


def test_the_script_draws_its_four_figures(step2):
    check_drawn(step2, "02_*.png", 4)


def test_a_figure_shows_training_digits_upright_and_with_their_labels(step2):
    most = 0
    for figure in step2.figures.values():
        right = 0
        for place, title in zip(find(figure.pictures), figure.titles):
            right += 0 <= place < SIZE and str(LABELS[place].item()) in title
        most = max(most, right)
    assert most >= 8, (
        f"a figure shows at most {most} digits of the training set, upright, each in an axis with "
        "its label in the title; 8 are asked for. Are they mirrored, or the labels of others?")


def test_a_first_reading_is_judged_by_other_digits_than_it_has_learned(step2):
    images, labels, _ = split("training")
    averages = torch.stack([images[labels == label].mean(dim=0) for label in range(10)])
    images, labels, _ = split("validation")
    guesses = torch.cdist(images, averages).argmin(dim=1)
    share = 100 * (guesses == labels).float().mean().item()
    for said in re.findall(r"average.* (\d+\.\d+) ?%", step2.printed):
        assert float(said) == pytest.approx(share, abs=0.06), (
            f"{said} % are said to be read by the nearest average, but the averages of the "
            f"training digits read {share:.1f} % of the validation digits: are averages and digits "
            "of the same split?")
