"""Parameter groups and learning rates of the original program.

What the notebooks of training share: the loss's settings from their parameters, how many steps make an epoch.

Embeddings of a few pictures while the network learns, and the segments of a scene to look at closely.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from wsnb.data.densepose import SWAPPED
from wsnb.files import save_npz
from wsnb.models import backbone_wrapper
from wsnb.models.training import InnerSGD
from wsnb.ops.segsort.contrast import affinity_sets
from wsnb.ops.segsort.segments import local_features, prototypes_of, resize_labels, segment
from wsnb.papers.spml import data, weak_labels
from wsnb.papers.spml.losses import TERMS, Settings, Term


def parameter_groups(network, head, lr, weight_decay, new_multiplier=10) -> list:
    """Trunk weights lr, biases 2 lr; embedding head and softmax head weights 10 lr, biases 20 lr; biases (BatchNorms'
    too) do not decay. What never learns is in no group; empty groups are left out."""
    groups = []
    if network is not None:
        groups += backbone_wrapper.parameter_groups(network, lr, weight_decay, new_multiplier=new_multiplier)
    if head is not None:
        for bias in (False, True):
            chosen = [p for name, p in head.named_parameters() if name.endswith("bias") == bias]
            groups.append({"params": chosen, "lr": new_multiplier * lr * (2 if bias else 1),
                           "weight_decay": 0.0 if bias else weight_decay})
    return [group for group in groups if group["params"]]


def optimiser(kind, groups):
    """"inner_sgd": the original's; else see `adopt.optimiser` ("sgd", "adamw")."""
    return InnerSGD(groups, groups[0]["lr"]) if kind == "inner_sgd" else backbone_wrapper.optimiser(kind, groups)


def rate(step, steps, warmup) -> float:
    """Factor of the learning rate at STEP of STEPS: (1 - step / steps) ** 0.9; while STEP < WARMUP at most what rises
    from 0.1 to 1, as in the original program."""
    falling = max(0.0, 1 - step / steps) ** 0.9
    return min(0.1 * (1 - step / warmup) + step / warmup, falling) if step < warmup else falling


def settings_from(p, n_classes) -> Settings:
    """The loss of a stage's parameters, of one process of `gpus`: each has its share of the devices. Raises ValueError
    if they cannot be shared out; devices 1 is one for each GPU."""
    if p.devices > 1 and p.devices % p.gpus:
        raise ValueError(f"devices {p.devices} cannot be shared out to gpus {p.gpus}; make it a multiple of gpus, or 1")
    terms = {name: Term(getattr(p, f"{name}_kappa"), getattr(p, f"{name}_weight")) for name in TERMS}
    return Settings(n_classes, **terms, clusters=tuple(p.clusters), iterations=p.kmeans_iterations,
                    densepose=p.colour_features, faithful=p.preset == "faithful",
                    devices=max(1, p.devices // p.gpus))


def sides(layout):
    """Classes that change places in a mirrored picture."""
    return SWAPPED if layout == "densepose" else ()


def plan(pictures, batch, iterations) -> tuple[int, int]:
    """(steps an epoch, epochs) in which ITERATIONS steps are done; the last epoch may be shorter."""
    steps = max(1, pictures // batch)
    return steps, math.ceil(iterations / steps)


def snapshot_epochs(epochs) -> set[int]:
    """Numbers of the epochs (1..EPOCHS) after which a snapshot is taken: about five of them, the last one among."""
    return {round(epochs * k / 5) for k in range(1, 6)} if epochs else set()


def means(running) -> dict:
    """Means of an epoch's sums."""
    return {name: value / running["steps"] for name, value in running.items() if name not in ("steps", "loss")}


def network_input(item, base):
    """x [1, 3, H, W] of a whole picture shrunk by BASE."""
    image, _ = data.labelled(item, None, None, base)
    return torch.from_numpy(data.normalise(image.astype(np.float32) / 255))[None]


@torch.no_grad()
def write(network, items, base, path, device="cpu"):
    """Keep the raw embeddings of a few pictures, float16 [C, h, w] each, under their numbers."""
    was = network.training
    network.eval()
    found = {str(i): network(network_input(item, base).to(device))[0].cpu().numpy().astype(np.float16)
             for i, item in enumerate(items)}
    network.train(was)
    save_npz(path, **found)


@dataclass
class Scene:
    """Some pictures with their segments: images uint8 [H, W, 3]; clusters and segments, int64 [h, w] of each (-1 void;
    the latter numbered over all); prototypes of all; semantic int64 [h, w] of each."""

    images: list
    clusters: list
    segments: list
    semantic: list
    prototypes: object


@torch.no_grad()
def scene(network, items, weak_of, regions_of, n_classes, settings, base=1.0, device="cpu") -> Scene:
    """Segments of whole pictures, as a training step would make them, each picture at its own size."""
    network.eval()
    images, clusters, maps, semantics, parts, first = [], [], [], [], [], 0
    for number, item in enumerate(items):
        image, labels = data.labelled(item, weak_of, regions_of, base)
        x = torch.from_numpy(data.normalise(image.astype(np.float32) / 255))[None].to(device)
        embedding = network(x)
        size = embedding.shape[-2:]
        semantic, regions = (resize_labels(torch.from_numpy(labels[..., k].astype(np.int64))[None].to(device), size)
                             for k in (0, 1))
        local = local_features(x, size, settings.densepose)
        found = segment(embedding, semantic, regions, settings.clusters, settings.iterations, local)
        rough = segment(embedding, None, None, settings.clusters, settings.iterations, local)
        tag = torch.from_numpy(weak_labels.tags(labels[..., 0], n_classes))[None].to(device)
        one = prototypes_of(found, tag)
        one.picture = one.picture + number
        images.append(image)
        clusters.append(rough.index.reshape(size).cpu().numpy())
        placed = np.full(size, -1, np.int64)
        placed.ravel()[found.position.cpu().numpy()] = found.index.cpu().numpy() + first
        maps.append(placed)
        semantics.append(semantic[0].cpu().numpy())
        parts.append(one)
        first += found.count
    return Scene(images, clusters, maps, semantics, type(parts[0]).joined(parts))


def interesting(scene, n_classes) -> tuple[int, float, float]:
    """(picture, y, x in 0..1) of a pixel worth looking at: in the middle of the first picture's largest object."""
    for number, semantic in enumerate(scene.semantic):
        objects = np.flatnonzero((semantic > 0) & (semantic < n_classes))
        if len(objects):
            y, x = divmod(int(objects[len(objects) // 2]), semantic.shape[1])
            return number, round(y / semantic.shape[0], 2), round(x / semantic.shape[1], 2)
    return 0, 0.5, 0.5


def signs(scene, own, settings) -> dict:
    """How each relation sees the segments for a pixel of segment OWN: {term: int64 [S]}, 1 attracts, -1 repels, 0 takes
    no part (the own one among them)."""
    bank = scene.prototypes
    here = bank.picture == bank.picture[own]
    labelled = bank.semantic < settings.n_classes
    sets = affinity_sets(bank, settings.n_classes)
    known = labelled & labelled[own]
    every = torch.ones_like(here)
    rules = {"image_similarity": (here, bank.region == bank.region[own]),
             "annotation": (known, bank.semantic == bank.semantic[own]),
             "co_occurrence": (every, (bank.tags * bank.tags[own]).sum(dim=1) > 0),
             "feature_affinity": (every, (sets * sets[own]).sum(dim=1) > 0)}
    found = {name: taking.long() * (2 * like.long() - 1) for name, (taking, like) in rules.items()}
    for values in found.values():
        values[own] = 0
    return found
