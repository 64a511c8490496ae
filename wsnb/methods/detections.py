"""Detections of objects: where they come from, and what is kept of them.

The box convention is the library's: x0, y0, x1, y1 in pixels, half-open.
"""

from dataclasses import dataclass

import cv2
import numpy as np

VOID = 255


@dataclass(frozen=True)
class Detections:
    """classes int64 [N]; boxes float64 [N, 4] half-open; scores float64 [N] in [0, 1]."""

    classes: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self):
        return len(self.classes)

    @classmethod
    def of(cls, classes=(), boxes=(), scores=None) -> "Detections":
        """From sequences; without SCORES all are certain. Raises ValueError for unequal lengths or scores outside
        [0, 1]."""
        classes, boxes = np.asarray(classes, np.int64).reshape(-1), np.asarray(boxes, float).reshape(-1, 4)
        scores = np.ones(len(classes)) if scores is None else np.asarray(scores, float).reshape(-1)
        if not len(classes) == len(boxes) == len(scores):
            raise ValueError(f"{len(classes)} classes, {len(boxes)} boxes, {len(scores)} scores; give one of each")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(f"scores {scores.min()} to {scores.max()}: they are probabilities, 0 to 1")
        return cls(classes, boxes, scores)

    def take(self, which) -> "Detections":
        """Those at the indices or mask WHICH."""
        return Detections(self.classes[which], self.boxes[which], self.scores[which])


def joined(*parts) -> Detections:
    """All detections of PARTS, in order."""
    return Detections(*(np.concatenate([getattr(part, name) for part in parts])
                        for name in ("classes", "boxes", "scores")))


def clean(found, size, min_score=0.5, max_iou=0.3) -> Detections:
    """Boxes cut to the picture's SIZE (H, W), whole pixels; empty ones and scores below MIN_SCORE left out; of boxes of
    one class that overlap by more than MAX_IOU the best-scored (non-maximum suppression; the authors' demo: 0.5, 0.3).
    Best-scored first."""
    height, width = size
    boxes = np.clip(np.rint(found.boxes), 0, [width, height, width, height])
    good = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (found.scores >= min_score)
    cut = Detections(found.classes, boxes, found.scores).take(good)
    kept: list[int] = []
    for k in np.argsort(-cut.scores, kind="stable"):
        rivals = [j for j in kept if cut.classes[j] == cut.classes[k]]
        if not rivals or box_ious(cut.boxes[k], cut.boxes[rivals]).max() <= max_iou:
            kept.append(int(k))
    return cut.take(np.array(kept, np.int64))


def box_ious(box, boxes) -> np.ndarray:
    """IoU [N] of a box [4] with BOXES [N, 4], half-open."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.clip(sides, 0, None).prod(1)
    areas = [np.prod(np.asarray(b)[..., 2:] - np.asarray(b)[..., :2], axis=-1) for b in (box, boxes)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-12)


def whole_picture(classes, size) -> Detections:
    """One certain detection over the whole picture for each of CLASSES: how stuff and the background enter the instance
    network."""
    return Detections.of(classes, [[0, 0, size[1], size[0]]] * len(classes))


def from_segmentation(labels, things, min_pixels=50) -> Detections:
    """The connected components of each class of THINGS in a label map [H, W], as boxes: detections without a detector.

    Their score is 1: how sure the segmentation is, the unary term takes from the segmentation itself. Objects that
    touch become one, an object behind a pole two: a detector can only do better.
    """
    classes, boxes = [], []
    for label in things:
        own = (labels == label).astype(np.uint8)
        if own.any():
            for x, y, width, height, pixels in cv2.connectedComponentsWithStats(own, connectivity=8)[2][1:]:
                if pixels >= min_pixels:
                    classes.append(label)
                    boxes.append([x, y, x + width, y + height])
    return Detections.of(classes, boxes)


def from_truth(mask, instances) -> Detections:
    """The tight boxes of the true instances, all certain: an upper bound, to be marked as ground truth in tables.

    mask uint8 [H, W], 255 void; instances integers [H, W], 0 none. An instance has the class of most of its pixels;
    one that lies wholly in void is left out.
    """
    classes, boxes = [], []
    for number in np.unique(instances[instances > 0]):
        pixels = instances == number
        labels = mask[pixels & (mask != VOID)]
        if labels.size:
            rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
            classes.append(int(np.bincount(labels).argmax()))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return Detections.of(classes, boxes)
