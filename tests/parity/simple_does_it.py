"""Parity of `simple_does_it` with arrays of the original program: GrabCut, preparation, inputs, losses."""

import hashlib
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import cv2
import numpy as np
import scipy.io
import torch

from tests.parity import simple_does_it_networks as networks
from tests.parity.compare import absolute, exact, load, relative
from wsnb import files
from wsnb.data import sbd, voc
from wsnb.data.item import Item
from wsnb.ops.grabcut import filled
from wsnb.papers.simple_does_it import box_labels, data, instances, losses


def _half_open(box):
    """y1, x1, y2, x2 -> x0, y0, x1, y1."""
    y0, x0, y1, x1 = (int(v) for v in box)
    return x0, y0, x1, y1


def _picture(folder, case):
    """The case's picture, the same pixels as the original program read."""
    image = files.read_rgb(folder / case["path"].removeprefix("tfwss/"))
    seen = hashlib.sha256(np.ascontiguousarray(image[..., ::-1]).tobytes()).hexdigest()
    return image, exact(f"{case['path']} decodes alike", [seen], [case["bgr_sha256"]])


def _label(image, box, key):
    """The GrabCut label of the chain; with the seed 0 of the set, KEY is the seed of the box."""
    return box_labels.Picture(image, box_labels.Settings()).object_mask("grabcut", _half_open(box), key)


def one_sequence():
    """The original seeds nothing: OpenCV's generator runs on from box to box."""
    cv2.setRNGSeed(0)
    return mock.patch("cv2.setRNGSeed")


def _grabcut_cases(path):
    meta, checks = load(path), []
    for name, case in meta["cases"].items():
        image, alike = _picture(path.parent, case)
        ours = [int(_label(image, case["bbox"], s).sum()) for s in meta["seeds"]]
        checks += [alike, exact(name, ours, [case["fg"][str(s)] for s in meta["seeds"]])]
    with one_sequence():
        for name, count in meta["sequence_fg_counts"].items():
            image, _ = _picture(path.parent, meta["cases"][name])
            label = _label(image, meta["cases"][name]["bbox"], 0)
            checks.append(exact(f"{name} in sequence", int(label.sum()), count))
    return checks


def _grabcut_masks(path):
    cases, checks = load(path.parent / "grabcut_cases.json")["cases"], []
    for key, wanted in load(path).items():
        name, seed = key.split("__seed")
        image, _ = _picture(path.parent, cases[name])
        label = _label(image, cases[name]["bbox"], int(seed))
        checks.append(exact(key, label.astype(np.uint8) * 255, wanted))
    return checks


def _prepared(folder, place):
    """({id: item}, pair lines) of the six-picture set, prepared below PLACE in the original's order on one random
    sequence. Its class masks, which the original does not read, are made of the instances' categories."""
    items, lines = {}, []
    preparation = data.Preparation(box_labels.Inputs("sbd", voc.CLASSES), place, "grabcut", drop_first=True)
    with one_sequence():
        for path in sorted((folder / "inst").glob("*.mat")):
            instances, categories = sbd.instances_of(path)
            classes = place / f"{path.stem}.mat"
            scipy.io.savemat(classes, {"GTcls": {"Segmentation": np.array([0, *categories], np.uint8)[instances]}})
            items[path.stem] = Item(path.stem, folder / "img" / f"{path.stem}.jpg", classes, path)
            lines += data.prepare_picture((preparation, items[path.stem], False))
    return items, lines


def _bkvoc_expected(path):
    d, folder, checks = load(path), path.parent / "bkvoc_fixture", []
    with TemporaryDirectory() as place:
        _, lines = _prepared(folder, Path(place))
        for kind, made in (("mask", "inst_masks"), ("grabcut", "inst_grabcuts")):
            ours = {f"{kind}_{file.stem}": files.read_index(file) for file in Path(place, made).glob("*.png")}
            checks.append(exact(f"which {made}", sorted(ours), sorted(k for k in d if k.startswith(f"{kind}_"))))
            checks += [exact(name, array, d[name]) for name, array in ours.items() if name in d]
    checks.append(exact("pair file", lines, (folder / "img_mask_pairs.txt").read_text().splitlines()))
    for split in ("train", "val"):
        names = (folder / f"{split}.txt").read_text().split()
        own = [line for line in lines if line.split(".jpg")[0] in names]
        wanted = folder / f"{split}_img_mask_pairs.txt"
        checks.append(exact(f"{split} pairs", own, wanted.read_text().splitlines()))
        read = [data.pair_line(*pair) for pair in data.read_pairs(wanted)]
        checks.append(exact(f"{split} pairs read", read, own))
    for count, name in ((20172, "first100_of_20172"), (7, "small")):
        seen = list(itertools.islice(data.original_order(count), 2 * count))
        for epoch in (1, 2):
            start = (epoch - 1) * count
            wanted = d[f"train_idx_epoch{epoch}_{name}"]
            checks.append(exact(f"order {count} epoch {epoch}", seen[start : start + len(wanted)], wanted))
    return checks


def _bkvoc_batches(path):
    folder, checks = path.parent / "bkvoc_fixture", []
    with TemporaryDirectory() as place:
        items, _ = _prepared(folder, Path(place))
        pairs = data.read_pairs(folder / "train_img_mask_pairs.txt")
        samples = instances.Samples(pairs, items, Path(place, "inst_grabcuts"), 0, "vgg16", "faithful")
        for n, (one, number) in enumerate(zip(load(path), data.original_order(len(pairs)), strict=False)):
            x, label, _ = samples[number]
            shapes = [*x.permute(0, 2, 3, 1).shape, *label.permute(0, 2, 3, 1).shape]
            checks += [exact(f"shape {n}", shapes, one[0] + one[1]),
                       exact(f"pixels {n}", [int(label.sum()), int((x[:, 3] > 0).sum())], one[2:])]
    return checks


def _io_cases(path):
    d = load(path)
    shape = d["rect_0"].shape
    checks = [exact(f"box map {k}", data.box_map(shape, _half_open(box)), d[f"rect_{k}"])
              for k, box in enumerate(d["rect_boxes"])]
    whole = d["rect_hw1"]
    checks.append(exact("box map [H, W, 1]", whole[..., 0] if whole.ndim == 3 else whole,
                        next(d[f"rect_{k}"] for k in range(7) if (d[f"rect_{k}"] == whole[..., 0]).all())))
    boxes = [data.tight_box(d["bbox_masks"][..., k] > 0) for k in range(d["bbox_masks"].shape[2])]
    checks.append(exact("boxes of masks", [(y0, x0, y1, x1) for x0, y0, x1, y1 in boxes], d["bbox_out"]))
    for key in [k for k in d if k.startswith("pre_in")]:
        theirs = d["pre_out_weak" if d[key].shape[-1] == 4 else "pre_out_full"]
        checks.append(absolute(key, data.preprocess(d[key]), theirs, 0))
    for key in [k for k in d if k.startswith("lab_in_")]:
        checks.append(exact(key, data.binary_label(d[key]), d[key.replace("lab_in", "lab_out")]))
    checks.append(exact("threshold", data.predicted_mask(d["thr_prob"]), d["thr_out"]))
    inside = [k for k, box in enumerate(d["rect_boxes"]) if min(box[:2]) >= 0]
    checks += [exact(f"filled {k}", filled(shape, _half_open(d["rect_boxes"][k])), d[f"rect_{k}"] > 0) for k in inside]
    return checks


def _loss_cases(path):
    """All but NAME_loss_theoretical_tf: of a second form of the loss, which the original never uses."""
    d, checks = load(path), []
    for name in sorted({key.removesuffix("_logits") for key in d if key.endswith("_logits")}):
        logits = torch.from_numpy(d[f"{name}_logits"]).requires_grad_()
        label = torch.from_numpy(d[f"{name}_label"])
        loss = losses.balanced_loss(logits, label)
        loss.backward()
        double = losses.balanced_loss(torch.from_numpy(d[f"{name}_logits"]).double(), label.double())
        checks += [
            relative(f"{name} loss", loss, d[f"{name}_loss_tf"], 1e-5),
            relative(f"{name} gradient", logits.grad, d[f"{name}_grad_tf"], 1e-5),
            relative(f"{name} in double", double, d[f"{name}_loss_np64"], 1e-6),
        ]
    return checks


def _lr_multipliers(path):
    from wsnb.papers.simple_does_it.model import tensorflow_names

    wanted, names = load(path), tensorflow_names()
    ours = [losses.factor(names[name]) for name in wanted if name in names]
    return [
        exact("variables", sorted(names), sorted(wanted)),
        absolute("factors", ours, [wanted[name] for name in wanted if name in names], 0),
    ]


HANDLERS = {
    **networks.HANDLERS,
    "grabcut_cases": _grabcut_cases,
    "grabcut_masks": _grabcut_masks,
    "bkvoc_expected": _bkvoc_expected,
    "bkvoc_batches": _bkvoc_batches,
    "io_cases": _io_cases,
    "loss_cases": _loss_cases,
    "lr_multipliers": _lr_multipliers,
}
