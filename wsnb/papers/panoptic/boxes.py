"""Annotated objects as boxes, as the released program extracts them from instance ids and keeps them in MAT files.

An instance of a thing class has a tight box, a group of them one box around all, a stuff class that occurs the box of
the whole picture.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from wsnb.data import mat
from wsnb.files import FileError, write
from wsnb.papers.panoptic.label_space import IGNORE

PER_CLASS = 1000  # instance k of class c has the id 1000 c + k
CORNERS = ("xmin", "ymin", "xmax", "ymax")  # names of a box's fields in a MAT file


@dataclass(frozen=True, eq=False)
class Objects:
    """N annotated objects of a picture.

    boxes: int64 [N, 4] (x0, y0, x1, y1 in pixels, half-open); labels: int64 [N]; groups, stuff: bool [N], whether the
    box holds several instances, or is the whole picture's for a stuff class.
    """

    boxes: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    stuff: np.ndarray

    def __len__(self):
        return len(self.labels)

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each box, int64 [N]."""
        return np.prod(np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0), axis=1)


def objects(rows) -> Objects:
    """Make Objects of ROWS (label, x0, y0, x1, y1, group, stuff), boxes half-open."""
    table = np.array(list(rows), np.int64).reshape(-1, 7)
    return Objects(table[:, 1:5], table[:, 0], table[:, 5] > 0, table[:, 6] > 0)


def from_instance_ids(ids, space, groups=True) -> Objects:
    """Extract the objects of an instance map uint16 [H, W] of train ids.

    Ids: 1000 c + k for instance k of the thing class c, the bare class for stuff and for a group of a thing class, 255
    for nothing. The list holds stuff in ascending order, then groups (if GROUPS; one box around all of a class), then
    instances. An id of 1000 or between the classes is dropped. The class of an instance is id / 1000 ROUNDED HALF UP,
    as the original's 16-bit division has it: 13499 is a car (13), 13500 a truck (14). Raises ValueError for an
    instance of a class that the space does not have.
    """
    height, width = ids.shape
    stuff, bare, instances = [], [], []
    for value in np.unique(ids).tolist():
        if value == IGNORE:
            continue
        if value in space.stuff:
            stuff.append((value, 0, 0, width, height, 0, 1))
        elif value > PER_CLASS:
            label = (value + PER_CLASS // 2) // PER_CLASS
            if label >= len(space):
                raise ValueError(f"instance id {value}: class {label} among {len(space)} classes; read train ids")
            instances.append((label, *tight(ids == value), 0, 0))
        elif groups and value in space.things:
            bare.append((value, *tight(ids == value), 1, 0))
    return objects([*stuff, *bare, *instances])


def tight(mask) -> tuple[int, int, int, int]:
    """Find the smallest box (x0, y0, x1, y1), half-open, around the True pixels of MASK [H, W], one at least."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def clipped(found: Objects, shape) -> Objects:
    """Cut the boxes at the borders of a picture of SHAPE (H, W).

    A box that lies wholly outside stays in the list as an empty one: it covers no pixel, and no rule fills it.
    """
    height, width = shape
    low = np.clip(found.boxes[:, :2], 0, (width, height))
    high = np.maximum(np.clip(found.boxes[:, 2:], 0, (width, height)), low)
    return Objects(np.concatenate([low, high], axis=1), found.labels, found.groups, found.stuff)


def class_masks(found: Objects, shape, n_classes: int) -> dict[int, np.ndarray]:
    """Unite the clipped boxes of each class, groups and stuff included: {label: bool [H, W]}; no box, no mask."""
    masks = {}
    for label, (x0, y0, x1, y1) in zip(found.labels.tolist(), found.boxes.tolist(), strict=True):
        if label < n_classes:
            masks.setdefault(label, np.zeros(shape, bool))[y0:y1, x0:x1] = True
    return masks


def save_boxes(path, found: Objects, names) -> None:
    """Write objects as the released MAT files, `dets.annotation.object(k)`: all values as text, corners from 0, maxima
    INCLUSIVE."""
    box_type = [(name, object) for name in CORNERS]
    fields = [("name", object), ("bndbox", object), ("is_grp", object), ("is_stuff", object)]
    rows = np.empty((1, len(found)), fields)
    for k, (x0, y0, x1, y1) in enumerate(found.boxes.tolist()):
        box = np.array([[tuple(map(str, (x0, y0, x1 - 1, y1 - 1)))]], box_type)
        flags = (str(int(found.groups[k])), str(int(found.stuff[k])))
        rows[0, k] = (names[found.labels[k]], box, *flags)
    annotation = {"object": rows} if len(found) else np.zeros((0, 0))
    save_mat(path, {"dets": {"annotation": annotation}})


def save_mat(path, content) -> None:
    """Write {name: array} as a compressed MAT file, whole; without the header's date, equal content is equal bytes."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, do_compression=True)
    with write(path) as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:])


def load_boxes(path, names) -> Objects:
    """Read a file of `save_boxes`; labels are places in NAMES. Raises FileError for another format or unknown names."""
    if not Path(path).exists():
        raise FileError(f"{path}: missing; run the stage that extracts boxes, or check the folder")
    content = mat.load(path)
    try:
        annotation = content["dets"]["annotation"][0, 0]
        if not annotation.size:
            return objects([])
        found = [
            (_text(row["name"]), [int(_text(row["bndbox"][0, 0][corner])) for corner in CORNERS],
             int(_text(row["is_grp"])), int(_text(row["is_stuff"])))
            for row in annotation["object"][0, 0].ravel()
        ]
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise FileError(f"{path}: not a file of boxes (dets.annotation.object) ({error}); make it again") from error
    rows = []
    for name, (x0, y0, x1, y1), group, stuff in found:
        if name not in names:
            raise FileError(f"{path}: class {name!r} is unknown; the classes are {', '.join(names)}")
        rows.append((list(names).index(name), x0, y0, x1 + 1, y1 + 1, group, stuff))
    return objects(rows)


def _text(value) -> str:
    return str(np.asarray(value).ravel()[0])
