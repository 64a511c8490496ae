"""IRNet's instance branch over a data set: displacements to detections, in worker processes."""

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch

from wsnb.data import read
from wsnb.metrics import instances
from wsnb.ops import cam, displacements, label_maps, parallel
from wsnb.ops.random_walk import random_walk
from wsnb.papers.no_people_allowed import irnet


@dataclass(frozen=True)
class Settings:
    """steps and reach (pixels at stride 4) of the centroids; the walk; background and smallest fragment; rule of the
    class maps' maximum; the device of the walk."""

    steps: int = 300
    reach: float = 2.5
    radius: int = 5
    beta: int = 10
    exp_times: int = 8
    background: float = 0.25
    smallest: float = 0.01
    normalise: str = "per class"
    device: str = "cpu"


def detections_of(network, items, cams, settings, scale=1.0, pad=0, workers=0):
    """Yield the detections of each picture: [(class 1.., score, *`packed` mask)].

    The network runs here, one picture after another, the rest in WORKERS processes. Pictures keep their shape times
    SCALE and are padded to PAD (IRN: 512); CAMS: the folder of their class maps.
    """
    def pictures():
        for item in items:
            image = read.image(item)
            yield item.id, *irnet.boundaries(network, image, 0, scale, pad), image.shape[:2]

    yield from parallel.map_images(partial(_detections_of, cams=cams, settings=settings), pictures(), workers,
                                   preload=(__name__,))


def _detections_of(picture, cams, settings):
    name, edge, moved, cover, size = picture
    for one in (edge, moved):
        label_maps.need_finite(one, f"instances of {name}")
    keys, raw = cam.read(cams, name, "stored")
    if not len(keys):
        return []
    maps = torch.from_numpy(cam.normalised(raw, settings.normalise))
    maps = cam.resized(maps[None], edge.shape)[0].numpy()
    parts, owner = displacements.split_by_cluster(maps, groups(moved, settings))
    if not len(parts):
        return []
    walked = random_walk(parts, edge, settings.radius, settings.beta, settings.exp_times, settings.device)
    whole = cam.covering(torch.from_numpy(walked)[None], size, cover)[0].numpy().clip(0)
    found = displacements.instances(whole, owner, keys + 1, settings.background, settings.smallest)
    return [(label, score, *packed(region)) for label, score, region in found]


def groups(moved, settings):
    """Number the instances int32 [h, w] from displacements [2, h, w]."""
    return displacements.clusters(displacements.centroids(moved, settings.steps), moved, settings.reach)


def packed(region):
    """Cut a mask to the box of its pixels: (top, left, bool [h, w])."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, region[top : rows[-1] + 1, left : columns[-1] + 1].copy()


def unpacked(top, left, part, size):
    """Restore the mask bool [H, W] of SIZE (H, W)."""
    region = np.zeros(size, bool)
    region[top : top + part.shape[0], left : left + part.shape[1]] = part
    return region


def truth(item, layout, n_classes):
    """Read the true instances of a picture: (masks bool [G, H, W], classes [G], void bool [H, W]); an instance's class
    is that of most of its pixels."""
    numbers, mask = read.instances(layout, item), read.mask(layout, item, n_classes)
    regions, labels = [], []
    for k in np.unique(numbers):
        if k in (0, 255):
            continue
        votes = np.bincount(mask[numbers == k], minlength=256)
        votes[[0, 255]] = 0
        if votes.any():
            regions.append(numbers == k)
            labels.append(int(votes.argmax()))
    void = (numbers == 255) | (mask == 255)
    return np.array(regions, bool).reshape(-1, *mask.shape), np.array(labels, np.int64), void


def record(item, found, layout, n_classes, skip_void=True):
    """Make the record of a picture for average precision; SKIP_VOID: pixels without an instance of their own count for
    nothing, else they are part of the union."""
    regions, labels, void = truth(item, layout, n_classes)
    masks = np.array([unpacked(*rest, void.shape) for _, _, *rest in found], bool).reshape(-1, *void.shape)
    return instances.picture(masks, [one[0] for one in found], [one[1] for one in found], regions, labels,
                             void if skip_void else None)


def with_several(items, layout, n_classes, count=4):
    """Choose the first pictures with two instances or more, else the first."""
    many = []
    for item in items:
        if len(truth(item, layout, n_classes)[1]) > 1:
            many.append(item)
        if len(many) == count:
            break
    return many or items[:count]


def numbered(found, size):
    """Draw detections as one map uint8 [H, W], numbers 1..: the better score lies in front; those of score 0 are left
    out."""
    drawn = np.zeros(size, np.uint8)
    kept = sorted((one for one in found if one[1] > 0), key=lambda one: one[1])
    for k, (_, _, *rest) in enumerate(kept, start=1):
        drawn[unpacked(*rest, size)] = (k - 1) % 254 + 1
    return drawn


def wheel(moved, size) -> np.ndarray:
    """Draw displacements [2, h, w] as colours uint8 [H, W, 3]: hue is direction, brightness length."""
    length, angle = np.hypot(*moved), np.arctan2(moved[0], moved[1])
    hsv = np.zeros((*moved.shape[1:], 3), np.uint8)
    hsv[..., 0] = ((angle + np.pi) / (2 * np.pi) * 179).astype(np.uint8)
    hsv[..., 1] = 255
    hsv[..., 2] = (255 * np.clip(length / max(float(np.percentile(length, 98)), 1e-6), 0, 1)).astype(np.uint8)
    return cv2.resize(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), size[::-1], interpolation=cv2.INTER_NEAREST)
