"""What the five steps share, in the order in which they need it"""
import io
import os
import socket
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import matplotlib
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchvision import datasets, ops
from torchvision.transforms import v2

# ---- Steps 1 and 2: the dataset. For another one, change these two lines ------------------------
DATASET = datasets.MNIST  # for example datasets.FashionMNIST, with 0.2860 and 0.3530 below
MEAN, STD = 0.1307, 0.3081  # mean and standard deviation of all training pixels, see step 1

CLASS_NAMES = [name.split(" - ")[0] for name in DATASET.classes]  # MNIST says "5 - five"
TILT = 0 if max(map(len, CLASS_NAMES)) == 1 else 30  # degrees, so that long names do not overlap in a figure
SEED = 1  # where random numbers start: the split, the order of the digits, the first weights
FOLDER = Path(__file__).resolve().parent
DATA = FOLDER / "data"
OUTPUTS = FOLDER / "outputs"
SAMPLE = FOLDER / "tests" / "sample"


@cache
def data_folder():
    """The folder that holds the digits; they are downloaded the first time"""
    if os.environ.get("DIGITS_SAMPLE", "0") not in ("", "0"):
        return use_sample("DIGITS_SAMPLE is set")
    unpacked = list(DATA.glob(f"{DATASET.__name__}/raw/*-ubyte"))
    if len(unpacked) < 4:  # images and labels, to train on and to test on
        socket.setdefaulttimeout(10)  # seconds to wait for a server that does not answer
        try:
            DATASET(DATA, download=True)
        except Exception as error:  # a download fails in many ways; the line printed says in which
            reason = f"{type(error).__name__}: {error}".splitlines()[-1]
            return use_sample(f"the download failed, {reason}")
    return DATA


def use_sample(reason):
    """The folder of the digits that come with the course"""
    if DATASET is not datasets.MNIST:
        raise SystemExit(f"{DATASET.__name__} cannot be used: {reason}. There is no sample of it.")
    print(f"MNIST is not used: {reason}.")
    print("A sample of 5,000 digits stands in for it. Expect 93 % of the first network, 98 % of the tuned.")
    return SAMPLE


def raw_digits(train):
    """The training digits or the test digits, as torchvision reads them"""
    folder = data_folder()
    try:
        return DATASET(folder, train)
    except (RuntimeError, ValueError, AssertionError) as error:
        damaged = folder / DATASET.__name__
        raise SystemExit(f"A file in {damaged} is damaged ({error}). Delete this folder and try again.")


# Transforms: from pictures to what a network wants
to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])  # 0 ... 255 -> 0.0 ... 1.0
normalize = v2.Normalize([MEAN], [STD])  # (pixel - MEAN) / STD
flatten = nn.Flatten(start_dim=-3)  # (1, 28, 28) -> (784,), and (batch, 1, 28, 28) -> (batch, 784)
transform = v2.Compose([to_tensor, normalize, flatten])


def inverse_transform(flat):
    """Back to whole numbers from 0 to 255: (784,) -> (28, 28), and (batch, 784) -> (batch, 28, 28)"""
    pictures = flat.unflatten(-1, (28, 28))
    pictures = pictures * STD + MEAN
    pixels = (pictures * 255).round().clamp(0, 255)
    return pixels.to(torch.uint8)


# Loaders: they hand out the digits in batches
@cache
def load_digits(train):
    """All training digits or all test digits, transformed once and kept, not again in each epoch"""
    raw = raw_digits(train)
    images = transform(raw.data.unsqueeze(1))  # (60000, 28, 28) -> (60000, 1, 28, 28) -> (60000, 784)
    return TensorDataset(images, raw.targets)


def training_loaders(batch_size=128):
    """Two loaders: 11/12 of the digits to train on, in a new order each epoch; 1/12 to validate"""
    generator = torch.Generator().manual_seed(SEED)  # makes the split the same in every script
    training, validation = random_split(load_digits(train=True), [11 / 12, 1 / 12], generator)
    training_loader = DataLoader(training, batch_size, shuffle=True, generator=generator)
    validation_loader = DataLoader(validation, batch_size=1000)
    return training_loader, validation_loader


def test_loader():
    """The test digits, for the very end"""
    return DataLoader(load_digits(train=False), batch_size=1000)


# ---- networks: (batch, 784) pixels in, (batch, 10) logits out ----------------------------------------------
def first_network(hidden=(128, 90, 50), dropout=0.0):
    """Each number of a layer is computed from all numbers of the layer before: 784 -> 128 -> 90 -> 50 -> 10"""
    layers = []
    for inputs, outputs in zip([784, *hidden], hidden):  # (784, 128), (128, 90), (90, 50)
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]  # sums; 0 where negative; some left out
    return nn.Sequential(*layers, nn.Linear(hidden[-1], len(CLASS_NAMES)))


def tuned_network(width=64, batch_norm=True):
    """Small windows (3 x 3 pixels, unless stated) slide over the picture and know a stroke wherever it stands."""
    block = partial(ops.Conv2dNormActivation, padding=0, norm_layer=nn.BatchNorm2d if batch_norm else None)
    return nn.Sequential(  # a block: such windows (a convolution), batch normalization (98.3 -> 99.2 % in step 4), ReLU
        nn.Unflatten(1, (1, 28, 28)),  # (batch, 784) -> (batch, 1, 28, 28)
        block(1, width // 2, kernel_size=5, stride=2),  # -> (batch, 32, 12, 12): a quarter of the work
        block(width // 2, width),  # -> (batch, 64, 10, 10)
        block(width, width), nn.MaxPool2d(2),  # -> (batch, 64, 8, 8) -> (batch, 64, 4, 4)
        block(width, 2 * width, padding=1),  # -> (batch, 128, 4, 4)
        block(2 * width, 2 * width),  # -> (batch, 128, 2, 2)
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),  # -> (batch, 128): the mean of each 2 x 2, not one more large layer
        nn.Linear(2 * width, len(CLASS_NAMES)),
    ).to(memory_format=torch.channels_last)  # the same numbers, in an order 1.2 times as quick on CPUs


# ---- training and evaluation -------------------------------------------------------------------------------
def choose_device():
    """A GPU where there is one, else the CPU; the environment variable DIGITS_DEVICE overrules it."""
    device = os.environ.get("DIGITS_DEVICE") or torch.accelerator.current_accelerator(check_available=True) or "cpu"
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise SystemExit(f"{device} does not work ({str(error).splitlines()[0]}). To use the CPU: DIGITS_DEVICE=cpu")
    print(f"Computing on: {device}")
    return device


def train_one_epoch(network, loader, optimizer, schedule=None, smoothing=0.0):
    """Show each digit once, learn from every batch, and return the mean of the batches' losses."""
    device = next(network.parameters()).device
    network.train()  # dropout and batch normalization work differently in training
    losses = []
    for images, labels in loader:
        logits = network(images.to(device))  # (batch, 784) -> (batch, 10)
        loss = nn.functional.cross_entropy(logits, labels.to(device), label_smoothing=smoothing)  # mean -log p(label)
        optimizer.zero_grad()  # forget the gradients (slopes) of the batch before
        loss.backward()  # how does the loss change with each weight? The answers go into each weight's .grad
        optimizer.step()  # reads .grad, and moves every weight a little to where the loss is lower
        if schedule:
            schedule.step()  # the learning rate of the next batch
        losses.append(loss.item())
        if not losses[-1] < 1e4:  # true for NaN, too
            raise SystemExit(f"The loss, {loss:.3g}, is no longer a number to learn from: lower the learning rate.")
    return sum(losses) / len(losses)


@torch.no_grad()
def predict(network, loader):
    """The logits (digits, 10) of all digits of a loader, and their labels (digits,)"""
    device = next(network.parameters()).device
    network.eval()  # dropout off, batch normalization fixed
    batches = [(network(images.to(device)).cpu(), labels) for images, labels in loader]
    return [torch.cat(parts) for parts in zip(*batches)]  # zip(*...): from pairs to all logits, and all labels


def evaluate(network, loader):
    """The mean loss, and the share of digits that are read right"""
    logits, labels = predict(network, loader)
    return nn.functional.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).float().mean().item()


# ---- files, and trouble ------------------------------------------------------------------------------------
matplotlib.rcParams.update({"figure.constrained_layout.use": True, "savefig.dpi": 150, "image.cmap": "gray_r"})
if "ipykernel" not in sys.modules:  # outside a notebook
    matplotlib.use("Agg")  # figures go to files, and no screen is needed
if hasattr(sys.stdout, "reconfigure"):
    sys.stdout.reconfigure(errors="replace")  # a console that lacks a letter shows a question mark


def save(name, write):
    """Write a file elsewhere and move it into place: a run that is stopped in the middle leaves the old file whole."""
    write(content := io.BytesIO())
    OUTPUTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUTS) as room:
        Path(room, name).write_bytes(content.getvalue())
        os.replace(Path(room, name), OUTPUTS / name)
    print(f"Saved outputs/{name}")


def save_network(name, network, build, settings, **facts):
    """The weights, and the little that is needed to build a network for them"""
    facts |= {"network": build.__name__, "settings": settings, "weights": network.state_dict()}
    save(name, partial(torch.save, facts | {"data": [DATASET.__name__, data_folder().name]}))


def load_network(name, script, same_data=False):
    """A network from outputs/, and what else its file says; only data are accepted from a file, never code."""
    try:
        facts = torch.load(OUTPUTS / name, map_location="cpu", weights_only=True)
        facts["build"] = {"first_network": first_network, "tuned_network": tuned_network}[facts["network"]]
        network = facts["build"](**facts["settings"]).eval()
        network.load_state_dict(facts["weights"])
    except Exception as error:  # there is none yet, or it is damaged, which shows in a dozen ways
        raise SystemExit(f"There is no usable outputs/{name} ({type(error).__name__}). To make it: python {script}")
    if same_data and facts["data"] != [DATASET.__name__, data_folder().name]:
        raise SystemExit(f"outputs/{name} was trained on other digits, {' from '.join(facts['data'])}: run {script}.")
    return network, facts


def explain(kind, error, trace):
    """Python hands over every error that nobody caught; trouble with the machine is told in one or two lines."""
    if issubclass(kind, KeyboardInterrupt):
        print(f"\nStopped. What was saved is whole, older files are as they were. Again: python {sys.argv[0]}")
        sys.exit(130)
    if issubclass(kind, OSError) and kind is not FileNotFoundError:
        sys.exit(f"{error}. The scripts must be able to read and write in {DATA.parent}.")
    sys.__excepthook__(kind, error, trace)  # anything else is a mistake in the code, and Python shows where


sys.excepthook = explain
