"""One picture of a data set: the places of its files, and its label maps, checked as they are read.

Readers of all layouts make Items. A label map has the picture's size, the right bits and no impossible label.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.files import ON_ITS_SIDE, FileError, loaded_image, open_image, orientation, read_index

VOID = 255
NO_CLASS = ("masks: all hold nothing but 0 and 255; 255 means unknown: write the class's number. Where it is the "
            "first one's, Pillow does it for an `image` that it opened: "
            "image.point(lambda v: min(v, 1)).save(image.filename)")


@dataclass(frozen=True)
class Item:
    """The files of one picture and its labels. None: this set has no such file for it."""

    id: str
    image: Path
    mask: Path | None               # class mask: index PNG, SBD's cls/ID.mat, Cityscapes' label ids
    instances: Path | None = None   # instance mask: index PNG of 8 or 16 bits, SBD's inst/ID.mat
    boxes: Path | None = None       # XML
    regions: Path | None = None     # over-segmentation: a region's number at every pixel, index PNG
    scribbles: Path | None = None   # label map: classes, and C..255 where nothing is known
    points: Path | None = None      # label map, as scribbles
    tags: tuple[int, ...] | None = None  # classes that the list itself says are in the picture
    by_exif: bool = False           # the picture is turned as its EXIF data say


def given(item: Item, what: str) -> Path:
    """Return the path of field WHAT of ITEM. Raises FileError if the set has no such file for it."""
    path = getattr(item, what)
    if path is None:
        raise FileError(f"{item.id}: no {what} file beside {item.image}; use a split that has {what}, or fetch them")
    return path


def image_shape(item: Item) -> tuple[int, int]:
    """Read height and width of the picture, of its header alone. Raises FileError."""
    with open_image(item.image) as image:
        width, height = image.size
        return (width, height) if item.by_exif and orientation(image) in ON_ITS_SIDE else (height, width)


def of_image_size(item: Item, path: Path, mask: np.ndarray) -> np.ndarray:
    """Return MASK, read from PATH, if it is as large as its picture. Raises FileError if not."""
    height, width = image_shape(item)
    if mask.shape != (height, width):
        raise FileError(f"{path}: {mask.shape[1]}x{mask.shape[0]}, but its picture is {width}x{height}; "
                        "give the mask in the picture's size")
    return mask


def classes_only(path: Path, mask: np.ndarray, n_classes: int) -> np.ndarray:
    """Return MASK if it holds 0..N_CLASSES - 1 and 255 only. Raises FileError if not."""
    wrong = mask[(mask >= n_classes) & (mask != VOID)]
    if wrong.size:
        raise FileError(f"{path}: label {wrong.max()} on {wrong.size} pixels, but there are {n_classes} classes; "
                        "give the mask of this set, or its number of classes")
    return mask


def read_numbers(path) -> np.ndarray:
    """Read a map of numbers (instances, regions): uint8 or uint16 [H, W], as the PNG has 8 or 16 bits.

    Raises FileError.
    """
    image = loaded_image(path)
    if image.mode.startswith("I"):  # 16 bits; Pillow before 10 called them I
        wide = np.array(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise FileError(f"{path}: numbers beyond 16 bits; write a 16-bit grey PNG")
        return wide.astype(np.uint16)
    return read_index(path)


def weak_map(item: Item, what: str, n_classes: int) -> np.ndarray:
    """Read the label map WHAT ("scribbles", "points", or "mask") of ITEM, uint8 [H, W], 255 wherever nothing is known.

    The papers' files mark unknown pixels with any value from N_CLASSES to 255; here they all become 255.
    """
    path = given(item, what)
    drawn = of_image_size(item, path, read_index(path))
    return np.where(drawn < n_classes, drawn, VOID).astype(np.uint8)


def regions(item: Item) -> np.ndarray:
    """Read the over-segmentation of ITEM, int64 [H, W]: the number of the region at every pixel. Raises FileError."""
    path = given(item, "regions")
    return of_image_size(item, path, read_numbers(path)).astype(np.int64)
