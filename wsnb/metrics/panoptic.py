"""Panoptic quality as Kirillov et al. (CVPR 2019, section 4) define it and the COCO panoptic task counts it.

The older definition by the weakly supervised panoptic paper's own program is in `panoptic_authors`.
"""

import numpy as np

from wsnb.metrics.segments import NONE, VOID, ids_of, iou, labelled, shared_pixels


class PanopticQuality:
    """Sums over pictures: true positives, false positives, false negatives and IoU of each class, int64/float64 [C].

    quality = PanopticQuality(19)
    for ...: quality.add(true_ids, true_classes, ids, classes)
    quality.scores()["PQ"]    # [C] in [0, 1]
    """

    def __init__(self, n_classes: int):
        self.tp, self.fp, self.fn = (np.zeros(n_classes, np.int64) for _ in range(3))
        self.iou = np.zeros(n_classes)

    def add(self, true_ids, true_classes, ids, classes, crowd=()) -> None:
        """Count a picture.

        true_ids, ids: integer maps [H, W]; NONE is no segment, VOID in the truth is not scored. true_classes, classes:
        {id: class}. crowd: ids of the truth that stand for several objects.

        A pair of segments of one class matches if IoU > 0.5, where the prediction's void pixels do not count to the
        union; each has one partner at most. A crowd matches nothing and is never missed. A prediction without a
        partner is no false positive if more than half of it is void or crowd of its own class.
        """
        shared = shared_pixels(true_ids, ids)
        true_kept, kept = ids_of(true_ids), ids_of(ids)
        true_class, own_class = labelled(true_kept, true_classes, "truth"), labelled(kept, classes, "prediction")
        row = np.searchsorted(shared.rows, true_kept)
        column = np.searchsorted(shared.columns, kept)
        unscored = ~np.isin(shared.rows, true_kept) & (shared.rows == VOID)
        free = shared.pixels[unscored].sum(0)
        overlap = iou(shared, free)[np.ix_(row, column)]
        many = np.isin(true_kept, list(crowd))
        pairs = (overlap > 0.5) & (true_class[:, None] == own_class[None]) & ~many[:, None]
        np.add.at(self.tp, true_class, pairs.sum(1))
        np.add.at(self.iou, true_class, (overlap * pairs).sum(1))
        np.add.at(self.fn, true_class, ~pairs.any(1) & ~many)
        in_crowd = shared.pixels[np.ix_(row, column)] * ((true_class[:, None] == own_class[None]) & many[:, None])
        excused = (free[column] + in_crowd.sum(0)) / shared.pixels.sum(0)[column] > 0.5
        np.add.at(self.fp, own_class, ~pairs.any(0) & ~excused)

    def counts(self) -> np.ndarray:
        """Return the sums: sum of IoUs, true positives, false positives, false negatives, float64 [C, 4]."""
        return np.stack([self.iou, self.tp, self.fp, self.fn], axis=1)

    def scores(self) -> dict[str, np.ndarray]:
        """Compute PQ, SQ, DQ of each class [C] in [0, 1]; NaN for a class that was neither there nor predicted.

        SQ = mean IoU of the matched pairs (0 without any), DQ = TP / (TP + FP / 2 + FN / 2), PQ = SQ DQ.
        """
        counted = self.tp + self.fp / 2 + self.fn / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            dq = self.tp / counted
            sq = np.where(self.tp > 0, self.iou / self.tp, 0.0)
        sq = np.where(counted > 0, sq, np.nan)
        return {"PQ": sq * dq, "SQ": sq, "DQ": dq}


def truth(mask, instances, things, background=None):
    """Make ids, classes and crowds of a ground truth that comes as a class mask and an instance mask.

    mask uint8 [H, W]; instances integers [H, W], 0 none; things: the thing classes. Every other class is
    one segment; the pixels of a thing class without an instance are one crowd segment. BACKGROUND is a class that is
    no segment at all (VOC's 0: predictions on it are wrong, but it is not asked for). Returns (ids uint16 [H, W],
    {id: class}, tuple of crowd ids). An instance belongs to the class of most of its scored pixels. Ids are
    1, 2, ..., passing over 255.
    """
    mask, instances = np.asarray(mask), np.asarray(instances)
    shared = shared_pixels(instances, mask)
    ids, classes, crowd = np.full(mask.shape, NONE, np.uint16), {}, []
    ids[mask == VOID] = VOID
    names = numbers(len(shared.rows) + len(shared.columns))

    def claim(pixels, label):
        number = next(names)
        ids[pixels] = number
        classes[number] = int(label)
        return number

    claimed = np.zeros(mask.shape, bool)
    thing = np.isin(shared.columns, list(things)) & (shared.columns != VOID)
    for number, counts in zip(shared.rows, shared.pixels * thing, strict=True):
        if number != 0 and counts.any():
            label = shared.columns[counts.argmax()]
            pixels = (instances == number) & (mask == label)
            claimed |= pixels
            claim(pixels, label)
    for label in [label for label in shared.columns if label not in (VOID, background)]:
        rest = (mask == label) & ~claimed
        if rest.any():
            number = claim(rest, label)
            if label in set(things):
                crowd.append(number)
    return ids, classes, tuple(crowd)


def numbers(count):
    """List COUNT ids 1, 2, ... that pass over VOID."""
    return iter([k for k in range(1, count + 2) if k != VOID][:count])
