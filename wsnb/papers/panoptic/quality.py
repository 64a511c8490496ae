"""How good generated labels are, against the true masks that the method itself never sees."""

from dataclasses import dataclass, field

import numpy as np

from wsnb import metrics
from wsnb.data import read
from wsnb.metrics.panoptic import PanopticQuality
from wsnb.metrics.segments import split_means
from wsnb.papers.panoptic.scoring import truth_of
from wsnb.papers.panoptic.space import IGNORE, Space


@dataclass
class Quality:
    """Sums over pictures: pixels by true class (rows) and label (columns; the last is 'no label'), and segments."""

    space: Space
    table: np.ndarray = field(default=None)
    panoptic: PanopticQuality = field(default=None)

    def __post_init__(self):
        self.table = np.zeros((len(self.space) + 1, len(self.space) + 1), np.int64)
        self.panoptic = PanopticQuality(len(self.space))

    def add(self, item, labels, ids=None, classes=()):
        """Count a picture: class labels uint8 [H, W]; instance ids with the class of id k at classes[k - 1]. Segments
        count only where the set has an instance mask for the picture, which VOC has not for all."""
        if item.instances is None:
            self.add_labels(item, labels)
            return
        ids_true, classes_true, crowd, mask = truth_of(item, self.space)
        self._count(mask, labels)
        if ids is not None:
            by_id = {k: int(label) for k, label in enumerate(classes, start=1)
                     if k < IGNORE and label != self.space.background}
            shown = np.where(np.isin(ids, [*by_id, IGNORE]), ids, 0)
            self.panoptic.add(ids_true, classes_true, np.where(shown == IGNORE, 0, shown), by_id, crowd)

    def add_labels(self, item, labels):
        """Count the class labels of a picture alone: faster where segments do not matter."""
        self._count(read.mask(self.space.layout, item, len(self.space)), labels)

    def _count(self, mask, labels):
        unknown = np.where(labels == IGNORE, len(self.space), labels).astype(np.uint8)
        self.table += metrics.confusion(mask, unknown, len(self.space) + 1)

    def scores(self, segments=True) -> dict:
        """In %: mIoU where no label counts as missed; "mIoU, labelled" over labelled pixels only; labelled: their
        share; right: the share of right ones among them; with SEGMENTS also PQ of all, things and stuff (COCO's)."""
        n = len(self.space)
        square = self.table[:n, :n]
        true, hit = self.table[:n].sum(1), np.diag(square)
        union = true + square.sum(0) - hit
        iou = np.divide(hit, union, out=np.full(n, np.nan), where=union > 0)
        whole, labelled = int(true.sum()), int(square.sum())
        found = {
            "mIoU": 100 * float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan"),
            "mIoU, labelled": 100 * metrics.mean_iou(square),
            "labelled": 100 * labelled / whole if whole else float("nan"),
            "right": 100 * int(hit.sum()) / labelled if labelled else float("nan"),
        }
        if segments:
            pq = split_means(self.panoptic.scores()["PQ"], self.space.things)
            found |= {"PQ": 100 * pq["all"], "PQ (things)": 100 * pq["things"], "PQ (stuff)": 100 * pq["stuff"]}
        return found

    def iou(self) -> dict:
        """IoU of each class in %, unlabelled pixels counted as missed; classes that occur nowhere are left out."""
        n = len(self.space)
        union = self.table[:n].sum(1) + self.table[:n, :n].sum(0) - np.diag(self.table)[:n]
        return {name: 100 * float(self.table[k, k] / union[k]) for k, name in enumerate(self.space.names) if union[k]}


def rows(scores, step, wanted=("mIoU", "PQ", "labelled", "right")) -> list[dict]:
    """Results for Stage.finish of the labels after a STEP of the chain; undefined ones are left out."""
    return [{"name": f"{name} of the labels", "value": scores[name], "unit": "%", "role": "ladder", "step": step}
            for name in wanted if np.isfinite(scores[name])]


def plain(scores, number) -> dict:
    """Scores of the labels after round NUMBER, as notes keep them (no NaN)."""
    return {"round": number, **{name: (value if np.isfinite(value) else None) for name, value in scores.items()}}
