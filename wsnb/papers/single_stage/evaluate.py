"""Results with their protocols."""

from wsnb import metrics
from wsnb.ops.label_maps import BACKBONES, crf_from, crf_text
from wsnb.papers.single_stage.inference import SOURCES

METHODS = {"single_stage": "single-stage", "cam_baseline": "CAM baseline"}
PUBLISHED = {"resnet38": (0.1, 3), "vgg16": (0.3, 1), "resnet50": (0.3, 3), "resnet101": (0.3, 3)}
CAM_BACKGROUND = 0.1  # tag_cut and background_power above, this one for all backbones: the original's configuration


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
        "threshold_split": "none: values of the paper" if published(t.backbone, m) else "not the paper's, see params",
        "method": METHODS[t.model],
        "backbone": BACKBONES[t.backbone],
        "preset": preset(t),
    }


def published(backbone, m) -> bool:
    """Whether the constants of the masks (M) are the paper's; a backbone that it lacks is held to those of ResNet38."""
    mine = (m.tag_cut, m.background_power, m.cam_background)
    return mine == (*PUBLISHED.get(backbone, PUBLISHED["resnet38"]), CAM_BACKGROUND)


def preset(t) -> str:
    """Faithful if training kept the original's quirks of crops, validation and choice of weights; else fixed."""
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
