"""Weak masks of tags, boxes, scribbles and points, and the over-segmentation within which the paper calls pixels alike
(Ke et al., ICLR 2021): from the list, a folder, the data set, or made here.

Weak masks: uint8 [H, W], 0..C-1 a class, 254 unlabelled (takes part in clustering and in the relations between
segments, carries no class), 255 void (removed everywhere). Regions: uint8 [H, W], a region's number at every pixel. The
original reads PNGs cut from owt-ucm over HED (VOC) or PMI (DensePose); the book makes them over its own boundaries or
HED's.
"""

import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from wsnb.data import read, weak
from wsnb.data.item import image_shape
from wsnb.data.own import dataset
from wsnb.files import FileError, read_index
from wsnb.ops import boundaries, cam
from wsnb.ops.hierarchies import regions, ucm

UNLABELLED, VOID = 254, 255


def background_score(cams, power=6.0) -> np.ndarray:
    """Score the background (1 - highest CAM)^POWER, float32 [H, W], for CAMs float [K, H, W] in 0..1; ones without
    any."""
    cams = np.asarray(cams, np.float32)
    highest = cams.max(axis=0) if len(cams) else np.zeros(cams.shape[1:], np.float32)
    return np.clip(1 - highest, 0, 1) ** np.float32(power)


def from_tags(cams, keys, power=6.0, threshold=0.2) -> np.ndarray:
    """Take the class of the highest score at each pixel, the background's by `background_score`; unlabelled where the
    highest is below THRESHOLD.

    cams: float [K, H, W] in 0..1 of the classes that the tags name, keys: their numbers (1..C-1), [K].
    """
    scores = np.concatenate([background_score(cams, power)[None], np.asarray(cams, np.float32)])
    labels = np.concatenate([[0], np.asarray(keys, np.int64)]).astype(np.uint8)[scores.argmax(axis=0)]
    labels[scores.max(axis=0) < threshold] = UNLABELLED
    return labels


def from_boxes(cams, keys, boxes, labels, threshold=0.5) -> np.ndarray:
    """Take background outside of every box; inside, the class where its CAM, rescaled to 0..1 within the box, reaches
    THRESHOLD, else unlabelled.

    boxes: int [N, 4] (x0, y0, x1, y1, half-open), labels: classes [N]. Smaller boxes lie in front. A box whose class
    has no CAM, or a flat one, stays unlabelled.
    """
    cams, keys = np.asarray(cams, np.float32), list(map(int, keys))
    drawn = np.zeros(cams.shape[1:], np.uint8)
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        x0, y0, x1, y1 = np.maximum(boxes[k], 0)
        inside = np.full(drawn[y0:y1, x0:x1].shape, UNLABELLED, np.uint8)
        if labels[k] in keys and inside.size:
            cam = cams[keys.index(labels[k]), y0:y1, x0:x1]
            low, high = cam.min(), cam.max()
            if high > low:
                inside[(cam - low) / (high - low) >= threshold] = labels[k]
        drawn[y0:y1, x0:x1] = inside
    return drawn


def dilated(labels, radius) -> np.ndarray:
    """Dilate strokes and points by RADIUS pixels: each pixel so near to a labelled one takes the nearest one's class.

    labels: uint8 [H, W], 254 and 255 where nothing is known. They know no borders of objects; a stroke may spill
    over one, as in the original. Pixels without a class are unlabelled, not void.
    """
    labels = np.asarray(labels, np.uint8)
    known = labels < UNLABELLED
    result = np.full(labels.shape, UNLABELLED, np.uint8)
    if not known.any():
        return result
    distance, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL)
    class_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    class_of[nearest[known]] = labels[known]
    near = distance <= radius
    result[near] = class_of[nearest[near]]
    return result


def from_file(labels, n_classes) -> np.ndarray:
    """Read a weak mask as the original's lists name them: classes, void 255, everything between unlabelled."""
    labels = np.array(labels, np.uint8)
    labels[(labels >= n_classes) & (labels < VOID)] = UNLABELLED
    return labels


def tags(labels, n_classes) -> np.ndarray:
    """Set 1 for each foreground class that a weak mask holds, float32 [C - 1]. The mask is the whole one: a crop keeps
    the tags of objects it lost, and an object that the CAM's threshold lost is no tag, as in the original."""
    present = np.bincount(np.asarray(labels).ravel(), minlength=256) > 0
    return present[1:n_classes].astype(np.float32)


def quality(labels, truth, n_classes) -> dict:
    """Count how good a weak mask is: pixels with a class and a true class ("labelled"), the right ones among them
    ("right"), pixels with a true class ("all")."""
    known = np.asarray(truth) < n_classes
    labelled = known & (np.asarray(labels) < n_classes)
    right = labelled & (labels == truth)
    return {"labelled": int(labelled.sum()), "right": int(right.sum()), "all": int(known.sum())}


MOST_REGIONS = 255  # a region's number has 8 bits, and 255 is padding


def over_segmentation(image, threshold=0.3, scale=1.0, detect=boundaries.boundary_map) -> np.ndarray:
    """Make regions of a picture uint8 [H, W, 3]: uint8 [H, W], numbers 0..R-1, R <= 255.

    owt-ucm over the boundaries that DETECT gives of the picture shrunk by SCALE, cut at THRESHOLD; where that leaves
    more than 255 regions, at the lowest higher height that does not (in the original's 8 bits further ones would
    alias).
    """
    height, width = image.shape[:2]
    small = image
    if scale != 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    found = regions(ucm(detect(small)), threshold, MOST_REGIONS).astype(np.uint8)
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST)


def read_regions(path, shape) -> np.ndarray:
    """Official regions from an 8-bit index PNG of the picture's size (SHAPE is height, width). Raises FileError."""
    found = read_index(path)
    if found.shape != tuple(shape):
        raise FileError(f"{path}: {found.shape[1]}x{found.shape[0]}, its picture is {shape[1]}x{shape[0]}; take the "
                        "regions of this very picture")
    return found


def regions_of(folder, item) -> np.ndarray:
    """Read the index PNG FOLDER/ID.png of a picture, as `read_regions`."""
    return read_regions(Path(folder) / f"{item.id}.png", image_shape(item))


SUPERVISIONS = ("tag", "box", "scribble", "point", "full")
REGION_ORIGINS = ("made", "list", "folder")
WEAK_ORIGINS = ("made", "dataset", "list", "folder")


def check_choice(name, value, choices) -> None:
    """Raise ValueError unless VALUE of the parameter NAME is one of CHOICES."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: use one of {', '.join(choices)}")


def weak_field(layout, supervision) -> str:
    """Name the field of an item that holds the weak mask of its list: the reader puts DensePose's points beside the
    mask."""
    return "points" if (layout, supervision) == ("densepose", "point") else "mask"


def truth(layout, n_classes):
    """Return a function from an item to its true mask uint8 [H, W]; all void where it has none, as in a test split."""
    return partial(_truth, layout, n_classes)


def _truth(layout, n_classes, item):
    if item.mask is None:
        return np.full(read.image(item).shape[:2], VOID, np.uint8)
    return read.mask(layout, item, n_classes)


def tag_readers(layout, supervision, names, origin):
    """Return functions from an item to (its mask, its tags float32 [C - 1]); with the ORIGIN "list" the masks are weak
    and the tags are those of the masks."""
    if origin == "list":
        weak_mask_of = WeakMasks(layout, supervision, names, origin)
        return weak_mask_of, weak_mask_of.tags
    return truth(layout, len(names)), partial(read.tags, layout, n_classes=len(names))


def in_folder(folder):
    """Return a function from an item to its index PNG in FOLDER, uint8 [H, W]."""
    return partial(_png, Path(folder))


def _png(folder, item):
    return read_index(folder / f"{item.id}.png")


@dataclass(frozen=True)
class Regions:
    """Called with an item: its regions uint8 [H, W], made, or of the list or the folder. Raises FileError."""

    origin: str = "made"
    folder: str = ""
    threshold: float = 0.3
    scale: float = 1.0
    boundaries: str = "builtin"

    def __call__(self, item) -> np.ndarray:
        image = read.image(item)
        if self.origin == "made":
            detect = boundaries.detector(self.boundaries, item, image.shape[:2])
            return over_segmentation(image, self.threshold, self.scale, detect)
        path = item.regions if self.origin == "list" else Path(self.folder) / f"{item.id}.png"
        if path is None:
            raise FileError(f"{item.id}: the list names no regions; take one of three columns, or regions_source made")
        return read_regions(path, image.shape[:2])


@dataclass(frozen=True)
class WeakMasks:
    """Called with an item: its weak mask uint8 [H, W]. Raises FileError or ValueError naming a missing file."""

    layout: str
    supervision: str
    names: tuple
    origin: str = "made"
    folder: str = ""
    cams: str = ""
    power: float = 6.0
    tag_threshold: float = 0.2
    box_threshold: float = 0.5
    radius: int = 3
    seed: int = 0

    def __call__(self, item) -> np.ndarray:
        n_classes = len(self.names)
        if self.origin in ("list", "folder"):
            listed = getattr(item, weak_field(self.layout, self.supervision))
            path = listed if self.origin == "list" else Path(self.folder) / f"{item.id}.png"
            return from_file(read_regions(path, read.image(item).shape[:2]), n_classes)
        if self.supervision == "full":
            return read.mask(self.layout, item, n_classes)
        if self.supervision == "tag":
            keys, maps = cam.read(self.cams, item.id)
            return from_tags(maps, keys + 1, self.power, self.tag_threshold)
        if self.supervision == "box":
            keys, maps = cam.read(self.cams, item.id)
            return from_boxes(maps, keys + 1, *self.boxes(item), self.box_threshold)
        return dilated(self.strokes(item), self.radius)

    def tags(self, item) -> np.ndarray:
        """Return the picture's tags, float32 [C - 1]: the classes of its weak mask."""
        return tags(self(item), len(self.names))

    def boxes(self, item):
        """Return the picture's boxes: of its XML, else around the objects of its mask."""
        if item.boxes is not None:
            return read.boxes(self.layout, item, self.names)[:2]
        need_labels([item], "box")
        return weak.boxes(read.mask(self.layout, item, len(self.names)), self.instances(item))

    def strokes(self, item):
        """Return scribbles or points of one pixel's width: the data set's own, or drawn on the mask."""
        kind = f"{self.supervision}s"
        if self.origin == "dataset":
            path = getattr(item, kind)
            if path is None:
                raise FileError(f"{item.id}: the data set has no {kind} for it; use weak_source made, or add them")
            return read_regions(path, read.image(item).shape[:2])
        need_labels([item], self.supervision, self.origin)
        mask, number = read.mask(self.layout, item, len(self.names)), zlib.crc32(item.id.encode()) + self.seed
        if self.supervision == "scribble":
            return weak.scribbles(mask, number, self.instances(item), width=1)
        return weak.points(mask, number, self.instances(item))

    def instances(self, item):
        return None if item.instances is None else read.instances(self.layout, item)


def need_labels(items, supervision, source="made") -> None:
    """Raise FileError if the labels of a SUPERVISION would be made of masks that are not whole: before long work."""
    kind = {"box": "boxes", "scribble": "scribbles", "point": "points", "full": "labels"}.get(supervision)
    if kind and source == "made":
        bare = [item for item in items if kind != "boxes" or item.boxes is None]
        remedy = {"boxes": "give boxes of every picture", "labels": "take a weak supervision"}.get(
            kind, f"give {kind} of every picture and take weak_source=dataset")
        dataset.need_whole(bare, f"{kind} made of masks", remedy)


def check_files(items, source, folder, name, field="regions") -> None:
    """Raise FileError naming the first pictures without a file (of a list: without FIELD), before any is worked on."""
    if source == "folder":
        missing = [item.id for item in items if not (Path(folder) / f"{item.id}.png").is_file()]
    elif source == "list":
        missing = [item.id for item in items if getattr(item, field) is None]
    else:
        missing = []
    if missing:
        where = f"in {folder}" if source == "folder" else "in the list"
        raise FileError(f"{len(missing)} pictures have no {name} {where}: {', '.join(missing[:5])}; add them, "
                        f"or use {'regions' if name == 'regions' else 'weak'}_source made")
