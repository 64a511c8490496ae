"""Embeddings of a few pictures while the network learns, and the segments of a scene to look at closely."""

from dataclasses import dataclass

import numpy as np
import torch

from wsnb.files import save_npz
from wsnb.methods.segsort.features import local_features, resize_labels
from wsnb.methods.segsort.relations import affinity_sets
from wsnb.methods.segsort.segments import prototypes_of, segment
from wsnb.papers.spml import samples, transforms, weak_masks


def network_input(item, base):
    """x [1, 3, H, W] of a whole picture shrunk by BASE."""
    image, _ = samples.labelled(item, None, None, base)
    return torch.from_numpy(transforms.normalise(image.astype(np.float32) / 255))[None]


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
        image, labels = samples.labelled(item, weak_of, regions_of, base)
        x = torch.from_numpy(transforms.normalise(image.astype(np.float32) / 255))[None].to(device)
        embedding = network(x)
        size = embedding.shape[-2:]
        semantic, regions = (resize_labels(torch.from_numpy(labels[..., k].astype(np.int64))[None].to(device), size)
                             for k in (0, 1))
        local = local_features(x, size, settings.densepose)
        found = segment(embedding, semantic, regions, settings.clusters, settings.iterations, local)
        rough = segment(embedding, None, None, settings.clusters, settings.iterations, local)
        tag = torch.from_numpy(weak_masks.tags(labels[..., 0], n_classes))[None].to(device)
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
