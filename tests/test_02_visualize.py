"""Step 2: the inverse transform restores every pixel, and the pictures show something."""
import common
import torch
from conftest import check_drawn, check_printed
from PIL import Image


def test_the_inverse_restores_one_picture_exactly():
    picture = torch.arange(784).view(28, 28) % 150 + 50  # neither black nor white
    flat = common.transform(Image.fromarray(picture.to(torch.uint8).numpy()))
    restored = common.inverse_transform(flat)
    assert restored.shape[-2:] == (28, 28), (
        f"restored {tuple(restored.shape)}, not (28, 28): unflatten the 784 numbers")
    assert restored.max() > 1, "restored values end at 1: multiply by 255 to get pixels"
    wrong = (restored.double().view(28, 28) - picture).abs().max()
    assert wrong == 0, (
        f"a restored pixel is off by {wrong:g}. The inverse of (x - mean) / std is x * std + mean, "
        "in this order; then times 255, and rounded, not cut off.")


def test_a_batch_of_the_training_loader_is_restored():
    training_set = common.DATASET(common.data_folder(), train=True)
    raw = {digit.numpy().tobytes() for digit in training_set.data}
    training_loader, _ = common.training_loaders()
    batch, _ = next(iter(training_loader))
    restored = common.inverse_transform(batch).to(torch.uint8)
    assert restored.shape == (len(batch), 28, 28), (
        f"a batch of {len(batch)} became {tuple(restored.shape)}: each digit is 28 x 28 again")
    assert all(digit.numpy().tobytes() in raw for digit in restored), (
        "digits of a training batch are not the raw digits after the inverse: transform and "
        "inverse must use the same MEAN and STD, and flatten and unflatten the same order.")


def test_a_batch_of_one_digit_is_still_a_batch():
    restored = common.inverse_transform(torch.zeros(1, 784))
    assert restored.shape == (1, 28, 28), (
        f"a batch of one became {tuple(restored.shape)}, not (1, 28, 28): look for squeeze()")


def test_the_inverse_leaves_its_input_as_it_is():
    batch = torch.zeros(2, 784)
    common.inverse_transform(batch)
    assert not batch.any(), (
        "the inverse changed its input: compute a new tensor instead of x *= std")


def test_the_script_prints_shapes_before_and_after(step2):
    check_printed(step2, ["784", "28 x 28"])


def test_the_script_draws_its_five_figures(course, step2):
    check_drawn(course, step2, "02_*.png", 5)
