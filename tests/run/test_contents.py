"""Keys see the content of every file of a data set; what did not change is not read again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsnb.files import FileError, load_json, save_json
from wsnb.run import contents, fingerprint
from wsnb.run.contents import Contents

CASES = Path(__file__).parents[3] / "shared/cases"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder of labels of every kind that a reader knows; all count as old enough to be remembered."""
    monkeypatch.setattr(contents, "AT_REST", -10**12)
    for name in ("a.xml", "b.json", "c.txt", "d.npy", "e.mat", "f.csv", "g.jpg", "h.npz", "sub/i.PNG", "sub/j.h5"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"0123456789")
    return tmp_path / "data"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read."""
    names, sha256 = [], contents.sha256
    monkeypatch.setattr(contents, "sha256", lambda path: (names.append(os.path.basename(path)), sha256(path))[1])
    return names


def test_every_kind_of_file_counts_by_its_content(data, tmp_path, read):
    """Other bytes of the same number, under the times that the file had."""
    seen = {fingerprint.data_fingerprint(data, Contents(tmp_path / "memory"))}
    files = [path for path in data.rglob("*") if path.is_file()]
    for number, path in enumerate(files, 2):
        times = path.stat()
        time.sleep(0.02)  # the clock of a file system has steps of some milliseconds
        path.write_bytes(b"0123456780")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        read.clear()
        seen.add(fingerprint.data_fingerprint(data, Contents(tmp_path / "memory")))
        assert len(seen) == number and read == [path.name]
    print(f"{len(files)} kinds of files, {len(files)} changes seen")


def test_what_did_not_change_is_read_once(data, tmp_path, read):
    first = Contents(tmp_path / "memory").hash(data)
    assert len(read) == 10
    assert Contents(tmp_path / "memory").hash(data) == first and len(read) == 10
    (data / "k.txt").write_text("new")
    (data / "a.xml").unlink()
    assert Contents(tmp_path / "memory").hash(data) != first and read[10:] == ["k.txt"]
    assert Contents(tmp_path / "memory").hash(data / "b.json") == contents.sha256(data / "b.json")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"root": "x"}', '{"root": "%s", "files": {"a.xml": 3}}',
                                    '{"root": "%s", "files": {"a.xml": [[1], "2"]}}'])
def test_a_damaged_memory_is_not_believed(data, tmp_path, damage):
    first = Contents(tmp_path / "memory").hash(data)
    memory, = (tmp_path / "memory").iterdir()
    memory.write_text(damage.replace("%s", str(data)))
    assert Contents(tmp_path / "memory").hash(data) == first == Contents(tmp_path / "memory").hash(data)
    assert len(load_json(memory)["files"]) == 10


def test_verify_reads_everything(data, tmp_path, read):
    first = Contents(tmp_path / "memory").hash(data)
    memory, = (tmp_path / "memory").iterdir()
    content = load_json(memory)
    content["files"]["g.jpg"][1] = "0" * 64
    save_json(memory, content)
    assert Contents(tmp_path / "memory").hash(data) != first and len(read) == 10
    assert Contents(tmp_path / "memory", verify=True).hash(data) == first and len(read) == 20
    assert Contents(tmp_path / "memory").hash(data) == first


def test_a_file_that_was_just_written_is_not_remembered(data, tmp_path, monkeypatch, read):
    monkeypatch.setattr(contents, "AT_REST", 10**12)
    for _ in range(2):
        Contents(tmp_path / "memory").hash(data)
    assert len(read) == 20


def test_places_that_cannot_be_used(data, tmp_path):
    (tmp_path / "memory").write_text("a file")
    first = Contents(tmp_path / "memory").hash(data)
    (data / ".hidden").write_text("x")
    (data / "loop").symlink_to(data)
    (data / "nothing").symlink_to(data / "none")
    assert Contents().hash(data) == first
    with pytest.raises(FileError, match="data_root .*none: no such folder"):
        fingerprint.data_fingerprint(data / "none", Contents())


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_points_that_were_moved_without_a_change_of_size(tmp_path):
    from wsnb.data.own import dataset

    seen = set()
    for place in ("30,30", "70,50"):
        subprocess.run([sys.executable, CASES / "stale.py", tmp_path / "own", place], check=True)
        made = dataset.make(tmp_path / "own")
        seen.add(fingerprint.data_fingerprint(made.root, Contents(tmp_path / "memory")))
        sizes = {path: path.stat().st_size for path in (made.root / "VOC2012/Points").iterdir()}
    assert len(seen) == 2 and len(sizes) == 6


def test_a_mask_of_a_labels_folder(tmp_path):
    """Two masks of one size in a folder that a parameter names."""
    seen = set()
    for label in (1, 2):
        Image.fromarray(np.full((8, 8), label, np.uint8)).save(tmp_path / "a.png")
        seen.add(fingerprint.file_fingerprint(tmp_path, Contents()))
    assert len(seen) == 2
