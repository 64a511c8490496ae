"""Average precision of instances by ChainerCV's `eval_instance_segmentation_voc`, with which IRN was measured.

It differs from `metrics.instances` in three points: IoU over all pixels (records without IGNORE), a found mask reaches
for the true mask of its class that it overlaps most even if that one is taken, and equal scores enter one by one, as
they stand in a picture, the last picture's first. ChainerCV's sort leaves this order open; here it is the one that a
stable sort gives.
"""

import numpy as np

from wsnb.metrics import ranked


def hits(record, label: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rank the found masks of class LABEL in a `metrics.instances.Record`: (falling scores float64 [K], whether each
    is the first to take a true mask bool [K])."""
    found, true = np.flatnonzero(record.found_labels == label), np.flatnonzero(record.true_labels == label)
    found = found[np.argsort(record.scores[found], kind="stable")[::-1]]
    right, taken = np.zeros(len(found), bool), set()
    if len(true):
        ious = record.ious[np.ix_(found, true)]
        for k in np.flatnonzero(ious.max(1, initial=0) >= threshold):
            best = int(ious[k].argmax())
            right[k] = best not in taken
            taken.add(best)
    return record.scores[found], right


def average_precision(records, n_classes: int, threshold: float = 0.5) -> np.ndarray:
    """Compute AP in [0, 1] of the classes 1..n_classes - 1 at an IoU THRESHOLD: float64 [n_classes - 1], NaN for a
    class without a true mask.

    records: of `metrics.instances.picture` without IGNORE. The area under precision (made monotone from the right) over
    recall.
    """
    values = np.full(n_classes - 1, np.nan)
    for label in range(1, n_classes):
        total = sum(int((record.true_labels == label).sum()) for record in records)
        if total:
            scores, right = map(np.concatenate, zip(*(hits(record, label, threshold) for record in records),
                                                    strict=True))
            caught = np.cumsum(right[np.argsort(scores, kind="stable")[::-1]])
            precision = caught / np.arange(1, len(caught) + 1)
            best = np.maximum.accumulate(precision[::-1])[::-1]
            values[label - 1] = (np.diff(caught / total, prepend=0.0) * best).sum()
    return values


def ranked_counts(records, n_classes: int, threshold: float) -> np.ndarray:
    """Keep what `average_precision` is made of: int64 [N, C - 1, 1, 1 + M] of `wsnb.metrics.ranked`."""
    labels = range(1, n_classes)
    found = [[[hits(record, label, threshold)] for label in labels] for record in records]
    n_true = [[(record.true_labels == label).sum() for label in labels] for record in records]
    return ranked.kept(found, n_true, ranked.last_come)
