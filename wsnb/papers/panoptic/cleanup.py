"""The clean-up of one picture: five rules make the next training labels of a prediction, then instances follow.

A prediction is uint8 [H, W] of train ids, 255 where nothing is known. Nothing is changed in place. Rules, options and
defaults are those of the released program, options under their original names. Boxes are clipped ones.
"""

from dataclasses import dataclass, replace

import numpy as np

from wsnb.papers.panoptic.boxes import Objects, class_masks
from wsnb.papers.panoptic.label_space import CITYSCAPES, IGNORE, Space

RULES = (
    "run_score_thresh",
    "run_check_image_level_tags",
    "run_merge_with_mcg_and_grabcut",
    "run_apply_bbox_prior",
    "run_check_low_iou",
)  # in the order in which they work


@dataclass(frozen=True)
class Options:
    """Which rules run, with which thresholds, and whether instance maps are made (save_ins)."""

    space: Space = CITYSCAPES
    score_thresh: float = 0.99
    ichk_thresh: float = 0.5
    ichk_do_not_alter_existing_things: bool = True
    save_ins: bool = True
    run_score_thresh: bool = True
    run_check_image_level_tags: bool = True
    run_merge_with_mcg_and_grabcut: bool = True
    run_apply_bbox_prior: bool = True
    run_check_low_iou: bool = True


def options_from(p, space) -> Options:
    """Take the options from a stage's parameters, which bear their names; what a stage does not declare is default."""
    names = (*RULES, "score_thresh", "ichk_thresh", "ichk_do_not_alter_existing_things")
    return Options(space=space, **{name: getattr(p, name) for name in names if hasattr(p, name)})


def for_coarse_annotations(options: Options) -> Options:
    """Switch off what train_extra's coarse annotation cannot give: its boxes are inaccurate, its tags miss classes."""
    return replace(options, run_apply_bbox_prior=False, run_check_image_level_tags=False, save_ins=False)


def without_mandg(options: Options) -> Options:
    """Switch the merge off: from the sixth round on the network's own masks of instances are better than M&G's."""
    return replace(options, run_merge_with_mcg_and_grabcut=False)


def score_rule(labels, scores, threshold=0.99):
    """Set 255 where the softmax score float32 [H, W] of the predicted class is below THRESHOLD; equal scores stay."""
    out = labels.copy()
    out[np.asarray(scores, np.float32) < np.float32(threshold)] = IGNORE
    return out


def tag_rule(labels, places, tags):
    """Set 255, in each window of PLACES [N, 4] (y0, x0, y1, x1), for every label that its TAGS bool [N, C] do not name.

    A pixel under several windows must pass all of them. Thing classes are checked as well as stuff.
    """
    out = labels.copy()
    for (y0, x0, y1, x1), row in zip(places, tags, strict=True):
        window = out[y0:y1, x0:x1]
        allowed = np.zeros(256, bool)
        allowed[: len(row)] = row
        window[~allowed[window]] = IGNORE
    return out


def merge_table(space=CITYSCAPES) -> np.ndarray:
    """Tabulate the label of an M&G label (row; 0 is background there, not road) and a prediction (column): uint8
    [256, 256].

    A thing class survives only where M&G has one, and then M&G's wins; stuff survives where M&G has none.
    """
    table = np.full((256, 256), IGNORE, np.uint8)
    things, stuff = np.array(space.things, np.int64), np.array(space.stuff, np.int64)
    for column in (*things, *stuff, IGNORE):
        table[things, column] = things
    for row in (0, IGNORE):
        table[row, stuff] = stuff
    return table


def merge_rule(labels, mandg, space=CITYSCAPES):
    """Merge labels with M&G labels (uint8 [H, W] both) by `merge_table`. Raises ValueError if the sizes differ."""
    if labels.shape != mandg.shape:
        raise ValueError(f"prediction {labels.shape}, M&G labels {mandg.shape}: make both at one size")
    return merge_table(space)[mandg, labels]


def box_rule(labels, found: Objects, space=CITYSCAPES):
    """Set 255 for thing classes outside all boxes of the class; a group's box counts, a class without box goes."""
    masks = class_masks(found, labels.shape, len(space))
    out = labels.copy()
    for label in space.things:
        here = labels == label
        out[here & ~masks[label] if label in masks else here] = IGNORE
    return out


def low_iou_rule(labels, found: Objects, space=CITYSCAPES, threshold=0.5, keep_things=True):
    """Fill boxes that their own class covers by less than THRESHOLD; with KEEP_THINGS only over stuff and 255.

    The box loses its first row and column here (the original rasterises it as a polygon through pixel centres); a
    box one pixel wide or high is never filled. Shares and free pixels are those of the input, and large boxes come
    first: small ones are in front. Groups and stuff are skipped.
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


def clean(labels, options: Options, scores=None, tags=None, mandg=None, found: Objects | None = None):
    """Apply the rules to a prediction LABELS uint8 [H, W]: ({rule: uint8 [H, W] after it}, last map).

    Rules that are off are left out. scores: float32 [H, W]; tags: (windows [N, 4], their tags bool [N, C]); mandg:
    uint8 [H, W]; found: the picture's objects. Raises ValueError for an input that a rule needs and does not get.
    """
    wanted = {"run_score_thresh": scores, "run_check_image_level_tags": tags, "run_merge_with_mcg_and_grabcut": mandg,
              "run_apply_bbox_prior": found, "run_check_low_iou": found}
    for rule, value in wanted.items():
        if getattr(options, rule) and value is None:
            raise ValueError(f"{rule} is on, but its input is missing; give it, or switch the rule off")
    steps = {
        "run_score_thresh": lambda p: score_rule(p, scores, options.score_thresh),
        "run_check_image_level_tags": lambda p: tag_rule(p, *tags),
        "run_merge_with_mcg_and_grabcut": lambda p: merge_rule(p, mandg, options.space),
        "run_apply_bbox_prior": lambda p: box_rule(p, found, options.space),
        "run_check_low_iou": lambda p: low_iou_rule(p, found, options.space, options.ichk_thresh,
                                                    options.ichk_do_not_alter_existing_things),
    }
    after, last = {}, labels
    for rule in RULES:
        if getattr(options, rule):
            after[rule] = last = steps[rule](last)
    return after, last


@dataclass(frozen=True, eq=False)
class Instances:
    """Instances of a label map.

    ids: uint8 [H, W], 1..N the objects in the order of their boxes, 0 claimed by none, 255 ignored; labels: int64 [N],
    the class of each; lost: ids that have no pixel ("sanity not preserved" in the original).
    """

    ids: np.ndarray
    labels: np.ndarray
    lost: tuple[int, ...]


def instance_labels(labels, found: Objects) -> Instances:
    """Find the object that each pixel of the class map uint8 [H, W] belongs to.

    An object takes the pixels of its class inside its box. A pixel claimed by two boxes of one class becomes 255 for
    good. Stuff classes are objects too, with the whole picture as their box; groups are not; pixels that only a
    group covers stay 0. Objects of the same class and box count once (the first). From the 255th on the ids are 255,
    that is ignored: the map has 8 bits.
    """
    ids = np.zeros(labels.shape, np.uint8)
    ids[labels == IGNORE] = IGNORE
    if not len(found):
        return Instances(ids, np.zeros(0, np.int64), ())
    seen, kept = set(), []
    for k, (label, box) in enumerate(zip(found.labels.tolist(), found.boxes.tolist(), strict=True)):
        if (label, *box) not in seen:
            seen.add((label, *box))
            if not found.groups[k]:
                kept.append((label, box))
    for number, (label, (x0, y0, x1, y1)) in enumerate(kept, start=1):
        place = ids[y0:y1, x0:x1]
        own = labels[y0:y1, x0:x1] == label
        place[own] = np.where(place[own] != 0, IGNORE, min(number, IGNORE))
    present = np.bincount(ids.ravel(), minlength=256) > 0
    lost = tuple(n for n in range(1, len(kept) + 1) if n >= 256 or not present[n])
    return Instances(ids, np.array([label for label, _ in kept], np.int64), lost)
