"""Scores of this paper: label methods and the networks trained on them, and instance masks, each with its protocol.

Instance masks: the networks' and those that need no training, all for the same ground-truth boxes.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from wsnb import metrics
from wsnb.data import read
from wsnb.files import load_json, read_index
from wsnb.metrics import instances as instance_metrics
from wsnb.ops import label_maps
from wsnb.ops.label_maps import BACKBONES
from wsnb.papers.simple_does_it import data
from wsnb.papers.simple_does_it.box_labels import CONSTANTS, annotation
from wsnb.papers.simple_does_it.semantic import FULL, RULES, title

HEADS = {"largefov": "DeepLab-LargeFOV", "aspp": "DeepLab v2", "deeplabv3plus": "DeepLabV3+"}
TITLES = {"rectangle": "Rectangle", "ellipse": "Ellipse", "proposal": "MCG", "grabcut": "GrabCut",
          "grabcut_plus": "GrabCut+", "weak": "network, boxes", "full": "network, masks"}
THRESHOLDS = (0.5, 0.75)
RANKED = "mAP^r@0.5, ranked"  # by the network's own probability


def methods_frame(tables, known) -> pd.DataFrame:
    """Tabulate label methods and rounds: label mIoU, known pixels, trained mIoU, share of the full network's; in %."""
    first = list(dict.fromkeys(name.partition("@")[0] for _, name in tables if name != FULL))
    names = sorted(dict.fromkeys(name for _, name in tables if name != FULL),
                   key=lambda name: (first.index(name.partition("@")[0]), int(name.partition("@")[2] or 1)))
    names += [FULL] if ("val", FULL) in tables else []  # rounds follow their method, the bound comes last
    full = metrics.mean_iou(tables["val", FULL]) if ("val", FULL) in tables else float("nan")
    rows = {}
    for name in names:
        row = {}
        if ("labels", name) in tables:
            row = {"label mIoU": 100 * metrics.mean_iou(tables["labels", name]),
                   "known": 100 * known[name] if known.get(name) is not None else float("nan")}
        if name == FULL:
            row = {"label mIoU": 100.0, "known": 100.0}
        for kind, column in (("val", "trained mIoU"), ("val_crf", "trained mIoU, CRF")):
            if (kind, name) in tables:
                row[column] = 100 * metrics.mean_iou(tables[kind, name])
        if ("val", name) in tables:
            row["share of full"] = 100 * metrics.mean_iou(tables["val", name]) / full
        rows[title(name)] = row
    columns = ["label mIoU", "known", "trained mIoU", "trained mIoU, CRF", "share of full"]
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.reindex(columns=[c for c in columns if c in frame]).rename_axis("labels")


def best_and_full(tables) -> list[str]:
    """Choose the best network on labels from boxes, then the fully supervised one if there is one."""
    values = {name: metrics.mean_iou(table) for (kind, name), table in tables.items() if kind == "val"}
    weak = [name for name in values if name != FULL]
    best = [max(weak, key=lambda name: np.nan_to_num(values[name], nan=-1.0))] if weak else []
    return best + [name for name in values if name == FULL]


def all_background(table) -> np.ndarray:
    """Make the confusions [N, C, C] of predicting background everywhere."""
    bound = np.zeros_like(table)
    bound[..., 0] = table.sum(-1)
    return bound


def conditions(params_train) -> dict:
    """Protocol fields that all networks of a training share."""
    p = params_train
    return {"scales": list(p.scales), "flip": p.flip, "backbone": BACKBONES[p.backbone],
            "resolution": f"pictures times {p.base:g}, compared at the picture's size"}


def network_conditions(name, kind, params_train) -> dict:
    """Protocol fields of one network: its labels, the annotation behind their constants, and its CRF."""
    p = params_train
    labels = "masks" if name == FULL else title(name)
    if "@" in name and set(p.rules) != set(RULES):
        labels += f" (rules: {', '.join(p.rules) or 'none'})"
    return {"method": f"Simple Does It: {labels}, {HEADS[p.head]}", "supervision": "full" if name == FULL else "boxes",
            "annotation": annotation(name.partition("@")[0]),
            "crf": label_maps.crf_text(label_maps.crf_from(p)) if kind == "val_crf" else ""}


def by_picture(pairs) -> dict[str, list]:
    """Group pairs by picture: {picture id: its pairs in order}."""
    found = {}
    for pair in pairs:
        found.setdefault(Path(pair[0]).stem, []).append(pair)
    return found


def records(items, inputs, pairs, prepared, predicted, drop_first) -> dict[str, list]:
    """Compare masks with the true ones: {kind: records of all pictures}, of the untrained masks and the networks'.

    items: the pictures that can be scored, of `scored`; pairs: theirs; prepared: folder of 01; predicted: {kind: folder
    of masks}. Scores: 1 for all untrained masks; a network's are those in its scores.json. Void pixels (VOC's borders)
    are not counted.
    """
    found = {kind: [] for kind in (*data.BASELINES, *predicted)}
    listed, scores = by_picture(pairs), {kind: load_json(folder / "scores.json") for kind, folder in predicted.items()}
    for item in items:
        objects = {k: (label, mask) for k, label, mask in data.objects_of(inputs, item, drop_first)}
        names = [name for _, name, _ in listed.get(item.id, [])]
        if not names:
            continue
        labels, true = zip(*(objects[int(Path(name).stem.rpartition("_")[2])] for name in names), strict=True)
        true = np.stack(true)
        instances = read.instances(inputs.layout, item)
        void = instances == 255 if inputs.layout == "voc" and instances.dtype == np.uint8 else None
        masks = data.load_baselines(prepared, item.id, true.shape[2])
        masks |= {kind: np.stack([read_index(folder / name) > 0 for name in names])
                  for kind, folder in predicted.items()}
        for kind, made in masks.items():
            sure = [scores[kind][name] for name in names] if kind in scores else np.ones(len(names))
            found[kind].append(instance_metrics.picture(made, labels, sure, true, labels, void))
    return found


def scored(items, pairs) -> tuple[list, list]:
    """Keep those of the ITEMS whose objects have true masks, and their PAIRS."""
    kept = [item for item in items if item.instances is not None]
    names = {item.id for item in kept}
    return kept, [pair for pair in pairs if Path(pair[0]).stem in names]


def equal_scores(records_) -> list:
    """Set all scores of the records to 1: then nothing ranks the masks."""
    return [instance_metrics.Record(r.ious, r.found_labels, np.ones(len(r.scores)), r.true_labels) for r in records_]


def instance_table(found, n_classes) -> tuple[pd.DataFrame, dict]:
    """Tabulate mAP^r at 0.5 and 0.75 and ABO: (a row a kind, in %; {kind: {measure: per class in %}}).

    All kinds have equal scores: masks are compared and not rankings, and AP is recall times precision.
    """
    rows, detail = {}, {}
    for kind, records_ in found.items():
        level = equal_scores(records_)
        detail[kind] = {
            f"mAP^r@{t:g}": 100 * instance_metrics.average_precision(level, n_classes, t) for t in THRESHOLDS
        }
        detail[kind]["ABO"] = 100 * instance_metrics.average_best_overlap(level, n_classes)
        rows[TITLES[kind]] = {measure: instance_metrics.mean(values) for measure, values in detail[kind].items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("masks"), detail


def picture_counts(found, n_classes, ids) -> dict:
    """Count what the measures of `instance_table`, and `RANKED`, are made of: {kind: {measure: fields of a result for
    Stage.finish}}, pictures in the order of their IDS, those of the records."""
    order, counted = np.argsort(ids), {}
    for kind, records_ in found.items():
        by_id = [records_[k] for k in order]
        level = equal_scores(by_id)
        counted[kind] = {f"mAP^r@{t:g}": {"counts": instance_metrics.unranked_counts(level, n_classes, t),
                                          "measure": "recall times precision"} for t in THRESHOLDS}
        counted[kind]["ABO"] = {"counts": instance_metrics.best_overlap_counts(level, n_classes),
                                "measure": "mean over objects"}
        counted[kind][RANKED] = {"counts": instance_metrics.ranked_counts(by_id, n_classes, THRESHOLDS[0]),
                                 "measure": "average precision"}
    return counted


def ranked(found, n_classes) -> dict:
    """Score the networks with their masks ranked by the network's own probability: {kind: mAP^r at 0.5 in %}."""
    return {kind: 100 * instance_metrics.mean(instance_metrics.average_precision(found[kind], n_classes, THRESHOLDS[0]))
            for kind in ("weak", "full") if kind in found}


def best_overlaps(records_) -> np.ndarray:
    """List the IoU of every object with its own mask (masks and objects are in one order), over all pictures."""
    return np.concatenate([np.diag(r.ious) for r in records_] or [np.zeros(0)])


def results(detail, counted, classes, common, weights, params_train, ranking, label_kind, clipped) -> list[dict]:
    """Rows for Stage.finish: three measures of every kind, and the networks' ranked mAP^r; none without a true object.

    COUNTED: of `picture_counts`; LABEL_KIND: the labels of the network "weak"; CLIPPED: whether the networks' masks
    were cut at their boxes.
    """
    rows, tuned = [], {"proposal", "grabcut_plus", *({"weak"} if label_kind == "grabcut_plus" else ())}
    network = {"backbone": BACKBONES[params_train.backbone], "weights": weights,
               "resolution": f"longer side {params_train.side}" if params_train.side else "picture's size",
               "threshold": "probability 162/255" + (", within the box" if clipped else ""),
               "train_size": common["train_size"]}
    for kind, measures in detail.items():
        trained = kind in ("weak", "full")
        supervision = {"weak": "boxes", "full": "full"}.get(kind, "none")
        labels = " (GrabCut labels)" if kind == "weak" and label_kind == "grabcut" else ""
        protocol = {**{k: v for k, v in common.items() if k != "train_size"},
                    "supervision": supervision, "method": f"Simple Does It: {TITLES[kind]}{labels}",
                    "annotation": CONSTANTS if kind in tuned else "",
                    **(network if trained else {})}
        for measure, values in measures.items():
            rows.append({"name": measure, "value": instance_metrics.mean(values), "unit": "%", "protocol": protocol,
                         "role": "bound" if kind == "full" else "final",
                         "detail": dict(zip(classes[1:], values.tolist(), strict=True)), **counted[kind][measure]})
        if kind in ranking:
            ranked_by = {**protocol, "matching": f"{protocol['matching']}, by the network's probability"}
            rows.append({"name": RANKED, "value": ranking[kind], "unit": "%", "protocol": ranked_by,
                         "role": "bound" if kind == "full" else "final", "detail": {}, **counted[kind][RANKED]})
    return [row for row in rows if np.isfinite(row["value"])]


def without_objects(pairs, n_pictures) -> str:
    """Say how many pictures have no object, and hence no instance to score. The faithful preset drops an object of
    pictures without background, which may have been the only one."""
    empty = n_pictures - len(by_picture(pairs))
    return f"{empty} of {n_pictures} pictures have no object that is kept" if empty else ""


def read_split(folder, split) -> list:
    """Read the pairs of a split ("train" or "val") as 01 wrote them."""
    return data.read_pairs(Path(folder) / f"{split}_img_mask_pairs.txt")
