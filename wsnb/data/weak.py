"""Weak labels from masks, for any data set: image tags, boxes, scribbles, points.

A mask is uint8 [H, W]: 0 background, 1.. classes, 255 void. An instance mask numbers the things of the same picture
(0 none, 255 void); without one, each connected component of a class counts as a thing. Scribbles and points come as
label maps, uint8 [H, W] with 255 wherever nothing is known. Everything is a function of its arguments, seed included.

GROUND is the label of the background; None where a set has none (Cityscapes, whose 0 is road): then every label is a
class like the others, and stuff gives things as well.
"""

import cv2
import numpy as np

from wsnb.data import stroke

VOID = 255


def tags(mask, n_classes: int, ground: int | None = 0) -> np.ndarray:
    """1.0 for each foreground class that the mask holds, float32 [n_classes - 1]; entry k is class k + 1.

    Without a GROUND, float32 [n_classes]: entry k is class k.
    Computed from the whole, uncropped mask, as the papers do. Raises ValueError for a label above the classes.
    """
    present = np.bincount(np.asarray(mask).ravel(), minlength=256) > 0
    if present[n_classes:VOID].any():
        raise ValueError(f"label {np.flatnonzero(present[:VOID])[-1]} in a mask of {n_classes} classes: "
                         "pass the set's own n_classes")
    return present[0 if ground is None else 1:n_classes].astype(np.float32)


def things(mask, instances=None, min_area: int = 1, ground: int | None = 0) -> list[tuple[int, np.ndarray]]:
    """The things of a picture: (class, bool [H, W]), ordered by class, or by number where INSTANCES gives them.

    An instance's class is the one on most of its pixels. 255 is void in uint8 instance masks, a number in wider ones.
    Things under MIN_AREA pixels are left out. Raises ValueError if the two masks differ in size or an instance lies on
    background and void only.
    """
    mask = np.asarray(mask)
    found = []
    if instances is None:
        for label in np.unique(mask):
            if label not in (ground, VOID):
                count, parts = cv2.connectedComponents((mask == label).astype(np.uint8), connectivity=8)
                found += [(int(label), parts == k) for k in range(1, count)]
    else:
        instances = np.asarray(instances)
        if instances.shape != mask.shape:
            raise ValueError(f"instances {instances.shape}, mask {mask.shape}: give two masks of one picture")
        for k in np.unique(instances):
            if k != 0 and (k != VOID or instances.dtype != np.uint8):  # wider maps may count 255 instances and more
                votes = np.bincount(mask[instances == k], minlength=256)
                votes[[VOID] if ground is None else [ground, VOID]] = 0
                if not votes.any():
                    raise ValueError(f"instance {k} lies on background or void only: give two masks of one picture")
                found.append((int(votes.argmax()), instances == k))
    return [(label, region) for label, region in found if region.sum() >= min_area]


def boxes(mask, instances=None, ground: int | None = 0):
    """The tight box of each thing: int64 [N, 4] (x0, y0, x1, y1, half-open) and its class, int64 [N]. See `things`."""
    found, labels = [], []
    for label, region in things(mask, instances, ground=ground):
        rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
        found.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        labels.append(label)
    return np.array(found, np.int64).reshape(-1, 4), np.array(labels, np.int64)


def draw_boxes(shape, boxes, labels) -> np.ndarray:
    """Label map of filled boxes, uint8 [H, W]: the smaller box lies in front, outside of all is background.

    The simplest reading of a box as a mask ("Rectangles"; Khoreva et al., Simple Does It, CVPR 2017, section 3).
    """
    drawn = np.zeros(shape, np.uint8)
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        x0, y0, x1, y1 = np.maximum(boxes[k], 0)
        drawn[y0:y1, x0:x1] = labels[k]
    return drawn


def scribbles(mask, seed: int, instances=None, width: int = 3, length: float = 1.0, background: int = 1) -> np.ndarray:
    """One stroke along the middle of each thing, and one in each of the BACKGROUND largest pieces of background.

    WIDTH in pixels; LENGTH is the share of the stroke that is kept, around its middle (0 leaves a dab; the scribble
    lengths of ScribbleSup-like studies). Strokes never leave their region; things under 20 pixels get none. Returns a
    label map, uint8 [H, W].
    """
    drawn = np.full(np.shape(mask), VOID, np.uint8)
    for k, (label, region) in enumerate(_background(mask, background) + things(mask, instances, min_area=20)):
        drawn[stroke.along(region, np.random.default_rng([seed, k]), width, length)] = label
    return drawn


def points(mask, seed: int, instances=None, n: int = 1, background: int = 1,
           radius: int = 0) -> np.ndarray:
    """N random pixels of each thing and BACKGROUND random pixels of the background, each grown to a disc of RADIUS.

    Where a thing has room, its points keep a pixel or more off its border, as a person's clicks do. Discs never leave
    their region. Returns a label map, uint8 [H, W], 255 elsewhere.
    """
    mask = np.asarray(mask)
    drawn = np.full(mask.shape, VOID, np.uint8)
    regions = [(0, mask == 0, background), *((*thing, n) for thing in things(mask, instances))]
    for k, (label, region, count) in enumerate(regions):
        depth = stroke.depth(region)
        inner = np.flatnonzero(depth > min(2.0, depth.max() / 2))
        rng = np.random.default_rng([seed, k])
        chosen = rng.choice(inner, min(count, inner.size), replace=False) if inner.size else []
        for pixel in chosen:
            y, x = divmod(int(pixel), mask.shape[1])
            disc = cv2.circle(np.zeros(mask.shape, np.uint8), (x, y), radius, 1, -1) > 0
            drawn[disc & region] = label
    return drawn


def _background(mask, count: int) -> list[tuple[int, np.ndarray]]:
    """The COUNT largest connected pieces of background."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((np.asarray(mask) == 0).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return [(0, parts == k + 1) for k in np.argsort(-areas, kind="stable")[:count]]
