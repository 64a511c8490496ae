"""Look at a file of weights before a training needs it: readable, finite, and of which backbone."""

from pathlib import Path

import torch

from wsnb.data.doctor import Report
from wsnb.files import FileError, load_npz, load_torch
from wsnb.models import backbones


def check(path) -> Report:
    """Report on a file of named tensors, .npz or what torch.save writes: its tensors and the backbones that take it are
    notes, tensors that are not finite and a file that cannot be read are problems."""
    report = Report(str(path))
    try:
        state = _named(path)
    except FileError as error:
        report.problems.append(str(error))
        return report
    report.notes.append(f"{len(state)} tensors, {sum(one.numel() for one in state.values()):,} numbers")
    wrong = [name for name, one in state.items() if not torch.isfinite(one).all()]
    if wrong:
        report.problems.append(f"{path}: {len(wrong)} tensors hold NaN or Inf, the first is {wrong[0]}; fetch it again")
    fitting = [name for name in backbones.NAMES if _fits(name, path)] if Path(path).suffix != ".npz" else []
    report.notes.append(f"weights of {' or '.join(fitting)}" if fitting else
                        "no backbone of the book takes it by itself; a whole network has its own parameter, checkpoint")
    return report


def _named(path) -> dict[str, torch.Tensor]:
    if Path(path).suffix == ".npz":
        return {name: torch.as_tensor(one) for name, one in load_npz(path).items() if one.dtype.kind in "biuf"}
    state = load_torch(path)
    state = state.get("model", state) if isinstance(state, dict) else state
    backbones.check_state(state, str(path))
    return state


def _fits(name, path) -> bool:
    try:
        backbones.load_imagenet(backbones.build(name), name, str(path))
    except FileError:
        return False
    return True
