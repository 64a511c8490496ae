"""Masks of single objects of your own pictures: outlines of a COCO JSON, or a class mask separated by boxes.

Outlines are COCO's `segmentation`, which `coco_masks` reads.
"""

import numpy as np

from wsnb.files import FileError

VOID = 255
MOST = 254  # objects of a picture: an 8-bit map numbers no more, since 255 is void


def drawn(regions, labels, crowds) -> tuple[np.ndarray, np.ndarray]:
    """Draw objects, REGIONS bool [N, H, W], LABELS [N], CROWDS bool [N]: (class mask, object mask), uint8 [H, W] each.

    Outside of all is background; the smaller object lies in front. Object k has the number k + 1; a crowd, many
    objects in one outline, has its class and no number.
    """
    mask, numbers = np.zeros(regions.shape[1:], np.uint8), np.zeros(regions.shape[1:], np.uint8)
    for k in np.argsort(-regions.sum((1, 2)), kind="stable"):
        mask[regions[k]] = labels[k]
        numbers[regions[k]] = 0 if crowds[k] else k + 1
    return mask, numbers


def separated(mask, boxes, labels, difficult) -> np.ndarray:
    """Separate a class mask uint8 [H, W] by boxes [N, 4] (half-open), LABELS, DIFFICULT [N]: object mask uint8 [H, W].

    A pixel belongs to the one box of its class that it lies in. Where boxes of a class overlap, and where there is
    none, its object is unknown: 255, as where the class is void. Difficult objects and crowds are 255 too.
    """
    claims = np.zeros(mask.shape, np.uint16)
    numbers = np.zeros(mask.shape, np.uint8)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        own = mask[y0:y1, x0:x1] == labels[k]
        claims[y0:y1, x0:x1] += own
        numbers[y0:y1, x0:x1][own] = VOID if difficult[k] else k + 1
    numbers[(mask > 0) & (claims != 1)] = VOID
    return numbers


def renumbered(path, numbers) -> np.ndarray:
    """Renumber an object mask, integers [H, W] of the file PATH, to uint8 1..N, 255 void.

    Raises FileError for too many objects.
    """
    void = numbers == VOID if numbers.dtype == np.uint8 else np.zeros(numbers.shape, bool)
    values, place = np.unique(np.where(void, 0, numbers), return_inverse=True)
    if len(values) - 1 > MOST:
        raise FileError(f"{path}: {len(values) - 1} objects; take at most {MOST} a picture")
    ranks = np.searchsorted(values[values > 0], values, side="right")
    return np.where(void, VOID, ranks[place].reshape(numbers.shape)).astype(np.uint8)
