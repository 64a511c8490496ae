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


def walked(cam, edge, radius=5, beta=10, exp_times=8) -> np.ndarray:
    """Class maps [K, h, w] spread along boundaries EDGE [h', w']: float32 [K, h', w'].

    The maps are resized to the boundaries first (NoPeopleAllowed) or lie on the same grid already (IRN).
    """
    if not len(cam):
        return np.zeros((0, *edge.shape), np.float32)
    cam = resized(torch.as_tensor(np.asarray(cam, np.float32))[None], edge.shape)[0].numpy()
    return random_walk(cam, edge, radius, beta, exp_times)


def enlarged(spread, size, cover=(1.0, 1.0)) -> np.ndarray:
    """Walked maps [K, h, w] at the picture's SIZE (H, W), divided by the one maximum of all: float32 [K, H, W] in
    [0, 1]. cover: see `cam.covering`."""
    return over_joint_maximum(covering(torch.from_numpy(np.asarray(spread, np.float32))[None], size, cover)[0].numpy())


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
