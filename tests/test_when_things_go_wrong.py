"""Real machines: no network, damaged files, wrong order, Ctrl-C. Nothing that was good may be lost."""
import gzip
import http.server
import signal
import socket
import struct
import sys
import threading
from hashlib import md5

import common
import pytest
import torch
from conftest import copy_course, finish, start
from torch import nn


# ---- wrong order, and things in the way --------------------------------------------------------------------
@pytest.fixture(scope="module")
def empty_course(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("empty course"))


def test_a_script_that_must_stop_says_why_in_a_line(empty_course):
    (empty_course / "outputs").write_text("a file in the place of the folder")
    needed = {"02_visualize.py": "outputs", "04_evaluate.py": "03_train.py", "05_save.py": "04_evaluate.py"}
    processes = {script: start(empty_course, script, OMP_NUM_THREADS="1") for script in needed}
    for script, process in processes.items():
        printed, errors = process.communicate(timeout=60)
        assert process.returncode == 1, f"{script}: exit code {process.returncode}, not 1:\n{(printed + errors)[-800:]}"
        assert "Traceback" not in errors and len(errors.splitlines()) <= 2, f"not one or two plain lines:\n{errors[-800:]}"
        assert needed[script] in errors, f"{script} must name {needed[script]}, but says: {errors}"
    (empty_course / "outputs").unlink()


def test_scripts_run_from_another_folder_and_without_warnings(empty_course, tmp_path):
    finish(start(tmp_path, "-W", "error", str(empty_course / "01_load_data.py")))
    assert not list(tmp_path.iterdir()), "a script wrote into the working directory instead of beside itself"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C differently")
def test_ctrl_c_is_one_line_and_keeps_the_old_checkpoint(empty_course):
    (empty_course / "outputs").mkdir(exist_ok=True)
    (empty_course / "outputs" / "first_network.pt").write_bytes(b"precious")
    process = start(empty_course, "-u", "03_train.py")
    for line in process.stdout:
        if line.strip().startswith("1 "):  # the first epoch is over
            process.send_signal(signal.SIGINT)
            break
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors and "03_train.py" in printed, printed + errors
    assert (empty_course / "outputs" / "first_network.pt").read_bytes() == b"precious", "the old checkpoint is lost"
    (empty_course / "outputs" / "first_network.pt").unlink()


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "OUTPUTS", tmp_path)
    (tmp_path / "digits.pt").write_bytes(b"precious")

    def full_disk(file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        common.save("digits.pt", full_disk)
    assert [file.name for file in tmp_path.iterdir()] == ["digits.pt"], "half a file was left behind"
    assert (tmp_path / "digits.pt").read_bytes() == b"precious", "the good file was overwritten by half a file"


@pytest.mark.parametrize("disaster", ["NaN in the data", "absurd learning rate"])
def test_numbers_that_are_none_stop_the_training(disaster):
    network = nn.Sequential(nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
    images = torch.full((8, 784), float("nan")) if disaster == "NaN in the data" else torch.randn(8, 784)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e6)
    with pytest.raises(SystemExit, match="no longer a number"):
        common.train_one_epoch(network, [(images, torch.arange(8))] * 20, optimizer)


# ---- downloads: a small dataset of four files, and mirrors that misbehave ----------------------------------
FILES = {f"{part}-{kind}-ubyte": struct.pack(">4B", 0, 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(
    shape[0] * (784 if len(shape) == 3 else 1)) for part in ("train", "t10k")
    for kind, shape in [("images-idx3", (6, 28, 28)), ("labels-idx1", (6,))]}
PACKED = {f"/{name}.gz": gzip.compress(content) for name, content in FILES.items()}


class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        behaviour, content = self.server.behaviour, PACKED[self.path]
        if isinstance(behaviour, int):
            return self.send_error(behaviour)
        self.send_response(200)
        content = b"<html>Please log in</html>" if behaviour == "login page" else content
        self.send_header("Content-Length", len(content))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if behaviour == "broken off" else content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    """Start mirrors with these behaviours, and let common.py know only them"""
    servers = []

    def begin(*behaviours):
        for behaviour in behaviours:
            servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror))
            servers[-1].behaviour = behaviour
            threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        small = type("MNIST", (common.DATASET,), {
            "mirrors": [f"http://127.0.0.1:{server.server_port}/" for server in servers],
            "resources": [(path[1:], md5(content).hexdigest()) for path, content in PACKED.items()]})
        monkeypatch.setattr(common, "DATASET", small)
        monkeypatch.setattr(common.datasets, "MNIST", small)

    monkeypatch.delenv("DIGITS_SAMPLE", raising=False)
    monkeypatch.setattr(common, "DATA", tmp_path)
    monkeypatch.setattr(common, "RAW", tmp_path / "MNIST" / "raw")
    monkeypatch.setattr(common, "SIZES", [len(content) for content in FILES.values()])
    monkeypatch.setattr(common, "data_folder", common.data_folder.__wrapped__)
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda seconds: None)
    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def whole(folder):
    return all((folder / "MNIST" / "raw" / name).read_bytes() == content for name, content in FILES.items())


@pytest.mark.parametrize("behaviour", [403, 404, 503, "login page", "broken off"])
def test_a_bad_mirror_is_followed_by_the_next(behaviour, mirrors, tmp_path):
    mirrors(behaviour, "good")
    assert common.data_folder() == tmp_path and whole(tmp_path), "after a bad mirror the good one must be asked"


@pytest.mark.parametrize("behaviour", [404, "login page", "broken off"])
def test_without_a_good_mirror_the_sample_is_used_and_nothing_damaged_stays(behaviour, mirrors, tmp_path, capsys):
    mirrors(behaviour)
    assert common.data_folder() == common.SAMPLE
    assert "sample" in capsys.readouterr().out.lower(), "the sample must never be used silently"
    assert not [file for file in tmp_path.rglob("*") if file.is_file()], "a damaged download was left in data/"


def test_the_four_packed_files_put_by_hand_are_enough(mirrors, tmp_path):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for path, content in PACKED.items():
        (tmp_path / "MNIST" / "raw" / path[1:]).write_bytes(content)
    mirrors(404)
    assert common.data_folder() == tmp_path and whole(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_an_unpacked_file_that_was_cut_short_is_named_and_made_anew(name, mirrors, tmp_path, capsys):
    mirrors("good")
    common.data_folder()
    (tmp_path / "MNIST" / "raw" / name).write_bytes(FILES[name][:7])
    assert common.data_folder() == tmp_path and whole(tmp_path), "a file cut short was taken for whole"
    assert name in capsys.readouterr().out, "the damaged file must be named"
