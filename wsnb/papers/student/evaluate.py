"""Label quality and student quality: what is measured, and each number's protocol."""

import numpy as np
import pandas as pd

from wsnb import metrics
from wsnb.data import read
from wsnb.ops import label_maps

HEADS = {"largefov": "DeepLab-LargeFOV", "aspp": "DeepLab v2", "deeplabv3plus": "DeepLabV3+"}


def label_scores(tables) -> dict[str, float]:
    """Score labels by [N, C, C + 1] of `label_maps.with_unlabelled`, in %, means over the classes.

    mIoU, precision: on the pixels that the labels call something; recall: on all pixels; coverage: the share of pixels
    that they call something.
    """
    per_class = class_scores(tables)
    means = {name: float(np.nanmean(per_class[name])) if per_class[name].notna().any() else float("nan")
             for name in per_class}
    return {**means, "coverage": 100 * label_maps.known_share(tables)}


def class_scores(tables) -> pd.DataFrame:
    """Score each class [C] as `label_scores` does: columns mIoU, precision, recall, in %."""
    square = tables[..., :-1]
    whole, known = metrics.total(tables), metrics.scores(square)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.diag(whole) / whole.sum(1)
    return 100 * pd.DataFrame({"mIoU": known["iou"], "precision": known["precision"], "recall": recall})


def label_rows(tables, protocol, classes, source) -> list[dict]:
    """Make the rows of 01 for Stage.finish: label mIoU with its classes, then precision, recall and coverage."""
    scores, step = label_scores(tables), {"role": "ladder", "step": f"labels: {source}"}
    first = {**label_maps.miou_row(tables[..., :-1], protocol, classes, name="label mIoU"), **step}
    return [first, *({"name": f"label {name}", "value": scores[name], "unit": "%", "protocol": protocol, **step}
                     for name in ("precision", "recall", "coverage"))]


def annotations(supervision, layout, items, classes, tuned_masks) -> dict:
    """Count what a person had to give for the labels of ITEMS: {"pictures", and "tags" (decisions), "boxes", "points",
    "scribbles" or "masks" (pictures)}; the TUNED_MASKS that chose a threshold are paid too. Other kinds of labels are
    not counted."""
    n = len(items)
    paid = {"pictures": n, "masks": n if supervision == "full" else tuned_masks}
    if supervision == "image labels":
        paid["tags"] = n * (len(classes) - 1)
    elif supervision == "boxes":
        paid["boxes"] = sum(len(read.boxes(layout, item, classes)[1]) for item in items)
    elif supervision in ("points", "scribbles"):
        paid[supervision] = n
    return paid


def need_full_masks(p) -> None:
    """Raise ValueError if the student of as many masks as `price_of` buys would learn from other labels."""
    if p.supervision != "full" or p.labels_stage or p.labels_dir:
        raise ValueError(f"price_of {p.price_of!r}: these labels are paid in full masks; set supervision to full, and "
                         "leave labels_stage and labels_dir empty")


def need_apart(items, train_ids, val_split) -> None:
    """Raise ValueError if some ITEMS of VAL_SPLIT are among the pictures that were learned from."""
    both = sorted({item.id for item in items} & set(train_ids))
    if both:
        raise ValueError(f"val_split {val_split!r}: {len(both)} of its {len(items)} pictures were learned from (the "
                         f"first is {both[0]}); take another val_split")


def conditions(params_labels, params_train, params, crf) -> dict:
    """Protocol fields of a student: its labels, its network, and the test."""
    return {
        "method": f"student of {params_labels.source}, {HEADS[params_train.head]}",
        "backbone": label_maps.BACKBONES[params_train.backbone], "supervision": params_labels.supervision,
        "annotation": params_labels.annotation, "scales": list(params.scales), "flip": params.flip,
        "crf": label_maps.crf_text(crf) if crf else "", "split": params.val_split,
        "resolution": f"pictures times {params_train.base:g}, compared at the picture's size",
    }
