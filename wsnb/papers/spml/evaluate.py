"""Scores and rows of results."""

import numpy as np

from wsnb import metrics
from wsnb.data import read, weak
from wsnb.files import read_index
from wsnb.ops.label_maps import counted, miou_row
from wsnb.papers.spml import weak_labels

SUPERVISIONS = {"tag": "image labels", "box": "boxes", "scribble": "scribbles", "point": "points", "full": "full"}
METHODS = {"softmax": "SPML, softmax classifier", "joint": "SPML, joint softmax head",
           "retrieval": "SPML, nearest-neighbour retrieval"}
VOID = 255


def supervision_protocol(supervision) -> dict:
    """Return the protocol fields of the annotation that training saw."""
    return {"supervision": SUPERVISIONS[supervision], "label_source": "full" if supervision == "full" else "weak"}


def annotations(params_weak_masks, items, classes) -> dict:
    """Count the annotations that a person would have had to give for the training ITEMS, by the parameters of 03.

    Of masks from files only the number of pictures is known. Points and scribbles: the pictures that have some."""
    found = {"pictures": len(items)}
    if params_weak_masks.supervision == "tag":
        return {**found, "tags": len(items) * (len(classes) - 1)}
    if params_weak_masks.supervision == "full":
        return {**found, "masks": len(items)}
    if params_weak_masks.weak_source != "made":
        return found
    if params_weak_masks.supervision == "box":
        weak_mask_of = weak_labels.WeakMasks(params_weak_masks.layout, "box", classes)
        return {**found, "boxes": sum(len(weak_mask_of.boxes(item)[1]) for item in items)}
    layout = params_weak_masks.layout
    labelled = sum(bool((read.mask(layout, item, len(classes)) != VOID).any()) for item in items)
    return {**found, f"{params_weak_masks.supervision}s": labelled}


def class_counts(truth, found, n_classes):
    """Count pixels of each class that are right, true, and predicted: three int64 [C]. True void is not counted; a
    prediction of n_classes counts against the last class and higher ones against none, as in the original."""
    truth, found = np.asarray(truth).ravel(), np.asarray(found).ravel().astype(np.int64)
    truth, found = (values[truth < n_classes] for values in (truth.astype(np.int64), found))
    hit = np.bincount(truth[truth == found], minlength=n_classes)
    found = np.where(found == n_classes, n_classes - 1, found)
    return hit, np.bincount(truth, minlength=n_classes), np.bincount(found, minlength=n_classes)[:n_classes]


def picture_iou(truth, found, n_classes) -> np.ndarray:
    """Compute the IoU of each class in one picture, 0 where it is in neither map: [C]."""
    hit, true, predicted = class_counts(truth, found, n_classes)
    return hit / np.maximum(true + predicted - hit, 1e-12)


def instance_counts(truth, instances, n_classes, void_counts=False) -> np.ndarray:
    """Count the instances of each class in a picture, int64 [C]: each counts for the class on most of its pixels. 0
    (background) is one; 255 is one too if VOID_COUNTS, as the original has it."""
    counts = np.zeros(n_classes, np.int64)
    for number in np.unique(instances):
        classes = truth[(instances == number) & (truth < n_classes)]
        if classes.size and (void_counts or number != VOID):
            counts[np.bincount(classes).argmax()] += 1
    return counts


def instance_iou(ious, counts) -> np.ndarray:
    """Average the IoU of each class over pictures, weighted by its instances: [N, C], [N, C] -> [C], NaN without
    any."""
    ious, counts = np.asarray(ious, float), np.asarray(counts, float)
    total = counts.sum(axis=0)
    return np.divide((ious * counts).sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)


def by_instance(layout, items, folders, n_classes, void_counts=False) -> dict:
    """Compute {kind: mean over classes of `instance_iou`} of the label maps in FOLDERS {kind: folder}; None if no class
    occurs.

    Pictures without an instance mask: each connected piece of a class is an instance.
    """
    ious, counts = {kind: [] for kind in folders}, []
    for item in items:
        truth = read.mask(layout, item, n_classes)
        counts.append(instance_counts(truth, instances_of(layout, item, truth), n_classes, void_counts))
        for kind, folder in folders.items():
            ious[kind].append(picture_iou(truth, read_index(folder / f"{item.id}.png"), n_classes))
    means = {kind: instance_iou(values, counts) for kind, values in ious.items()}
    return {kind: float(np.nanmean(v)) if np.isfinite(v).any() else None for kind, v in means.items()}


def instances_of(layout, item, truth):
    """Return the picture's instance mask, or one made of connected pieces."""
    if item.instances is not None:
        return read.instances(layout, item)
    found = np.where(truth == VOID, VOID, 0).astype(np.int64)
    for number, (_, region) in enumerate(weak.objects(truth), start=1):
        found[region] = number if number < VOID else number + 1
    return found


def main_kind(kinds) -> str:
    """Choose the kind of prediction that the paper reports: the softmax classifier's, with the CRF where there is
    one."""
    return next((kind for kind in ("softmax_crf", "softmax", "joint_crf", "joint") if kind in kinds), next(iter(kinds)))


def results(tables, instances, kinds, conditions, common, classes) -> list[dict]:
    """Make rows for Stage.finish: mean IoU over the data set, of objects alone, and per instance, of every kind.

    kinds: {kind: its folder}, whose parent is the stage; conditions: {stage: {kind: protocol fields}}; common: protocol
    fields of all.
    """
    fields = {kind: values for stage in conditions.values() for kind, values in stage.items()}
    rows = []
    for kind in kinds:
        protocol = {**common, "method": METHODS[kind.removesuffix("_crf")], **fields[kind]}
        role = "bound" if protocol["label_source"] == "full" else "final"
        rows.append({**miou_row(tables[kind], protocol, classes), "role": role})
        objects = 100 * metrics.mean_iou(tables[kind], background=False)
        rows.append({"name": "mIoU of objects", "value": objects, "unit": "%", "role": role,
                     "protocol": protocol, **counted(tables[kind], "mean IoU of objects")})
        value = None if instances[kind] is None else 100 * instances[kind]
        rows.append({"name": "IoU per instance", "value": value, "unit": "%", "role": role,
                     "protocol": {**protocol, "aggregation": "mean over pictures, weighted by instances"}})
    preset = next(iter(fields.values()))["preset"]
    bound = {**common, "method": "all background", "supervision": "none", "annotation": "", "label_source": "",
             "preset": preset}
    return [*rows, {"name": "mIoU", "value": 100 * metrics.mean_iou(tables["background"]), "unit": "%",
                    "role": "bound", "protocol": bound}]
