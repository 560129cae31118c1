"""Runs the scripts of a course, and looks at what they did; all tests use it"""
import io
import os
import re
import runpy
import shutil
import sys
import traceback
from collections import Counter
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "tests/sample"
os.environ["DIGITS_SAMPLE"] = "1"  # nothing is downloaded

HELP = {  # what the libraries say to beginners' mistakes, and what it means here
    r"mat1 and mat2 .*\(\d+x(\d+) and (\d+)x.*": (
        r"a Linear layer gets \1 numbers, but was made for \2 (if few: is nn.Flatten() missing?)"),
    r"Size mismatch between tensors": (
        "transform must keep the first dimension, (60000, 1, 28, 28) -> (60000, 784)"),
    r"'float' object is not iterable": r"\g<0>: Normalize takes lists, [MEAN] and [STD]",
    r"'function' object has no attribute 'transforms'": "transform must be a v2.Compose of stages",
    r"(Expected tensor to be a|Input tensor should be a).*": (
        r"\g<0> The order is: image, decimals, normalize, flatten."),
    r".*found <class 'PIL.*": "load_digits gives what a loader can use, raw_digits does not",
    r"zero-dimensional tensor .*": "a DataLoader makes batches of digits, and is what is asked for",
    r"Sum of input lengths .*": "random_split takes shares, too: [11 / 12, 1 / 12]",
    r"shape '.*' is invalid .*": r"\g<0>: is it one digit, or a batch of them?",
    r"'numpy.ndarray' object has no .*": "a tensor is asked for, not a numpy array",
    r".*'astype'.*|to\(\) received an invalid .*": "a tensor changes its type by .to(torch.uint8)",
    r"'(list|tuple)' object has no attribute 'dataset'": (
        "loaders are asked for, DataLoader(digits, batch_size), not the batches that they give"),
    r"'list' object has no attribute .*": (
        "a list is no network: nn.Sequential makes one of its layers"),
    r".* is not a Module subclass": (
        r"\g<0>: layers need brackets, nn.ReLU(), and stand in nn.Sequential without a list"),
    r".*xpected .*put.* to (have (\d+) channels, but got|conv2d, but got input of size:) (\S+).*": (
        r"\g<0>: nn.Unflatten(1, (1, 28, 28)) makes 1 picture of a digit, and a convolution gets "
        "as many as the one before has made"),
    r"running_mean should contain (\d+) elements not (\d+)": (
        r"BatchNorm2d gets \1 pictures, but was made for \2: those of the convolution before"),
    r"(Calculated padded|Given) input size.*": (
        r"\g<0>: one convolution or pooling too many, or a window too large"),
    r".*(CUDA|device string).*": "a seed goes into torch.Generator().manual_seed(SEED)",
    r".*(log_softmax_lastdim|floating point type for target).*": (
        "cross_entropy takes the logits first, as they are, and then the labels; so predict, too, "
        "returns logits first"),
    r"'(?!None)\w+' object is not subscriptable": (
        r"\g<0>: the scripts take networks as nn.Sequential"),
    r"The size of tensor a \(\d+\) must match .*": (
        r"\g<0>. If it is of guesses: argmax(dim=1) looks along each row"),
    r"stack expects each tensor .*": (
        r"\g<0>: as_mnist makes all pictures 28 x 28, and torch.cat puts batches together"),
    r"optimizer got an empty .*": "the network has no weights: build its layers once, not anew",
    r"'NoneType' object has no attribute 'step'": "schedule is None where there is none",
    r".*(unpack|NoneType).*": r"\g<0>. Does the function return what its docstring says?",
}


def explain(error):
    """What an error says, and the last line of the course or its tests that it came through"""
    frames = traceback.extract_tb(error.__traceback__)
    said = str(error).partition("\n")[0]
    ours = isinstance(error, AssertionError) and frames[-1].filename.startswith(str(ROOT / "tests"))
    skipped = isinstance(error, pytest.skip.Exception)
    if ours or skipped or re.match(r"step \d: write|module 'common' has no attribute", said):
        return said
    for pattern, meaning in HELP.items():
        said = re.sub(pattern, meaning, said)
    place = ""  # a syntax error says it itself
    for frame in frames:
        file = re.search(r"(common|0\d_\w+|test_\w+)\.py$", frame.filename)
        if file:
            place = f", in {frame.line!r}, line {frame.lineno} of {file[0]}"
    return f"{type(error).__name__}: {said}{place}"


# All runs on the CPU, also where there is a GPU, which may add numbers in another order each time.
for gpu in [torch.accelerator, torch.cuda, torch.backends.mps]:
    gpu.is_available = cache(lambda: False)  # cached as the original, which torchvision unwraps
torch.accelerator.current_accelerator = lambda check_available=False: None
sys.path.insert(0, str(ROOT))
try:  # after the choice of the digits and of the CPU
    import common
except Exception as error:
    sys.exit(f"common.py cannot be imported: {explain(error)}")

matplotlib.use("Agg")  # draws into files, and opens no window
torch.set_num_threads(1)  # small tests gain nothing from more, and wait for each other then


# ---- the digits ----------------------------------------------------------------------------------
training, test = [MNIST(SAMPLE, train=train) for train in [True, False]]
PIXELS = torch.cat([training.data, test.data])  # all, as they lie on the disk: (5000, 28, 28)
LABELS = torch.cat([training.targets, test.targets])  # (5000,)
SIZE = len(training)  # where among them the test digits begin
TEST_IMAGES = (PIXELS[SIZE:].flatten(1) / 255 - 0.1307) / 0.3081  # as a network gets them
TEST_LABELS = LABELS[SIZE:]


def gather(loader):
    """All images and labels of a loader, in the order in which it gives them"""
    batches = list(loader)
    images = torch.cat([images for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    return images, labels


def outline(picture):
    """Which pixels are not as the corner: the same for a digit however it is normalized or drawn"""
    pixels = picture.flatten()
    return (pixels != pixels[0]).cpu().numpy().tobytes()


PLACES = {outline(digit): place for place, digit in enumerate(PIXELS)}


def find(pictures):
    """Their places in PIXELS, however they were normalized or drawn; -1 is none of these digits"""
    return torch.tensor([PLACES.get(outline(picture), -1) for picture in pictures])


@cache
def training_and_validation():
    return dict(zip(["training", "validation"], common.training_loaders()))


@cache
def split(name):
    """A split's images and labels, and their places in PIXELS"""
    loader = common.test_loader() if name == "test" else training_and_validation()[name]
    images, labels = gather(loader)
    return images, labels, find(images)


def accuracy(network, images=TEST_IMAGES, labels=TEST_LABELS):
    logits = network.eval()(images)
    return (logits.argmax(dim=1) == labels).float().mean().item()


# ---- the scripts, run in this process ------------------------------------------------------------
def copy_course(folder):
    """The scripts and the sample in a folder of their own, without data/ and outputs/"""
    shutil.copytree(SAMPLE, folder / "tests/sample")
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder)
    return folder


def run(folder, script, *arguments, **environment):
    """Run a script as `python script arguments` does, but here, where all is imported already

    What is returned: the folder; what it printed; what it stopped with, if it did; its variables;
    what each figure showed when it was saved; which digits the loaders gave, batch by batch; for
    each update of an optimizer, of which network it was, and how many batches had been given; and
    these networks.
    """
    done = SimpleNamespace(folder=folder, stopped=None, figures={}, updates=[])
    done.given = [torch.tensor([])]
    networks = {}  # for each weight, the network that it belongs to
    savefig = Figure.savefig
    iterate = DataLoader.__iter__

    def keep_figure(figure, file, **options):
        done.figures[Path(file).stem] = look_at(figure)
        savefig(figure, file, **options)

    def keep_digits(loader):
        for batch in iterate(loader):
            done.given.append(find(batch[0]))
            yield batch

    def keep_network(module, inputs, output):  # after its layers
        networks.update(dict.fromkeys(module.parameters(), module))

    def keep_update(optimizer, arguments, keywords):
        weight, *_ = optimizer.param_groups[0]["params"]
        if weight in networks:  # else it is a tensor by hand
            done.updates.append((networks[weight], len(done.given)))

    hooks = [
        register_module_forward_hook(keep_network), register_optimizer_step_post_hook(keep_update)]
    with pytest.MonkeyPatch.context() as here, redirect_stdout(io.StringIO()) as printed:
        here.chdir(folder)
        here.syspath_prepend(folder)
        here.delitem(sys.modules, "common")  # so that the script imports that of its folder
        here.setattr(sys, "argv", [script, *arguments])
        here.setattr(Figure, "savefig", keep_figure)
        here.setattr(DataLoader, "__iter__", keep_digits)
        here.setattr(os, "environ", os.environ | environment)
        try:
            done.variables = runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            done.stopped = stop.code
        except Exception as error:
            done.stopped = explain(error)
    for hook in hooks:
        hook.remove()
    done.networks = list(dict.fromkeys(network for network, _ in done.updates))
    done.printed = printed.getvalue()
    return done


def look_at(figure):
    """Curves with their names, pictures with their titles, and whether a figure shows nothing"""
    seen = SimpleNamespace(curves={}, pictures=[], titles=[])
    seen.empty = not any(axis.has_data() for axis in figure.axes)
    for axis in figure.axes:
        seen.curves |= {tuple(line.get_ydata()): line.get_label() for line in axis.lines}
        for image in axis.images:
            picture = torch.tensor(numpy.ma.filled(image.get_array(), 0))
            seen.pictures.append(picture if axis.yaxis_inverted() else picture.flip(0))
            seen.titles.append(axis.get_title() + axis.get_xlabel())
    return seen


def run_step(folder, script, *arguments):
    """The same, where it is a failure if the script stops with an error or a message"""
    done = run(folder, script, *arguments)
    assert not isinstance(done.stopped, str), f"{script} stopped: {done.stopped}"
    return done


def load(step, name):
    """A network from outputs/, and what its file says"""
    common.OUTPUTS = step.folder / "outputs"
    try:
        return common.load_network(name, "")
    except SystemExit:
        raise AssertionError(
            f"the script has run, but load_network finds no usable outputs/{name}: is the network "
            "saved under this name, with its name in NETWORKS, and all of its state_dict()?")


def optional(names, name):
    """One of some names, if it is there; if not, the table says so, and nothing fails"""
    if name not in names:
        pytest.skip(f"{name} is not there, and so it was not checked")
    return names[name]


# ---- checks of several steps ---------------------------------------------------------------------
def check_printed(step, wanted):
    """28 x 28 may be printed as (28, 28), too, and 1,000 as 1000."""
    for item in wanted:
        pattern = item.replace(",", ",?").replace(" x ", ".{1,3}")
        assert re.search(pattern, step.printed), f"{item!r} is not among what the script prints"


def check_drawn(step, pattern, number):
    files = {file.read_bytes() for file in step.folder.glob(f"outputs/{pattern}")}
    assert len(files) >= number, (
        f"outputs/ has {len(files)} different figures {pattern}, {number} are asked for")
    empty = [name for name, seen in step.figures.items() if seen.empty]
    assert not empty, (
        f"{empty} had nothing in them when they were saved: draw first, save then")


def check_plain_logits(name, network, images):
    """Nothing limits them: with large weights some are far above 0, and others far below"""
    output = network.eval()(images)
    assert output.shape == (len(images), 10), (
        f"{name} makes {tuple(output.shape)} of {tuple(images.shape)}, not ({len(images)}, 10), "
        "one output for each class")
    for weights in network.parameters():
        weights.data *= 100
    output = network.train()(images)
    assert output.min() < -50 and output.max() > 50 and output.all(), (
        f"the outputs of {name} are not plain logits: put no softmax, ReLU or dropout after the "
        "last layer; cross_entropy has the softmax in it already (so log_softmax and nll_loss, as "
        "in PyTorch's example, become cross_entropy)")


def check_non_linear(network, images):
    """Nowhere does a layer get what the one before has made, no more than shifted and stretched"""
    for weights in network.eval().parameters():
        weights.data *= 10  # for small numbers sigmoid and tanh are nearly linear
    seen = []  # what each layer with weights gets, and what it makes of it
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.register_forward_hook(
                lambda _, inputs, made: seen.extend([scaled(*inputs), scaled(made)]))
    network(images)
    for made, inputs in zip(seen[1::2], seen[2::2]):  # of one layer, and of the next
        assert made.shape != inputs.shape or (made - inputs).abs().max() > 0.1, (
            "a layer gets the output of another as it is, or only normalized, so that both are no "
            "more than one: put a ReLU after each hidden layer")


def scaled(numbers):
    """The same for all numbers that can be shifted and stretched into each other"""
    numbers = numbers.flatten(1)
    return (numbers - numbers.mean(dim=0)) / (numbers.std(dim=0) + 1e-9)


def check_equal(network, other_step, name):
    other, _ = load(other_step, name)
    assert torch.equal(network(TEST_IMAGES), other(TEST_IMAGES)), (
        "a second run, with other test digits, ends with another network: call torch.manual_seed "
        "before anything that is random, and look at the test digits at the very end, when nothing "
        "is left to be learned, stopped or chosen. (Does a network in eval() answer the same each "
        "time? nn.Dropout does, F.dropout only with training=self.training)")


def networks_with_validation_digits(step):
    """Those with more than one update (one may be by hand) by a batch that has some of them"""
    *_, validation = split("validation")
    counts = Counter(
        network for network, place in step.updates
        if torch.isin(step.given[place - 1], validation).any())
    return [network for network, count in counts.items() if count > 1]
