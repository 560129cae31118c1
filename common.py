"""What the five steps share. The sections stand in the order in which the steps need them:

the dataset - transforms and their inverse - loaders - networks - training and evaluation - files - trouble
"""
import functools
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import matplotlib
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler, TensorDataset, random_split
from torchvision import datasets
from torchvision.transforms import v2

# ---- the dataset: for another one change these two lines --------------------------------------------------
DATASET = datasets.MNIST  # or datasets.FashionMNIST, datasets.KMNIST
MEAN, STD = 0.1307, 0.3081  # of all training pixels, as step 1 shows (FashionMNIST: 0.2860, 0.3530)

CLASS_NAMES = [name.split(" - ")[0] for name in DATASET.classes]  # "5 - five" -> "5"
SEED = 1  # decides the split, the first weights and the order of the digits
HERE = Path(__file__).resolve().parent
DATA, OUTPUTS, SAMPLE = HERE / "data", HERE / "outputs", HERE / "tests" / "sample"
RAW = DATA / DATASET.__name__ / "raw"
SIZES = [47_040_016, 60_008, 7_840_016, 10_008]  # bytes of the four unpacked files, in torchvision's order


@functools.cache
def data_folder():
    """Where the digits are: in data/, downloaded if need be; or else the sample that comes with the course."""
    files = {RAW / Path(name).stem: size for (name, _), size in zip(DATASET.resources, SIZES)}
    damaged = [file.name for file, size in files.items() if file.is_file() and file.stat().st_size != size]
    trouble = "DIGITS_SAMPLE is set" if os.environ.get("DIGITS_SAMPLE") else None
    if not trouble and (damaged or not all(file.is_file() for file in files)):
        print(f"Preparing {DATASET.__name__} in {RAW} {damaged and f'(damaged: {damaged})' or ''}", flush=True)
        trouble = download()
    if not trouble:
        return DATA
    if DATASET is not datasets.MNIST:
        raise SystemExit(f"{DATASET.__name__} could not be downloaded ({trouble}). Put its .gz files into {RAW}.")
    print(f"MNIST is not used: {trouble}.\nA sample of 5,000 of its digits stands in; expect about 93 % and 98 % "
          f"instead of 98 % and 99.6 %. For all 70,000 put MNIST's four .gz files into {RAW}.", flush=True)
    return SAMPLE


def data_name():
    return DATASET.__name__ if data_folder() == DATA else "the sample"


def download():
    """torchvision downloads, checks and unpacks in a private folder; only whole files are moved to RAW."""
    socket.setdefaulttimeout(7)  # seconds; without it, a mirror that never answers is waited for without end
    RAW.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in DATASET.mirrors:
        with tempfile.TemporaryDirectory(dir=DATA) as room:
            private = Path(room, DATASET.__name__, "raw")
            shutil.copytree(RAW, private, ignore=lambda _, names: [name for name in names if name[-3:] != ".gz"])
            try:
                type(DATASET.__name__, (DATASET,), {"mirrors": [mirror]})(room, download=True)
            except Exception as error:  # a network fails in a dozen ways
                failures.append(f"{mirror} {str(error).strip().splitlines()[-1]}")
                continue
            for file in private.iterdir():
                os.replace(file, RAW / file.name)
            return None
    return "; ".join(failures)


# ---- transforms and their inverse --------------------------------------------------------------------------
to_tensor = v2.Compose([v2.ToImage(), v2.Lambda(lambda image: image / 255)])  # 0 ... 255 -> 0.0 ... 1.0
normalize = v2.Normalize([MEAN], [STD])  # -> mean 0, standard deviation 1
flatten = v2.Lambda(lambda image: image.flatten(-3))  # (1, 28, 28) -> (784,); (batch, 1, 28, 28) -> (batch, 784)
transform = v2.Compose([to_tensor, normalize, flatten])


def inverse_transform(flat):
    """Back to pixels from 0 to 255: (784,) -> (28, 28); (batch, 784) -> (batch, 28, 28)"""
    pixels = (flat.unflatten(-1, (28, 28)) * STD + MEAN) * 255
    return pixels.round().clamp(0, 255).to(torch.uint8)


# ---- loaders -----------------------------------------------------------------------------------------------
@functools.cache
def digits(train):
    """All training or all test digits, transformed once and not again in every epoch"""
    raw = DATASET(data_folder(), train=train)
    return TensorDataset(transform(raw.data.unsqueeze(1)), raw.targets)


def loader(dataset, order, batch_size):
    """The sampler hands over the indices of a whole batch, which is then one look-up instead of 128."""
    return DataLoader(dataset, sampler=BatchSampler(order, batch_size, drop_last=False), batch_size=None)


def training_loaders(batch_size=128):
    """11/12 of the training digits, in a new order each epoch; and the rest, kept aside for validation"""
    dataset, generator = digits(train=True), torch.Generator().manual_seed(SEED)
    training, validation = random_split(range(len(dataset)), [11 / 12, 1 / 12], generator)
    shuffled = SubsetRandomSampler(training.indices, generator)
    return loader(dataset, shuffled, batch_size), loader(dataset, validation.indices, 1000)


def test_loader():
    """The test digits, for one look at the very end"""
    return loader(digits(train=False), range(len(digits(train=False))), 1000)


# ---- networks: (batch, 784) pixels in, (batch, 10) logits out ----------------------------------------------
def first_network(hidden=(128, 90, 50), dropout=0.0):
    """Each number of a layer is computed from all numbers of the layer before: 784 -> 128 -> 90 -> 50 -> 10"""
    layers, inputs = [], 784
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, len(CLASS_NAMES)))


def tuned_network(batch_norm=True):
    """Small windows slide over the picture and know a stroke wherever it stands."""

    def convolution(inputs, outputs, size=3, **how):
        between = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()  # keeps numbers in a range that learns well
        return [nn.Conv2d(inputs, outputs, size, bias=not batch_norm, **how), between, nn.ReLU(inplace=True)]

    network = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),  # (batch, 784) -> (batch, 1, 28, 28)
        *convolution(1, 32, size=5, stride=2),  # -> (batch, 32, 12, 12): every second pixel, a quarter of the work
        *convolution(32, 64),  # -> (batch, 64, 10, 10)
        *convolution(64, 64),  # -> (batch, 64, 8, 8)
        nn.MaxPool2d(2),  # -> (batch, 64, 4, 4)
        *convolution(64, 128, padding=1),  # -> (batch, 128, 4, 4)
        *convolution(128, 128),  # -> (batch, 128, 2, 2)
        nn.AdaptiveAvgPool2d(1),  # -> (batch, 128, 1, 1): the mean of each channel, instead of one more large layer
        nn.Flatten(),  # -> (batch, 128)
        nn.Linear(128, len(CLASS_NAMES)),
    )
    return network.to(memory_format=torch.channels_last)  # the same numbers in an order that CPUs are quicker with


NETWORKS = {"first": first_network, "tuned": tuned_network}  # by the name that stands in a saved file


# ---- training and evaluation -------------------------------------------------------------------------------
def choose_device():
    """A GPU where one works, else the CPU; the environment variable DIGITS_DEVICE overrules it."""
    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    name = os.environ.get("DIGITS_DEVICE") or str(gpu)
    try:
        torch.ones(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        print(f"{name} does not work: {str(error).splitlines()[0]}")
        name = "cpu"
    print(f"Computing on: {name}")
    return name


def train_one_epoch(network, loader, optimizer, schedule=None, change=None, smoothing=0.0):
    """Show each digit once, learn from every batch, and return the mean loss."""
    device = next(network.parameters()).device
    network.train()  # dropout and batch normalization work differently in training
    losses = []
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = network(change(images) if change else images)  # (batch, 784) -> (batch, 10)
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        optimizer.zero_grad()  # forget the gradients of the batch before
        loss.backward()  # how does the loss change with each weight?
        optimizer.step()  # move every weight a little to where the loss is lower
        if schedule:
            schedule.step()  # the learning rate of the next batch
        losses.append(loss.item())
        if not losses[-1] < 1e4:  # true for NaN, too
            raise SystemExit(f"The loss is no longer a number ({losses[-1]:.3g}): lower the learning rate, or look for "
                          "NaN in the data. Nothing was saved.")
    return sum(losses) / len(losses)


@torch.no_grad()
def predict(network, loader):
    """The logits (digits, 10) of all digits of a loader, and their labels (digits,)"""
    device = next(network.parameters()).device
    network.eval()  # dropout off, batch normalization fixed
    logits, labels = zip(*[(network(images.to(device)).cpu(), labels) for images, labels in loader])
    return torch.cat(logits), torch.cat(labels)


def evaluate(network, loader):
    """The mean loss, and the share of digits that are read right"""
    logits, labels = predict(network, loader)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(dim=1) == labels).float().mean().item()


# ---- files -------------------------------------------------------------------------------------------------
matplotlib.rcParams.update({"figure.constrained_layout.use": True, "savefig.dpi": 150, "image.cmap": "gray_r"})
if "ipykernel" not in sys.modules:  # outside a notebook
    matplotlib.use("Agg")  # figures go to files, and no screen is needed
    sys.stdout.reconfigure(errors="replace")  # a console that lacks a letter shows a question mark
written = []  # the files that this run has saved


def save(name, write):
    """write(file) goes to another name first: a run that is stopped in the middle leaves the old file whole."""
    OUTPUTS.mkdir(exist_ok=True)
    part = OUTPUTS / f"{name}.{os.getpid()}"
    try:
        with part.open("wb") as file:
            write(file)
        os.replace(part, OUTPUTS / name)
    finally:
        part.unlink(missing_ok=True)
    written.append(name)
    print(f"Saved outputs/{name}")


def save_network(name, network, kind, settings, **facts):
    """The weights, and the little that is needed to build a network for them"""
    if facts.get("validation_accuracy", 1) < 0.2:
        raise SystemExit("The network has learned nothing: lower the learning rate. Nothing was saved.")
    facts |= {"network": kind, "settings": settings, "weights": network.state_dict(), "data": data_name()}
    save(name, functools.partial(torch.save, facts))


def load_network(name, script, same_data=False):
    """A network from outputs/, and what else its file says; only weights are accepted from a file, never code."""
    path = OUTPUTS / name
    if not path.is_file():
        raise SystemExit(f"outputs/{name} is not there yet: run {script} first.")
    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
        network = NETWORKS[facts["network"]](**facts["settings"])
        network.load_state_dict(facts["weights"])
    except Exception as error:  # a damaged file shows in a dozen ways
        raise SystemExit(f"outputs/{name} is damaged or not ours ({type(error).__name__}): run {script} again.") from error
    if same_data and facts["data"] != data_name():
        raise SystemExit(f"outputs/{name} was trained on {facts['data']}, but here is {data_name()}: run {script} again.")
    return network.eval(), facts


# ---- trouble -----------------------------------------------------------------------------------------------
def explain(kind, error, trace):
    """Python hands over every error that nobody caught; trouble with the machine is told in one or two lines."""
    if issubclass(kind, KeyboardInterrupt):
        print(f"\nStopped. This run saved {', '.join(written) or 'nothing'}; older files are as they were.\n"
              f"To start again: python {sys.argv[0]}")
        sys.exit(130)
    if issubclass(kind, OSError):
        sys.exit(f"{error}. The scripts must be able to read and write in {HERE}.")
    sys.__excepthook__(kind, error, trace)  # anything else is a mistake in the code, and Python shows where


sys.excepthook = explain
