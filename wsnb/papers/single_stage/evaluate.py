"""Results of this paper, each with its protocol."""

from wsnb import metrics
from wsnb.ops.label_maps import BACKBONES, counted, crf_from, crf_text, miou_row
from wsnb.papers.single_stage import steps
from wsnb.papers.single_stage.inference import TAGS

METHODS = {"single_stage": "single-stage", "cam_baseline": "CAM baseline"}
PUBLISHED = {"resnet38": (0.1, 3), "vgg16": (0.3, 1), "resnet50": (0.3, 3), "resnet101": (0.3, 3)}
CAM_BACKGROUND = 0.1  # tag_cut and background_power above, this one for all backbones: the original's configuration


def conditions(params_train, params_masks) -> dict:
    """Protocol fields that follow from the parameters of training and of the masks' stage."""
    background = f"background power {params_masks.background_power:g}"
    if params_train.model == "cam_baseline":
        background = f"background {params_masks.cam_background:g}, power {params_masks.background_power:g}"
    return {
        "split": params_masks.split,
        "scales": list(params_masks.scales),
        "flip": params_masks.flip,
        "aggregation": "data set",
        "ignore_label": 255,
        "resolution": f"picture's size, padded to {params_masks.padded_side}",
        "threshold": f"tag score > {params_masks.tag_cut:g}, {background}",
        "threshold_split": threshold_split(params_train, params_masks),
        "method": METHODS[params_train.model],
        "backbone": BACKBONES[params_train.backbone],
        "preset": preset(params_train),
    }


def threshold_split(params_train, params_masks) -> str:
    """Say which pictures chose the thresholds, and the weights where these are not the last."""
    said = ("none: values of the paper" if published(params_train.backbone, params_masks)
            else "not the paper's, see params")
    return said + f"; weights of the lowest loss on {params_train.val_split}" * (params_train.select == "best")


def published(backbone, params_masks) -> bool:
    """Whether the constants of the masks are the paper's; a backbone that it lacks is held to those of ResNet38."""
    own = (params_masks.tag_cut, params_masks.background_power, params_masks.cam_background)
    return own == (*PUBLISHED.get(backbone, PUBLISHED["resnet38"]), CAM_BACKGROUND)


def preset(params_train) -> str:
    """Faithful if training kept the original's quirks of crops, validation and choice of weights; else fixed."""
    return "faithful" if steps.faithful(params_train) else "fixed"


def results(tables, kinds, params_masks, common, classes) -> list[dict]:
    """Rows for Stage.finish: mean IoU with and without background of every kind of mask, and the all-background bound.

    tables: confusion per kind; common: protocol fields that all rows share.
    """
    rows = []
    for kind in kinds:
        tags = next(tags for tags, suffix in TAGS.items() if kind.removesuffix("_crf") == f"masks{suffix}")
        crf = crf_text(crf_from(params_masks)) if kind.endswith("_crf") else ""
        protocol = {**common, "image_labels": tags, "crf": crf}
        if tags != "predicted":  # true tags are not thresholded
            protocol["threshold"] = common["threshold"].partition(", ")[2]
        objects = 100 * metrics.mean_iou(tables[kind], background=False)
        rows += [miou_row(tables[kind], protocol, classes),
                 {"name": "mIoU of objects", "value": objects, "unit": "%", "protocol": protocol, "detail": {},
                  **counted(tables[kind], "mean IoU of objects")}]
    empty = dict.fromkeys(("crf", "threshold", "backbone", "weights", "threshold_split"), "")
    bound = {**common, **empty, "method": "all background", "supervision": "none", "image_labels": "none",
             "scales": [], "flip": False}
    return [*rows, {"name": "mIoU", "value": 100 * metrics.mean_iou(tables["background"]), "unit": "%",
                    "protocol": bound, "detail": {}}]
