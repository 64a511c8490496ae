"""Parity of `no_people_allowed` with arrays of the original programs."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tests.parity import no_people_allowed_networks as networks
from tests.parity.compare import absolute, agreement, array, exact, load, relative, tensors
from wsnb import metrics
from wsnb.data.item import Item
from wsnb.metrics import instances, instances_chainercv
from wsnb.ops import affinity, displacements, random_walk
from wsnb.ops import cam as cam_store
from wsnb.ops import crf as label_crf
from wsnb.papers.no_people_allowed import (
    augmentation,
    confident_labels,
    evaluate,
    inference,
    irnet,
    losses,
    optimisation,
    pseudo_masks,
)


def _path_index(path):
    d = load(path)
    radius = int(d.get("radius", d["radius_floor"] + 1))
    index = affinity.path_index(radius, *d["size"].tolist())
    groups = affinity.grouped(radius)
    checks = [
        exact("directions", affinity.displacements(radius), d["search_dst"]),
        exact("as many as emitted", len(affinity.directions(radius)), len(d["search_dst"])),
        exact("starts", index.starts, d["src_indices"]),
        exact("ends", index.ends, d["dst_indices"]),
        exact("lengths", [group.shape[1] for group in groups], d["lengths"]),
        exact("counts", [len(group) for group in groups], d["counts"]),
    ]
    for group, pixels in zip(groups, index.paths, strict=True):
        length = group.shape[1]
        checks.append(exact(f"paths of {length}", group, d[f"paths_len{length:02d}"]))
        if f"path_indices_len{length:02d}" in d:
            checks.append(exact(f"pixels on paths of {length}", pixels, d[f"path_indices_len{length:02d}"]))
    return checks


def _pair_labels(path):
    d = load(path)
    checks = []
    for n_classes in (201, 21):
        found = affinity.pair_labels(d["label"], 5, n_classes)
        for name, pairs in zip(("bg", "fg", "neg"), found, strict=True):
            checks.append(exact(f"{n_classes} classes, {name}", pairs, d[f"nclass{n_classes}_{name}"]))
    return checks


def _edge_to_affinity(path):
    d = tensors(path)
    return [absolute("affinity", affinity.edge_to_affinity(d["edge"], 5), d["affinity"], 1e-6)]


def _irn_loss(path):
    d, radius = tensors(path), int(path.stem.rpartition("_r")[2])
    edge, moved = (d[name].clone().requires_grad_() for name in ("edge_logits", "disp"))
    parts = losses.irnet_loss_parts(edge, moved, affinity.pair_labels(d["labels"], radius, 201), radius)
    total = losses.irnet_loss(edge, moved, d["labels"], radius, 201)
    total.backward()
    each = torch.stack([losses.irnet_loss(edge[i : i + 1], moved[i : i + 1], d["labels"][i : i + 1], radius, 201)
                        for i in range(len(edge))])
    twice = losses.irnet_loss(edge, moved, d["labels"], radius, 201, replicas=2)
    return [
        *(relative(name, value, d[name], 1e-5) for name, value in parts.items()),
        relative("total", total, d["total"], 1e-5),
        relative("gradient of the boundaries", edge.grad, d["grad_edge"], 1e-4),
        relative("gradient of the displacements", moved.grad, d["grad_disp"], 1e-4),
        relative("total of each picture", each, d["total_per_image"], 1e-5),
        relative("mean of two replicas", twice, d["total_mean_of_two_replicas"], 1e-5),
    ]


def dense_walk(cam, edge, radius, beta, exp_times):
    """The published formulation, written straight down: a dense matrix, squared; (rw, affinity, transition)."""
    height, width = edge.shape
    dense = np.eye(height * width)
    for dy, dx in affinity.directions(radius):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                a = 1 - max(edge[y + py, x + px] for py, px in affinity.path(dy, dx))
                here, there = y * width + x, (y + dy) * width + x + dx
                dense[here, there] = dense[there, here] = a
    power = dense**beta
    power = power / power.sum(0, keepdims=True)
    for _ in range(exp_times):
        power = power @ power
    rows = (cam * (1 - edge)).reshape(len(cam), -1) @ power
    return rows.reshape(cam.shape), dense, power


def _random_walk(path):
    d = load(path)
    settings = [int(d[name]) for name in ("radius", "beta", "exp_times")]
    edge = d["edge"][0]
    walked = random_walk.random_walk(d["cam"], edge, *settings)
    rows, dense, power = dense_walk(d["cam"].astype(float), edge.astype(float), *settings)
    checks = [
        absolute("rw", walked, d["rw"].reshape(walked.shape), 1e-4),
        absolute("rw of the dense matrix", rows, d["rw"].reshape(walked.shape), 1e-4),
    ]
    if "dense_affinity" in d:
        own = random_walk.transition(edge, settings[0], 1)[0].toarray()
        checks += [absolute("affinity", own, d["dense_affinity"], 1e-6),
                   absolute("dense affinity", dense, d["dense_affinity"], 1e-6)]
    if "transition" in d:
        matrix, sums = random_walk.transition(edge, *settings[:2])
        one = matrix.toarray() / sums[None]
        for _ in range(settings[2]):
            one = one @ one
        checks.append(absolute("transition", one, d["transition"], 1e-4))
    return checks


def _sem_seg_post(path):
    d = load(path)
    size, keys = tuple(d["orig_size"].tolist()), d["keys"][1:]
    rw, edge = d["rw"][:, 0], d["edge"][0]
    cover = irnet.reach(edge.shape, size)
    irn, npa = pseudo_masks.enlarged(rw, size, cover), pseudo_masks.enlarged(rw, size)
    return [
        absolute("walk", pseudo_masks.walked(d["cam"], edge), rw, 1e-4),
        absolute("irn, enlarged", irn, d["irn_up"].reshape(irn.shape), 1e-5),
        exact("irn, labels", cam_store.labels(d["irn_up"].reshape(irn.shape), keys, 0.25), d["irn_label_bg025"]),
        absolute("npa, enlarged", npa, d["b_up"].reshape(npa.shape), 1e-5),
        exact("npa, labels", cam_store.labels(npa, keys, 0.3), d["b_label_bg03"]),
        agreement("irn, labels from the walk on", _mask(d, cover, 0.25), d["irn_label_bg025"], 0.999),
        agreement("npa, labels from the walk on", _mask(d, (1.0, 1.0), 0.3), d["b_label_bg03"], 0.999),
    ]


def _mask(d, cover, threshold):
    """The pseudo mask that the walk's stage writes for stored class maps."""
    with tempfile.TemporaryDirectory() as folder:
        cams, maps, size = Path(folder) / "cams", Path(folder) / "maps", d["orig_size"]
        cam_store.write(cams, "a", d["keys"][1:] - 1, d["cam"], size)
        pseudo_masks.write_walk("a", d["edge"][0], size, cover, cams, maps, pseudo_masks.Walk("joint"))
        return pseudo_masks.mask_of(Item(id="a", image=None, mask=None), maps, threshold)


def _bce(path):
    d = tensors(path)
    each = F.binary_cross_entropy_with_logits(d["logits"], d["targets"], reduction="none")
    return [
        absolute("per element", each, d["per_element"], 1e-6),
        relative("sum over classes, mean over the batch", losses.classification_loss("bce")(d["logits"], d["targets"]),
                 d["sum_over_classes_mean_over_batch"], 1e-6),
        relative("mean", each.mean(), d["mean_all"], 1e-6),
    ]


def _ir_label(path):
    d, checks = load(path), []
    numbers = d["keys"]
    plain = replace(label_crf.LABEL_CRF, iterations=0)
    for who, (foreground, background) in {"irn": (0.30, 0.05), "npa": (0.0075, 0.24)}.items():
        picked = [cam_store.thresholded(d["cams"], t) for t in (foreground, background)]
        refined = label_crf.refine_labels(d["image"], picked, len(numbers))
        for name, before, after in zip(("fg", "bg"), picked, refined, strict=True):
            checks += [exact(f"{who} {name} before", *_same_scale(before, d[f"{who}_{name}_argmax"], numbers)),
                       agreement(f"{who} {name} after", *_same_scale(after, d[f"{who}_{name}_after_crf"], numbers),
                                 0.995)]
        for crf, settings in (("crf0", plain), ("crf1", label_crf.LABEL_CRF)):
            thresholds = confident_labels.Thresholds("joint", foreground, background, foreground)
            found, _ = confident_labels.confident_and_plain(d["image"], numbers[1:] - 1, d["cams"], thresholds,
                                                            settings)
            compare = exact(f"{who} without CRF", found, d[f"{who}_conf_{crf}"]) if crf == "crf0" else agreement(
                f"{who} with CRF", found, d[f"{who}_conf_{crf}"], 0.995)
            checks.append(compare)
    return checks


def _same_scale(ours, theirs, numbers):
    """Positions 0..K, or class numbers if that is what was stored."""
    return (numbers[ours] if theirs.max() >= len(numbers) else ours), theirs


def _crf_labels(path):
    d = load(path)
    count = int(d["n_labels"])
    second = int(d.get("n_labels2", d["labels2"].max() + 1))
    return [
        agreement("first", label_crf.refine_labels(d["image"], [d["labels"]], count)[0], d["out"], 0.995),
        agreement("second", label_crf.refine_labels(d["image2"], [d["labels2"]], second)[0], d["out2"], 0.995),
    ]


def _tta(path):
    d = tensors(path)

    def network(x):
        return F.conv2d(x, d["w"], d["b"], padding=d["w"].shape[-1] // 2)

    logits = inference.mean_logits(network, d["x"])
    found = inference.winners(logits, d["orig_size"].tolist())
    return [absolute("mean logits", logits, d["avg_logits"], 1e-5),
            exact("labels", found, d["pred_resized"].reshape(found.shape))]


def _metrics(path):
    d = load(path)
    table = metrics.confusion(d["gt"], d["pred"], int(d["n_classes"]))
    found = evaluate.segmentation_scores(table)
    tags = evaluate.tag_scores(d["ml_logits"], d["ml_targets"])
    iou, theirs = metrics.scores(table)["iou"], d["iou_per_class"]
    named = {"miou_nanmean": "mIoU", "mean_iou_stream": "mIoU", "overall_acc": "pixel accuracy",
             "mean_acc": "mean accuracy", "freqw_acc": "frequency-weighted IoU"}
    return [
        exact("confusion", table, d["conf"]),
        exact("undefined classes", np.isnan(iou), np.isnan(theirs)),
        absolute("IoU", np.nan_to_num(iou), np.nan_to_num(theirs), 1e-6),
        *(absolute(key, found[name], d[key], 1e-6) for key, name in named.items()),
        exact("plain mean", np.isnan(evaluate.plain_mean_iou(table)), np.isnan(d["miou_torch_mean"])),
        absolute("hamming", tags["hamming"], d["hamming"], 1e-6),
        absolute("tag accuracy", tags["accuracy"], d["ml_accuracy"], 1e-6),
        absolute("F1", tags["f1"], d["ml_f1"], 1e-6),
        absolute("F1 per class", np.nan_to_num(tags["f1_per_class"]), np.nan_to_num(d["ml_f1_per_class"]), 1e-6),
    ]


def _poly_optimizer(path):
    d = tensors(path)
    p, q = d["p0"].clone().requires_grad_(), d["q0"].clone().requires_grad_()
    rates = d["lr"][0].tolist()
    groups = [{"params": [p], "lr": rates[0]}, {"params": [q], "lr": rates[1]}]
    optimiser = optimisation.optimiser("sgd", groups, rates[0], 1e-4, int(d["max_step"]))
    ours = {"p": [], "q": [], "lr": []}
    for step in range(1, len(d["p"]) + 1):
        p.grad, q.grad = torch.tensor([0.1, 0.2, -0.3]) * step, torch.tensor([0.05, -0.02])
        optimiser.step()
        ours["p"].append(array(p).copy())
        ours["q"].append(array(q).copy())
        ours["lr"].append([group["lr"] for group in optimiser.param_groups])
    return [absolute(name, values, d[name], 1e-6) for name, values in ours.items()]


def _lr_schedules(path):
    d = load(path)
    checks = []
    for name, kind, rates in (("seg", "poly epochs", (1e-3, 1e-2)), ("irn", "poly epochs", (0.005, 0.05)),
                              ("cls", "step", (1e-4, 2e-4, 1e-3, 2e-3))):
        epochs = len(d[name])
        factor = optimisation.schedule(kind, epochs, 10)  # of 10 steps
        ours = [[rate * factor(10 * epoch + 9, 10 * epochs) for rate in rates] for epoch in range(epochs)]
        checks.append(absolute(name, np.array(ours, d[name].dtype), d[name], 1e-9))
    return checks


def _quarter_labels(path):
    d = load(path)
    return [exact("centre", affinity.quarter(d["label"], "centre"), d["pil_nearest"]),
            exact("corner", affinity.quarter(d["label"], "corner"), d["cv2_nearest"])]


def _centroids(path):
    d = load(path)
    found = displacements.centroids(d["disp"], int(d.get("iterations", 100)))
    numbers = displacements.clusters(found, d["disp"], 2.5)
    return [exact("centroids", found, d["centroids"]),
            exact("clusters", displacements.one_hot(numbers), d["cluster_onehot"])]


def _random_crop_boxes(path):
    d = load(path)
    rng = random.Random(int(d["python_random_seed"]))
    boxes = [augmentation.crop_box(size, int(d["cropsize"]), rng) for size in d["sizes"].tolist()]
    return [exact("boxes", boxes, d["boxes"])]


def _chainercv(path):
    d, records = load(path), []
    for k in range(d["found_picture"].max() + 1):
        found, true = d["found_picture"] == k, d["true_picture"] == k
        records.append(instances.picture(d["found"][found], d["found_labels"][found], d["scores"][found],
                                         d["true"][true], d["true_labels"][true]))
    return [absolute("AP50", instances_chainercv.average_precision(records, len(d["ap"]) + 1), d["ap"], 1e-12)]


HANDLERS = {
    **{f"path_index_r{radius}": _path_index for radius in (3, 5, 10)},
    "affinity_labels_r5": _pair_labels,
    "edge_to_affinity_r5": _edge_to_affinity,
    "irn_loss_r5": _irn_loss,
    "irn_loss_r10": _irn_loss,
    **{f"random_walk_{name}": _random_walk for name in "abcd"},
    "sem_seg_post": _sem_seg_post,
    "bce_multilabel": _bce,
    "ir_label": _ir_label,
    "crf_labels": _crf_labels,
    "tta_flip_scale": _tta,
    "metrics": _metrics,
    "poly_optimizer": _poly_optimizer,
    "npa_lr_schedules": _lr_schedules,
    "quarter_labels": _quarter_labels,
    "centroids": _centroids,
    "random_crop_boxes": _random_crop_boxes,
    "chainercv_ap": _chainercv,
    **networks.HANDLERS,
}
