"""Step 2: the inverse transform restores every pixel, and the pictures show something."""
import common
import pytest
import torch
from conftest import check_figures
from PIL import Image

PICTURES = {
    "random": torch.randint(0, 256, (28, 28), generator=torch.Generator().manual_seed(0)),
    "black": torch.zeros(28, 28, dtype=torch.int64),
    "white": torch.full((28, 28), 255),
    "all values": torch.arange(784).view(28, 28) % 256,
}


def transformed(pixels):
    return common.transform(Image.fromarray(pixels.to(torch.uint8).numpy()))


@pytest.mark.parametrize("name", PICTURES)
def test_the_inverse_restores_one_picture_exactly(name):
    restored = common.inverse_transform(transformed(PICTURES[name]))
    assert restored.shape[-2:] == (28, 28), f"restored {tuple(restored.shape)}, not (28, 28): unflatten the 784 numbers"
    assert restored.max() > 1 or name == "black", "restored values end at 1: multiply by 255 to get pixels"
    wrong = (restored.double().view(28, 28) - PICTURES[name]).abs().max()
    assert wrong == 0, (f"a restored pixel is off by {wrong:g}. The inverse of (x - mean) / std is x * std + mean, in "
                        "this order; then times 255, and rounded, not cut off.")


def test_the_inverse_restores_a_batch_exactly():
    batch = torch.stack([transformed(pixels) for pixels in PICTURES.values()])  # (4, 784)
    kept, restored = batch.clone(), common.inverse_transform(batch)
    assert restored.shape == (4, 28, 28), f"a batch of 4 became {tuple(restored.shape)}, not (4, 28, 28)"
    assert torch.equal(restored.long(), torch.stack([*PICTURES.values()])), \
        "a batch is not restored like single pictures: the inverse must treat each picture by itself"
    assert torch.equal(batch, kept), "the inverse changed its input: compute a new tensor instead of x *= std"


def test_a_batch_of_the_training_loader_is_restored(raw):
    restored = common.inverse_transform(next(iter(common.training_loaders()[0]))[0]).to(torch.uint8).flatten(1)
    assert all(digit.tobytes() in raw["training"].number for digit in restored.numpy()), (
        "digits of a training batch are not the raw digits after the inverse: transform and inverse must use the "
        "same MEAN and STD, and flatten and unflatten the same order.")


def test_the_script_draws_its_five_figures_and_prints_sizes_and_shapes_before_and_after(course, printed):
    for text in ["784", "28, 28", "float32", "uint8"]:
        assert text in printed(2), f"02_visualize.py does not print {text!r}: show shape and type before and after the inverse"
    check_figures(course, "02_*.png", 5)
