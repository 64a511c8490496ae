"""Parity of SPML's pseudo labels: seeds, the random walk, votes."""

import numpy as np
import torch

from tests.parity.compare import absolute, exact, tensors
from wsnb.ops.segsort import random_walk, segments
from wsnb.papers.spml import model, pseudo_labels

CLASSES = 21


def _affinity(d):
    """The mean affinity of the two branches."""
    size = tuple(n // 8 for n in d["emb_plain"].shape[-2:])
    return random_walk.affinity([random_walk.embedding_at(d[key], size) for key in ("emb_plain", "emb_flip_branch")])


def _power(mean, size, steps):
    """T^STEPS [n, n]: each row is the walk of a seed at one node of the grid of SIZE (h, w)."""
    return random_walk.random_walk(torch.eye(len(mean)).view(-1, *size), mean, steps).flatten(1)


def _cam(path):
    d = tensors(path)
    fields = {int(k[6:]): d[k] for k in d if k.startswith("cam_fg")}
    keys = [k + 1 for k in fields]
    seeds = pseudo_labels.cam_seeds(torch.stack(list(fields.values())).numpy(), keys, CLASSES)
    small = pseudo_labels.eighth(seeds)
    mean, size = _affinity(d), small.shape[1:]
    walked = random_walk.random_walk(small, mean, 64)
    rows = [0, *keys]
    branches = iter((d["emb_plain"], d["emb_flip_branch"].flip(-1)))  # of the picture and of its mirror image
    walker = pseudo_labels.Walk(lambda x: next(branches), None, CLASSES, "cam")
    blank = np.zeros((*d["emb_plain"].shape[-2:], 3), np.uint8)
    large = walker(blank, blank[..., 0], (keys, torch.stack(list(fields.values())).numpy()))
    return [
        absolute("background", seeds[0], d["bg"], 1e-5),
        absolute("by 1/8", small[rows], d["cam_down_scale"], 1e-4),
        absolute("to a size", pseudo_labels.resized(seeds, size)[rows], d["cam_down_size_mode"], 1e-4),
        absolute("affinity", mean, d["affinity"], 1e-4), absolute("T", _power(mean, size, 1), d["transition"], 1e-4),
        absolute("T^64", _power(mean, size, 64), d["transition_pow64"], 1e-4),
        absolute("walked", walked[rows], d["walked"], 1e-4),
        absolute("enlarged", large[rows].transpose(1, 2, 0), d["upsampled"], 1e-4),
        exact("winner", large.argmax(0), d["argmax"]),
    ]


def _softmax(path):
    """Seeds from two maps of logits, and their walks; what is not repeated here lies in random_walk_cam.npz."""
    d, beside = tensors(path), path.parent / "random_walk_cam.npz"
    given = {**(tensors(beside) if beside.exists() else {}), **d}
    mean = given["affinity"] if "emb_plain" not in given else _affinity(given)
    size = given["walked"].shape[-2:] if "walked" in given else d["seed_mean_of_softmax"].shape[-2:]
    named = [v.float() for k, v in d.items() if "logit" in k and not k.startswith("seed")]
    logits = [v.reshape(CLASSES, *v.shape[-2:]) for v in named
              if v.numel() % CLASSES == 0 and v.ndim in (3, 4) and v.shape[0] in (1, CLASSES)]
    if not logits:  # both in one array
        logits = list(named[0].reshape(2, CLASSES, *named[0].shape[-2:]))
    logits = [model.upsample(x[None], size)[0] for x in logits]
    tags = next((v for k, v in d.items() if "tag" in k), None)
    checks = []
    for seed, walked, of_logits, steps in (("seed_mean_of_softmax", "walked_T64", False, 64),
                                           ("seed_softmax_of_mean_logit", "walked_T1", True, 1)):
        stored = d[seed].float().reshape(CLASSES, *d[seed].shape[-2:])
        present = stored.flatten(1).amax(1) > 0
        if tags is not None:
            present = tags.bool() if tags.numel() == CLASSES else torch.isin(torch.arange(CLASSES), tags)
        maps = pseudo_labels.mean_softmax(logits, of_logits)
        seeds = pseudo_labels.among_present(maps, present)
        # the stored seed may be the map itself, or what the scripts make of it
        options = [
            absolute(seed, seeds, stored, 1e-4),
            absolute(f"{seed}, map", maps, stored, 1e-4),
            absolute(
                f"{seed}, divided",
                pseudo_labels.among_present(maps, torch.ones(CLASSES, dtype=torch.bool)),
                stored,
                1e-4,
            ),
        ]
        checks.append(min(options, key=lambda c: c.error))
        result = d[walked].reshape(CLASSES, *d[walked].shape[-2:])
        walks = [
            absolute(walked, random_walk.random_walk(start, mean, steps), result, 1e-4) for start in (seeds, stored)
        ]
        checks.append(min(walks, key=lambda c: c.error))
    return checks


def _densepose(path):
    d = tensors(path)
    embedding, semantic, regions = d["embedding"], d["semantic"], d["instance"]
    found = segments.segment(embedding, semantic, regions, (8, 8))
    candidates = segments.prototypes_of(found, torch.zeros(1, 1))
    sets = pseudo_labels.nearest_classes(found, 15)
    shares = segments.segment_mean(sets.float(), found.index, found.count)
    maps = pseudo_labels.nearest_seeds(embedding, semantic, regions, 15, (8, 8))
    present = torch.isin(torch.arange(15), torch.tensor([0, 2, 7]))
    seeds = pseudo_labels.among_present(pseudo_labels.resized(maps, d["seed"].shape[-2:]), present)
    return [exact("segments", found.index, d["cluster_index"]), exact("labels", candidates.semantic, d["proto_label"]),
            exact("pixels' classes", sets, d["pixel_tags"]),
            absolute("segments' shares", shares, d["segment_prob"], 1e-5),
            absolute("pixels' shares", maps[None], d["pixel_prob"], 1e-5),
            absolute("seeds", seeds[None], d["seed"], 1e-5)]


def _normalise(path):
    d = tensors(path)
    return [absolute("votes", pseudo_labels.normalised_votes(d["prob"], d["tags"].bool()), d["out"], 1e-6)]


HANDLERS = {"random_walk_cam": _cam, "random_walk_softmax": _softmax, "densepose_nn_seed": _densepose,
            "pseudo_nn_normalise": _normalise}
