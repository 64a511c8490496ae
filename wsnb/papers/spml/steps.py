"""Training as the original program does it: parameter groups, learning rates, the loss's settings from parameters; a
few pictures' embeddings over the training, and the segments of a scene to look at closely."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from wsnb.data.densepose import SWAPPED
from wsnb.files import save_npz
from wsnb.models import backbone_wrapper
from wsnb.models.training import InnerSGD
from wsnb.ops import segmentation
from wsnb.ops.segsort.contrast import affinity_sets
from wsnb.ops.segsort.segments import local_features, prototypes_of, resize_labels, segment
from wsnb.papers.spml import data, weak_labels
from wsnb.papers.spml.losses import TERMS, Settings, Term, labels_at


def parameter_groups(network, head, lr, weight_decay, head_multiplier=10) -> list:
    """Group parameters: trunk weights lr, biases 2 lr; embedding head 10 lr and 20 lr; softmax HEAD HEAD_MULTIPLIER
    times lr and twice that; biases (BatchNorms' too) do not decay. Frozen parameters and empty groups are left out."""
    groups = []
    if network is not None:
        groups += backbone_wrapper.parameter_groups(network, lr, weight_decay, new_multiplier=10)
    if head is not None:
        for bias in (False, True):
            chosen = [p for name, p in head.named_parameters() if name.endswith("bias") == bias]
            groups.append({"params": chosen, "lr": head_multiplier * lr * (2 if bias else 1),
                           "weight_decay": 0.0 if bias else weight_decay})
    return [group for group in groups if group["params"]]


def optimiser(kind, groups):
    """Build the optimiser: "inner_sgd", the original's, or one of `backbone_wrapper.optimiser` ("sgd", "adamw")."""
    return InnerSGD(groups, groups[0]["lr"]) if kind == "inner_sgd" else backbone_wrapper.optimiser(kind, groups)


def learning_rate(step, steps, warm_up) -> float:
    """Return the factor of the learning rate at STEP of STEPS: `poly`; while STEP < WARM_UP at most a line that rises
    from 0.1 to 1, as in the original program."""
    falling = segmentation.poly(step, steps)
    return min(0.1 * (1 - step / warm_up) + step / warm_up, falling) if step < warm_up else falling


def settings_from(p, n_classes) -> Settings:
    """Make the loss's settings from a stage's parameters, for one process of `gpus`: each has its share of the devices.
    Raises ValueError if they cannot be shared out; devices 1 is one for each GPU."""
    if p.devices > 1 and p.devices % p.gpus:
        raise ValueError(f"devices {p.devices} cannot be shared out to gpus {p.gpus}; make it a multiple of gpus, or 1")
    terms = {name: Term(getattr(p, f"{name}_kappa"), getattr(p, f"{name}_weight")) for name in TERMS}
    return Settings(n_classes, **terms, clusters=tuple(p.clusters), iterations=p.kmeans_iterations,
                    densepose=p.colour_features, faithful=p.preset == "faithful",
                    devices=max(1, p.devices // p.gpus))


def mirrored_classes(layout):
    """Return the pairs of classes that change places in a mirrored picture."""
    return SWAPPED if layout == "densepose" else ()


def epochs_for(pictures, batch, iterations) -> tuple[int, int]:
    """Return (steps an epoch, epochs) that make ITERATIONS steps; the last epoch may be shorter."""
    steps = max(1, pictures // batch)
    return steps, math.ceil(iterations / steps)


def snapshot_epochs(epochs) -> set[int]:
    """Choose about five epochs of 1..EPOCHS, the last one among them, after which embeddings are kept."""
    return {round(epochs * k / 5) for k in range(1, 6)} if epochs else set()


def epoch_means(running) -> dict:
    """Divide an epoch's sums by its steps."""
    return {name: value / running["steps"] for name, value in running.items() if name not in ("steps", "loss")}


@torch.no_grad()
def write_embeddings(network, items, base, path):
    """Write the raw embeddings of a few pictures, float16 [C, h, w] each, under their numbers."""
    was, device = network.training, next(network.parameters()).device
    network.eval()
    inputs = (data.network_input(data.labelled(item, None, None, base)[0]).to(device) for item in items)
    found = {str(i): network(x)[0].cpu().numpy().astype(np.float16) for i, x in enumerate(inputs)}
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
    """Segment whole pictures as a training step would, each picture at its own size."""
    network.eval()
    images, clusters, maps, semantics, parts, first = [], [], [], [], [], 0
    for number, item in enumerate(items):
        image, labels = data.labelled(item, weak_of, regions_of, base)
        x = data.network_input(image).to(device)
        embedding = network(x)
        size = embedding.shape[-2:]
        semantic, regions = torch.from_numpy(labels.astype(np.int64)).to(device).permute(2, 0, 1)[:, None]
        semantic, regions = labels_at(semantic, size, settings), resize_labels(regions, size)
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


def object_pixel(labels, n_classes) -> tuple[float, float] | None:
    """Choose a pixel (y, x in 0..1) in the middle of the objects of a label map [H, W]; None without objects."""
    objects = np.flatnonzero((labels > 0) & (labels < n_classes))
    if not len(objects):
        return None
    y, x = divmod(int(objects[len(objects) // 2]), labels.shape[1])
    return round(y / labels.shape[0], 2), round(x / labels.shape[1], 2)


def first_object_pixel(label_maps, n_classes) -> tuple[int, float, float]:
    """Choose (picture, y, x in 0..1) of the `object_pixel` of the first map that has one, else the first one's
    centre."""
    found = ((number, object_pixel(labels, n_classes)) for number, labels in enumerate(label_maps))
    return next(((number, *pixel) for number, pixel in found if pixel), (0, 0.5, 0.5))


def relation_signs(scene, own, settings) -> dict:
    """Say how each relation sees the segments for a pixel of segment OWN: {term: int64 [S]}, 1 attracts, -1 repels, 0
    takes no part (the own one among them)."""
    rows = scene.prototypes
    here = rows.picture == rows.picture[own]
    labelled = rows.semantic < settings.n_classes
    sets = affinity_sets(rows, settings.n_classes)
    known = labelled & labelled[own]
    every = torch.ones_like(here)
    rules = {"image_similarity": (here, rows.region == rows.region[own]),
             "annotation": (known, rows.semantic == rows.semantic[own]),
             "co_occurrence": (every, (rows.tags * rows.tags[own]).sum(dim=1) > 0),
             "feature_affinity": (every, (sets * sets[own]).sum(dim=1) > 0)}
    found = {name: taking.long() * (2 * like.long() - 1) for name, (taking, like) in rules.items()}
    for values in found.values():
        values[own] = 0
    return found
