"""The five rules that turn a prediction into the next ground truth, each a function of arrays.

A prediction is uint8 [H, W] of train ids, 255 where nothing is known. Nothing is changed in place.
"""

import numpy as np

from wsnb.papers.panoptic.boxes import Objects, class_masks
from wsnb.papers.panoptic.space import CITYSCAPES, IGNORE


def score_rule(labels, scores, threshold=0.99):
    """255 where the softmax score float32 [H, W] of the predicted class is below THRESHOLD; equal scores stay."""
    out = labels.copy()
    out[np.asarray(scores, np.float32) < np.float32(threshold)] = IGNORE
    return out


def tag_rule(labels, places, tags):
    """In each window of PLACES [N, 4] (y0, x0, y1, x1), 255 for every label that its TAGS bool [N, C] do not name. A
    pixel under several windows must pass all of them. Things are checked as well as stuff."""
    out = labels.copy()
    for (y0, x0, y1, x1), row in zip(places, tags, strict=True):
        window = out[y0:y1, x0:x1]
        allowed = np.zeros(256, bool)
        allowed[: len(row)] = row
        window[~allowed[window]] = IGNORE
    return out


def merge_table(space=CITYSCAPES) -> np.ndarray:
    """uint8 [256, 256]: the label from an M&G label (row; 0 is background there, not road) and a prediction (column).

    A thing survives only where M&G has a thing, and then M&G's class wins; stuff survives where M&G has none.
    """
    table = np.full((256, 256), IGNORE, np.uint8)
    things, stuff = np.array(space.things, np.int64), np.array(space.stuff, np.int64)
    for column in (*things, *stuff, IGNORE):
        table[things, column] = things
    for row in (0, IGNORE):
        table[row, stuff] = stuff
    return table


def merge_rule(labels, mandg, space=CITYSCAPES):
    """Labels merged with the M&G masks (uint8 [H, W] both) by `merge_table`. Raises ValueError if the sizes differ."""
    if labels.shape != mandg.shape:
        raise ValueError(f"prediction {labels.shape}, M&G labels {mandg.shape}: make both at one size")
    return merge_table(space)[mandg, labels]


def box_rule(labels, found: Objects, space=CITYSCAPES):
    """255 for things outside all boxes of their class (clipped; a group's box counts); all of a class without box."""
    masks = class_masks(found, labels.shape, len(space))
    out = labels.copy()
    for label in space.things:
        here = labels == label
        out[here & ~masks[label] if label in masks else here] = IGNORE
    return out


def low_iou_rule(labels, found: Objects, space=CITYSCAPES, threshold=0.5, keep_things=True):
    """Fill boxes that their own class covers by less than THRESHOLD; with KEEP_THINGS only over stuff and 255.

    The box loses its first row and column here (the original rasterises it as a polygon through pixel centres), so a
    box one pixel wide or high is never filled. Shares and free pixels are those of the input, and large boxes come
    first: small ones are in front. Groups and stuff are skipped. Boxes are clipped.
    """
    out = labels.copy()
    stuff = np.zeros(256, bool)
    stuff[[*space.stuff, IGNORE]] = True
    for k in np.argsort(-found.areas, kind="stable").tolist():
        label, (x0, y0, x1, y1) = int(found.labels[k]), found.boxes[k].tolist()
        count = max(x1 - x0 - 1, 0) * max(y1 - y0 - 1, 0)
        if label in space.stuff or found.groups[k] or not count:
            continue
        place = np.s_[y0 + 1 : y1, x0 + 1 : x1]
        before = labels[place]
        own = before == label
        if own.sum() / count < threshold:
            out[place][~own & (stuff[before] if keep_things else True)] = label
    return out
