"""What the five steps share, in the order in which they need it"""
import io
import os
import shutil
import socket
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import matplotlib
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler, TensorDataset, random_split
from torchvision import datasets, ops
from torchvision.transforms import v2

# ---- the dataset: for another one change these two lines --------------------------------------------------
DATASET = datasets.MNIST  # or FashionMNIST, or another of 60,000 + 10,000 pictures of 28 x 28 in MNIST's file format
MEAN, STD = 0.1307, 0.3081  # of all training pixels, as step 1 shows (FashionMNIST: 0.2860, 0.3530)

CLASS_NAMES = [name.split(" - ")[0] for name in DATASET.classes]  # "5 - five" -> "5"
TILT = 0 if max(map(len, CLASS_NAMES)) == 1 else 30  # degrees, so that long names do not overlap in a figure
SEED = 1  # decides the split, the first weights and the order of the digits
DATA, OUTPUTS, SAMPLE = [Path(__file__).resolve().parent / name for name in ("data", "outputs", "tests/sample")]
RAW = DATA / DATASET.__name__ / "raw"
SIZES = [47_040_016, 60_008, 7_840_016, 10_008]  # bytes of the four unpacked files, in torchvision's order


@cache
def data_folder():
    """data/, with the digits downloaded if need be; or else the small sample that comes with the course"""
    files = {RAW / Path(name).stem: size for (name, _), size in zip(DATASET.resources, SIZES)}
    lacking = [file.name for file, size in files.items() if not file.is_file() or file.stat().st_size != size]
    trouble = "DIGITS_SAMPLE is set." if os.environ.get("DIGITS_SAMPLE") else lacking and download(lacking)
    if trouble and DATASET is not datasets.MNIST:
        raise SystemExit(f"There is no {DATASET.__name__}: {trouble}")
    if trouble:
        print(f"MNIST is not used: {trouble}\nA sample of 5,000 digits stands in; expect about 93 % from the first "
              "network and 98 % from the tuned one, instead of 98.5 and 99.6 %.", flush=True)
    return SAMPLE if trouble else DATA


def download(lacking):
    """Fetch and unpack what RAW lacks; what went wrong is returned."""
    print(f"Fetching {DATASET.__name__}; missing or damaged in {RAW}: {', '.join(lacking)}", flush=True)
    socket.setdefaulttimeout(7)  # seconds; without it, a mirror that never answers is waited for without end
    RAW.mkdir(parents=True, exist_ok=True)
    trouble = ""
    with tempfile.TemporaryDirectory(dir=DATA) as room:  # of this run alone, so that two runs do not meet
        private = shutil.copytree(RAW, Path(room, RAW.relative_to(DATA)), ignore=shutil.ignore_patterns("*-ubyte"))
        for mirror in DATASET.mirrors:
            DATASET.mirrors = [mirror]  # one by one
            try:
                DATASET(room, download=True)  # torchvision fetches what is missing, checks it and unpacks it
            except Exception as error:  # a download fails in a dozen ways
                trouble += f"{mirror} {error}".strip().splitlines()[-1] + "; "
            else:
                shutil.copytree(private, RAW, copy_function=os.replace, dirs_exist_ok=True)  # into place, each at once
                return None
    return f"{trouble}to supply it yourself, put its four .gz files into {RAW}."


# ---- transforms and their inverse --------------------------------------------------------------------------
to_tensor = v2.Compose([v2.ToImage(), v2.Lambda(lambda image: image / 255)])  # 0 ... 255 -> 0.0 ... 1.0
normalize = v2.Normalize([MEAN], [STD])  # -> mean 0, standard deviation 1
flatten = nn.Flatten(-3)  # (1, 28, 28) -> (784,); (batch, 1, 28, 28) -> (batch, 784)
transform = v2.Compose([to_tensor, normalize, flatten])


def inverse_transform(flat):
    """Back to pixels from 0 to 255: (784,) -> (28, 28); (batch, 784) -> (batch, 28, 28)"""
    return ((flat.unflatten(-1, (28, 28)) * STD + MEAN) * 255).round().clamp(0, 255).to(torch.uint8)


# ---- loaders -----------------------------------------------------------------------------------------------
@cache
def digits(train):
    """All training or all test digits, transformed once and not again in every epoch"""
    raw = DATASET(data_folder(), train=train)
    return TensorDataset(transform(raw.data.unsqueeze(1)), raw.targets)


def make_loader(dataset, order, batch_size):
    """The sampler hands over the indices of a whole batch, which is then one look-up instead of 128."""
    return DataLoader(dataset, sampler=BatchSampler(order, batch_size, drop_last=False), batch_size=None)


def training_loaders(batch_size=128):
    """11/12 of the training digits, in a new order each epoch; and the rest, kept aside for validation"""
    dataset, generator = digits(train=True), torch.Generator().manual_seed(SEED)
    training, validation = random_split(dataset, [11 / 12, 1 / 12], generator)
    shuffled = SubsetRandomSampler(training.indices, generator)
    return make_loader(dataset, shuffled, batch_size), make_loader(dataset, validation.indices, 1000)


def test_loader():
    """The test digits; they choose nothing. Even those of the sample, 1,000, make two batches."""
    return make_loader(digits(train=False), range(len(digits(train=False))), 500)


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
