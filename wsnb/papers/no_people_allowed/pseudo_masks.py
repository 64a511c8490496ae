"""From boundaries and class maps to pseudo masks: the random walk over a data set, its maximum, a threshold, a CRF."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb.data import read
from wsnb.ops import cam, parallel
from wsnb.ops.crf import CRF, refine_labels
from wsnb.ops.random_walk import random_walk
from wsnb.papers.no_people_allowed import irnet
from wsnb.papers.no_people_allowed.data import sized


@dataclass(frozen=True)
class Walk:
    """radius, beta and 2^exp_times steps of a walk, and the device for them; rule of the class maps' maximum before
    it."""

    normalise: str
    radius: int = 5
    beta: int = 10
    exp_times: int = 8
    device: str = "cpu"


def walked(maps, edge, radius=5, beta=10, exp_times=8, device="cpu") -> np.ndarray:
    """Spread class maps [K, h, w] along boundaries EDGE [h', w']: float32 [K, h', w'].

    The maps are resized to the boundaries first (NoPeopleAllowed) or lie on the same grid already (IRN).
    """
    if not len(maps):
        return np.zeros((0, *edge.shape), np.float32)
    maps = cam.resized(torch.as_tensor(np.asarray(maps, np.float32))[None], edge.shape)[0].numpy()
    return random_walk(maps, edge, radius, beta, exp_times, device)


def enlarged(spread, size, cover=(1.0, 1.0)) -> np.ndarray:
    """Enlarge walked maps [K, h, w] to the picture's SIZE (H, W), divided by the one maximum of all: float32 [K, H, W]
    in [0, 1]. cover: see `cam.covering`."""
    spread = torch.from_numpy(np.asarray(spread, np.float32))[None]
    return cam.over_joint_maximum(cam.covering(spread, size, cover)[0].numpy())


def write_walked_maps(network, items, cams, folder, walk, side=0, scale=1.0, pad=0, workers=0):
    """Yield once a picture, as soon as its walked class maps stand in FOLDER as ID.npz; those that are there stay.

    The network runs here, one picture after another, the walks of the class maps in CAMS in WORKERS processes.
    side, scale, pad: see `irnet.boundaries`.
    """
    def pictures():
        for item in items:
            if (Path(folder) / f"{item.id}.npz").exists():
                yield None
                continue
            image = read.image(item)
            edge, _, cover = irnet.boundaries(network, image, side, scale, pad)
            yield item.id, edge, image.shape[:2], cover

    walk_one = partial(_write_walk_of, cams=cams, folder=folder, walk=walk)
    yield from parallel.map_images(walk_one, pictures(), workers, preload=(__name__,))


def _write_walk_of(picture, cams, folder, walk):
    if picture is not None:
        write_walk(*picture, cams, folder, walk)


def write_walk(name, edge, size, cover, cams, folder, walk) -> None:
    """Walk over the boundaries EDGE of the picture NAME and keep the maps, float16 at the boundaries' size, to be read
    at the picture's SIZE (H, W)."""
    keys, raw = cam.read(cams, name, "stored")
    maps = cam.normalised(raw, walk.normalise)
    cam.write(folder, name, keys, walked(maps, edge, walk.radius, walk.beta, walk.exp_times, walk.device), size,
              cover)


def mask_of(item, maps, threshold, side=0, scale=1.0, crf: CRF | None = None) -> np.ndarray:
    """Make the pseudo mask uint8 [H, W] of a picture at its own size: its walked maps in the folder MAPS above
    THRESHOLD.

    With a CRF it is refined on the picture as `data.sized` gives it.
    """
    if not crf or not crf.iterations:
        keys, scores = cam.read(maps, item.id)
        return cam.labels(cam.normalised(scores, "joint"), keys + 1, threshold)
    image = read.image(item)
    small = sized(image, side, scale)
    keys, scores = cam.read(maps, item.id, small.shape[:2])
    numbers = np.concatenate([[0], keys + 1])
    label = cam.thresholded(cam.normalised(scores, "joint"), threshold)
    refined = numbers[refine_labels(small, [label], len(numbers), crf)[0]].astype(np.uint8)
    return cv2.resize(refined, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
