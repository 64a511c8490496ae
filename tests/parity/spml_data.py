"""Parity of spml's input transforms with arrays of the original program."""

import numpy as np

from tests.parity.compare import absolute, exact, load
from wsnb.data.densepose import SWAPPED
from wsnb.data.transforms import MEAN
from wsnb.papers.spml import data, evaluate

SCALES = ("0.5", "0.75", "1.0", "1.25", "1.5", "0.63", "1.37")


def _pair(name, image, labels, d, key):
    checks = [absolute(f"{name}, picture", image, d[f"{key}_image"], 1e-5)]
    if f"{key}_label" in d:
        checks.append(exact(f"{name}, labels", labels, d[f"{key}_label"]))
    return checks


def _basic(path):
    d = load(path)
    image, labels = d["image"], d["label"].astype(np.uint8)
    checks = []
    for ratio in SCALES:
        done = data.resize(image, labels, data.scaled_size(*image.shape[:2], float(ratio)))
        checks += _pair(f"resize {ratio}", *done, d, f"resize_{ratio}")
    checks += _pair("mirror", *data.mirror(image, labels), d, "mirror")
    size = data.longer_side(*image.shape[:2], 96)
    shown, found = data.resize(image, labels[..., 0], size)
    checks += [absolute("longer side 96", shown, d["rwi_96_image"], 1e-5),
               exact("longer side 96, labels", found, d["rwi_96_label0"])]
    checks += _pair("pad 60x80", *data.pad(image, labels, (60, 80)), d, "pad_60x80")
    # stored with black at the border: what is padded with the mean of the pictures is black after its subtraction
    padded, wide = data.pad(image + np.float32(MEAN), labels, (40, 80))
    checks += _pair("pad 40x80", padded - np.float32(MEAN), wide, d, "pad_40x80")
    checks += _pair("crop", *data.crop(image, labels, (64, 48), np.random.RandomState(77)), d, "crop_seed77")
    padded = data.pad(image, None, (64, 48))[0]
    top, left = data.crop_place(*padded.shape[:2], (64, 48), np.random.RandomState(77))
    return [*checks, exact("place", [left, top, left + 48, top + 64], d["crop_seed77_bbox"])]


def _dataset(prefix, pairs):
    def handler(path):
        d = load(path)
        image = d["image_u8"].astype(np.uint8)
        labels = np.stack([d["semantic"], d["instance"]], axis=2).astype(np.uint8)
        checks = []
        for stage, ratios, colours in (("", (0.5, 1.5), False), ("_cls", (0.5, 2.0), True)):
            for key in sorted(k for k in d if k.startswith(f"{prefix}{stage}_seed") and k.endswith("_image")):
                name = key.removesuffix("_image")
                rng = np.random.RandomState(int(name.rsplit("seed", 1)[1]))
                x, found = data.training_sample(image, labels, 64, rng, ratios, pairs, colours)
                checks += [absolute(name, x, d[key], 1e-5), exact(f"{name}, classes", found[..., 0], d[f"{name}_sem"]),
                           exact(f"{name}, regions", found[..., 1], d[f"{name}_ins"])]
        for key in ("voc_tags", "voc_cls_tags"):
            if key in d:
                checks.append(exact(key, np.unique(labels[..., 0]), d[key]))
        if "eval_image" in d:
            checks.append(absolute("whole picture", data.network_input(image)[0], d["eval_image"], 1e-5))
        for k, (ratio, flip) in enumerate((r, f) for r in (0.5, 1.5) for f in (True, False)):
            if f"pyr{k}_image" in d:
                shown = data.network_input(image, 0, ratio, flip)[0]
                turned = data.mirror(image, labels)[1] if flip else labels
                found = data.resize(None, turned, shown.shape[1:])[1]
                checks += [exact(f"pyramid {k}, mirrored", flip, bool(d[f"pyr{k}_flip"])),
                           absolute(f"pyramid {k}", shown, d[f"pyr{k}_image"], 1e-5),
                           exact(f"pyramid {k}, classes", found[..., 0], d[f"pyr{k}_sem"])]
        return checks

    return handler


def _sizes(path):
    d = load(path)
    first = [data.longer_side(h, h, 512)[0] for h in d["h"].tolist()]
    second = [data.longer_side(h, h, 640)[0] for h in d["h"].tolist()]
    third = [data.scaled_size(h, h, 0.75)[0] for h in d["h"].tolist()]
    return [exact("512", first, d["new_h_512"]), exact("640", second, d["new_h_640"]),
            exact("0.75", third, d["new_h_scale0.75"])]


def _denormalise(path):
    d = load(path)
    back = data.denormalise(np.ascontiguousarray(d["normalised"].T[:, None]))[0]
    return [exact("recovered", back, d["recovered"])]


def _benchmark(path):
    d = load(path)
    n_classes = len(d["miou_per_class_pct"])
    hit, true, said = np.zeros((3, n_classes))
    ious, counts = [], []
    for truth, found, instances in zip(d["gt"], d["pred"], d["inst"], strict=True):
        ious.append(evaluate.picture_iou(truth, found, n_classes))
        counts.append(evaluate.instance_counts(truth, instances, n_classes, void_counts=True))
        table = evaluate.class_counts(truth, found, n_classes)
        hit, true, said = hit + table[0], true + table[1], said + table[2]
    iou = 100 * hit / np.maximum(true + said - hit, 1e-12)
    each = 100 * np.nan_to_num(evaluate.instance_iou(ious, counts))
    return [absolute("IoU", iou, d["miou_per_class_pct"], 1e-3), absolute("mean", iou.mean(), d["miou_pct"], 1e-3),
            absolute("pixel accuracy", hit.sum() / said.sum(), d["pixel_acc"], 1e-3),
            absolute("IoU per instance", each, d["inst_iou_per_class_pct"], 1e-3),
            absolute("mean per instance", each.mean(), d["inst_miou_pct"], 1e-3)]


HANDLERS = {
    "benchmark": _benchmark,
    "transforms_basic": _basic,
    "dataset_voc": _dataset("voc", ()),
    "dataset_densepose": _dataset("dp", SWAPPED),
    "resize_sizes": _sizes,
    "denormalise_uint8": _denormalise,
}
