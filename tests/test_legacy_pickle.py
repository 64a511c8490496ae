"""Old pickled arrays come back as they were written; code in them never runs."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from wsnb.files import FileError
from wsnb.legacy_pickle import load_legacy_array


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Sneaky:
    """Asks for NumPy's own way to run code."""

    def __reduce__(self):
        return np.load, ("x.npy",)


def test_cam_dictionary(tmp_path):
    cam = np.random.default_rng(0).random((2, 3, 4), np.float32)
    np.save(tmp_path / "a.npy", {"keys": np.array([1, 5]), "cam": cam, 7: np.float32(2), "name": "cat"})
    found = load_legacy_array(tmp_path / "a.npy")
    assert found["keys"].tolist() == [1, 5] and np.array_equal(found["cam"], cam) and found[7] == 2
    assert found["name"] == "cat" and found["cam"].dtype == np.float32


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_all_protocols(tmp_path, protocol):
    value = {"2007_000032": np.eye(2, dtype=np.float32), "list": [1, 2.5, None, True]}
    value["order"] = np.asfortranarray(np.ones((2, 3)))
    (tmp_path / "a.npy").write_bytes(pickle.dumps(value, protocol))
    found = load_legacy_array(tmp_path / "a.npy")
    assert np.array_equal(found["2007_000032"], np.eye(2)) and found["list"] == [1, 2.5, None, True]
    assert np.array_equal(found["order"], np.ones((2, 3)))


def test_tensors_become_arrays(tmp_path):
    part = torch.arange(12.0).reshape(3, 4)[1:, 1:3]
    tensors = {"keys": torch.tensor([3, 0]), "part": part, "half": torch.ones(2).half()}
    np.save(tmp_path / "a.npy", {**tensors, "high_res": np.zeros((1, 2))})
    found = load_legacy_array(tmp_path / "a.npy")
    for name, tensor in tensors.items():
        assert isinstance(found[name], np.ndarray) and np.array_equal(found[name], tensor.numpy())


def test_plain_arrays_are_read_too(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4))
    assert load_legacy_array(tmp_path / "a.npy").tolist() == [0, 1, 2, 3]


def test_code_is_refused(tmp_path):
    made = tmp_path / "made"
    for k, bad in enumerate((Hostile(made), Sneaky())):
        np.save(tmp_path / f"{k}.npy", {"cam": np.ones(2), "more": bad})
        with pytest.raises(FileError, match=f"{k}.npy: refused"):
            load_legacy_array(tmp_path / f"{k}.npy")
    assert not made.exists()


def test_damaged_files_are_named(tmp_path):
    np.save(tmp_path / "a.npy", {"cam": np.ones(200)})
    data = (tmp_path / "a.npy").read_bytes()
    for end in (0, 5, 90, 200, len(data) - 10):
        (tmp_path / "b.npy").write_bytes(data[:end])
        with pytest.raises(FileError, match="b.npy"):
            load_legacy_array(tmp_path / "b.npy")
    with pytest.raises(FileError, match="c.npy"):
        load_legacy_array(tmp_path / "c.npy")


ADDRESS, OBJECTS = bytes(7) + b"\x01", b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R"


def pickled(*operations):
    """A pickle made of raw operations."""
    return b"\x80\x02" + b"".join(operations) + b"."


@pytest.mark.parametrize("data", [
    pickled(b"cnumpy\nndarray\n(K\x08K\x08\x86cnumpy\ndtype\nX\x02\x00\x00\x00f8\x85RtR"),  # unwritten memory
    pickled(OBJECTS),
    pickled(b"cnumpy.core.numeric\n_frombuffer\n(C\x08", ADDRESS, OBJECTS, b"K\x01\x85X\x01\x00\x00\x00CtR"),
    pickled(b"cnumpy.core.multiarray\nscalar\n(", OBJECTS, b"C\x08", ADDRESS, b"tR"),
], ids=["ndarray", "objects", "addresses", "scalar"])
def test_memory_is_never_reached_by_addresses_of_the_file(tmp_path, data):
    """In a process of its own: before, some of these ended the interpreter."""
    (tmp_path / "a.npy").write_bytes(data)
    code = ("import sys\nfrom wsnb.files import FileError\nfrom wsnb.legacy_pickle import load_legacy_array\n"
            "try: print(type(load_legacy_array(sys.argv[1])).__name__)\nexcept FileError: print('refused')")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.npy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "refused"


def test_every_flipped_bit_of_a_header_ends_in_words_or_an_array(tmp_path):
    np.save(tmp_path / "a.npy", {"2007_000032": np.arange(20, dtype=np.uint8)})
    data = (tmp_path / "a.npy").read_bytes()
    code = """
import sys
from pathlib import Path
from wsnb.files import FileError
from wsnb.legacy_pickle import load_legacy_array
place, data, refused = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), 0
for bit in range(8 * len(data)):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    place.write_bytes(changed)
    try:
        load_legacy_array(place)
    except FileError:
        refused += 1
print(refused, 8 * len(data))
"""
    words = [sys.executable, "-c", code, tmp_path / "b.npy", tmp_path / "a.npy"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    refused, count = map(int, done.stdout.split())
    print(f"{count} flipped bits: {refused} refused, the others read")
    assert 0 < refused < count == 8 * len(data)
