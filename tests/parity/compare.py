"""What the handlers of all papers share: results of a comparison, deterministic weights."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Check:
    """One compared quantity: its largest error and what is allowed."""

    name: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return bool(self.error <= self.tolerance)  # False for NaN


def array(value) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def absolute(name, ours, theirs, tolerance) -> Check:
    """Largest absolute difference."""
    ours, theirs = array(ours).astype(np.float64), array(theirs).astype(np.float64)
    return Check(
        name, float("inf") if ours.shape != theirs.shape else float(np.abs(ours - theirs).max(initial=0)), tolerance
    )


def relative(name, ours, theirs, tolerance) -> Check:
    """Largest absolute difference over the largest absolute value."""
    check = absolute(name, ours, theirs, tolerance)
    return Check(name, check.error / max(float(np.abs(array(theirs)).max(initial=0)), 1e-12), tolerance)


def exact(name, ours, theirs) -> Check:
    """Number of differing elements; none is allowed."""
    ours, theirs = array(ours), array(theirs)
    return Check(name, float("inf") if ours.shape != theirs.shape else float((ours != theirs).sum()), 0.0)


def agreement(name, ours, theirs, share) -> Check:
    """Share of differing elements; at most 1 - SHARE is allowed."""
    ours, theirs = array(ours), array(theirs)
    return Check(name, float("inf") if ours.shape != theirs.shape else float((ours != theirs).mean()), 1 - share)


def load(path) -> dict:
    """Arrays of an .npz, NumPy array of an .npy, or the content of a .json."""
    path = Path(path)
    if path.suffix == ".json":
        return json.loads(path.read_text())
    with np.load(path, allow_pickle=False) as archive:
        return {k: archive[k] for k in archive.files}


def tensors(path) -> dict[str, torch.Tensor]:
    """Arrays of an .npz as tensors."""
    return {k: torch.from_numpy(np.asarray(v)) for k, v in load(path).items() if np.asarray(v).dtype.kind != "U"}


def fill_by_key(module, prefix="") -> torch.nn.Module:
    """Give every tensor of a module the value that its state-dict key determines ("recipe W")."""
    state = module.state_dict(keep_vars=True)
    names: dict[int, str] = {}
    with torch.no_grad():
        for key, tensor in state.items():
            if key.startswith("_aff.") or key.endswith("num_batches_tracked"):
                continue
            key = names.setdefault(id(tensor), key)
            seed = zlib.crc32((prefix + key).encode()) & 0x7FFFFFFF
            noise = np.random.RandomState(seed).standard_normal(tuple(tensor.shape))
            if tensor.ndim >= 2:
                value = noise / np.sqrt(np.prod(tensor.shape[1:]))
            elif key.endswith("running_var"):
                value = 1 + 0.2 * np.abs(noise)
            elif key.endswith("running_mean"):
                value = 0.1 * noise
            elif key.endswith("weight"):
                value = 1 + 0.1 * noise
            else:
                value = 0.1 * noise
            tensor.copy_(torch.from_numpy(value.astype(np.float32)))
    return module
