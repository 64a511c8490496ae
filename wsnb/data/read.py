"""Read pictures and labels of any layout on disk, by the layout's name.

A layout is a module of this package with `class_names(root)`, `items(root, split, limit)`, `read_mask`, and what else
it has; the functions here take its name, and a chain runs on any of them.
"""

from pathlib import Path

import numpy as np

from wsnb.data import cityscapes, coco, densepose, imagenet_det, sbd, voc, weak
from wsnb.data.item import Item
from wsnb.files import FileError, read_rgb

_READERS = {"voc": voc, "sbd": sbd, "cityscapes": cityscapes, "imagenet_det": imagenet_det, "densepose": densepose,
            "coco": coco}
LAYOUTS = tuple(_READERS)


def of(layout: str):
    """Return the reader module of LAYOUT. Raises ValueError for an unknown one."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    return _READERS[layout]


def class_names(layout: str, root) -> tuple[str, ...]:
    """List the names of the classes 0, 1, ... of the set."""
    return of(layout).class_names(root)


def palette(layout: str) -> np.ndarray:
    """Return the set's own colours, uint8 [256, 3]."""
    return of(layout).PALETTE


def background(layout: str) -> int | None:
    """Return the label of the background; None where there is none (Cityscapes, whose 0 is road)."""
    return of(layout).BACKGROUND


def thing_classes(layout: str, n_classes: int) -> tuple[int, ...]:
    """List the classes that come in instances; the others are stuff or background."""
    return getattr(of(layout), "THINGS", tuple(range(1, n_classes)))


def items(layout: str, root, split: str, limit: int = 0) -> list[Item]:
    """List the pictures of SPLIT in the list's order, at most LIMIT of them (0: all)."""
    return of(layout).items(root, split, limit)


HELD_OUT = ("val", "test", "minival")  # how lists of pictures that are tested begin


def need_tuning_split(parameter: str, split: str, chosen: str) -> None:
    """Raise ValueError if SPLIT, the value of PARAMETER, is a list of held-out pictures: what is CHOSEN on the pictures
    of a test flatters the test. SPLIT: a list's name, its file, or SPLIT:LIST.txt."""
    if Path(split.partition(":")[0]).name.lower().startswith(HELD_OUT):
        raise ValueError(f"{parameter} {split!r}: {chosen} would be chosen on pictures that are held out for tests; "
                         "take training pictures, as train or a list of some of them, train:LIST.txt")


def image(item: Item) -> np.ndarray:
    """Read the picture, uint8 [H, W, 3]."""
    return read_rgb(item.image, item.by_exif)


def mask(layout: str, item: Item, n_classes: int) -> np.ndarray:
    """Read the class mask, uint8 [H, W]: 0..n_classes - 1, 255 void."""
    return of(layout).read_mask(item, n_classes)


def instances(layout: str, item: Item) -> np.ndarray:
    """Read the instance mask, integers [H, W]: 0 none, 1..N; 255 is void in masks of 8 bits. Raises FileError."""
    return _reader(layout, "read_instances", "instance masks")(item)


def boxes(layout: str, item: Item, names) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read boxes int64 [N, 4] half-open, labels [N], difficult bool [N]."""
    return _reader(layout, "read_boxes", "boxes")(item, names)


def tags(layout: str, item: Item, n_classes: int) -> np.ndarray:
    """Read image tags float32 [n_classes - 1] ([n_classes] without a background): of the list where it has them, else
    of the whole mask."""
    reader = of(layout)
    if hasattr(reader, "read_tags"):
        return reader.read_tags(item, n_classes)
    return weak.tags(reader.read_mask(item, n_classes), n_classes, reader.BACKGROUND)


def _reader(layout: str, name: str, what: str):
    function = getattr(of(layout), name, None)
    if function is None:
        raise FileError(f"the layout {layout} has no {what}; take another layout or supervision")
    return function
