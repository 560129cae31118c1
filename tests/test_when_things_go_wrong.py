"""Real machines: no network, damaged files, wrong order, Ctrl-C. Nothing that was good may be lost."""
import gzip
import hashlib
import signal
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import common
import pytest
import torch
from conftest import ROOT, copy_course, finish, start
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


@pytest.mark.parametrize("images", [torch.full((8, 784), torch.nan), torch.randn(8, 784)], ids=["NaN in the data", "absurd rate"])
def test_numbers_that_are_none_stop_the_training(images):
    network = nn.Sequential(nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
    with pytest.raises(SystemExit, match="no longer a number"):
        common.train_one_epoch(network, [(images, torch.arange(8))] * 20, torch.optim.SGD(network.parameters(), lr=1e6))


# ---- downloads: the sample as the whole dataset, and mirrors that misbehave ---------------------------------
FILES = {file.name: file.read_bytes() for file in (ROOT / "tests" / "sample" / "MNIST" / "raw").iterdir()}
PACKED = {f"{name}.gz": gzip.compress(content, compresslevel=1) for name, content in FILES.items()}
MIRRORS = {
    "good": PACKED,
    "404": {},
    "login-page": dict.fromkeys(PACKED, b"<html>Please log in</html>"),
    "broken-off": {name: content[: len(content) // 2] for name, content in PACKED.items()},
}


def write(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def whole(data):
    return all((data / "MNIST" / "raw" / name).read_bytes() == content for name, content in FILES.items())


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    """mirrors(kind, ...) lets torchvision know only mirrors of these kinds, and returns the folder to download into."""
    for kind, files in MIRRORS.items():
        write(tmp_path / kind, files)
    resources = [(name, hashlib.md5(PACKED[name]).hexdigest()) for name, _ in common.DATASET.resources]
    monkeypatch.setattr(common.DATASET, "resources", resources)
    monkeypatch.setattr(common, "SIZES", [len(FILES[name.removesuffix(".gz")]) for name, _ in resources])
    monkeypatch.setattr(common, "DATA", tmp_path / "data")
    monkeypatch.setattr(common, "RAW", tmp_path / "data" / "MNIST" / "raw")
    monkeypatch.setattr(common, "data_folder", common.data_folder.__wrapped__)  # without its memory
    monkeypatch.delenv("DIGITS_SAMPLE", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        def mirrors(*kinds):
            addresses = [f"http://127.0.0.1:{server.server_port}/{kind}/" for kind in kinds]
            monkeypatch.setattr(common.DATASET, "mirrors", addresses)
            return tmp_path / "data"

        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield mirrors
        server.shutdown()


@pytest.mark.parametrize("kind", ["404", "login-page", "broken-off"])
def test_after_a_bad_mirror_the_next_is_asked_and_without_a_good_one_the_sample_is_used(kind, mirrors, capsys):
    data = mirrors(kind)
    assert common.data_folder() == common.SAMPLE
    assert "sample" in capsys.readouterr().out.lower(), "the sample must never be used silently"
    assert not [file for file in data.rglob("*") if file.is_file()], "a damaged download was left in data/"
    mirrors(kind, "good")
    assert common.data_folder() == data and whole(data), "after a bad mirror the good one must be asked"


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
