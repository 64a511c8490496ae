"""The parity command on arrays of the original program, and that its handlers notice a changed array."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.parity import __main__ as command
from tests.parity import simple_does_it, simple_does_it_networks
from wsnb.files import save_npz

GOLDENS = Path(__file__).parents[1] / "goldens/simple_does_it"


def test_arrays_of_the_original_program(capsys):
    assert command.main([str(GOLDENS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and all(line.endswith("  ok") for line in lines)


@pytest.mark.parametrize(("name", "key"), [
    ("loss_cases", "rand_loss_tf"), ("loss_cases", "batch2_grad_tf"), ("io_cases", "rect_3"),
    ("io_cases", "thr_out"), ("bkvoc_expected", "grabcut_2008_000001_1"), ("bkvoc_expected", "train_idx_epoch2_small"),
    ("grabcut_masks", "synthetic__seed1"), ("network_forward", "gradnorm_sup2"), ("network_forward", "side3")])
def test_a_changed_array_fails(tmp_path, name, key):
    shutil.copytree(GOLDENS, tmp_path / "g")
    path = tmp_path / "g" / f"{name}.npz"
    arrays = simple_does_it.load(path)
    array = np.array(arrays[key])
    array.flat[0] = 255 - array.flat[0] if array.dtype == np.uint8 else array.flat[0] * 1.1 + 1
    save_npz(path, **{**arrays, key: array})
    assert not all(check.ok for check in simple_does_it.HANDLERS[name](path))


def test_training_steps_are_compared(tmp_path):
    """A file in the form that the goldens' README describes, made by the handler's own run: right, then spoiled."""
    order, changes, momenta, printed = simple_does_it_networks.trained(3, steps=2)
    arrays = {"dw_norm_sup3": np.array([np.linalg.norm(changes[t].astype(float)) for t in order]),
              "mom_norm_sup3": np.array([momenta[t] for t in order])}
    frozen = [order.index(f"weak/score-dsn_{k}/biases") for k in (2, 3, 4, 5)]
    assert (arrays["mom_norm_sup3"][frozen] == 0).all() and len(printed) == 2  # no gradient without side losses
    kept = simple_does_it_networks.trained
    simple_does_it_networks.trained = lambda supervision: (order, changes, momenta, printed)
    try:
        for factor, good in ((1, True), (1.02, False)):
            save_npz(tmp_path / "train_steps.npz", **{k: v * factor for k, v in arrays.items()})
            checks = simple_does_it.HANDLERS["train_steps"](tmp_path / "train_steps.npz")
            assert len(checks) == 2 and all(check.ok for check in checks) == good
    finally:
        simple_does_it_networks.trained = kept
