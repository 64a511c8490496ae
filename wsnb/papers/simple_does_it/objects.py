"""The objects of a picture as the instance system sees them: numbers, masks, boxes, box maps, and the pair files."""

import re

import numpy as np

from wsnb.data.weak import VOID
from wsnb.files import FileError

LINE = re.compile(r"(.+)###(.+)###(-?\d+)###(-?\d+)###(-?\d+)###(-?\d+)")


def object_ids(instances, drop_first: bool = True, void: bool = False) -> list[int]:
    """The objects' numbers in an instance map int [H, W], ascending.

    DROP_FIRST leaves out the smallest value, whatever it is, as the original program does: it takes for granted that 0
    (no object) occurs, so a picture without background loses its first object. Without it, only 0 is left out. VOID:
    255 is no object (VOC; SBD has no void).
    """
    values = [int(v) for v in np.unique(instances) if not (void and v == VOID)]
    return values[1:] if drop_first else [v for v in values if v != 0]


def tight_box(mask) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), half-open, around the set pixels of a mask [H, W]; four zeros if there are none."""
    rows, columns = np.flatnonzero(np.any(mask, axis=1)), np.flatnonzero(np.any(mask, axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box_map(shape, box) -> np.ndarray:
    """The network's fourth channel: uint8 [H, W], 255 in the box, 0 elsewhere.

    As in the original, a box that begins left of or above the picture gives an empty map (its start counts from the
    end, as Python slices do); boxes around masks never do.
    """
    x0, y0, x1, y1 = box
    drawn = np.zeros(shape, np.uint8)
    drawn[y0:y1, x0:x1] = 255
    return drawn


def pair_line(image: str, mask: str, box) -> str:
    """A line of the original's pair files: picture, mask, and y1, x1, y2, x2 (the ends exclusive)."""
    x0, y0, x1, y1 = box
    return f"{image}###{mask}###{y0}###{x0}###{y1}###{x1}"


def read_pairs(path) -> list[tuple[str, str, tuple[int, int, int, int]]]:
    """(picture, mask, box x0 y0 x1 y1) of every line of a pair file. Raises FileError."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error}); run 01_prepare again") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise FileError(f"{path}, line {number}: {line!r} is not IMAGE###MASK###y1###x1###y2###x2; write it again")
        image, mask, y0, x0, y1, x1 = match.groups()
        pairs.append((image, mask, (int(x0), int(y0), int(x1), int(y1))))
    return pairs
