"""Segmenters trained on label maps from boxes, the recursion on their own predictions, and how both are scored.

Recursion (paper, section 3.1, "Box"): after each round the predictions on the training pictures are de-noised with the
boxes and become the labels of the next round. Three rules: pixels outside all boxes become background; an object that
fills too little of its box is reset to its first labels; a dense CRF follows the picture's edges. The naive recursion,
without these rules, drifts.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data import read
from wsnb.data.own import dataset
from wsnb.data.weak import VOID, draw_boxes
from wsnb.files import load_npz, read_index, save_npz
from wsnb.ops import label_maps, segmenter
from wsnb.ops.crf import dense_crf
from wsnb.ops.grabcut import inside_picture
from wsnb.papers.simple_does_it.box_labels import NAMES, boxes_of

FULL = "full"  # training on the ground truth: the bound
RULES = ("outside", "reset", "crf")


def check_rounds(p, label_methods) -> None:
    """Raise ValueError for labels that 06 did not make, or that go on in later rounds without a first one."""
    missing = [name for name in p.train_labels if name not in (*label_methods, FULL)]
    if missing:
        raise ValueError(f"train_labels {missing}: 06_labels made {', '.join(label_methods)}; add them to "
                         "label_methods")
    first = [name for name in p.train_labels if name != FULL]  # nothing in the truth is to be de-noised
    alone = [name for name in p.recursive_labels if name not in first]
    if alone:
        raise ValueError(f"recursive_labels {alone}: later rounds go on from networks that round 1 trained on boxes; "
                         f"choose of train_labels, as recursive_labels=[{', '.join(first)}]")


def need_masks(wanted, items) -> None:
    """Raise FileError if one of the labels WANTED is "full" and ITEMS have masks that are not whole."""
    if FULL in wanted:
        dataset.need_whole(items, f"train_labels: {FULL!r}", "leave it out of train_labels")


def round_name(method, number) -> str:
    """Name a network by its labels and its round: rectangles, rectangles@2, ..."""
    return method if number == 1 else f"{method}@{number}"


def title(name) -> str:
    """Give the paper's name of the labels of a network, with its round; Box without recursion is Rectangles."""
    method, _, number = name.partition("@")
    shown = {**NAMES, "rectangles": "Box" if number else "Rectangles", FULL: "full"}[method]
    return f"{shown}, round {number}" if number else shown


def class_boxes(shape, boxes, labels, n_classes) -> np.ndarray:
    """Mark where each class may be, bool [C, H, W]: in its boxes; background everywhere."""
    allowed = np.zeros((n_classes, *shape), bool)
    allowed[0] = True
    for box, label in zip(np.asarray(boxes, np.int64).reshape(-1, 4), labels, strict=True):
        x0, y0, x1, y1 = inside_picture(box, shape)
        allowed[label, y0:y1, x0:x1] = True
    return allowed


def reset_small(predicted, boxes, labels, share=0.5, initial=None) -> np.ndarray:
    """Give boxes whose object is too small their first labels back: uint8 [H, W].

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


def denoise(image, scores, boxes, labels, initial=None, *, crf, share=0.5, rules=RULES) -> np.ndarray:
    """Make the next round's label map uint8 [H, W] from scores float [C, H, W] of a training picture.

    RULES: which of the three apply; none is the naive recursion. The paper lists the CRF last; here the order is CRF,
    outside, reset: the CRF needs scores, and the other two then hold for the result. INITIAL: see `reset_small`.
    """
    scores = scores.astype(np.float32)
    allowed = class_boxes(image.shape[:2], boxes, labels, len(scores))
    gated = scores * allowed if "outside" in rules else scores
    if "crf" in rules and crf.iterations:
        present = np.flatnonzero(gated.reshape(len(gated), -1).max(1) > 1e-4)
        refined = np.zeros_like(gated)
        refined[present] = dense_crf(image, gated[present], crf)
        gated = refined * allowed if "outside" in rules else refined
    predicted = gated.argmax(0).astype(np.uint8)
    return reset_small(predicted, boxes, labels, share, initial) if "reset" in rules else predicted


def write_denoised(p, network, items, device, inputs, crf, first, folder):
    """Write the de-noised predictions of NETWORK on DEVICE into FOLDER; yield once a picture.

    FIRST: the folder of the first round's label maps.
    """
    scores_of = segmenter.scorer(p, network, device)

    def prepare(item):
        image = read.image(item)
        return image, scores_of(image).astype(np.float16), *boxes_of(inputs, item), read_index(first / f"{item.id}.png")

    labels_of = partial(denoise, crf=replace(crf, device=device), share=p.reset_share, rules=tuple(p.rules))
    return label_maps.write_labels(labels_of, items, [folder], p.workers, prepare)


def label_tables(items, layout, n_classes, folder) -> tuple[np.ndarray, float]:
    """Score the label maps in FOLDER on the pixels that they label: (confusions [N, C, C], the share of these pixels).
    """
    tables = label_maps.with_unlabelled(items, partial(read.mask, layout, n_classes=n_classes),
                                        lambda item: read_index(Path(folder) / f"{item.id}.png"), n_classes)
    return tables[..., :n_classes], label_maps.known_share(tables)


def save_tables(path, tables) -> None:
    """Write the confusions of labels and of networks: {("labels" or "val", name): [N, C, C], of N pictures}."""
    save_npz(path, **{f"{kind}__{name}": table for (kind, name), table in tables.items()})


def load_tables(path) -> dict:
    """Read the file of `save_tables`."""
    return {tuple(key.split("__", 1)): table for key, table in load_npz(path).items()}
