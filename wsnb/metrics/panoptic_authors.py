"""Panoptic quality and AP^r as the program of Li, Arnab and Torr (ECCV 2018) counts them.

Older than the standard definition (`panoptic`), and different from it in these ways. Each prediction takes its best
overlap with any true segment of its class in the picture, even one that another prediction has. A prediction that lies
wholly in void is a false positive. There are no crowds: give their pixels void. A true segment's class is that of its
first pixel, column by column. The average precision is not interpolated.

FIXED repairs three of them: a true segment counts once, for the best-ranked prediction; a prediction in void alone is
left out; a true segment has the class of most of its pixels.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.metrics.segments import VOID, ids_of, iou, shared_pixels

VOC_THRESHOLDS = tuple(round(0.1 * k, 1) for k in range(1, 10))  # their mean AP is AP_vol


@dataclass
class Overlaps:
    """Counts over pictures for each class: a prediction's overlap, score and true segment, and the number of true
    segments."""

    overlap: dict
    score: dict
    truth: dict
    n_truth: dict
    fixed: bool = False
    seen: int = 0  # true segments of all pictures and classes

    @classmethod
    def of(cls, classes, fixed=False) -> "Overlaps":
        """Start with nothing counted, for the class numbers CLASSES."""
        return cls({c: [] for c in classes}, {c: [] for c in classes}, {c: [] for c in classes},
                   dict.fromkeys(classes, 0), fixed)

    def add(self, true_ids, true_mask, ids, id_classes, id_scores) -> None:
        """Count a picture.

        true_ids [H, W] and true_mask [H, W]: ids of the true segments and classes of the pixels. ids [H, W]: the
        prediction; id_classes, id_scores: class and score of its ids in ascending order, 0 and VOID left out (the
        lines of a score file).
        """
        true_ids, true_mask, ids = np.asarray(true_ids), np.asarray(true_mask), np.array(ids)
        unscored = true_ids == VOID
        listed = ids_of(ids)  # before void is taken away: a segment in void alone is still listed
        if not len(listed) == len(id_classes) == len(id_scores):
            raise ValueError(f"{len(listed)} predicted ids, {len(id_classes)} classes, {len(id_scores)} scores: "
                             f"the score file needs one line an id of the map")
        ids[unscored] = VOID
        shared = shared_pixels(true_ids, ids)
        overlap = iou(shared)
        true_listed = ids_of(true_ids)
        true_class = self._classes(true_ids, true_mask, true_listed)
        for label in self.n_truth:
            own_truth = np.flatnonzero(true_class == label)
            rows = np.searchsorted(shared.rows, true_listed[own_truth])
            for number, own, score in zip(listed, id_classes, id_scores, strict=True):
                if own != label:
                    continue
                column = np.searchsorted(shared.columns, number)
                seen = column < len(shared.columns) and shared.columns[column] == number
                if self.fixed and not seen:
                    continue
                values = overlap[rows, column] if seen else np.zeros(len(rows))
                self.overlap[label].append(float(values.max(initial=0)))
                self.score[label].append(float(score))
                self.truth[label].append(self.seen + int(own_truth[values.argmax()]) if len(rows) else -1)
        for label in self.n_truth:
            self.n_truth[label] += int((true_class == label).sum())
        self.seen += len(true_listed)

    def _classes(self, true_ids, true_mask, listed):
        if self.fixed:  # the class of most pixels
            by = shared_pixels(true_ids, true_mask)
            return by.columns[by.pixels[np.searchsorted(by.rows, listed)].argmax(1)]
        values, position = np.unique(true_ids.T, return_index=True)  # first pixel in column order
        return true_mask.T.ravel()[position[np.searchsorted(values, listed)]]


def counts(overlaps, label, threshold):
    """Rank the predictions of a class: (overlaps, best score first, true positives bool [N]) at overlap > THRESHOLD.

    With FIXED a true segment counts once, for the best-ranked prediction.
    """
    overlap = np.array(overlaps.overlap[label])
    order = np.argsort(-np.array(overlaps.score[label]), kind="stable")
    overlap, truth = overlap[order], np.array(overlaps.truth[label], np.int64)[order]
    good = overlap > threshold
    if overlaps.fixed:
        first = np.zeros(len(good), bool)
        first[[np.flatnonzero(good & (truth == k))[0] for k in set(truth[good].tolist())]] = True
        good &= first
    return overlap, good


def quality(overlaps, threshold=0.5) -> dict[str, np.ndarray]:
    """Compute PQ, SQ, DQ of each class at one threshold of the overlap, [C] in [0, 1].

    NaN where a class has neither true segments nor predictions; SQ is 0 without a true positive.
    """
    result = {"PQ": [], "SQ": [], "DQ": []}
    for label, n_truth in overlaps.n_truth.items():
        overlap, good = counts(overlaps, label, threshold)
        tp = good.sum()
        total = tp + (len(good) - tp) / 2 + (n_truth - tp) / 2
        sq = overlap[good].mean() if tp else (0.0 if total else np.nan)
        dq = tp / total if total else np.nan
        for name, value in (("PQ", sq * dq), ("SQ", sq), ("DQ", dq)):
            result[name].append(value)
    return {name: np.array(values) for name, values in result.items()}


def picture_counts(overlaps, threshold=0.5) -> np.ndarray:
    """Count what PQ is made of in one picture, whose OVERLAPS these are: float64 [C, 4], sum of overlaps, true
    positives, false positives, and true segments without those that are found, which may be below 0."""
    found = []
    for label, n_truth in overlaps.n_truth.items():
        overlap, good = counts(overlaps, label, threshold)
        found.append((overlap[good].sum(), good.sum(), len(good) - good.sum(), n_truth - good.sum()))
    return np.array(found, float).reshape(-1, 4)


def picture_ranked(overlaps, thresholds=VOC_THRESHOLDS) -> tuple:
    """Give what AP^r is made of in one picture, whose OVERLAPS these are: ([C][T] pairs (scores [D], whether each is
    right [D]), true segments [C]), for `wsnb.metrics.ranked.kept`."""
    found = [[(np.sort(overlaps.score[label])[::-1], counts(overlaps, label, t)[1]) for t in thresholds]
             for label in overlaps.n_truth]
    return found, list(overlaps.n_truth.values())


def average_precision(overlaps, thresholds=VOC_THRESHOLDS) -> np.ndarray:
    """Compute AP^r float64 [C, T] in [0, 1].

    It is the mean, over true segments, of the precision at the rank of each true positive; its mean over
    VOC_THRESHOLDS is AP_vol. NaN for a class without true segments.
    """
    result = np.full((len(overlaps.n_truth), len(thresholds)), np.nan)
    for c, (label, n_truth) in enumerate(overlaps.n_truth.items()):
        for t, threshold in enumerate(thresholds):
            if n_truth:
                good = counts(overlaps, label, threshold)[1]
                precision = np.cumsum(good) / np.arange(1, len(good) + 1)
                result[c, t] = precision[good].sum() / n_truth
    return result
