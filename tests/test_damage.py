"""Damaged and foreign inputs: one error that names the file, never a raw one, never a silent count."""

import numpy as np
import pytest
import torch

from tests.ops.test_backbones import fabricated, saved, shell, torchvision_shapes
from tests.parity import __main__ as command
from wsnb import files, metrics
from wsnb.files import FileError
from wsnb.models import backbones
from wsnb.models.training import Training


@pytest.mark.parametrize("truth, found", [([0], [256 + 3]), ([1], [-250]), ([0], [-1])])
def test_predictions_beyond_a_byte(truth, found):
    with pytest.raises(ValueError, match="prediction"):
        metrics.confusion(np.array(truth), np.array(found), 21)


@pytest.mark.parametrize("truth, found", [([300, 0], [1, 0]), ([255, 0], [300, 0]), ([-1, 0], [1, 0])])
def test_uncounted_pixels_may_hold_anything(truth, found):
    assert metrics.confusion(np.array(truth), np.array(found), 21).sum() == 1


def test_empty_pth(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(FileError, match="x.pth"):
        files.load_torch(tmp_path / "x.pth")


def test_truncated_old_format_pth(tmp_path):
    path = tmp_path / "vgg16_20M.pth"
    torch.save({"a": torch.arange(30.0), "b": torch.ones(3, 4)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError, match="vgg16_20M.pth"):
            files.load_torch(path)


def outcomes(path, read, count) -> dict:
    """How often one changed byte of the file at PATH is an error, changes nothing, loses a name, or changes what READ
    gives under the names that are left."""
    rng, whole, seen = np.random.default_rng(0), path.read_bytes(), {"refused": 0, "equal": 0, "lost": 0, "other": 0}
    right = read(path)
    for _ in range(count):
        bad = bytearray(whole)
        bad[rng.integers(len(bad))] ^= rng.integers(1, 256)
        path.write_bytes(bad)
        try:
            found = read(path)
        except FileError as error:
            assert path.name in str(error)
            seen["refused"] += 1
        else:
            kept = all(name in right and str(value) == str(right[name]) for name, value in found.items())
            seen["other" if not kept else "equal" if found.keys() == right.keys() else "lost"] += 1
    print(f"{path.name}: {count} changed bytes: {seen}")
    return seen


def test_damaged_pth(tmp_path):
    """A checkpoint of today has checksums. Torch's old format has none: a changed number is another number."""
    state = {"a": torch.arange(30.0), "b": [1, "x"]}
    torch.save(state, tmp_path / "new.pth")
    assert outcomes(tmp_path / "new.pth", files.load_torch, 300)["other"] == 0
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert outcomes(tmp_path / "old.pth", files.load_torch, 300)["refused"] > 100


def test_npy_as_npz(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(FileError, match="x.npy"):
        files.load_npz(tmp_path / "x.npy")


def test_damaged_npz(tmp_path):
    files.save_npz(tmp_path / "x.npz", a=np.arange(20), b=np.ones((3, 4)))
    assert outcomes(tmp_path / "x.npz", files.load_npz, 400)["other"] == 0


def test_deep_json(tmp_path):
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(FileError, match="x.json"):
        files.load_json(tmp_path / "x.json")


def test_sha256_of_a_missing_file(tmp_path):
    with pytest.raises(FileError, match="none"):
        files.sha256(tmp_path / "none")


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 4, 2), (3, 4, 1), (0, 4)])
def test_save_png_shapes(tmp_path, shape):
    with pytest.raises(FileError, match="uint8"):
        files.save_png(tmp_path / "x.png", np.zeros(shape, np.uint8))


def test_decompression_bomb(tmp_path, monkeypatch):
    from PIL import Image
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(FileError, match="x.png"):
        files.read_index(tmp_path / "x.png")


def test_link_loop(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(FileError):
        files.inside(tmp_path, "loop/x")


@pytest.mark.parametrize("fault", ["no classifier", "batch norm", "shape"])
def test_torchvision_vgg_files_that_do_not_fit(tmp_path, fault):
    state = fabricated(torchvision_shapes("vgg16_bn" if fault == "batch norm" else "vgg16"))
    if fault == "no classifier":
        state = {k: v for k, v in state.items() if k.startswith("features")}
    if fault == "shape":
        state["classifier.0.weight"] = torch.zeros(10, 25088)
    with pytest.raises(FileError, match="vgg.pth"):
        backbones.load_imagenet(shell("vgg16"), "vgg16", saved(tmp_path / "vgg.pth", state))


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), {"conv1_1.weight": 3.0}, {3: torch.zeros(2)}])
def test_pth_of_something_else(tmp_path, content):
    with pytest.raises(FileError, match="x.pth"):
        backbones.load_imagenet(shell("vgg16"), "vgg16", saved(tmp_path / "x.pth", content))


def test_a_bad_gradient_never_reaches_the_checkpoint(tmp_path):
    network = torch.nn.Linear(2, 1)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    state = Training(tmp_path / "t.pt", every_seconds=-1, network=network, optimiser=optimiser)
    with pytest.raises(FloatingPointError):
        for _ in state.epochs(1):
            for i in state.steps(lambda first: range(first, 3)):
                out = network(torch.ones(1, 2)).sum()
                loss = out ** 2 if i != 1 else (0 * out).abs().sqrt()  # 0, with a gradient of NaN
                state.check(loss, 0.1, [i])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    weights = files.load_torch(tmp_path / "t.pt")["parts"]["network"]
    assert all(torch.isfinite(v).all() for v in weights.values())


def test_parity_goes_on_after_a_damaged_file(tmp_path, capsys):
    folder = tmp_path / "single_stage"
    folder.mkdir()
    (folder / "aspp16.npz").write_bytes(b"PK")
    np.savez(folder / "gci.npz", wrong=np.zeros(3))
    assert command.main([str(folder)]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["aspp16.npz", "gci.npz"]
