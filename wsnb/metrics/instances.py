"""Average precision of instances by mask IoU, in two definitions, and the average best overlap (ABO).

AP^r (Hariharan et al., Simultaneous Detection and Segmentation, ECCV 2014) and ABO (Pont-Tuset and Van Gool, ICCV 2015)
work on one `Record` a picture, which keeps IoUs, classes and scores of its masks. `InstanceAP` is the average precision
of the Cityscapes benchmark (instance-level semantic labelling task), on id maps.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.metrics import ranked
from wsnb.metrics.segments import VOID, ids_of, iou, labelled, shared_pixels

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # of IoU; Cityscapes'
MIN_PIXELS = 100  # smaller true instances are not scored; Cityscapes'


@dataclass(frozen=True)
class Record:
    """One picture: IoU [D, G] of every found with every true mask; classes; scores of the found ones."""

    ious: np.ndarray
    found_labels: np.ndarray
    scores: np.ndarray
    true_labels: np.ndarray


def mask_ious(found, true, ignore=None) -> np.ndarray:
    """Compute the IoU float64 [D, G] of bool masks [D, H, W] and [G, H, W].

    Pixels in IGNORE bool [H, W] count for nothing. Two empty masks have IoU 0: nothing was found of something.
    """
    flat = [np.asarray(masks, bool).reshape(len(masks), int(np.prod(np.shape(masks)[1:]))) for masks in (found, true)]
    if flat[0].shape[0] and flat[1].shape[0] and flat[0].shape[1] != flat[1].shape[1]:
        raise ValueError(f"masks {np.shape(found)} and {np.shape(true)} differ in size: resize the found ones")
    if not len(flat[0]) or not len(flat[1]):
        return np.zeros((len(flat[0]), len(flat[1])))
    if ignore is not None:
        flat = [masks[:, ~np.asarray(ignore, bool).ravel()] for masks in flat]
    found, true = (masks.astype(np.float32) for masks in flat)
    common = (found @ true.T).astype(np.float64)  # counts below 2**24 are exact
    union = found.sum(1, dtype=np.float64)[:, None] + true.sum(1, dtype=np.float64)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def picture(found, found_labels, scores, true, true_labels, ignore=None) -> Record:
    """Make the record of a picture: masks bool [D, H, W] with labels [D] and scores [D]; true masks [G, H, W], labels
    [G].

    Raises ValueError for lengths that do not fit and scores that are not finite.
    """
    scores = np.asarray(scores, np.float64).ravel()
    if not len(found) == len(found_labels) == len(scores) or len(true) != len(true_labels):
        raise ValueError(f"{len(found)} masks, {len(found_labels)} labels, {len(scores)} scores; "
                         f"{len(true)} true masks, {len(true_labels)} labels: give one each")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite; look where they come from")
    return Record(mask_ious(found, true, ignore), np.asarray(found_labels, np.int64), scores,
                  np.asarray(true_labels, np.int64))


def hits(record: Record, label: int, threshold: float) -> np.ndarray:
    """Tell which found masks of class LABEL take a true one, by falling score (ties keep their order).

    A mask takes the true mask of its class that is still free and overlaps it most, if their IoU reaches THRESHOLD.
    Returns bool [K] in the order of `np.flatnonzero(found_labels == LABEL)`.
    """
    found = np.flatnonzero(record.found_labels == label)
    free = list(np.flatnonzero(record.true_labels == label))
    taken = np.zeros(len(found), bool)
    for k in np.argsort(-record.scores[found], kind="stable"):
        if free:
            best = max(free, key=lambda g: record.ious[found[k], g])
            if record.ious[found[k], best] >= threshold:
                taken[k] = True
                free.remove(best)
    return taken


def precision_recall(records, label: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision and recall of class LABEL over a set at every distinct score, falling.

    Masks of equal score enter together, so that the order of a set's pictures changes nothing. NaN recall without a
    true mask.
    """
    scores = np.concatenate([r.scores[r.found_labels == label] for r in records] or [np.zeros(0)])
    right = np.concatenate([hits(r, label, threshold) for r in records] or [np.zeros(0, bool)])
    total = sum(int((r.true_labels == label).sum()) for r in records)
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf) != 0)  # of each group of equal scores
    caught = np.cumsum(right[order])[last]
    return caught / (last + 1), caught / total if total else np.full(len(last), np.nan)


def average_precision(records, n_classes: int, threshold: float = 0.5, points: int = 0) -> np.ndarray:
    """Compute AP^r in [0, 1] of the classes 1..n_classes - 1 at an IoU THRESHOLD: float64 [n_classes - 1], NaN for a
    class without a true mask.

    The area under the curve of precision (made monotone from the right) over recall; with POINTS > 0 the mean at so
    many recalls from 0 to 1 instead (11: VOC 2007; 101: COCO).
    """
    values = np.full(n_classes - 1, np.nan)
    for label in range(1, n_classes):
        if not any((r.true_labels == label).any() for r in records):
            continue
        precision, recall = precision_recall(records, label, threshold)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        if points:
            first = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
            values[label - 1] = np.append(best, 0.0)[first].mean()
        else:
            values[label - 1] = (np.diff(recall, prepend=0.0) * best).sum()
    return values


def ranked_counts(records, n_classes: int, threshold: float) -> np.ndarray:
    """Keep what AP^r is made of: int64 [N, C - 1, 1, 1 + M] of `wsnb.metrics.ranked`."""
    labels = range(1, n_classes)
    found = [[[(r.scores[r.found_labels == label], hits(r, label, threshold))] for label in labels] for r in records]
    return ranked.kept(found, [[(r.true_labels == label).sum() for label in labels] for r in records], ranked.together)


def unranked_counts(records, n_classes: int, threshold: float) -> np.ndarray:
    """Count what AP^r is made of where nothing ranks the masks: int64 [N, C - 1, 3], true masks that are found, all
    true ones, all found ones of each picture and class."""
    found = np.zeros((len(records), n_classes - 1, 3), np.int64)
    for k, record in enumerate(records):
        for label in range(1, n_classes):
            found[k, label - 1] = (hits(record, label, threshold).sum(), (record.true_labels == label).sum(),
                                   (record.found_labels == label).sum())
    return found


def best_overlap_counts(records, n_classes: int) -> np.ndarray:
    """Count what the ABO is made of: float64 [N, C - 1, 2], the sum of the best overlaps and the true masks of each
    picture and class."""
    found = np.zeros((len(records), n_classes - 1, 2))
    for k, record in enumerate(records):
        for label in range(1, n_classes):
            own = record.ious[record.found_labels == label][:, record.true_labels == label]
            found[k, label - 1] = own.max(0, initial=0.0).sum(), own.shape[1]
    return found


def average_best_overlap(records, n_classes: int) -> np.ndarray:
    """Average, over the true masks of each class 1..n_classes - 1, the best IoU of any found mask of the class.

    Returns float64 [n_classes - 1]: 0 where nothing was found, NaN for a class without a true mask. Their mean is the
    ABO.
    """
    values = np.full(n_classes - 1, np.nan)
    for label in range(1, n_classes):
        best = [r.ious[r.found_labels == label][:, r.true_labels == label].max(0, initial=0.0) for r in records]
        best = np.concatenate(best or [np.zeros(0)])
        if len(best):
            values[label - 1] = best.mean()
    return values


def mean(values) -> float:
    """Average over the classes that are not NaN; NaN if all are."""
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


class InstanceAP:
    """Counts over pictures for each class and threshold of IoU: confidence and truth of each prediction, and the number
    of true instances that no prediction reaches.

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
        """Count a picture: integer maps [H, W], {id: class}, {id: confidence}; crowd: ids of groups in the truth.

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

    def picture(self) -> tuple:
        """Give what AP is made of where one picture was counted: ([C][T] pairs (confidences [D], whether each is right
        [D]), true instances [C]), for `wsnb.metrics.ranked.kept`."""
        found = [[(self.confidence[c, t], self.true[c, t]) for t in self.thresholds] for c in self.classes]
        return found, [self.missed[c, self.thresholds[0]] + sum(self.true[c, self.thresholds[0]])
                       for c in self.classes]

    def average_precision(self) -> np.ndarray:
        """Compute AP float64 [C, T] in [0, 1], the `area_under` each class's curve.

        NaN for a class without a scored true instance, 0 for one without predictions.
        """
        result = np.full((len(self.classes), len(self.thresholds)), np.nan)
        for c, label in enumerate(self.classes):
            for t, threshold in enumerate(self.thresholds):
                key = label, threshold
                if self.any_truth[label]:
                    confidence, true = np.array(self.confidence[key]), np.array(self.true[key])
                    result[c, t] = area_under(confidence, true, self.missed[key])
        return result


def area_under(confidence, true, missed) -> float:
    """Compute the area under precision over recall, whose steps are centred on the measured points.

    confidence: float [N]; true: bool [N], whether each prediction is right; missed: true instances without prediction.
    """
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
