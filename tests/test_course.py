"""What is ours and no student's: no internet, damaged files, no window; left out of grading"""
import os
import shutil
import subprocess
import sys

import pytest
from course import SAMPLE, copy_course, run
from matplotlib import pyplot as plt
from matplotlib.backend_bases import FigureCanvasBase
from PIL import Image, ImageDraw

NOWHERE = "http://127.0.0.1:9"  # an address where nothing answers
OFFLINE = {"DIGITS_SAMPLE": "", "http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": ""}


def test_a_user_without_internet_gets_the_sample_and_a_line_that_says_so(tmp_path):
    script = copy_course(tmp_path / "course") / "01_load_data.py"
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=os.environ | OFFLINE,
        capture_output=True, text=True)
    assert done.returncode == 0, (
        "started from another folder, without internet, 01_load_data.py stops: "
        f"{done.stderr[-300:]!r}")
    assert "sample of 5,000" in done.stdout, (
        "without internet nothing was printed about the sample: who reads the accuracies must know "
        f"that they are not MNIST's. Printed was: {done.stdout}")


def test_a_damaged_file_in_data_is_one_line_that_names_the_folder_to_delete(tmp_path):
    course = copy_course(tmp_path)
    shutil.copytree(SAMPLE, course / "data")
    file = course / "data/MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:1000])
    said = str(run(course, "01_load_data.py", **OFFLINE).stopped)
    assert said.startswith("Delete") and "data" in said and len(said.splitlines()) == 1, (
        "only 1,000 bytes are left of a file in data/MNIST. One line should say which folder to "
        f"delete, but what is said is: {said[-500:]!r}")


@pytest.fixture
def unreadable(tmp_path):
    """What 05_save.py is asked to read, and cannot: a window is one of it, where there is none"""
    (tmp_path / "text.jpg").write_text("text")
    paper = Image.new("L", (1250, 500), "white")
    paper.save(tmp_path / "white.png")
    ImageDraw.Draw(paper).rectangle((200, 300, 900, 305), "black")
    paper.save(tmp_path / "line.png")
    return ["draw", *map(str, [tmp_path / "missing.png", *tmp_path.iterdir()])]


def test_what_cannot_be_read_gets_a_line_and_exit_code_1(course, step4, unreadable):
    done = run(course, "05_save.py", *unreadable)
    for name in unreadable:
        assert f"\n{name}: not read, " in done.printed, (
            f"{name} must get a line with a reason, but what is printed is {done.printed}")
    assert done.stopped == 1, "some pictures could not be read: end with sys.exit(1)"


def test_what_is_written_on_the_sheet_is_read_after_each_stroke(step5, monkeypatch):
    write_picture = step5.variables["write_picture"]
    pens = []
    said = []

    def write_strokes(block):  # when the window is shown
        for x in [200, 400]:
            pens[0]([(x, 100), (x, 300)])
            said.append(plt.gca().get_title("left"))

    monkeypatch.setitem(
        write_picture.__globals__, "LassoSelector", lambda sheet, write, **_: pens.append(write))
    monkeypatch.setattr(FigureCanvasBase, "required_interactive_framework", "none, but say so")
    monkeypatch.setattr(plt, "show", write_strokes)
    write_picture()
    assert said == ["1", "11"], f"an upright stroke, and two, are read as {said}, not as 1 and 11"
