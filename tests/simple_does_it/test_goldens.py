"""The parity command on arrays of the original program, and that its handlers notice a changed array."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.parity import __main__ as command
from tests.parity import simple_does_it, simple_does_it_networks
from wsnb.files import save_json, save_npz

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


@pytest.fixture
def steps(monkeypatch):
    """Two steps of each supervision, run once."""
    run = {k: simple_does_it_networks.trained(k, steps=2) for k in (1, 2, 3)}
    monkeypatch.setattr(simple_does_it_networks, "trained", run.__getitem__)
    return run


def arrays_of(steps, form):
    """The arrays that the goldens' README describes, in several forms that a file may have."""
    names = steps[1][0]
    norms = {k: np.array([np.linalg.norm(changes[t].astype(float)) for t in names])
             for k, (_, changes, *_) in steps.items()}
    momenta = {k: np.array([found[t] for t in names]) for k, (_, _, found, _) in steps.items()}
    losses = {k: np.array(printed) for k, (*_, printed) in steps.items()}
    heads = {k: [changes[t].ravel()[:8] for t in names] for k, (_, changes, *_) in steps.items()}
    if form == "by stage":
        return {f"{what}_sup{k}": values[k] for k in steps for what, values in
                (("dw_norm", norms), ("mom_norm", momenta), ("printed_losses", losses))} | {
            f"first8_sup{k}": np.concatenate(heads[k]) for k in steps}
    if form == "stacked":
        padded = {k: np.stack([np.pad(head, (0, 8 - len(head))) for head in heads[k]]) for k in steps}
        return {what: np.stack([values[k] for k in steps]) for what, values in
                (("delta_norm", norms), ("momentum_norm", momenta), ("losses", losses), ("first_values", padded))}
    return {f"sup{k}/{t}.first8": head for k in steps for t, head in zip(names, heads[k], strict=True)}


@pytest.mark.parametrize("form", ["by stage", "stacked", "by variable"])
def test_training_steps_are_compared(form, steps, tmp_path):
    """Files in the forms that the goldens' README allows, made by the handler's own run: right, then each spoiled."""
    arrays, path = arrays_of(steps, form), tmp_path / "train_steps.npz"
    save_npz(path, **{k.replace("/", "__"): v for k, v in arrays.items()})
    checks = simple_does_it.HANDLERS["train_steps"](path)
    assert len(checks) == (12 if form != "by variable" else 3 * 44) and all(check.ok for check in checks)
    for key in list(arrays)[:: 1 if form != "by variable" else 40]:
        save_npz(path, **{k.replace("/", "__"): v * (1.02 if k == key else 1) for k, v in arrays.items()})
        checks = simple_does_it.HANDLERS["train_steps"](path)
        assert not arrays[key].any() or not all(check.ok for check in checks), key


def test_what_is_not_understood_fails(steps, tmp_path):
    path = tmp_path / "train_steps.npz"
    save_npz(path, **arrays_of(steps, "by stage"), dw_sup1_of_something=np.ones(50))
    assert [check.name for check in simple_does_it.HANDLERS["train_steps"](path) if not check.ok] == [
        "dw_sup1_of_something: (50,) is not understood"]


def test_without_side_losses_the_scores_get_no_gradient(steps):
    order, _, momenta, printed = steps[3]
    assert all(momenta[f"weak/score-dsn_{k}/biases"] == 0 for k in (2, 3, 4, 5)) and len(printed) == 2


def test_the_runs_description_is_compared(steps, tmp_path):
    path, order = tmp_path / "train_steps_meta.json", steps[1][0]
    for meta, good in (({"variables": order, "momentum": 0.9, "boundaries": [1, 2]}, True),
                       ({"variables": order[1:]}, False), ({"momentum": 0.8}, False),
                       ({"losses_sup2": steps[2][3]}, True), ({"note": "four steps"}, True)):
        save_json(path, meta)
        assert all(check.ok for check in simple_does_it.HANDLERS["train_steps_meta"](path)) == good, meta
