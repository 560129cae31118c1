"""Real machines: no network, damaged files, wrong order, Ctrl-C. Nothing that was good may be lost."""
import signal
import sys

import common
import pytest
import torch
from conftest import copy_course, finish, start
from torch import nn


# ---- wrong order, and things in the way --------------------------------------------------------------------
def test_a_script_that_must_stop_says_why_in_a_line(tmp_path):
    (copy_course(tmp_path) / "outputs").write_text("a file in the place of the folder")
    needed = {"02_visualize.py": "outputs", "04_evaluate.py": "03_train.py", "05_save.py": "04_evaluate.py"}
    processes = {script: start(tmp_path, script) for script in needed}
    for script, process in processes.items():
        _, errors = finish(process, code=1)
        assert len(errors.splitlines()) <= 2, f"not one or two plain lines:\n{errors[-800:]}"
        assert needed[script] in errors, f"{script} must name {needed[script]}, but says: {errors}"


def test_scripts_run_from_another_folder_and_without_warnings(course, tmp_path):
    finish(start(tmp_path, "-W", "error", str(course / "01_load_data.py")))
    assert not list(tmp_path.iterdir()), "a script wrote into the working directory instead of beside itself"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C differently")
def test_ctrl_c_is_one_line_and_keeps_the_old_checkpoint(tmp_path):
    checkpoint = copy_course(tmp_path) / "outputs" / "first_network.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"precious")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs pytest in the background has it ignored
    process = start(tmp_path, "-u", "03_train.py")
    next(line for line in process.stdout if line.strip().startswith("1 "))  # the first epoch is over
    process.send_signal(signal.SIGINT)
    assert "03_train.py" in finish(process, code=130)[0], "the line must say how to go on"
    assert checkpoint.read_bytes() == b"precious", "the old checkpoint is lost"
    assert "first_network.pt" in finish(start(tmp_path, "04_evaluate.py"), code=1)[1], "b'precious' is no network"


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    def full_disk(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    (tmp_path / "digits.pt").write_bytes(b"precious")
    monkeypatch.setattr(common, "OUTPUTS", tmp_path)
    monkeypatch.setattr(common.Path, "write_bytes", full_disk)
    with pytest.raises(OSError):
        common.save("digits.pt", lambda file: file.write(b"half of it"))
    assert [file.name for file in tmp_path.iterdir()] == ["digits.pt"], "half a file was left behind"
    assert (tmp_path / "digits.pt").read_bytes() == b"precious", "the good file was overwritten by half a file"


@pytest.mark.parametrize("images", [torch.full((8, 784), torch.nan)], ids=["NaN in the data"])
def test_numbers_that_are_none_stop_the_training(images):
    network = nn.Sequential(nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
    with pytest.raises(SystemExit, match="no number"):
        common.train_one_epoch(network, [(images, torch.arange(8))] * 20, torch.optim.SGD(network.parameters(), lr=1e6))
