"""From boundary maps and class maps to pseudo masks: the walk, its maximum, the threshold."""

import numpy as np
import torch

from wsnb.methods.cam import over_class_maximum, over_joint_maximum, resized
from wsnb.methods.walk import random_walk

NORMALISE = {"joint": over_joint_maximum, "per class": over_class_maximum}


def normalised(maps, rule):
    """Class maps [K, H, W] divided by their maximum: "joint" (NoPeopleAllowed) or "per class" (IRN)."""
    if rule not in NORMALISE:
        raise ValueError(f"normalise {rule!r}: use joint or per class")
    return NORMALISE[rule](maps)


def walked(cam, edge, size, style="npa", radius=5, beta=10, exp_times=8):
    """Class maps [K, h, w] spread along boundaries EDGE [h', w'] and enlarged to the picture's SIZE: [K, H, W] in
    [0, 1].

    The maps are resized to the boundaries first (NoPeopleAllowed) or lie on the same grid already (IRN).
    """
    cam = resized(torch.as_tensor(np.asarray(cam, np.float32))[None], edge.shape)[0].numpy()
    return enlarged(random_walk(cam, edge, radius, beta, exp_times), size, style)


def enlarged(spread, size, style="npa") -> np.ndarray:
    """Walked maps [K, h, w] at the picture's SIZE, divided by the one maximum of all: float32 [K, H, W].

    style "irn": enlarged 4 times, then cropped; "npa": resized straight to SIZE, which may squeeze.
    """
    spread = torch.as_tensor(np.asarray(spread, np.float32))[None]
    if style == "irn":
        grown = resized(spread, tuple(4 * side for side in spread.shape[-2:]))[0, :, : size[0], : size[1]]
        if tuple(grown.shape[-2:]) != tuple(size):
            raise ValueError(f"maps {tuple(spread.shape[-2:])} are too small for a picture {tuple(size)} at stride 4")
    elif style == "npa":
        grown = resized(spread, size)[0]
    else:
        raise ValueError(f"style {style!r}: use irn or npa")
    return over_joint_maximum(grown.numpy())


def labels(maps, keys, threshold) -> np.ndarray:
    """uint8 [H, W]: the class of KEYS (1..) whose map [K, H, W] exceeds all others and THRESHOLD, else background."""
    numbers = np.concatenate([[0], np.asarray(keys, np.int64)])
    ground = np.full((1, *maps.shape[1:]), threshold, np.float32)
    return numbers[np.concatenate([ground, np.asarray(maps, np.float32)]).argmax(0)].astype(np.uint8)
