"""The fixtures that all tests share, and the table at the end"""
import re
from collections import Counter, defaultdict

import pytest
from course import ROOT, copy_course, explain, run_step


# ---- a course, in which each script is run once --------------------------------------------------
@pytest.fixture(scope="session")
def course(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("a course in Zürich"))


def fixture_of(script, before):
    """A fixture: what a script did, after the one that has to be run before"""
    @pytest.fixture(scope="session")
    def step(course, request):
        request.getfixturevalue(before)
        return run_step(course, script)

    return step


step1 = fixture_of("01_load_data.py", "course")
step2 = fixture_of("02_visualize.py", "course")
step3 = fixture_of("03_train.py", "course")
step4 = fixture_of("04_evaluate.py", "step3")
step5 = fixture_of("05_save.py", "step4")


@pytest.fixture(scope="session")
def other_step3(tmp_path_factory):
    """What step 3 does in a course with other test digits: negatives"""
    folder = copy_course(tmp_path_factory.mktemp("other"))
    file = folder / "tests/sample/MNIST/raw/t10k-images-idx3-ubyte"
    content = file.read_bytes()
    file.write_bytes(content[:16] + bytes(255 - pixel for pixel in content[16:]))
    return run_step(folder, "03_train.py")


# ---- the table at the end ------------------------------------------------------------------------
SAID = defaultdict(list)  # for each step, what each of its tests said; nothing if it passed


def pytest_configure(config):
    if config.option.reportchars == "fE":  # as nobody has asked for another one
        config.option.reportchars = "N"  # no summary: the table says more


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    step = item.path.stem[6:].replace("_", " ")  # test_01_load_data.py: "1 load data"
    if item.path.stem == "test_course":  # which is not about a step
        return report
    if report.failed or report.skipped:
        SAID[step].append(explain(call.excinfo.value))
    elif report.passed and report.when == "call":
        SAID[step].append("")
    return report


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("steps")
    for step, said in sorted(SAID.items()):
        terminalreporter.line(f"step {step:12} {said.count(''):3} of {len(said):2}")
        causes = Counter(message.partition(", in ")[0] for message in said)
        for cause, number in causes.items():  # each once, with the first place where it was seen
            if cause:
                message = next(message for message in said if message.startswith(cause))
                often = f" ({number} times)" if number > 1 else ""
                terminalreporter.line(f"   - {message}{often}")
    gaps = []  # what is left to be written; only a handout has some
    for file in sorted(ROOT.glob("*.py"), reverse=True):  # common.py first
        gaps += re.findall(r'"step (\d): write (\w+) in', file.read_text(encoding="utf-8"))
    if gaps and not terminalreporter.stats.keys() & {"failed", "error"}:
        step, name = gaps[0]
        terminalreporter.line(f"All is right so far. Next: the script of step {step}, and {name}.")
