"""The semantic chain's numbers: the table of recipes, and the conditions under which they were measured."""

import numpy as np
import pandas as pd

from wsnb import metrics
from wsnb.methods import label_maps
from wsnb.methods.evaluation import BACKBONES
from wsnb.papers.simple_does_it.recipes import annotation
from wsnb.papers.simple_does_it.recursion import RULES
from wsnb.papers.simple_does_it.semantic import FULL, title

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
