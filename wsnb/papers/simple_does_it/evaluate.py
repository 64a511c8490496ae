"""The semantic chain's numbers: the table of recipes, and the conditions under which they were measured.

Scores of instance masks: the network's and those that need no training, all for the same ground-truth boxes.
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


def recipe_frame(tables, known) -> pd.DataFrame:
    """A row a recipe and round: label mIoU, known pixels, trained mIoU, share of the full network's; in %."""
    first = list(dict.fromkeys(name.partition("@")[0] for _, name in tables if name != FULL))
    names = sorted(dict.fromkeys(name for _, name in tables if name != FULL),
                   key=lambda name: (first.index(name.partition("@")[0]), int(name.partition("@")[2] or 1)))
    names += [FULL] if ("val", FULL) in tables else []  # rounds follow their recipe, the bound comes last
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
    """The best network on labels from boxes, then the fully supervised one if there is one."""
    values = {name: metrics.mean_iou(table) for (kind, name), table in tables.items() if kind == "val"}
    weak = [name for name in values if name != FULL]
    best = [max(weak, key=lambda name: np.nan_to_num(values[name], nan=-1.0))] if weak else []
    return best + [name for name in values if name == FULL]


def all_background(table) -> np.ndarray:
    """The confusion [C, C] if everything were called background."""
    floor = np.zeros_like(table)
    floor[:, 0] = table.sum(1)
    return floor


def conditions(t) -> dict:
    """Protocol fields that all networks of a training share."""
    return {"scales": list(t.scales), "flip": t.flip, "backbone": BACKBONES[t.backbone],
            "resolution": f"pictures times {t.base:g}, compared at the picture's size"}


def own(name, kind, t) -> dict:
    """Protocol fields of one network: its labels, what their constants were chosen on, and its CRF."""
    labels = "masks" if name == FULL else title(name)
    if "@" in name and set(t.rules) != set(RULES):
        labels += f" (rules: {', '.join(t.rules) or 'none'})"
    return {"method": f"Simple Does It: {labels}, {HEADS[t.head]}", "supervision": "full" if name == FULL else "boxes",
            "annotation": annotation(name.partition("@")[0]),
            "crf": label_maps.crf_text(label_maps.crf_from(t)) if kind == "val_crf" else ""}


TITLES = {"rectangle": "Rectangle", "ellipse": "Ellipse", "proposal": "MCG", "grabcut": "GrabCut",
          "grabcut_plus": "GrabCut+", "weak": "network, boxes", "full": "network, masks"}
THRESHOLDS = (0.5, 0.75)


def by_picture(pairs) -> dict[str, list]:
    """{picture id: its pairs in order}."""
    found = {}
    for pair in pairs:
        found.setdefault(Path(pair[0]).stem, []).append(pair)
    return found


def records(progress, source, pairs, prepared, predicted, drop_first) -> dict[str, list]:
    """{kind: records of all pictures} of the untrained baselines and of the networks' masks on disk.

    progress: the pictures that can be scored, of `scored`; pairs: theirs; prepared: folder of 01; predicted: {kind:
    folder of masks}. Scores: 1 for all untrained masks; a network's are those in its scores.json. Void pixels (VOC's
    borders) are not counted.
    """
    found = {kind: [] for kind in (*data.BASELINES, *predicted)}
    own, scores = by_picture(pairs), {kind: load_json(folder / "scores.json") for kind, folder in predicted.items()}
    for item in progress:
        truth = {k: (label, mask) for k, label, mask in data.objects_of(source, item, drop_first)}
        listed = own.get(item.id, [])
        if not listed:
            continue
        chosen = [truth[int(Path(name).stem.rpartition("_")[2])] for _, name, _ in listed]
        labels, true = [label for label, _ in chosen], np.stack([mask for _, mask in chosen])
        instances = read.instances(source.layout, item)
        void = instances == 255 if source.layout == "voc" and instances.dtype == np.uint8 else None
        masks = data.load_baselines(prepared, item.id, true.shape[2])
        masks |= {kind: np.stack([read_index(folder / name) > 0 for _, name, _ in listed])
                  for kind, folder in predicted.items()}
        for kind, made in masks.items():
            sure = [scores[kind][name] for _, name, _ in listed] if kind in scores else np.ones(len(listed))
            found[kind].append(instance_metrics.picture(made, labels, sure, true, labels, void))
    return found


def scored(items, pairs) -> tuple[list, list]:
    """Those of the ITEMS whose objects have true masks, and of the PAIRS theirs."""
    kept = [item for item in items if item.instances is not None]
    names = {item.id for item in kept}
    return kept, [pair for pair in pairs if Path(pair[0]).stem in names]


def equal_scores(records_) -> list:
    """The same records with all scores 1: how the masks compare if nothing ranks them."""
    return [instance_metrics.Record(r.ious, r.found_labels, np.ones(len(r.scores)), r.true_labels) for r in records_]


def table(found, n_classes) -> tuple[pd.DataFrame, dict]:
    """(a row a kind: mAP^r at 0.5 and 0.75 and ABO in %, {kind: {measure: per class in %}}).

    All kinds with equal scores, so that masks are compared and not rankings: AP is then recall times precision.
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


def ranked(found, n_classes) -> dict:
    """{kind: mAP^r at 0.5 in %} of the networks, their masks ranked by the network's own probability."""
    return {kind: 100 * instance_metrics.mean(instance_metrics.average_precision(found[kind], n_classes, 0.5))
            for kind in ("weak", "full") if kind in found}


def best_overlaps(records_) -> np.ndarray:
    """IoU of every object with its own mask (masks and objects are in one order), of all pictures."""
    return np.concatenate([np.diag(r.ious) for r in records_] or [np.zeros(0)])


def results(detail, classes, common, surgery, t, ranking, label_kind, clipped) -> list[dict]:
    """Rows for Stage.finish: three measures of every kind, and the networks' ranked mAP^r; none without a true object.

    LABEL_KIND: what the network "weak" learned from; CLIPPED: whether the networks' masks were cut at their boxes.
    """
    rows, tuned = [], {"proposal", "grabcut_plus", *({"weak"} if label_kind == "grabcut_plus" else ())}
    network = {"backbone": "VGG16" if t.backbone == "vgg16" else BACKBONES[t.backbone], "weights": surgery,
               "resolution": f"longer side {t.side}" if t.side else "picture's size",
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
                         "detail": dict(zip(classes[1:], values.tolist(), strict=True))})
        if kind in ranking:
            ranked_by = {**protocol, "matching": f"{protocol['matching']}, by the network's probability"}
            rows.append({"name": "mAP^r@0.5, ranked", "value": ranking[kind], "unit": "%", "protocol": ranked_by,
                         "role": "bound" if kind == "full" else "final", "detail": {}})
    return [row for row in rows if np.isfinite(row["value"])]


def undefined(pairs, n_pictures) -> str:
    """What was left out, in words: pictures without an object have no instance to score. The faithful preset drops an
    object of pictures without background, which may have been the only one."""
    empty = n_pictures - len(by_picture(pairs))
    return f"{empty} of {n_pictures} pictures have no object that is kept" if empty else ""


def read_split(folder, split) -> list:
    """The pairs of a split ("train" or "val") as 01 wrote them."""
    return data.read_pairs(Path(folder) / f"{split}_img_mask_pairs.txt")
