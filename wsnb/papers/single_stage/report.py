"""Results with their protocols, and the figures of the evaluation."""

import numpy as np

from wsnb import metrics, plots
from wsnb.data import voc
from wsnb.files import read_index
from wsnb.papers.single_stage.masks import SOURCES, crf_from, crf_text
from wsnb.papers.single_stage.views import chart

METHODS = {"single_stage": "single-stage", "cam_baseline": "CAM baseline"}
BACKBONES = {
    "resnet38": "WideResNet38",
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "mobilenet_v2": "MobileNetV2",
    "tiny": "tiny",
}  # as the papers' tables write them


def conditions(t, m) -> dict:
    """Protocol fields that follow from the parameters of training (T) and of the masks (M)."""
    background = f"background power {m.background_power:g}"
    if t.model == "cam_baseline":
        background = f"background {m.cam_background:g}, power {m.background_power:g}"
    return {
        "split": m.split,
        "scales": list(m.scales),
        "flip": m.flip,
        "aggregation": "data set",
        "ignore_label": 255,
        "resolution": f"picture's size, on a {m.canvas} canvas",
        "threshold": f"tag score > {m.tag_cut:g}, {background}",
        "threshold_split": "none: values of the paper",
        "method": METHODS[t.model],
        "backbone": BACKBONES[t.backbone],
        "preset": preset(t),
    }


def preset(t) -> str:
    """"faithful" if training kept all quirks of the original's crops, validation and choice of weights, else "fixed"."""
    return "faithful" if t.crop_sampler == "old" and t.validate_crops and t.select == "best" else "fixed"


def results(tables, kinds, m, common, classes) -> list[dict]:
    """Rows for Stage.finish: mean IoU with and without background of every kind of mask, and the all-background bound.

    tables: confusion per kind; m: parameters of the masks' stage; common: protocol fields that all rows share.
    """
    rows = []
    for kind in kinds:
        source = next(s for s, suffix in SOURCES.items() if kind.removesuffix("_crf") == f"masks{suffix}")
        protocol = {**common, "image_labels": source, "crf": crf_text(crf_from(m)) if kind.endswith("_crf") else ""}
        if source != "predicted":  # true tags are not thresholded
            protocol["threshold"] = common["threshold"].partition(", ")[2]
        iou = 100 * metrics.scores(tables[kind])["iou"]
        rows.append(
            _row("mIoU", 100 * metrics.mean_iou(tables[kind]), protocol, dict(zip(classes, iou.tolist(), strict=True)))
        )
        rows.append(_row("mIoU of objects", 100 * metrics.mean_iou(tables[kind], background=False), protocol, {}))
    bound = {
        **common,
        "method": "all background",
        "supervision": "none",
        "image_labels": "none",
        "crf": "",
        "threshold": "",
        "scales": [],
        "flip": False,
        "backbone": "",
        "weights": "",
        "threshold_split": "",
    }
    return [*rows, _row("mIoU", 100 * metrics.mean_iou(tables["background"]), bound, {})]


def _row(name, value, protocol, detail):
    return {"name": name, "value": value, "unit": "%", "protocol": protocol, "detail": detail}


def undefined(table, classes) -> list[str]:
    """Classes whose IoU is undefined: in neither the ground truth nor the predictions."""
    return [name for name, iou in zip(classes, metrics.scores(table)["iou"], strict=True) if np.isnan(iou)]


def class_figure(iou, classes):
    """Bars of the IoU per class, a group per kind of mask (the columns of the frame IOU, in %)."""
    figure, (axis,) = chart(9.5, 3.2)
    width = 0.8 / len(iou.columns)
    for i, kind in enumerate(iou.columns):
        place = np.arange(len(classes)) + (i - (len(iou.columns) - 1) / 2) * width
        axis.bar(
            place,
            iou[kind].to_numpy(),
            width,
            label=kind,
            color=plots.PALETTE[: len(classes)] / 255,
            alpha=1.0 if i == 0 else 0.55,
            edgecolor="k",
            linewidth=0.4,
        )
    axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
    axis.set(ylabel="IoU, %", ylim=(0, 100), title="full colour: " + ", pale: ".join(iou.columns))
    return figure


def confusion_figure(table, classes):
    """Rows of the confusion matrix as shares; rows of absent classes stay empty."""
    total = table.sum(1, keepdims=True)
    share = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
    figure, (axis,) = chart(7, 6)
    shown = axis.imshow(share, vmin=0, vmax=1, cmap="viridis")
    axis.set_xticks(range(len(classes)), classes, rotation=90)
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="prediction", ylabel="ground truth")
    figure.colorbar(shown, ax=axis, label="share of the true pixels")
    return figure


def good_and_bad_figure(order, items, folder, n_classes, count=4):
    """COUNT best, middle and worst pictures of a frame sorted by mIoU: picture, ground truth, prediction."""
    middle = max(0, (len(order) - count) // 2)
    rows = [
        *range(min(count, len(order))),
        *range(middle, min(middle + count, len(order))),
        *range(max(0, len(order) - count), len(order)),
    ]
    rows = sorted(dict.fromkeys(rows))
    tiles, titles = [], []
    for row in order.iloc[rows].itertuples():
        item = items[row.id]
        image = voc.read_image(item)
        truth, found = voc.read_mask(item, n_classes), read_index(folder / f"{item.id}.png")
        tiles += [image, plots.overlay(image, truth), plots.overlay(image, found)]
        titles += [item.id, "ground truth", f"mIoU {100 * row.mIoU:.0f} %"]
    if not tiles:
        tiles, titles = [np.full((60, 240, 3), 255, np.uint8)], ["no picture with a defined mIoU"]
    return plots.grid(tiles, titles, columns=6 if len(rows) > 1 else 3, width=12)
