"""Segmenters trained on label maps of any recipe, what they predict, and how both are scored."""

from pathlib import Path

import numpy as np
import torch

from wsnb import metrics
from wsnb.data import own_known, read
from wsnb.data.weak import VOID
from wsnb.files import load_npz, load_torch, read_index, save_npz, save_torch
from wsnb.methods import adopt, segmentation, segmenter, training, weights
from wsnb.papers.simple_does_it.recipes import NAMES

FULL = "full"  # training on the ground truth: the bound


def check_recipes(wanted, known=(*NAMES, FULL)) -> None:
    """Raise ValueError for a recipe that there is not, before anything long starts."""
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise ValueError(f"recipes {wrong}: choose of {', '.join(known)}")


def check_rounds(p, made) -> None:
    """Raise ValueError for recipes whose labels were not MADE, or that go on in later rounds without a first one."""
    unmade = [name for name in p.train_recipes if name not in (*made, FULL)]
    if unmade:
        raise ValueError(f"train_recipes {unmade}: 06_labels made {', '.join(made)}; add them to label_recipes")
    first = [name for name in p.train_recipes if name != FULL]  # nothing in the truth is to be de-noised
    alone = [name for name in p.recursive_recipes if name not in first]
    if alone:
        raise ValueError(f"recursive_recipes {alone}: later rounds go on from networks that round 1 trained on boxes; "
                         f"choose of train_recipes, as recursive_recipes=[{', '.join(first)}]")


def need_masks(wanted, items) -> None:
    """Raise FileError if one of the recipes WANTED is "full" and ITEMS have masks that are not whole."""
    if FULL in wanted:
        own_known.need_whole(items, f"train_recipes: {FULL!r}", "leave it out of train_recipes")


def round_name(recipe, number) -> str:
    """Name of a network: rectangles, rectangles@2, ..."""
    return recipe if number == 1 else f"{recipe}@{number}"


def title(name) -> str:
    """A recipe's name as the paper writes it, with its round; Box without recursion is Rectangles."""
    recipe, _, number = name.partition("@")
    shown = {**NAMES, "rectangles": "Box" if number else "Rectangles", FULL: "full"}[recipe]
    return f"{shown}, round {number}" if number else shown


def build(p, n_classes):
    """(segmenter, where its weights came from) of a stage's parameters."""
    return segmenter.build(p.head, p.backbone, n_classes, p.weights, p.output_stride, p.width, p.freeze)


def rate_of(p):
    """The learning rate's factor at a step: "poly", or "step": a tenth after `lr_drop` steps (the paper's)."""
    if p.lr_schedule not in ("poly", "step"):
        raise ValueError(f"lr_schedule {p.lr_schedule!r}: poly or step")
    return segmentation.poly if p.lr_schedule == "poly" else lambda step, steps: 1.0 if step < p.lr_drop else 0.1


def train(p, items, label_of, n_classes, folder, device, progress, log):
    """(network in evaluation mode, origin of its weights, losses of the epochs), trained on LABEL_OF(item).

    FOLDER keeps the checkpoint, and network.pth at the end; a finished network is loaded, a stopped one continues.
    """
    folder = Path(folder)
    training.seed_everything(p.seed, p.threads, p.deterministic)
    network, origin = build(p, n_classes)
    network = network.to(device, memory_format=torch.channels_last)
    if (folder / "network.pth").exists():
        weights.fill(network, load_torch(folder / "network.pth"), str(folder / "network.pth"))
        return network.eval(), origin, load_torch(folder / "epochs.pt")
    groups = adopt.parameter_groups(network, p.lr, p.weight_decay, bias_multiplier=1, new_multiplier=10)
    optimiser = adopt.optimiser(p.optimiser, groups)

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
    """scores_of(item, image) -> class probabilities float32 [C, H, W] at test."""
    return lambda item, image: segmentation.predict(network, image, p.scales, p.flip, device, base=p.base)


def label_table(items, layout, n_classes, folder) -> tuple[np.ndarray, float]:
    """(confusion [C, C] of the label maps in FOLDER with the ground truth on the pixels that they call something,
    the share of these pixels)."""
    table, known, total = np.zeros((n_classes, n_classes), np.int64), 0, 0
    for item in items:
        truth, label = read.mask(layout, item, n_classes), read_index(Path(folder) / f"{item.id}.png")
        said = label != VOID
        known, total = known + int((said & (truth != VOID)).sum()), total + int((truth != VOID).sum())
        truth = np.where(said, truth, VOID).astype(np.uint8)
        table += metrics.confusion(truth, np.where(said, label, 0).astype(np.uint8), n_classes)
    return table, known / total if total else float("nan")


def save_tables(path, tables) -> None:
    """Confusions of labels and of networks: {("labels" or "val", name): [C, C]}."""
    save_npz(path, **{f"{kind}__{name}": table for (kind, name), table in tables.items()})


def load_tables(path) -> dict:
    """The reverse of `save_tables`."""
    return {tuple(key.split("__", 1)): table for key, table in load_npz(path).items()}
