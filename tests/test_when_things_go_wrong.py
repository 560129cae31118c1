"""Real machines: no network, damaged files, wrong order, Ctrl-C. Nothing that was good may be lost."""
import functools
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
def fresh_course(tmp_path_factory):
    return copy_course(tmp_path_factory.mktemp("fresh course"))


def test_a_script_that_must_stop_says_why_in_a_line(fresh_course):
    (fresh_course / "outputs").write_text("a file in the place of the folder")
    needed = {"02_visualize.py": "outputs", "04_evaluate.py": "03_train.py", "05_save.py": "04_evaluate.py"}
    processes = {script: start(fresh_course, script) for script in needed}
    for script, process in processes.items():
        printed, errors = process.communicate(timeout=60)
        assert process.returncode == 1, f"{script}: exit code {process.returncode}, not 1:\n{(printed + errors)[-800:]}"
        assert "Traceback" not in errors and len(errors.splitlines()) <= 2, f"not one or two plain lines:\n{errors[-800:]}"
        assert needed[script] in errors, f"{script} must name {needed[script]}, but says: {errors}"
    (fresh_course / "outputs").unlink()


def test_scripts_run_from_another_folder_and_without_warnings(fresh_course, tmp_path):
    finish(start(tmp_path, "-W", "error", str(fresh_course / "01_load_data.py")))
    assert not list(tmp_path.iterdir()), "a script wrote into the working directory instead of beside itself"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C differently")
def test_ctrl_c_is_one_line_and_keeps_the_old_checkpoint(fresh_course):
    (fresh_course / "outputs").mkdir()
    (fresh_course / "outputs" / "first_network.pt").write_bytes(b"precious")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs pytest in the background has it ignored
    process = start(fresh_course, "-u", "03_train.py")
    next(line for line in process.stdout if line.strip().startswith("1 "))  # the first epoch is over
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors and "03_train.py" in printed, printed + errors
    assert (fresh_course / "outputs" / "first_network.pt").read_bytes() == b"precious", "the old checkpoint is lost"


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "OUTPUTS", tmp_path)
    (tmp_path / "digits.pt").write_bytes(b"precious")

    def full_disk(path, content):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(common.Path, "write_bytes", full_disk)
    with pytest.raises(OSError):
        common.save("digits.pt", lambda file: file.write(b"half of it"))
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
def idx(*shape):
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(torch.Size(shape).numel())


FILES = {f"{part}-{kind}-ubyte": content for part in ("train", "t10k")
         for kind, content in [("images-idx3", idx(6, 28, 28)), ("labels-idx1", idx(6))]}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}
MIRRORS = {
    "good": PACKED,
    "404": {},
    "login page": dict.fromkeys(PACKED, b"<html>Please log in</html>"),
    "broken off": {name: content[: len(content) // 2] for name, content in PACKED.items()},
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    """Start mirrors of these kinds, and let common.py know only them"""
    servers, data = [], tmp_path / "data"

    def begin(*kinds):
        for kind in kinds:
            write(tmp_path / kind, MIRRORS[kind])
            servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / kind)))
            threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        small = type("MNIST", (common.DATASET,), {
            "mirrors": [f"http://127.0.0.1:{server.server_port}/" for server in servers],
            "resources": [(name, md5(content).hexdigest()) for name, content in PACKED.items()]})
        monkeypatch.setattr(common, "DATASET", small)
        monkeypatch.setattr(common.datasets, "MNIST", small)
        return data

    monkeypatch.delenv("DIGITS_SAMPLE", raising=False)
    monkeypatch.setattr(common, "DATA", data)
    monkeypatch.setattr(common, "RAW", data / "MNIST" / "raw")
    monkeypatch.setattr(common, "SIZES", [len(content) for content in FILES.values()])
    monkeypatch.setattr(common, "data_folder", common.data_folder.__wrapped__)
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda seconds: None)
    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def write(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def whole(data):
    return all((data / "MNIST" / "raw" / name).read_bytes() == content for name, content in FILES.items())


@pytest.mark.parametrize("kind", ["404", "login page", "broken off"])
def test_a_bad_mirror_is_followed_by_the_next(kind, mirrors):
    data = mirrors(kind, "good")
    assert common.data_folder() == data and whole(data), "after a bad mirror the good one must be asked"


@pytest.mark.parametrize("kind", ["404", "login page", "broken off"])
def test_without_a_good_mirror_the_sample_is_used_and_nothing_damaged_stays(kind, mirrors, capsys):
    data = mirrors(kind)
    assert common.data_folder() == common.SAMPLE
    assert "sample" in capsys.readouterr().out.lower(), "the sample must never be used silently"
    assert not [file for file in data.rglob("*") if file.is_file()], "a damaged download was left in data/"


def test_the_four_packed_files_put_by_hand_are_enough(mirrors):
    data = mirrors("404")
    write(data / "MNIST" / "raw", PACKED)
    assert common.data_folder() == data and whole(data)


@pytest.mark.parametrize("name", FILES)
def test_an_unpacked_file_that_was_cut_short_is_named_and_made_anew(name, mirrors, capsys):
    data = mirrors("good")
    common.data_folder()
    (data / "MNIST" / "raw" / name).write_bytes(FILES[name][:7])
    assert common.data_folder() == data and whole(data), "a file cut short was taken for whole"
    assert name in capsys.readouterr().out, "the damaged file must be named"
