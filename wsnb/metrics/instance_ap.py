"""Average precision of instances as the Cityscapes benchmark defines it (instance-level semantic labelling task)."""

import numpy as np

from wsnb.metrics.segments import VOID, ids_of, iou, labelled, shared_pixels

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
MIN_PIXELS = 100  # smaller true instances are not scored


class InstanceAP:
    """What is kept of the pictures, for each class and threshold of IoU: confidence and truth of each prediction, and
    the number of true instances that no prediction reaches.

    scored = InstanceAP(range(11, 19))
    for ...: scored.add(true_ids, true_classes, ids, classes, confidences)
    scored.average_precision()    # [C, T] in [0, 1]
    """

    def __init__(self, classes, thresholds=THRESHOLDS, min_pixels=MIN_PIXELS):
        if min(thresholds) < 0.5:
            raise ValueError(f"threshold {min(thresholds)}: below 0.5 a prediction may reach two instances; use >= 0.5")
        self.classes, self.thresholds, self.min_pixels = list(classes), tuple(thresholds), min_pixels
        keys = [(c, t) for c in self.classes for t in self.thresholds]
        self.confidence, self.true, self.missed = {k: [] for k in keys}, {k: [] for k in keys}, dict.fromkeys(keys, 0)
        self.any_truth = dict.fromkeys(self.classes, False)

    def add(self, true_ids, true_classes, ids, classes, confidences, crowd=()) -> None:
        """Count one picture: integer maps [H, W], {id: class}, {id: confidence}; crowd: ids of groups in the truth.

        A true instance of at least MIN_PIXELS that is no group is found if a prediction of its class has IoU >
        threshold; of several the most confident one is right and the others are wrong. A prediction that reaches
        nothing is wrong, unless the share of its pixels in void, groups or small instances of its class exceeds the
        threshold. Pixels in void count to its area.
        """
        shared = shared_pixels(true_ids, ids)
        true_kept, kept = ids_of(true_ids), ids_of(ids)
        true_class, own_class = labelled(true_kept, true_classes, "truth"), labelled(kept, classes, "prediction")
        row, column = np.searchsorted(shared.rows, true_kept), np.searchsorted(shared.columns, kept)
        overlap = iou(shared)[np.ix_(row, column)] * (true_class[:, None] == own_class[None])
        pixels = shared.pixels[np.ix_(row, column)]
        area = shared.pixels.sum(0)[column]
        unscored = np.isin(true_kept, list(crowd)) | (shared.pixels.sum(1)[row] < self.min_pixels)
        own = unscored[:, None] & (true_class[:, None] == own_class[None])
        ignored = (shared.pixels[shared.rows == VOID].sum(0)[column] + (pixels * own).sum(0)) / np.maximum(area, 1)
        confidence = np.array([confidences[int(k)] for k in kept], float)
        for label in self.classes:
            truth, predicted = (true_class == label) & ~unscored, own_class == label
            self.any_truth[label] |= bool(truth.any())
            for t in self.thresholds:
                self._count((label, t), overlap > t, truth, predicted, confidence, ignored)

    def _count(self, key, reaches, truth, predicted, confidence, ignored):
        for found in reaches[truth]:
            hits = np.sort(confidence[found])[::-1]
            self.missed[key] += not len(hits)
            self.confidence[key] += hits.tolist()
            self.true[key] += [True, *[False] * (len(hits) - 1)][:len(hits)]
        wrong = predicted & ~reaches.any(0) & (ignored <= key[1])
        self.confidence[key] += confidence[wrong].tolist()
        self.true[key] += [False] * int(wrong.sum())

    def average_precision(self) -> np.ndarray:
        """AP float64 [C, T] in [0, 1]: the area under precision over recall, whose steps are centred on the measured
        points; NaN for a class without a scored true instance, 0 for one without predictions."""
        result = np.full((len(self.classes), len(self.thresholds)), np.nan)
        for c, label in enumerate(self.classes):
            for t, threshold in enumerate(self.thresholds):
                key = label, threshold
                if self.any_truth[label]:
                    result[c, t] = _area(np.array(self.confidence[key]), np.array(self.true[key]), self.missed[key])
        return result


def _area(confidence, true, missed) -> float:
    if not len(confidence):
        return 0.0
    order = np.argsort(confidence, kind="stable")
    confidence, true = confidence[order], true[order]
    cuts = np.unique(confidence, return_index=True)[1]  # keep what is at least as confident
    hits = true[::-1].cumsum()[::-1][cuts]
    kept = len(true) - cuts
    precision = np.append(hits / kept, 1.0)
    recall = np.append(hits / max(true.sum() + missed, 1), 0.0)
    around = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ ((around[:-2] - around[2:]) / 2))
