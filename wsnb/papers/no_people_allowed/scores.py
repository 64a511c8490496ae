"""The challenge's three scores, and the figures that the original logs while it trains."""

import numpy as np

from wsnb import metrics


def segmentation_scores(table) -> dict[str, float]:
    """From a confusion [C, C], all in [0, 1]: mIoU (mean over the classes that occur), mean accuracy (mean recall of
    the classes that are true somewhere), pixel accuracy, frequency-weighted IoU."""
    each = metrics.scores(table)
    table = np.asarray(table, float)
    share = table.sum(1) / max(table.sum(), 1)
    present = share > 0
    return {
        "mIoU": metrics.mean_iou(table),
        "mean accuracy": float(each["recall"][present].mean()) if present.any() else float("nan"),
        "pixel accuracy": metrics.pixel_accuracy(table),
        "frequency-weighted IoU": float((share[present] * each["iou"][present]).sum()),
    }


def plain_mean_iou(table) -> float:
    """The original's validation figure: NaN as soon as a class occurs in neither map."""
    return float(metrics.scores(table)["iou"].mean())


def object_scores(table) -> dict[str, float]:
    """From a confusion [C, C], all in [0, 1], of the classes but the background: the share of the area that is called
    so, the share of that area whose class is right, the share of their true pixels that are found. NaN: no such pixel.
    """
    table = np.asarray(table, float)
    hit, called, true = np.diag(table)[1:].sum(), table[:, 1:].sum(), table[1:].sum()
    with np.errstate(invalid="ignore"):
        return {"called object": float(np.divide(called, table.sum())), "right": float(np.divide(hit, called)),
                "found": float(np.divide(hit, true))}


def tag_scores(logits, tags, threshold=0.5) -> dict:
    """Scores of tags [N, C] by LOGITS: `hamming` compares the raw logits with THRESHOLD (a quirk), `accuracy` and `f1`
    (mean over classes; NaN for a class that is neither true nor found) the probabilities."""
    logits, true = np.asarray(logits, float), np.asarray(tags) > 0
    found = 1 / (1 + np.exp(-logits)) > threshold
    hit = (found & true).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hit / (found.sum(0) + true.sum(0))
    return {
        "hamming": float(((logits > threshold) != true).mean()),
        "accuracy": float((found == true).mean()),
        "f1": float(f1.mean()),
        "f1_per_class": f1,
    }
