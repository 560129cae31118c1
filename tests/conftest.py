"""What all tests share: the digits, the scripts run once each in a clean folder, and a look at their figures.

Nothing is downloaded. Full MNIST is used where it lies in data/, else the sample. The scripts always run on the sample.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FULL = any(len(list((ROOT / "data" / "MNIST" / "raw").glob(ending))) == 4 for ending in ["*-ubyte", "*.gz"])
if not FULL:
    os.environ["DIGITS_SAMPLE"] = "1"

import common  # noqa: E402  (after the choice of the digits)


class Raw:
    """The digits as they lie on the disk, read by torchvision alone"""

    def __init__(self, train):
        dataset = common.DATASET(common.data_folder(), train=train)
        self.labels, self.pixels = dataset.targets, dataset.data.flatten(1)  # (digits,) and (digits, 784)
        self.number = {digit.tobytes(): number for number, digit in enumerate(self.pixels.numpy())}

    def find(self, images):
        """Which digits these are, however they were normalized; -1 for one that is not among them"""
        low, high = images.min(), images.max()
        pixels = ((images - low) / (high - low) * 255).round().to(torch.uint8).flatten(1)
        return torch.tensor([self.number.get(digit.tobytes(), -1) for digit in pixels.numpy()])


def gather(loader):
    """All images and labels of a loader, in the order in which it gives them"""
    images, labels = zip(*loader)
    return torch.cat(images), torch.cat(labels)


@pytest.fixture(scope="session")
def full_mnist():
    return FULL


@pytest.fixture(scope="session")
def raw_training():
    return Raw(train=True)


@pytest.fixture(scope="session")
def raw_test():
    return Raw(train=False)


@pytest.fixture(scope="session")
def training_split():
    return gather(common.training_loaders()[0])


@pytest.fixture(scope="session")
def validation_split():
    return gather(common.training_loaders()[1])


@pytest.fixture(scope="session")
def test_split():
    return gather(common.test_loader())


def start(folder, *command, **environment):
    """Start a script as a user does: a new process in its folder, on the sample"""
    environment = os.environ | {"DIGITS_SAMPLE": "1", "PYTHONIOENCODING": "utf-8"} | environment
    return subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, text=True, encoding="utf-8",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    """What the script printed; a script that stops with an error fails the test and is quoted"""
    printed, errors = process.communicate(timeout=300)
    if process.returncode:
        pytest.fail(f"{process.args[1]} stopped with exit code {process.returncode}:\n{(printed + errors)[-1500:]}", False)
    return printed


def copy_course(folder):
    """The scripts and the sample in a folder of their own, without data/ and outputs/"""
    shutil.copytree(ROOT / "tests" / "sample", folder / "tests" / "sample")
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder)
    return folder


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("a course in Zürich"))


@pytest.fixture(scope="session")
def step_1(course):
    return finish(start(course, "01_load_data.py"))


@pytest.fixture(scope="session")
def step_2(course):
    return finish(start(course, "02_visualize.py"))


@pytest.fixture(scope="session")
def step_3(course):
    return finish(start(course, "03_train.py"))


@pytest.fixture(scope="session")
def false_course(course, step_3, tmp_path_factory):
    """A copy of the course after step 3 in which every label of the test set is false"""
    folder = tmp_path_factory.mktemp("false") / "course"
    shutil.copytree(course, folder)
    file = folder / "tests" / "sample" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    content = file.read_bytes()
    file.write_bytes(content[:8] + bytes((label + 1) % 10 for label in content[8:]))
    return folder


@pytest.fixture(scope="session")
def step_4(course, false_course):
    """Printed by step 4: with the true test labels, and with false ones. The two run side by side."""
    processes = [start(folder, "04_evaluate.py", OMP_NUM_THREADS="1") for folder in (course, false_course)]
    return [finish(process) for process in processes]


@pytest.fixture(scope="session")
def step_5(course, step_4):
    return finish(start(course, "05_save.py"))


@pytest.fixture(scope="session")
def sample_test(course):
    """The 1,000 test digits of the sample as (image, label) batches"""
    dataset = common.DATASET(ROOT / "tests" / "sample", train=False)
    return torch.stack([common.transform(image) for image, _ in dataset]), dataset.targets


def load(file):
    """The network that a file of outputs/ holds, and what else the file says"""
    saved = torch.load(file, weights_only=True)
    network = common.NETWORKS[saved["network"]](**saved["settings"])
    network.load_state_dict(saved["weights"])
    return network.eval(), saved


def accuracy(network, images, labels):
    network.eval()
    with torch.no_grad():
        return (network(images).argmax(dim=1) == labels).float().mean().item()


def ink(file):
    """The share of a figure's pixels that are not white"""
    assert file.is_file(), f"{file.name} was not written: does the script save this figure in outputs/?"
    return (numpy.asarray(Image.open(file).convert("L")) < 230).mean()
