"""Where regions and weak masks of a training picture come from: the list, a folder, the data set, or made here."""

import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data import own_known, read, weak
from wsnb.files import FileError, read_index, save_png
from wsnb.methods import cam_store
from wsnb.papers.spml import regions, weak_masks

SUPERVISIONS = ("tag", "box", "scribble", "point", "full")
REGION_SOURCES = ("made", "list", "folder")
WEAK_SOURCES = ("made", "dataset", "list", "folder")


def known(name, value, choices) -> None:
    """Raise ValueError unless VALUE of the parameter NAME is one of CHOICES."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: use one of {', '.join(choices)}")


def weak_field(layout, supervision) -> str:
    """The field of an item that holds the weak mask of its list: the reader puts DensePose's points beside the mask."""
    return "points" if (layout, supervision) == ("densepose", "point") else "mask"


def truth(layout, n_classes):
    """A function from an item to its true mask uint8 [H, W]; all void where it has none, as in a test split."""
    return partial(_truth, layout, n_classes)


def _truth(layout, n_classes, item):
    if item.mask is None:
        return np.full(read.image(item).shape[:2], weak_masks.VOID, np.uint8)
    return read.mask(layout, item, n_classes)


def in_folder(folder):
    """A function from an item to its index PNG in FOLDER, uint8 [H, W]."""
    return partial(_png, Path(folder))


def _png(folder, item):
    return read_index(folder / f"{item.id}.png")


@dataclass(frozen=True)
class Regions:
    """Which regions a picture gets; called with (item, path) it writes them (unless they are there) and counts them."""

    source: str = "made"
    folder: str = ""
    threshold: float = 0.3
    scale: float = 1.0

    def __call__(self, item, path) -> int:
        if not path.exists():
            save_png(path, self.of(item))
        return int(read_index(path).max()) + 1

    def of(self, item):
        image = read.image(item)
        if self.source == "made":
            return regions.made(image, self.threshold, self.scale)
        path = item.regions if self.source == "list" else Path(self.folder) / f"{item.id}.png"
        if path is None:
            raise FileError(f"{item.id}: the list names no regions; take one of three columns, or regions_source made")
        return regions.read(path, image.shape[:2])


@dataclass(frozen=True)
class WeakMasks:
    """Which weak mask a picture gets; called with (item, path) it writes it (unless it is there)."""

    layout: str
    supervision: str
    names: tuple
    source: str = "made"
    folder: str = ""
    cams: str = ""
    power: float = 6.0
    tag_threshold: float = 0.2
    box_threshold: float = 0.5
    radius: int = 3
    seed: int = 0

    def __call__(self, item, path) -> None:
        if not path.exists():
            save_png(path, self.of(item))

    def of(self, item) -> np.ndarray:
        """The weak mask, uint8 [H, W]. Raises FileError or ValueError naming what is missing."""
        n_classes = len(self.names)
        if self.source in ("list", "folder"):
            listed = getattr(item, weak_field(self.layout, self.supervision))
            path = listed if self.source == "list" else Path(self.folder) / f"{item.id}.png"
            return weak_masks.from_file(regions.read(path, read.image(item).shape[:2]), n_classes)
        if self.supervision == "full":
            return read.mask(self.layout, item, n_classes)
        if self.supervision == "tag":
            keys, maps = cam_store.read(self.cams, item.id)
            return weak_masks.from_tags(maps, keys + 1, self.power, self.tag_threshold)
        if self.supervision == "box":
            keys, maps = cam_store.read(self.cams, item.id)
            return weak_masks.from_boxes(maps, keys + 1, *self.boxes(item), self.box_threshold)
        return weak_masks.grown(self.strokes(item), self.radius)

    def tags(self, item) -> np.ndarray:
        """The picture's tags, float32 [C - 1]: the classes of its weak mask."""
        return weak_masks.tags(self.of(item), len(self.names))

    def boxes(self, item):
        """The picture's boxes: of its XML, else around the things of its mask."""
        if item.boxes is not None:
            return read.boxes(self.layout, item, self.names)[:2]
        need_labels([item], "box")
        return weak.boxes(read.mask(self.layout, item, len(self.names)), self.instances(item))

    def strokes(self, item):
        """Scribbles or points of one pixel's width: the data set's own, or drawn on the mask."""
        kind = f"{self.supervision}s"
        if self.source == "dataset":
            path = getattr(item, kind)
            if path is None:
                raise FileError(f"{item.id}: the data set has no {kind} for it; use weak_source made, or add them")
            return regions.read(path, read.image(item).shape[:2])
        need_labels([item], self.supervision, self.source)
        mask, number = read.mask(self.layout, item, len(self.names)), zlib.crc32(item.id.encode()) + self.seed
        if self.supervision == "scribble":
            return weak.scribbles(mask, number, self.instances(item), width=1)
        return weak.points(mask, number, self.instances(item))

    def instances(self, item):
        return None if item.instances is None else read.instances(self.layout, item)


def write(job):
    """One picture of a label stage: (maker, item, path), as `methods.parallel.map_images` takes it."""
    maker, item, path = job
    return maker(item, path)


def need_labels(items, supervision, source="made") -> None:
    """Raise FileError if the labels of a SUPERVISION would be made of masks that are not whole: before long work."""
    kind = {"box": "boxes", "scribble": "scribbles", "point": "points", "full": "labels"}.get(supervision)
    if kind and source == "made":
        bare = [item for item in items if kind != "boxes" or item.boxes is None]
        mend = {"boxes": "give boxes of every picture", "labels": "take a weak supervision"}.get(
            kind, f"give {kind} of every picture and take weak_source=dataset")
        own_known.need_whole(bare, f"{kind} made of masks", mend)


def check(items, source, folder, name, field="regions") -> None:
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
