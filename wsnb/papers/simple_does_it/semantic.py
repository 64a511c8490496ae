"""Segmenters trained on label maps from boxes, the recursion on their own predictions, and how both are scored.

Recursion (paper, section 3.1, "Box"): after each round the predictions on the training pictures are de-noised with the
boxes and become the labels of the next round. Three rules: pixels outside all boxes become background; an object that
fills too little of its box is reset to its first labels; a dense CRF follows the picture's edges. The naive recursion,
without these rules, drifts.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from wsnb import metrics
from wsnb.data import read
from wsnb.data.own import dataset
from wsnb.data.weak import VOID, draw_boxes
from wsnb.files import load_npz, load_torch, read_index, save_npz, save_torch
from wsnb.models import backbone_wrapper, backbones, heads, training
from wsnb.ops import label_maps, segmentation
from wsnb.ops.crf import dense_crf
from wsnb.ops.grabcut import inside_picture
from wsnb.papers.simple_does_it.box_labels import NAMES, boxes_of

FULL = "full"  # training on the ground truth: the bound
RULES = ("outside", "reset", "crf")


def check_methods(wanted, known=(*NAMES, FULL)) -> None:
    """Raise ValueError for unknown label methods, before anything long starts."""
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise ValueError(f"label methods {wrong}: choose of {', '.join(known)}")


def check_rounds(p, label_methods) -> None:
    """Raise ValueError for labels that 06 did not make, or that go on in later rounds without a first one."""
    missing = [name for name in p.train_labels if name not in (*label_methods, FULL)]
    if missing:
        raise ValueError(f"train_labels {missing}: 06_labels made {', '.join(label_methods)}; add them to "
                         "label_methods")
    first = [name for name in p.train_labels if name != FULL]  # nothing in the truth is to be de-noised
    alone = [name for name in p.recursive_labels if name not in first]
    if alone:
        raise ValueError(f"recursive_labels {alone}: later rounds go on from networks that round 1 trained on boxes; "
                         f"choose of train_labels, as recursive_labels=[{', '.join(first)}]")


def check_rules(rules) -> None:
    """Raise ValueError for an unknown rule."""
    wrong = [rule for rule in rules if rule not in RULES]
    if wrong:
        raise ValueError(f"rules {wrong}: choose of {', '.join(RULES)}")


def need_masks(wanted, items) -> None:
    """Raise FileError if one of the labels WANTED is "full" and ITEMS have masks that are not whole."""
    if FULL in wanted:
        dataset.need_whole(items, f"train_labels: {FULL!r}", "leave it out of train_labels")


def round_name(method, number) -> str:
    """Name a network by its labels and its round: rectangles, rectangles@2, ..."""
    return method if number == 1 else f"{method}@{number}"


def title(name) -> str:
    """Give the paper's name of the labels of a network, with its round; Box without recursion is Rectangles."""
    method, _, number = name.partition("@")
    shown = {**NAMES, "rectangles": "Box" if number else "Rectangles", FULL: "full"}[method]
    return f"{shown}, round {number}" if number else shown


def build(p, n_classes):
    """Build the segmenter of a stage's parameters; returns (segmenter, where its weights came from)."""
    return heads.build(p.head, p.backbone, n_classes, p.weights, p.output_stride, p.width, p.freeze,
                       rates=p.head_rates)


def rate_of(p):
    """Choose the factor of the learning rate, a function of step and steps.

    "poly"; or "step": a tenth after `lr_drop` steps (the paper's). Raises ValueError.
    """
    if p.lr_schedule not in ("poly", "step"):
        raise ValueError(f"lr_schedule {p.lr_schedule!r}: poly or step")
    return segmentation.poly if p.lr_schedule == "poly" else lambda step, steps: 1.0 if step < p.lr_drop else 0.1


def train(p, items, label_of, n_classes, folder, device, progress, log):
    """Train a segmenter on LABEL_OF(item): (network in evaluation mode, origin of its weights, losses of the epochs).

    FOLDER keeps the checkpoint, and network.pth at the end; a finished network is loaded, a stopped one continues.
    """
    folder = Path(folder)
    training.seed_everything(p.seed, p.threads, p.deterministic)
    network, origin = build(p, n_classes)
    heads.warn_of_dead_taps(heads.rates_of(p.head, network.stride, p.head_rates), p.crop, network.stride, log)
    network = network.to(device, memory_format=torch.channels_last)
    if (folder / "network.pth").exists():
        backbones.fill(network, load_torch(folder / "network.pth"), str(folder / "network.pth"))
        return network.eval(), origin, load_torch(folder / "epochs.pt")
    groups = backbone_wrapper.parameter_groups(network, p.lr, p.weight_decay, p.bias_multiplier, new_multiplier=10)
    optimiser = backbone_wrapper.optimiser(p.optimiser, groups)

    def loader(epoch, first):
        crops = segmentation.LabelledCrops(items, label_of, p.crop, p.seed, epoch, tuple(p.train_scales), base=p.base)
        order = training.epoch_order(len(items), p.seed, epoch)
        return training.batches(crops, order, p.batch, first, workers=p.workers)

    def step(batch):
        x = batch["x"].to(device, memory_format=torch.channels_last)
        return segmentation.loss(network(x), batch["label"].to(device))

    network.train()
    run = training.Training(folder / "training.pt", log=log, network=network, optimiser=optimiser)
    steps = max(1, len(items) // p.batch)
    segmentation.fit(run, optimiser, step, loader, p.epochs, steps, progress, log, rate=rate_of(p))
    epochs = run.kept.get("epochs", [])
    save_torch(folder / "epochs.pt", epochs)
    save_torch(folder / "network.pth", network.state_dict())
    (folder / "training.pt").unlink(missing_ok=True)
    return network.eval(), origin, epochs


def scorer(p, network, device):
    """Make scores_of(image) -> class probabilities float32 [C, H, W] at test."""
    return lambda image: segmentation.predict(network, image, p.scales, p.flip, device, base=p.base)


def write_predictions(p, network, items, folders, crf, device):
    """Write label maps of the network's predictions into the first of FOLDERS, after the CRF into the second, if there
    is one; yield once a picture."""
    scores_of = scorer(p, network, device)

    def prepare(item):
        image = read.image(item)
        return image, scores_of(image)

    labels_of = partial(label_maps.winners, crf=crf if len(folders) > 1 else None)
    return label_maps.write_labels(labels_of, items, folders, p.workers, prepare)


def class_boxes(shape, boxes, labels, n_classes) -> np.ndarray:
    """Mark where each class may be, bool [C, H, W]: in its boxes; background everywhere."""
    allowed = np.zeros((n_classes, *shape), bool)
    allowed[0] = True
    for box, label in zip(np.asarray(boxes, np.int64).reshape(-1, 4), labels, strict=True):
        x0, y0, x1, y1 = inside_picture(box, shape)
        allowed[label, y0:y1, x0:x1] = True
    return allowed


def reset_small(predicted, boxes, labels, share=0.5, initial=None) -> np.ndarray:
    """Give boxes whose object is too small their first labels back: uint8 [H, W].

    The object of a box is the predicted pixels of its class in it; if its IoU with the box, that is the share of the
    box's visible pixels that it fills, is below SHARE, these become what they are in the label map INITIAL uint8
    [H, W] of the first round (Box^i: the inner box, 255 around it), or, without one, the box's class. Pixels that a
    smaller box hides do not count for the larger one.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    front = draw_boxes(predicted.shape, boxes, np.arange(1, len(boxes) + 1)) if len(boxes) < VOID else None
    result = predicted.copy()
    for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        x0, y0, x1, y1 = inside_picture(box, predicted.shape)
        own = front[y0:y1, x0:x1] == k + 1 if front is not None else np.ones((y1 - y0, x1 - x0), bool)
        window = predicted[y0:y1, x0:x1]
        if own.any() and (window[own] == label).mean() < share:
            result[y0:y1, x0:x1][own] = label if initial is None else initial[y0:y1, x0:x1][own]
    return result


def denoise(image, scores, boxes, labels, initial=None, *, crf, share=0.5, rules=RULES) -> np.ndarray:
    """Make the next round's label map uint8 [H, W] from scores float [C, H, W] of a training picture.

    RULES: which of the three apply; none is the naive recursion. The paper lists the CRF last; here the order is CRF,
    outside, reset: the CRF needs scores, and the other two then hold for the result. INITIAL: see `reset_small`.
    """
    scores = scores.astype(np.float32)
    allowed = class_boxes(image.shape[:2], boxes, labels, len(scores))
    gated = scores * allowed if "outside" in rules else scores
    if "crf" in rules and crf.iterations:
        present = np.flatnonzero(gated.reshape(len(gated), -1).max(1) > 1e-4)
        refined = np.zeros_like(gated)
        refined[present] = dense_crf(image, gated[present], crf)
        gated = refined * allowed if "outside" in rules else refined
    predicted = gated.argmax(0).astype(np.uint8)
    return reset_small(predicted, boxes, labels, share, initial) if "reset" in rules else predicted


def write_denoised(p, network, items, inputs, crf, first, folder, device):
    """Write the de-noised predictions of NETWORK into FOLDER; yield once a picture.

    FIRST: the folder of the first round's label maps.
    """
    scores_of = scorer(p, network, device)

    def prepare(item):
        image = read.image(item)
        return image, scores_of(image).astype(np.float16), *boxes_of(inputs, item), read_index(first / f"{item.id}.png")

    labels_of = partial(denoise, crf=crf, share=p.reset_share, rules=tuple(p.rules))
    return label_maps.write_labels(labels_of, items, [folder], p.workers, prepare)


def label_table(items, layout, n_classes, folder) -> tuple[np.ndarray, float]:
    """Score the label maps in FOLDER on the pixels that they label: (confusion [C, C], the share of these pixels)."""
    table, known, total = np.zeros((n_classes, n_classes), np.int64), 0, 0
    for item in items:
        truth, label = read.mask(layout, item, n_classes), read_index(Path(folder) / f"{item.id}.png")
        labelled = label != VOID
        known, total = known + int((labelled & (truth != VOID)).sum()), total + int((truth != VOID).sum())
        truth = np.where(labelled, truth, VOID).astype(np.uint8)
        table += metrics.confusion(truth, np.where(labelled, label, 0).astype(np.uint8), n_classes)
    return table, known / total if total else float("nan")


def save_tables(path, tables) -> None:
    """Write the confusions of labels and of networks: {("labels" or "val", name): [C, C]}."""
    save_npz(path, **{f"{kind}__{name}": table for (kind, name), table in tables.items()})


def load_tables(path) -> dict:
    """Read the file of `save_tables`."""
    return {tuple(key.split("__", 1)): table for key, table in load_npz(path).items()}
