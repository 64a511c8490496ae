"""Instance labels from class labels and boxes, as the released program makes them."""

from dataclasses import dataclass

import numpy as np

from wsnb.papers.panoptic.boxes import Objects
from wsnb.papers.panoptic.space import IGNORE


@dataclass(frozen=True, eq=False)
class Instances:
    """ids uint8 [H, W]: 1..N the objects in the order of their boxes, 0 claimed by none, 255 ignored; labels int64 [N]
    the class of each; lost: ids that have no pixel ("sanity not preserved" in the original)."""

    ids: np.ndarray
    labels: np.ndarray
    lost: tuple[int, ...]


def instance_labels(labels, found: Objects) -> Instances:
    """Which object each pixel of the class map uint8 [H, W] belongs to. Boxes are clipped.

    An object takes the pixels of its class inside its box. A pixel claimed by two boxes of one class becomes 255 for
    good. Stuff classes are objects too, with the whole picture as their box; groups are not, so pixels that only a
    group covers stay 0. Objects of the same class and box count once (the first). From the 255th on the ids are 255,
    that is ignored: the map has 8 bits.
    """
    ids = np.zeros(labels.shape, np.uint8)
    ids[labels == IGNORE] = IGNORE
    if not len(found):
        return Instances(ids, np.zeros(0, np.int64), ())
    seen, kept = set(), []
    for k, (label, box) in enumerate(zip(found.labels.tolist(), found.boxes.tolist(), strict=True)):
        if (label, *box) not in seen:
            seen.add((label, *box))
            if not found.groups[k]:
                kept.append((label, box))
    for number, (label, (x0, y0, x1, y1)) in enumerate(kept, start=1):
        place = ids[y0:y1, x0:x1]
        own = labels[y0:y1, x0:x1] == label
        place[own] = np.where(place[own] != 0, IGNORE, min(number, IGNORE))
    present = np.bincount(ids.ravel(), minlength=256) > 0
    lost = tuple(n for n in range(1, len(kept) + 1) if n >= 256 or not present[n])
    return Instances(ids, np.array([label for label, _ in kept], np.int64), lost)
