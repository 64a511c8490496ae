"""Old pickled arrays come back as they were written; code in them never runs."""

import os
import pickle

import numpy as np
import pytest
import torch

from wsnb.files import FileError, load_legacy_array


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
