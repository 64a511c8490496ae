"""Metrics of segmentation and of image tags; data-set level, ignore label 255 never counted."""

import numpy as np


def confusion(truth, prediction, n_classes) -> np.ndarray:
    """Pixel counts int64 [C, C]: rows ground truth, columns prediction.

    truth, prediction: integer arrays of one shape. Pixels whose truth is >= n_classes (ignore) are left out. Raises
    ValueError for different shapes or a prediction outside the classes on a counted pixel.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise ValueError(
            f"truth {truth.shape} and prediction {prediction.shape} differ in shape: resize the prediction"
        )
    if truth.dtype != np.uint8 or prediction.dtype != np.uint8:
        counted = (truth >= 0) & (truth < n_classes)
        truth, prediction = truth[counted], prediction[counted]
        if prediction.size and not 0 <= prediction.min() <= prediction.max() < 256:
            raise ValueError(f"prediction {prediction.min()} to {prediction.max()}: the last class is {n_classes - 1}")
    # all 256 labels at once: faster than selecting the counted pixels first
    pairs = truth.ravel().astype(np.intp) * 256 + prediction.ravel()
    table = np.bincount(pairs, minlength=65536).reshape(256, 256)[:n_classes]
    if table[:, n_classes:].any():
        raise ValueError(f"prediction holds labels >= {n_classes} on counted pixels")
    return table[:, :n_classes].astype(np.int64)


def total(tables) -> np.ndarray:
    """Add the confusions [N, C, C] of single pictures: int64 [C, C]; that of a set [C, C] stays as it is."""
    tables = np.asarray(tables)
    return tables.sum(axis=tuple(range(tables.ndim - 2)), dtype=np.int64)


def scores(table) -> dict[str, np.ndarray]:
    """Per class from a confusion [C, C], or from those of single pictures [N, C, C]: iou, precision, recall in [0, 1];
    NaN where a class occurs in neither map (iou), is never predicted (precision) or never true (recall)."""
    table = total(table).astype(float)
    hit, true, predicted = np.diag(table), table.sum(1), table.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"iou": hit / (true + predicted - hit), "precision": hit / predicted, "recall": hit / true}


def mean_iou(table, background=True, absent=float("nan")) -> float:
    """Mean IoU in [0, 1], with or without class 0.

    A class that occurs in neither truth nor prediction has the IoU ABSENT: NaN leaves it out of the mean (NaN if all
    are left out), 0 counts it as the single-stage paper's program does.

    NaN too where the truth holds class 0 alone, as of pictures of which only boxes are known: to find nothing there
    would be 100 %.
    """
    if np.isnan(absent) and not total(table)[1:].any():
        return float("nan")
    iou = scores(table)["iou"][0 if background else 1 :]
    iou = np.where(np.isnan(iou), absent, iou)
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")


def pixel_accuracy(table) -> float:
    """Share of counted pixels that are right; NaN without any."""
    table = total(table).astype(float)
    return float(np.diag(table).sum() / table.sum()) if table.sum() else float("nan")


def average_precision(tags, scores_) -> np.ndarray:
    """Average precision of each class for image tags.

    tags [N, C] in {0, 1}, scores_ [N, C] -> [C] in [0, 1]: mean precision at the ranks of the positives (ties keep
    their order), NaN for a class without a positive.
    """
    tags, scores_ = np.asarray(tags), np.asarray(scores_, float)
    result = np.full(tags.shape[1], np.nan)
    for c in range(tags.shape[1]):
        ranked = tags[np.argsort(-scores_[:, c], kind="stable"), c] > 0
        if ranked.any():
            precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
            result[c] = precision[ranked].mean()
    return result
