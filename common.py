"""What the five scripts share. Read each section together with the step that it belongs to."""
import os
import socket
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchvision import datasets
from torchvision.transforms import v2

# ---- Settings: for another dataset change the first two, for other random numbers the third ------
DATASET = datasets.MNIST  # for example datasets.FashionMNIST, with 0.2860 and 0.3530 below
MEAN, STD = 0.1307, 0.3081  # mean and deviation of all pixels of the 60,000 digits, see step 1
SEED = 1  # where random numbers start: the split, the order of the digits, the first weights

# A GPU where PyTorch finds one. Write torch.device("cpu") here if yours does not work. A network
# and its digits have to be on the same device: .to(DEVICE) takes them there, and .cpu() back.
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")

CLASS_NAMES = [name.split(" - ")[0] for name in DATASET.classes]  # MNIST says "5 - five"
FOLDER = Path(__file__).parent
DATA = FOLDER / "data"
OUTPUTS = FOLDER / "outputs"


# ---- Step 1: the digits, as they come ------------------------------------------------------------
@cache  # ask once, and remember the answer
def data_folder():
    """The folder that holds the digits: data/, where torchvision puts them, or that of a sample"""
    last_file = DATA / f"{DATASET.__name__}/raw/t10k-labels-idx1-ubyte"  # of four to download
    if not os.getenv("DIGITS_SAMPLE"):
        socket.setdefaulttimeout(10)  # seconds to wait for a server that does not answer
        try:
            if not last_file.exists():
                DATASET(DATA, download=True)
            return DATA
        except Exception as error:  # no internet, a full disk ...
            if DATASET is not datasets.MNIST:  # there is no sample of others
                raise
            print(f"MNIST is not used: {error}")
    print("A sample of 5,000 digits is used: expect 93 % (first network) and 98 % (tuned one).")
    return FOLDER / "tests/sample"


def raw_digits(train):
    """The 60,000 digits to train and validate with, or the 10,000 test digits, as they come"""
    folder = data_folder()
    try:
        return DATASET(folder, train=train)
    except (RuntimeError, ValueError, AssertionError):  # torchvision's words for a damaged file
        raise SystemExit(f"Delete {folder / DATASET.__name__}: a file in it is missing or damaged.")


# ---- Step 1: the transform -----------------------------------------------------------------------
# A variable, no function: transform = v2.Compose([...]) of four stages: v2.ToImage(), then
# v2.ToDtype(torch.float32, scale=True), which also divides by 255, v2.Normalize, which takes two
# lists, with one number for each colour, and nn.Flatten(start_dim=...), which makes one of that
# dimension and all behind it: (1, 28, 28) -> (784,), but also, of all digits at once,
# (60000, 1, 28, 28) -> (60000, 784), so that start_dim has to be counted from the end.
transform = v2.Compose([
    v2.ToImage(),  # whole numbers, 0 ... 255
    v2.ToDtype(torch.float32, scale=True),  # decimals, 0.0 ... 1.0
    v2.Normalize([MEAN], [STD]),  # (decimal - MEAN) / STD
    nn.Flatten(start_dim=-3),
])


# ---- Step 1: the loaders -------------------------------------------------------------------------
@cache
def load_digits(train):
    """The same digits, transformed once and kept, instead of anew in each epoch"""
    raw = raw_digits(train)
    pictures = raw.data.unsqueeze(1)  # one colour: (60000, 28, 28) -> (60000, 1, 28, 28)
    return TensorDataset(transform(pictures), raw.targets)  # pairs: (60000, 784) and their labels


def training_loaders(batch_size=128):
    """Two loaders for load_digits(train=True): 11/12 of them to train on, 1/12 to validate

    random_split(digits, a list of shares, generator) deals them out, always alike by the generator
    torch.Generator().manual_seed(SEED). Each loader is a DataLoader(digits, batch_size), the second
    with 1,000 a batch; shuffle=True is for the one of which step 1 says that it shuffles.
    """
    generator = torch.Generator().manual_seed(SEED)  # so that the split is always the same
    training, validation = random_split(load_digits(train=True), [11 / 12, 1 / 12], generator)
    training_loader = DataLoader(training, batch_size, shuffle=True)
    return training_loader, DataLoader(validation, batch_size=1000)


def test_loader():
    """A loader for load_digits(train=False), 1,000 a batch, for the very end"""
    return DataLoader(load_digits(train=False), batch_size=1000)


# ---- Step 2: the transform's inverse -------------------------------------------------------------
def inverse_transform(flat):
    """Back to pixels, as step 2 does it, and .to(torch.uint8), the type of whole numbers up to 255

    One digit, (784,) -> (28, 28), or a batch, (batch, 784) -> (batch, 28, 28). The opposite of
    flattening is .unflatten(dimension, sizes), and here it is the last dimension, of one or two.
    """
    pixels = (flat * STD + MEAN) * 255
    return pixels.round().to(torch.uint8).unflatten(-1, (28, 28))


# ---- Step 3: the first network -------------------------------------------------------------------
def first_network(width=256):
    """Two hidden layers of width and width // 2 numbers, each with a ReLU, and ten logits

    An nn.Sequential of layers such as nn.Linear(784, width): (batch, 784) -> (batch, 10).
    """
    return nn.Sequential(  # one layer after the other
        nn.Linear(784, width),  # (batch, 784) -> (batch, 256)
        nn.ReLU(),
        nn.Linear(width, width // 2),  # -> (batch, 128)
        nn.ReLU(),
        nn.Linear(width // 2, 10),  # -> (batch, 10)
    )


# ---- Step 3: training and evaluation -------------------------------------------------------------
def train_one_epoch(network, loader, optimizer, schedule=None, smoothing=0.0, augment=None):
    """Learn once from every batch of the loader, and return the mean of their losses, a number

    network.train() tells layers such as dropout (step 4) that this is learning. For each batch:
    augment(images), if given; .to(DEVICE); cross_entropy(..., label_smoothing=smoothing);
    zero_grad(), backward(), step(); schedule.step(), if given. loss.item() is a number.
    """
    network.train()
    losses = []
    for images, labels in loader:
        if augment:
            images = augment(images)  # a function that changes the digits a little, see step 4
        logits = network(images.to(DEVICE))  # (batch, 784) -> (batch, 10)
        loss = cross_entropy(logits, labels.to(DEVICE), label_smoothing=smoothing)  # how wrong?
        optimizer.zero_grad()  # forget the last batch's gradients: backward() adds to what it finds
        loss.backward()  # one gradient for each weight: would the loss grow with it, and how fast?
        optimizer.step()  # move each weight a little, so that the loss becomes lower
        if schedule:
            schedule.step()  # the learning rate for the next batch
        if loss.isnan():
            raise SystemExit("The loss is nan, which is no number: lower the learning rate.")
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()  # record nothing for backward(): nothing is learned here
def predict(network, loader):
    """The logits of all digits of a loader, (digits, 10), and their labels, (digits,)

    After network.eval(), the opposite of network.train(). What the network makes of each batch
    .to(DEVICE) comes back with .cpu(), into a list, of which torch.cat makes one tensor.
    """
    network.eval()
    all_logits = []
    all_labels = []
    for images, labels in loader:
        all_logits.append(network(images.to(DEVICE)).cpu())
        all_labels.append(labels)
    return torch.cat(all_logits), torch.cat(all_labels)  # the batches, one after the other


def evaluate(network, loader):
    """The mean loss of the logits that predict() returns, and the share that is read right

    Two numbers, no tensors, of all digits of the loader.
    """
    logits, labels = predict(network, loader)
    loss = cross_entropy(logits, labels)
    right = logits.argmax(dim=1) == labels  # the answer: the place of the highest of the ten
    return loss.item(), right.float().mean().item()


# ---- Step 4: the convolutional network, and relatives of the first -------------------------------
def convolutional_network():
    """Four convolutions make 16, 32, 64 and 128 pictures of a digit, smaller and smaller ones

    nn.Unflatten(1, (1, 28, 28)) makes pictures of the rows of numbers first. The first windows are
    5 x 5, the others 3 x 3. Each convolution is followed by batch normalization and a ReLU, the
    first and the third by pooling before these. nn.Flatten() and ten logits come last. How many
    pictures each layer gets, and of which size, step 4 tells how to compute.
    """
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),  # (batch, 784) -> (batch, 1, 28, 28)
        nn.Conv2d(1, 16, 5),  # 28 - 5 + 1 = 24: -> (batch, 16, 24, 24)
        nn.MaxPool2d(2),  # first, as it leaves fewer numbers to the next: -> (batch, 16, 12, 12)
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),  # 12 - 3 + 1 = 10: -> (batch, 32, 10, 10)
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),  # -> (batch, 64, 8, 8)
        nn.MaxPool2d(2),  # -> (batch, 64, 4, 4)
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3),  # -> (batch, 128, 2, 2)
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Flatten(),  # -> (batch, 512)
        nn.Linear(512, 10),  # -> (batch, 10)
    )


# Step 4 and the files in outputs/ say one of these names, so that a network can be built again.
NETWORKS = {
    "first": first_network,
    "first, wider": lambda: first_network(512),
    "first, with dropout": lambda: nn.Sequential(nn.Dropout(0.2), first_network()),
    "convolutional": convolutional_network,
}


# ---- Steps 2 to 5: figures and files in outputs/ -------------------------------------------------
def draw_digits(pictures, titles, columns, **limits):
    """Small pictures in rows; gray_r draws the lowest number white, the highest black, like ink

    The limits vmin and vmax say which numbers are white and black, else each picture's own lowest
    and highest are.
    """
    rows = (len(pictures) - 1) // columns + 1
    figure = plt.figure(figsize=(columns, 1.3 * rows), layout="constrained")  # inches
    for place, picture in enumerate(pictures):
        axis = figure.add_subplot(rows, columns, place + 1)
        axis.imshow(np.asarray(picture), cmap="gray_r", **limits)
        axis.set_title(titles[place], size=8)
        axis.axis("off")
    return figure


def save_figure(figure, file):
    OUTPUTS.mkdir(exist_ok=True)
    figure.savefig(OUTPUTS / file, dpi=150)
    print(f"Saved outputs/{file}")


def save_network(file, name, network, **facts):
    """The network's name in NETWORKS, its weights, and facts worth keeping, such as an accuracy"""
    OUTPUTS.mkdir(exist_ok=True)
    contents = {"network": name, "weights": network.state_dict(), **facts}
    torch.save(contents, OUTPUTS / file)
    print(f"Saved outputs/{file}")


def load_network(file, script):
    """The network in a file, ready to read digits, and everything that the file holds"""
    unusable = SystemExit(f"No usable outputs/{file}. Run: python {script}")
    try:  # weights_only: a file is read as data, and cannot run any code
        contents = torch.load(OUTPUTS / file, map_location=DEVICE, weights_only=True)
        build = NETWORKS[contents["network"]]
    except Exception:  # there is no such file, or it is damaged, or another program's
        raise unusable
    network = build().to(DEVICE)
    try:
        network.load_state_dict(contents["weights"])
    except RuntimeError:  # these are the weights of other layers
        raise unusable
    return network.eval(), contents
