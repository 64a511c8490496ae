"""Weights from files, key for key."""

import torch
from torch import nn

from wsnb.files import FileError


def check_state(state, origin) -> None:
    """Raise FileError unless STATE is a bare state dict: names and tensors."""
    pairs = state.items() if isinstance(state, dict) else [(0, None)]
    if not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in pairs):
        raise FileError(f"{origin}: holds more or other things than named tensors; give a bare state dict")


def fill(module: nn.Module, state: dict, origin: str, heads: tuple = (), counters: bool = True) -> None:
    """Load STATE strictly.

    Left over may only be keys that begin with one of HEADS; missing, without COUNTERS, only BatchNorm's batch counters.
    Raises FileError naming the first keys that do not fit.
    """
    check_state(state, origin)
    own = module.state_dict()
    missing = [k for k in own if k not in state and (counters or not k.endswith("num_batches_tracked"))]
    unknown = [k for k in state if k not in own and not k.startswith(heads)]
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or unknown or shapes:
        raise FileError(
            f"{origin}: not weights of this network; {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}, {len(shapes)} of another shape {shapes[:3]}. "
            "Check the backbone and the decoder's width"
        )
    module.load_state_dict({k: v for k, v in state.items() if k in own}, strict=counters)
