"""Weak masks: what tags, boxes, scribbles and points say of each pixel.

uint8 [H, W]: 0..C-1 a class, 254 unlabelled (takes part in clustering and in the relations between segments, carries no
class), 255 void (removed everywhere).
"""

import cv2
import numpy as np

UNLABELLED, VOID = 254, 255


def background_score(cams, power=6.0) -> np.ndarray:
    """(1 - highest CAM)^POWER, float32 [H, W], for CAMs float [K, H, W] in 0..1; ones without any."""
    cams = np.asarray(cams, np.float32)
    highest = cams.max(axis=0) if len(cams) else np.zeros(cams.shape[1:], np.float32)
    return np.clip(1 - highest, 0, 1) ** np.float32(power)


def from_tags(cams, keys, power=6.0, threshold=0.2) -> np.ndarray:
    """The class of the highest score at each pixel, the background's by `background_score`; unlabelled where the
    highest is below THRESHOLD.

    cams: float [K, H, W] in 0..1 of the classes that the tags name, keys: their numbers (1..C-1), [K].
    """
    scores = np.concatenate([background_score(cams, power)[None], np.asarray(cams, np.float32)])
    labels = np.concatenate([[0], np.asarray(keys, np.int64)]).astype(np.uint8)[scores.argmax(axis=0)]
    labels[scores.max(axis=0) < threshold] = UNLABELLED
    return labels


def from_boxes(cams, keys, boxes, labels, threshold=0.5) -> np.ndarray:
    """Background outside of every box; inside, the class where its CAM, rescaled to 0..1 within the box, reaches
    THRESHOLD, else unlabelled.

    boxes: int [N, 4] (x0, y0, x1, y1, half-open), labels: classes [N]. Smaller boxes lie in front. A box whose class
    has no CAM, or a flat one, stays unlabelled.
    """
    cams, keys = np.asarray(cams, np.float32), list(map(int, keys))
    drawn = np.zeros(cams.shape[1:], np.uint8)
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        x0, y0, x1, y1 = np.maximum(boxes[k], 0)
        inside = np.full(drawn[y0:y1, x0:x1].shape, UNLABELLED, np.uint8)
        if labels[k] in keys and inside.size:
            cam = cams[keys.index(labels[k]), y0:y1, x0:x1]
            low, high = cam.min(), cam.max()
            if high > low:
                inside[(cam - low) / (high - low) >= threshold] = labels[k]
        drawn[y0:y1, x0:x1] = inside
    return drawn


def grown(labels, radius) -> np.ndarray:
    """Strokes and points grown by RADIUS pixels: each pixel so near to a labelled one takes the nearest one's class.

    labels: uint8 [H, W], 254 and 255 where nothing is known. They know no borders of objects, so a dab may spill over
    one, as in the original. What stays unknown is unlabelled, not void.
    """
    labels = np.asarray(labels, np.uint8)
    known = labels < UNLABELLED
    result = np.full(labels.shape, UNLABELLED, np.uint8)
    if not known.any():
        return result
    distance, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL)
    class_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    class_of[nearest[known]] = labels[known]
    near = distance <= radius
    result[near] = class_of[nearest[near]]
    return result


def from_file(labels, n_classes) -> np.ndarray:
    """A weak mask as the original's lists name them: classes, void 255, everything between unlabelled."""
    labels = np.array(labels, np.uint8)
    labels[(labels >= n_classes) & (labels < VOID)] = UNLABELLED
    return labels


def tags(labels, n_classes) -> np.ndarray:
    """1 for each foreground class that a weak mask holds, float32 [C - 1]. The mask is the whole one: a crop keeps the
    tags of what it lost, and an object that the CAM's threshold lost is no tag, as in the original."""
    present = np.bincount(np.asarray(labels).ravel(), minlength=256) > 0
    return present[1:n_classes].astype(np.float32)


def quality(labels, truth, n_classes) -> dict:
    """How good a weak mask is: pixels with a class and a true class ("labelled"), the right ones among them ("right"),
    pixels with a true class ("all")."""
    known = np.asarray(truth) < n_classes
    labelled = known & (np.asarray(labels) < n_classes)
    right = labelled & (labels == truth)
    return {"labelled": int(labelled.sum()), "right": int(right.sum()), "all": int(known.sum())}
