"""From boundary maps and class maps to pseudo masks: the walk, its maximum, the threshold."""

import numpy as np
import torch

from wsnb.methods.cam import covering, over_class_maximum, over_joint_maximum, resized
from wsnb.methods.walk import random_walk

NORMALISE = {"joint": over_joint_maximum, "per class": over_class_maximum}


def normalised(maps, rule):
    """Class maps [K, H, W] divided by their maximum: "joint" (NoPeopleAllowed) or "per class" (IRN)."""
    if rule not in NORMALISE:
        raise ValueError(f"normalise {rule!r}: use joint or per class")
    return NORMALISE[rule](maps)


def walked(cam, edge, size, cover=(1.0, 1.0), radius=5, beta=10, exp_times=8):
    """Class maps [K, h, w] spread along boundaries EDGE [h', w'] and enlarged to the picture's SIZE: [K, H, W] in
    [0, 1].

    The maps are resized to the boundaries first (NoPeopleAllowed) or lie on the same grid already (IRN). cover: see
    `cam.covering`.
    """
    cam = resized(torch.as_tensor(np.asarray(cam, np.float32))[None], edge.shape)[0].numpy()
    spread = torch.from_numpy(random_walk(cam, edge, radius, beta, exp_times))[None]
    return over_joint_maximum(covering(spread, size, cover)[0].numpy())


def enlarged(spread, size, style="npa") -> np.ndarray:
    """Walked maps [K, h, w] at the picture's SIZE, divided by the one maximum of all: float32 [K, H, W].

    style "irn": enlarged 4 times, then cropped; "npa": resized straight to SIZE, which may squeeze.
    """
    if style not in ("irn", "npa"):
        raise ValueError(f"style {style!r}: use irn or npa")
    spread = torch.as_tensor(np.asarray(spread, np.float32))[None]
    cover = reach(spread.shape[-2:], size) if style == "irn" else (1.0, 1.0)
    return over_joint_maximum(covering(spread, size, cover)[0].numpy())


def reach(shape, size) -> tuple:
    """How far maps of SHAPE (h, w), enlarged 4 times, cover a picture of SIZE (H, W): see `cam.covering`.

    Raises ValueError for maps that do not cover it.
    """
    if any(4 * short < side for short, side in zip(shape, size, strict=True)):
        raise ValueError(f"maps {tuple(shape)} are too small for a picture {tuple(size)} at stride 4")
    return tuple(4 * short / side for short, side in zip(shape, size, strict=True))


def labels(maps, keys, threshold) -> np.ndarray:
    """uint8 [H, W]: the class of KEYS (1..) whose map [K, H, W] exceeds all others and THRESHOLD, else background."""
    numbers = np.concatenate([[0], np.asarray(keys, np.int64)])
    ground = np.full((1, *maps.shape[1:]), threshold, np.float32)
    return numbers[np.concatenate([ground, np.asarray(maps, np.float32)]).argmax(0)].astype(np.uint8)
