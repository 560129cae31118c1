"""What all tests share: the digits, the scripts run once each in a clean folder, their figures

Nothing is downloaded. Full MNIST is used where it lies in data/, else the sample. The scripts
always run on the sample.
"""
import io
import os
import re
import runpy
import shutil
import sys
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SAMPLE = ROOT / "tests/sample"
FULL = len({file.stem for file in ROOT.glob("data/MNIST/raw/*ubyte*")}) == 4
if not FULL:
    os.environ["DIGITS_SAMPLE"] = "1"

def explain(error):
    """What an error says, and the last line of the course that it came through"""
    places = [""]  # a syntax error says its place itself
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename).name
        if re.fullmatch(r"common\.py|0\d_\w+\.py", file):
            places.append(f" (line {frame.lineno} of {file})")
    return f"{type(error).__name__}: {error}{places[-1]}"


try:  # after the choice of the digits
    import common
except Exception as error:
    sys.exit(f"common.py cannot be imported: {explain(error)}")

matplotlib.use("Agg")  # draws into files, and opens no window
common.DEVICE = "cpu"  # where the networks of the tests are, also on a machine with a GPU
torch.set_num_threads(1)  # small tests gain nothing from more, and wait for each other then


def gather(loader):
    """All images and labels of a loader, in the order in which it gives them"""
    batches = list(loader)
    assert batches, "a loader gives no batch at all: is drop_last on, or its split empty?"
    images, labels = zip(*batches)
    return torch.cat(images), torch.cat(labels)


def outline(picture):
    """Which pixels are not as the corner: the same for a digit however it is normalized or drawn"""
    pixels = picture.flatten()
    return (pixels != pixels[0]).cpu().numpy().tobytes()


# ---- the scripts, run in this process ------------------------------------------------------------
def look_at(figure):
    """The curves and pictures that a figure shows, and whether one of its axes shows nothing"""
    seen = SimpleNamespace(curves=[], pictures=[], empty=not figure.axes)
    for axis in figure.axes:
        seen.curves += [tuple(line.get_ydata()) for line in axis.lines]
        seen.pictures += [torch.tensor(image.get_array().tolist()) for image in axis.images]
        if axis.axison and not axis.has_data() and not axis.texts:
            seen.empty = True
    return seen


def run(folder, script, *arguments, **environment):
    """Run a script as `python script arguments` does, but here, where all is imported already

    What is returned: what it printed; what it stopped with, if it did; its variables; what each
    figure showed when it was saved; the weights of each network that an optimizer trained, and how
    many updates there were; and the first digit of each batch that a network was shown, with the
    number of updates before it.
    """
    done = SimpleNamespace(figures={}, networks={}, updates=0, shown=set(), stopped=None)
    failure = None
    savefig = Figure.savefig

    def keep_figure(figure, file, *others, **options):
        done.figures[Path(file).stem] = look_at(figure)
        savefig(figure, file, *others, **options)

    def keep_weights(optimizer, arguments, keywords):
        weights = optimizer.param_groups[0]["params"]
        done.networks[id(weights[0])] = weights
        done.updates += 1

    def keep_digit(layer, inputs):
        images, *_ = inputs
        if torch.is_tensor(images) and images[0].numel() == 784:
            done.shown.add((outline(images[0]), done.updates))

    after_update = register_optimizer_step_post_hook(keep_weights)
    before_layer = register_module_forward_pre_hook(keep_digit)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as here, redirect_stdout(printed), redirect_stderr(printed):
        here.chdir(folder)
        here.syspath_prepend(folder)
        here.delitem(sys.modules, "common")  # so that the script imports that of its folder
        here.setattr(sys, "argv", [script, *arguments])
        here.setattr(Figure, "savefig", keep_figure)
        here.setenv("DIGITS_SAMPLE", "1")
        for name, value in environment.items():
            here.setenv(name, value)
        try:
            done.variables = runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            done.stopped = stop.code
        except Exception as error:
            failure = f"{script} stopped: {explain(error)}"
        finally:
            after_update.remove()
            before_layer.remove()
    if failure:
        pytest.fail(failure, False)
    done.printed = printed.getvalue()
    return done


def run_step(folder, script):
    done = run(folder, script)
    if done.stopped:
        pytest.fail(f"{script} stopped: {done.stopped}", False)
    return done


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("a course in Zürich"))


@pytest.fixture(scope="session")
def step1(course):
    return run_step(course, "01_load_data.py")


@pytest.fixture(scope="session")
def step2(course):
    return run_step(course, "02_visualize.py")


@pytest.fixture(scope="session")
def step3(course):
    return run_step(course, "03_train.py")


@pytest.fixture(scope="session")
def step4(course, step3):
    return run_step(course, "04_evaluate.py")


@pytest.fixture(scope="session")
def step5(course, step4):
    return run_step(course, "05_save.py")


@pytest.fixture(scope="session")
def validation_digits(course):
    """The images and labels that a script gets when it asks for the validation digits"""
    script = course / "ask.py"
    script.write_text("import common\n_, loader = common.training_loaders()\n")
    return gather(run(course, script.name).variables["loader"])


def copy_course(folder):
    """The scripts and the sample in a folder of their own, without data/ and outputs/"""
    shutil.copytree(SAMPLE, folder / "tests/sample")
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder)
    return folder


def check_that_it_asks_for(needed, script, folder):
    """Alone in a fresh folder, a script must say in a line or two which other one to run before."""
    said = str(run(copy_course(folder), script).stopped)
    assert needed in said and len(said.splitlines()) <= 2, (
        f"without what {needed} leaves in outputs/, {script} must stop with a line or two that say "
        f"to run {needed}, not: {said[-500:]!r}")


@pytest.fixture(scope="session")
def sample_test():
    """The 1,000 test digits of the sample: images (1000, 784), and labels"""
    dataset = common.DATASET(SAMPLE, train=False)
    return torch.stack([common.transform(image) for image, _ in dataset]), dataset.targets


def load(folder, name):
    """A network from the outputs/ of a course, and what its file says"""
    with mock.patch.object(common, "OUTPUTS", folder / "outputs"):
        return common.load_network(name, "")


def accuracy(network, images, labels):
    network.eval()
    with torch.no_grad():
        return (network(images).argmax(dim=1) == labels).float().mean().item()


def check_printed(step, wanted):
    """28 x 28 may be printed as (28, 28), too, and 1,000 as 1000."""
    for item in wanted:
        pattern = item.replace(",", ",?").replace(" x ", ".{1,3}")
        assert re.search(pattern, step.printed), f"{item!r} is not among what the script prints"


def check_that_test_digits_come_last(step, sample_test):
    images, _ = sample_test
    test_digits = set(map(outline, images))
    times = [updates for digit, updates in step.shown if digit in test_digits]
    early = [updates for updates in times if 0 < updates < step.updates]
    assert not early, (
        f"after {min(early)} of {step.updates} updates a network was shown test digits: nothing may "
        "be learned, stopped or chosen with them. Judge by the validation digits, and look at the "
        "test digits at the very end.")


def check_drawn(folder, step, pattern, number):
    files = {file.read_bytes() for file in (folder / "outputs").glob(pattern)}
    assert len(files) >= number, (
        f"outputs/ has {len(files)} different figures {pattern}, {number} are asked for: save them "
        "there")
    empty = [name for name, seen in step.figures.items() if seen.empty]
    assert not empty, (
        f"{empty} had axes with nothing in them when they were saved: draw first, save then")


# ---- the table at the end ------------------------------------------------------------------------
STEPS = ["load data", "visualize", "train", "evaluate", "save"]


def pytest_configure(config):
    if config.option.reportchars == "fE":  # as nobody has asked for another one
        config.option.reportchars = "N"  # no summary: the table says more


def step_of(nodeid):  # tests/test_03_train.py::test_... -> 3, and 0 for a teacher's own file
    found = re.search(r"test_0(\d)_", nodeid)
    return int(found[1]) if found else 0


def complaint(report):
    """The first line of what a failed test says"""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else str(report.longrepr)
    line = re.sub(r"^(AssertionError|Failed): ", "", message).splitlines()[0]
    stopped = re.match(r"0(\d)_\w+\.py stopped", line)
    if stopped and int(stopped[1]) < step_of(report.nodeid):
        return f"not reached: step {stopped[1]} stopped"
    return line


def pytest_terminal_summary(terminalreporter):
    """A line for each step, and below it one for each check that failed"""
    stats = terminalreporter.stats
    wrong = stats.get("failed", []) + stats.get("error", [])
    passed = Counter(step_of(report.nodeid) for report in stats.get("passed", []))
    failed = Counter(step_of(report.nodeid) for report in wrong)
    terminalreporter.section("steps")
    for step, name in enumerate(STEPS, start=1):
        number = passed[step] + failed[step]
        if number:
            terminalreporter.line(f"step {step}  {name:10} {passed[step]:3} of {number:2}")
        complaints = [complaint(report) for report in wrong if step_of(report.nodeid) == step]
        for line in dict.fromkeys(complaints):  # each once
            terminalreporter.line(f"   - {line}")
