"""Recursive training: a network's predictions on its own training pictures, de-noised by what the boxes know.

After each round (paper, section 3.1, "Box"): pixels outside all boxes become background; an object that fills too
little of its box is reset to the box; a dense CRF follows the picture's edges. The naive recursion, without these
rules, drifts.
"""

from pathlib import Path

import numpy as np

from wsnb.data import read
from wsnb.data.weak import VOID, draw_boxes
from wsnb.files import read_index, save_png
from wsnb.methods.crf import dense_crf
from wsnb.methods.grabcut import inside_picture
from wsnb.papers.simple_does_it.labelling import boxes_of


def class_boxes(shape, boxes, labels, n_classes) -> np.ndarray:
    """bool [C, H, W]: where each class may be; background everywhere."""
    allowed = np.zeros((n_classes, *shape), bool)
    allowed[0] = True
    for box, label in zip(np.asarray(boxes, np.int64).reshape(-1, 4), labels, strict=True):
        x0, y0, x1, y1 = inside_picture(box, shape)
        allowed[label, y0:y1, x0:x1] = True
    return allowed


def reset_small(predicted, boxes, labels, share=0.5, initial=None) -> np.ndarray:
    """Boxes whose object is too small get their first labels back: uint8 [H, W].

    The object of a box is the predicted pixels of its class in it; if its IoU with the box, that is the share of the
    box's visible pixels that it fills, is below SHARE, these become what they are in the label map INITIAL uint8
    [H, W] of the first round (Box^i: the inner box, 255 around it), or, without one, the box's class. Pixels that a
    smaller box hides do not count for the larger one.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    front = draw_boxes(predicted.shape, boxes, np.arange(1, len(boxes) + 1)) if len(boxes) < VOID else None
    result = predicted.copy()
    for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        x0, y0, x1, y1 = inside_picture(box, predicted.shape)
        own = front[y0:y1, x0:x1] == k + 1 if front is not None else np.ones((y1 - y0, x1 - x0), bool)
        window = predicted[y0:y1, x0:x1]
        if own.any() and (window[own] == label).mean() < share:
            result[y0:y1, x0:x1][own] = label if initial is None else initial[y0:y1, x0:x1][own]
    return result


RULES = ("outside", "reset", "crf")


def check_rules(rules) -> None:
    """Raise ValueError for a rule that there is not."""
    wrong = [rule for rule in rules if rule not in RULES]
    if wrong:
        raise ValueError(f"rules {wrong}: choose of {', '.join(RULES)}")


def denoise(image, scores, boxes, labels, crf, share=0.5, rules=RULES, initial=None) -> np.ndarray:
    """The next round's label map uint8 [H, W] from scores float [C, H, W] of a training picture.

    RULES: which of the three apply; none is the naive recursion. The paper lists the CRF last; here the order is CRF,
    outside, reset: the CRF needs scores, and the other two then hold for the result. INITIAL: see `reset_small`.
    """
    allowed = class_boxes(image.shape[:2], boxes, labels, len(scores))
    gated = scores * allowed if "outside" in rules else scores
    if "crf" in rules and crf.iterations:
        present = np.flatnonzero(gated.reshape(len(gated), -1).max(1) > 1e-4)
        refined = np.zeros_like(gated)
        refined[present] = dense_crf(image, gated[present], crf)
        gated = refined * allowed if "outside" in rules else refined
    predicted = gated.argmax(0).astype(np.uint8)
    return reset_small(predicted, boxes, labels, share, initial) if "reset" in rules else predicted


def jobs(scores_of, items, source, crf, share, rules, first, folder):
    """For each picture what `finish` needs: the network runs here; None where the file is there. FIRST: the folder of
    the first round's label maps."""
    for item in items:
        path = Path(folder) / f"{item.id}.png"
        if path.exists():
            yield None
            continue
        image = read.image(item)
        boxes, labels = boxes_of(source, item)
        scores = scores_of(item, image).astype(np.float16)
        yield image, scores, boxes, labels, crf, share, tuple(rules), Path(first) / path.name, path


def finish(job) -> None:
    """De-noise one picture's scores and write its new label map."""
    if job is None:
        return
    image, scores, boxes, labels, crf, share, rules, first, path = job
    save_png(path, denoise(image, scores.astype(np.float32), boxes, labels, crf, share, rules, read_index(first)))
