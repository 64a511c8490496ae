"""The parity command on arrays of the original programs, and its handlers on files made from plain formulations."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.parity import __main__ as command
from tests.parity import single_stage
from tests.parity import single_stage_networks as networks
from tests.single_stage import made

ROOT = Path(__file__).parents[1]
GOLDENS = ROOT / "tests/goldens/single_stage"
SHAPES = {  # of the files that are not here, as the originals have them
    "pamr_p5": {"image": (1, 3, 32, 48), "mask": (1, 6, 9, 13), "out": (1, 6, 32, 48),
                "dilations": (6,), "iters": ()},
    "pamr_flat": {"image": (1, 3, 16, 16), "mask": (1, 3, 16, 16), "out": (1, 3, 16, 16),
                  "dilations": (3,), "iters": ()},
    "pseudo_gt": {"masks_clean": (4, 21, 28, 36), "labels": (4, 20), "pseudo": (4, 21, 28, 36),
                  "logits": (4, 21, 10, 12), "balanced_loss": (4,), "grad_logits": (4, 21, 10, 12), "plain_ce": (),
                  "pseudo_hi04_low01": (4, 21, 28, 36)},
    "net_vgg16_eval": {"x": (1, 3, 65, 65), "conv3": (1, 256, 17, 17), "conv6": (1, 1024, 9, 9),
                       "conv6_channel_step": (), "cls": (1, 20), "masks": (1, 21, 65, 65)},
    "net_resnet101_eval": {"x": (1, 3, 65, 65), "conv3": (1, 256, 17, 17), "conv6": (1, 2048, 5, 5),
                           "conv6_channel_step": (), "cls": (1, 20), "masks": (1, 21, 65, 65)},
    "baseline_cam_resnet50": {"x": (2, 3, 65, 65), "labels": (2, 20), "cls": (2, 20), "masks_test": (2, 21, 65, 65),
                              "cls_fg": (2,), "cam_clean": (2, 21, 65, 65), "logits": (2, 20, 5, 5)},
}
OUTPUTS = {"pamr_p5": ["out"], "pamr_flat": ["out"], "net_vgg16_eval": ["conv3", "conv6", "cls", "masks"],
           "net_resnet101_eval": ["conv3", "conv6", "cls", "masks"],
           "pseudo_gt": ["pseudo", "balanced_loss", "grad_logits", "pseudo_hi04_low01"],
           "baseline_cam_resnet50": ["cls", "masks_test", "cam_clean", "logits"]}
NOT_COMPARED = {"plain_ce", "cls_fg"}  # a helper that the original never uses, and a number that it only logs


def numbers(arrays):
    return {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in arrays.items()}


def spoiled(array):
    """One element changed by a tenth of the largest; of maps of 0 and 1, one flipped."""
    array = np.array(array)
    array.flat[0] = 1 - array.flat[0] if array.dtype.kind in "iu" else array.flat[0] + 0.1 * max(abs(array).max(), 1e-3)
    return array


def test_arrays_of_the_original_program():
    words = [sys.executable, "-m", "tests.parity", "tests/goldens/single_stage"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    names = sorted(p.name for p in GOLDENS.iterdir() if p.suffix in (".npz", ".json"))
    assert len(names) == 12 and [line.split()[0] for line in lines] == names
    assert all(line.endswith("  ok") and "tolerance" in line for line in lines)


def test_files_are_small_and_hold_numbers_only():
    for path in GOLDENS.iterdir():
        assert path.stat().st_size < 400_000
        if path.suffix == ".npz":
            assert all(a.dtype.kind in "fiu" for a in np.load(path, allow_pickle=False).values())


def test_wrong_arrays_and_unknown_files_fail(tmp_path, capsys):
    folder = tmp_path / "single_stage"
    folder.mkdir()
    shutil.copy(GOLDENS / "stochastic_gate.npz", folder)
    arrays = dict(np.load(GOLDENS / "eval_confusion.npz"))
    np.savez(folder / "eval_confusion.npz", **arrays | {"conf_mat": spoiled(arrays["conf_mat"])})
    np.savez(folder / "mystery.npz", a=np.zeros(3))
    assert command.main([str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("eval_confusion.npz") and lines[0].endswith("FAIL: confusion")
    assert lines[1].split() == ["mystery.npz", "no", "handler"] and lines[2].endswith("  ok")


@pytest.mark.parametrize("left, code", [("mystery.npz", 1), ("stochastic_gate.npz", 0), (None, 1)])
def test_exit_codes(tmp_path, capsys, left, code):
    if left == "mystery.npz":
        np.savez(tmp_path / left, a=np.zeros(3))
    elif left:
        shutil.copy(GOLDENS / left, tmp_path)
    assert command.main([str(tmp_path)]) == code
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_usage(capsys):
    assert command.main([]) == 2 and command.main(["nowhere"]) == 2
    assert "usage" in capsys.readouterr().out


COMPARED = {
    "stochastic_gate": ["out_eval_psi03", "out_eval_psi05", "out_train_psi03"],
    "pamr_p1": ["out", "local_std", "affinity_softmax", "neighbours_of_mask"],
    "ngwp_focal": ["masks_mean", "ngwp", "focal", "cls", "focal_p1_c01", "cls_p1_c01", "loss", "grad_fg_logits",
                   "focal_curve_p3_c001"],
    "pseudo_gt_designed": ["pseudo", "balanced_loss", "grad_logits"],
    "multiscale_loader": ["im_msc", "pads", "labels", "img_norm"],
}


@pytest.mark.parametrize("name", COMPARED)
def test_every_compared_array_of_the_original_counts(tmp_path, name):
    arrays, path = dict(np.load(GOLDENS / f"{name}.npz")), tmp_path / f"{name}.npz"
    np.savez(path, **arrays | {key: spoiled(arrays[key]) for key in COMPARED[name]})
    checks = single_stage.HANDLERS[name](path)
    assert len(checks) >= len(COMPARED[name]) and not any(c.ok for c in checks)


class Recorded(dict):
    """Arrays that remember which of them were looked at."""

    def __init__(self, values, seen):
        super().__init__(values)
        self.seen = seen

    def __getitem__(self, key):
        self.seen.add(key)
        return super().__getitem__(key)


def lend(monkeypatch, name):
    """Let the handlers take networks without initialisation, and the weights of `made`, which are there already."""
    real = networks.backbones.build

    def build(name):
        with torch.device("meta"):
            return real(name)

    def fill(module):
        left = module.load_state_dict(made.recipe(name), strict=False, assign=True)
        assert all(k.startswith("_aff.") or k.endswith("num_batches_tracked") for k in left.missing_keys)
        return module

    monkeypatch.setattr(networks.backbones, "build", build)
    monkeypatch.setattr(networks, "fill_by_key", fill)


@pytest.mark.parametrize("name", SHAPES)
def test_handlers_of_files_that_are_not_here(tmp_path, monkeypatch, name):
    arrays, path = numbers(made.MAKERS[name]()), tmp_path / f"{name}.npz"
    assert {k: np.shape(v) for k, v in arrays.items()} == SHAPES[name]
    np.savez(path, **arrays)
    seen = set()
    for module in (single_stage, networks):
        for reader in ("tensors", "load"):
            real = getattr(module, reader)
            monkeypatch.setattr(module, reader, lambda p, real=real: Recorded(real(p), seen))
    if "resnet" in name:
        lend(monkeypatch, name)  # VGG-16 goes the whole way
    checks = single_stage.HANDLERS[name](path)
    assert checks and all(c.ok for c in checks), checks
    assert seen == set(arrays) - NOT_COMPARED
    lend(monkeypatch, name)
    np.savez(path, **arrays | {key: spoiled(arrays[key]) for key in OUTPUTS[name]})
    checks = single_stage.HANDLERS[name](path)
    assert len(checks) >= len(OUTPUTS[name]) and not any(c.ok for c in checks)
    made.recipe.cache_clear()
