"""The fixed crops of a picture, and the tags that each of them carries: all that the stuff classes are annotated with.

The crops overlap just as much as they must to end at the picture's borders (15 of 400 x 500 in 1024 x 2048).
"""

import numpy as np

from wsnb.papers.panoptic.space import IGNORE


def starts(side: int, crop: int) -> list[int]:
    """First pixels of the crops along one side: ceil(side / crop) of them, their overlap rounded up.

    One crop as long as the side starts at 0 (the original divides by zero there). With sides that the overlap does
    not divide, the last pixels stay uncovered, as in the original. Raises ValueError where a crop does not fit.
    """
    if not 0 < crop <= side:
        raise ValueError(f"crop of {crop} pixels on a side of {side}; use 1 to {side}")
    count = -(-side // crop)
    if count == 1:
        return [0]
    overlap = -(-(count * crop - side) // (count - 1))
    found = [k * (crop - overlap) for k in range(count)]
    if overlap >= crop or found[-1] + crop > side:
        raise ValueError(f"crops of {crop} pixels cannot tile a side of {side}; choose another size")
    return found


def windows(canvas, crop) -> np.ndarray:
    """Windows int64 [N, 4] (y0, x0, y1, x1), half-open, column after column: the order of the released crops.

    canvas, crop: (height, width).
    """
    ys, xs = (starts(side, size) for side, size in zip(canvas, crop, strict=True))
    return np.array([(y, x, y + crop[0], x + crop[1]) for x in xs for y in ys], np.int64).reshape(-1, 4)


def window_tags(labels, places, n_classes: int) -> np.ndarray:
    """Tags bool [N, n_classes] of the windows PLACES [N, 4] in labels uint8 [H, W]: one pixel is enough, 255 is no
    class."""
    tags = np.zeros((len(places), n_classes), bool)
    for k, (y0, x0, y1, x1) in enumerate(places):
        present = np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=256) > 0
        if present[n_classes:IGNORE].any():
            wrong = int(np.flatnonzero(present[n_classes:IGNORE])[0]) + n_classes
            raise ValueError(f"label {wrong} among {n_classes} classes: read train ids, or remap the labels")
        tags[k] = present[:n_classes]
    return tags


def crop_size(canvas, crop) -> tuple[int, int]:
    """The crop (h, w), and where a value is 0, the paper's share of the canvas: 400 / 1024 of its height, 500 / 2048
    of its width."""
    share = (400 / 1024, 500 / 2048)
    return tuple(given or max(1, round(side * part)) for given, side, part in zip(crop, canvas, share, strict=True))
