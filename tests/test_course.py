"""What is ours and no student's: no internet, a damaged file in data/, the sheet to write on"""
import os
import re
import shutil
import subprocess
import sys

from course import SAMPLE, copy_course, run
from matplotlib import pyplot as plt
from matplotlib.backend_bases import FigureCanvasBase

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
    assert "sample" in done.stdout.lower(), (
        "without internet nothing was printed about the sample: who reads the accuracies must know "
        f"that they are not MNIST's. Printed was: {done.stdout}")


def test_a_damaged_file_in_data_is_one_line_that_names_the_folder_to_delete(tmp_path):
    course = copy_course(tmp_path)
    shutil.copytree(SAMPLE, course / "data")
    file = course / "data/MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:1000])
    said = str(run(course, "01_load_data.py", **OFFLINE).stopped)
    assert "data" in said and "delete" in said.lower() and len(said.splitlines()) == 1, (
        "only 1,000 bytes are left of a file in data/MNIST. One line should say which folder to "
        f"delete, but what is said is: {said[-500:]!r}")


def test_what_is_written_on_the_sheet_is_read_after_each_stroke(course, step5, monkeypatch):
    done = run(course, "05_save.py", "draw")
    assert "draw: not read, no window" in done.printed and done.stopped == 1, (
        f"where no window can be opened, a line must say so, not: {done.printed[-300:]}")
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
    one, two = said
    assert re.match(r"1\b", one), f"an upright stroke on the sheet is read as {one!r}, not as 1"
    assert re.match(r"11\b", two), f"two strokes far apart are read as {two!r}, not as 11"
