"""From boundary maps and class maps to pseudo masks: the walk, its maximum, the threshold.

IRNet's boundaries and the random walk over a data set: the network here, the walks in worker processes.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb import files
from wsnb.data import read
from wsnb.models import irnet
from wsnb.ops import cam
from wsnb.ops import crf as label_crf
from wsnb.ops.cam import covering, over_class_maximum, over_joint_maximum, resized, squashed
from wsnb.ops.crf import CRF
from wsnb.ops.random_walk import random_walk
from wsnb.papers.no_people_allowed.presets import sized

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


@dataclass(frozen=True)
class Walk:
    """radius, beta and 2^exp_times steps; rule of the class maps' maximum."""

    normalise: str
    radius: int = 5
    beta: int = 10
    exp_times: int = 8


@dataclass(frozen=True)
class Job:
    """One picture's walk."""

    id: str
    cams: Path
    edge: np.ndarray
    size: tuple
    cover: tuple
    walk: Walk
    folder: Path


def edge_of(network, image, side=0, scale=1.0, pad=0):
    """(boundaries [h, w], displacements [2, h, w], cover) of a picture uint8 [H, W, 3]; see `irnet.flipped_edges`. The
    network stays where it is; the arrays are NumPy's.

    cover: how far the two reach beyond the picture, see `cam.covering`. Pictures in their own shape (SIDE 0) are
    enlarged fourfold and cropped, as IRN does, squashed ones resized as a whole.
    """
    x = squashed(sized(image, side, scale), 0)[1].to(next(network.parameters()).device)
    edge, moved = irnet.flipped_edges(network, x, pad)
    cover = (1.0, 1.0) if side else reach(edge.shape, x.shape[-2:])
    return edge.cpu().numpy(), moved.cpu().numpy(), cover


def jobs(network, items, cams, folder, walk, side=0, scale=1.0, pad=0):
    """A job a picture; None where its maps are in FOLDER already."""
    for item in items:
        if (Path(folder) / f"{item.id}.npz").exists():
            yield None
            continue
        image = read.image(item)
        edge, _, cover = edge_of(network, image, side, scale, pad)
        yield Job(item.id, Path(cams), edge, image.shape[:2], cover, walk, Path(folder))


def finish(job: Job | None) -> None:
    """Walk and keep the maps, float16 at the boundaries' size, to be read at the picture's."""
    if job is None:
        return
    keys, raw = cam.read(job.cams, job.id, "stored")
    maps = normalised(raw, job.walk.normalise)
    spread = walked(maps, job.edge, job.walk.radius, job.walk.beta, job.walk.exp_times)
    cam.write(job.folder, job.id, keys, spread, job.size, job.cover)


@dataclass(frozen=True)
class Mask:
    """One pseudo mask to write: walked maps in FOLDER above THRESHOLD. crf: on the picture at SIDE and SCALE (see
    `recipes.sized`), or None."""

    id: str
    folder: Path
    threshold: float
    path: Path
    image: Path
    side: int = 0
    scale: float = 1.0
    crf: CRF | None = None


def write_mask(job: Mask) -> None:
    """The pseudo mask at the picture's size, uint8 PNG; what is there stays."""
    if job.path.exists():
        return
    keys, maps = cam.read(job.folder, job.id)
    if not job.crf or not job.crf.iterations:
        files.save_png(job.path, labels(normalised(maps, "joint"), keys + 1, job.threshold))
        return
    image = files.read_rgb(job.image)
    small = sized(image, job.side, job.scale)
    keys, maps = cam.read(job.folder, job.id, small.shape[:2])
    numbers = np.concatenate([[0], keys + 1])
    label = label_crf.with_background(normalised(maps, "joint"), job.threshold)
    refined = numbers[label_crf.refine_labels(small, [label], len(numbers), job.crf)[0]].astype(np.uint8)
    files.save_png(job.path, cv2.resize(refined, image.shape[1::-1], interpolation=cv2.INTER_NEAREST))
