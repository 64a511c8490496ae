"""Tables and results of the evaluation: means over things and stuff, and the conditions they were measured under."""

import numpy as np
import pandas as pd

from wsnb import metrics
from wsnb.methods import evaluation
from wsnb.metrics.instance_ap import THRESHOLDS
from wsnb.metrics.panoptic_authors import VOC_THRESHOLDS
from wsnb.metrics.segments import split_means
from wsnb.papers.panoptic.space import Space

WANTED = ("PQ", "AP_vol^r", "SQ", "DQ", "PQ, fixed", "AP_vol^r, fixed", "PQ, COCO", "AP, Cityscapes")
OTHERS = ("PQ", "AP_vol^r")  # of these with boxes from further sources
GROUPS = {"SQ": ("all",), "DQ": ("all",), "AP, Cityscapes": ("things",)}  # else all, things and stuff


def means(table, space: Space, names) -> pd.DataFrame:
    """Means in % over all classes, things and stuff: a row a score of NAMES, NaN where there is none."""
    rows = {name: split_means(table[name], space.things) for name in names}
    return (100 * pd.DataFrame(rows)).T.round(1)


def mean(table, name, group, space: Space):
    """One of them, in %; None where it is undefined."""
    value = 100 * split_means(table[name], space.things)[group]
    return value if np.isfinite(value) else None


def conditions(trained, predicted, instances, train_size, annotation="") -> dict:
    """Fields of a Protocol from the parameters of 06 train, 07 predict and 09 instances. ANNOTATION: what was
    chosen with whole masks, in words."""
    kind = {"share": "semi"}.get(trained.label_source, trained.label_source)
    return {
        "split": instances.val_split,
        "backbone": evaluation.BACKBONES.get(trained.backbone, trained.backbone),
        "scales": predicted.scales,
        "flip": predicted.flip,
        "resolution": "picture",
        "label_source": kind,
        "full_share": {"weak": 0.0, "full": 1.0}.get(kind, trained.full_share),
        "train_size": train_size,
        "annotation": "" if kind == "full" else annotation,
    }


def matching(name) -> dict:
    """Fields of a Protocol that tell how segments were matched for the score NAME."""
    whose = name.partition(", ")[2]
    matched = {"COCO": "COCO", "Cityscapes": "Cityscapes"}.get(whose, "authors' evaluator")
    fields = {"matching": matched, "preset": "fixed" if whose == "fixed" else "faithful"}
    if name.startswith("AP"):
        fields["iou_thresholds"] = THRESHOLDS if whose == "Cityscapes" else VOC_THRESHOLDS
    return fields


def results(tables, confusion, common, crf, space: Space) -> list[dict]:
    """Results for Stage.finish, in %.

    tables: {source of boxes: scores by class}; WANTED of the first and OTHERS of the rest as means over all, things and
    stuff, where they are defined; the mean IoU of the semantic labels likewise. common: fields of a Protocol; crf: the
    instance network's, in words. Numbers that ground-truth boxes helped to are bounds.
    """
    method, found = common.get("method", "weakly-supervised panoptic"), []

    def add(name, values, protocol, groups=("all", "things", "stuff"), role=None):
        for group, value in split_means(values, space.things).items():
            if group in groups and np.isfinite(value):
                detail = {c: 100 * float(v) for c, v in zip(space.names, values, strict=True) if np.isfinite(v)}
                found.append({"name": f"{name} ({group})", "value": 100 * value, "unit": "%", "protocol": protocol,
                              "detail": detail if group == groups[0] else {}} | ({"role": role} if role else {}))

    for place, (source, table) in enumerate(tables.items()):
        role = "bound" if source == "ground truth" else None
        for name in OTHERS if place else WANTED:
            protocol = {**common, "crf": crf, "method": f"{method}, boxes: {source}", **matching(name)}
            add(name, table[name], protocol, GROUPS.get(name, ("all", "things", "stuff")), role)
    add("IoU", metrics.scores(confusion)["iou"], {**common, "method": method})
    return found
