"""What the five steps share, in the order in which they need it"""
import io
import math
import os
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path

import matplotlib
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchvision import datasets
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


# ---- Step 3: the first network. Step 4: the convolutional one, and relatives of both --------------
# All of them take (batch, 784) pixels and return (batch, 10) logits.
def first_network(width=256):
    """Two hidden layers; each of their numbers is computed from all numbers of the layer before"""
    return nn.Sequential(
        nn.Linear(28 * 28, width),  # (batch, 784) -> (batch, 256)
        nn.ReLU(),
        nn.Linear(width, width // 2),  # -> (batch, 128)
        nn.ReLU(),
        nn.Linear(width // 2, len(CLASS_NAMES)),  # -> (batch, 10)
    )


def block(inputs, outputs, window=3, stride=1, padding=0, normalization=nn.BatchNorm2d):
    """A stack of `inputs` pictures becomes a stack of `outputs` pictures"""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, window, stride, padding),
        normalization(outputs),
        nn.ReLU(),
    )


def convolutional_network(width=64, normalization=nn.BatchNorm2d):
    """Five convolutions, which make more and more pictures, smaller and smaller ones"""
    half, twice = width // 2, 2 * width
    network = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),  # (batch, 784) -> (batch, 1, 28, 28)
        block(1, half, window=5, stride=2, normalization=normalization),  # -> (batch, 32, 12, 12)
        block(half, width, normalization=normalization),  # -> (batch, 64, 10, 10)
        block(width, width, normalization=normalization),  # -> (batch, 64, 8, 8)
        nn.MaxPool2d(2),  # the largest of each 2 x 2 pixels: -> (batch, 64, 4, 4)
        block(width, twice, padding=1, normalization=normalization),  # -> (batch, 128, 4, 4)
        block(twice, twice, normalization=normalization),  # -> (batch, 128, 2, 2)
        nn.AdaptiveAvgPool2d(1),  # the mean of each picture: -> (batch, 128, 1, 1)
        nn.Flatten(),  # -> (batch, 128)
        nn.Linear(twice, len(CLASS_NAMES)),  # -> (batch, 10)
    )
    return network.to(memory_format=torch.channels_last)  # the same numbers, 14 % faster on a CPU


# A candidate in step 4 and a file in outputs/ say one of these names, so that it can be built again.
NETWORKS = {
    "first": first_network,
    "first, twice as wide": lambda: first_network(width=512),
    "first, with dropout": lambda: nn.Sequential(nn.Dropout(0.2), first_network()),
    "convolutional": convolutional_network,
    "convolutional, half as wide": lambda: convolutional_network(width=32),
    "convolutional, not normalized": lambda: convolutional_network(32, normalization=nn.Identity),
}


# ---- Step 3: training and evaluation --------------------------------------------------------------
# A GPU where PyTorch finds one. Write "cpu" here if yours does not work.
DEVICE = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"


def train_one_epoch(network, loader, optimizer, schedule=None, smoothing=0.0):
    """Learn once from every batch of the loader, and return the mean of the batches' losses"""
    network.train()  # dropout and batch normalization work differently in training
    losses = []
    for images, labels in loader:
        logits = network(images.to(DEVICE))  # (batch, 784) -> (batch, 10)
        loss = cross_entropy(logits, labels.to(DEVICE), label_smoothing=smoothing)  # how wrong are they?
        optimizer.zero_grad()  # forget the gradients of the batch before, or these would be added to them
        loss.backward()  # one gradient for each weight: would the loss grow with it, and how fast?
        optimizer.step()  # move each weight a little in the direction in which the loss falls
        if schedule:
            schedule.step()  # the learning rate for the next batch
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise SystemExit(f"The loss is {losses[-1]}, which is no number: lower the learning rate.")
    return sum(losses) / len(losses)


@torch.no_grad()  # do not keep what backward() would need: nothing is learned here
def predict(network, loader):
    """The logits of all digits of a loader, (digits, 10), and their labels, (digits,)"""
    network.eval()  # dropout off; batch normalization with the means that it has kept from training
    all_logits = []
    all_labels = []
    for images, labels in loader:
        logits = network(images.to(DEVICE))
        all_logits.append(logits.cpu())
        all_labels.append(labels)
    return torch.cat(all_logits), torch.cat(all_labels)


def evaluate(network, loader):
    """The mean loss of all digits of a loader, and the share of them that is read right"""
    logits, labels = predict(network, loader)
    loss = cross_entropy(logits, labels)
    right = logits.argmax(dim=1) == labels
    return loss.item(), right.float().mean().item()


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


def save_network(file, name, network, **facts):
    """The network's weights, its name in NETWORKS, and facts worth keeping, such as an accuracy"""
    facts["network"] = name
    facts["weights"] = network.state_dict()
    facts["data"] = data_in_use()
    OUTPUTS.mkdir(exist_ok=True)
    unfinished = OUTPUTS / "unfinished.pt"
    torch.save(facts, unfinished)
    unfinished.replace(OUTPUTS / file)  # in one go: half a file never takes the place of a whole one
    print(f"Saved outputs/{file}")


def load_network(file, script):
    """The network in a file, ready to read digits, and everything that the file holds"""
    try:
        saved = torch.load(OUTPUTS / file, map_location=DEVICE, weights_only=True)
        network = NETWORKS[saved["network"]]().to(DEVICE)
        network.load_state_dict(saved["weights"])
    except Exception as error:  # there is no such file, or it is damaged, or another program's
        reason = type(error).__name__
        raise SystemExit(f"There is no usable outputs/{file} ({reason}). Make it with: python {script}")
    return network.eval(), saved


def data_in_use():
    return f"{DATASET.__name__} in {data_folder().name}"


def require_same_data(saved, script):
    """Another dataset's digits say nothing about a network, and the sample's are among MNIST's own"""
    if saved["data"] != data_in_use():
        raise SystemExit(f"This network was trained on {saved['data']}. Run again: python {script}")


def explain(kind, error, trace):
    """Python hands over every error that nobody caught; trouble with the machine is told in one or two lines."""
    if issubclass(kind, KeyboardInterrupt):
        print(f"\nStopped. What was saved is whole, older files are as they were. Again: python {sys.argv[0]}")
        sys.exit(130)
    if issubclass(kind, OSError) and kind is not FileNotFoundError:
        sys.exit(f"{error}. The scripts must be able to read and write in {DATA.parent}.")
    sys.__excepthook__(kind, error, trace)  # anything else is a mistake in the code, and Python shows where


sys.excepthook = explain
