"""The complete loss of a training step: clustering, prototypes, four relations, the joint classifier."""

from dataclasses import dataclass, replace

import torch
from torch.utils.checkpoint import checkpoint

from wsnb.ops.segsort import contrast
from wsnb.ops.segsort.chunks import cells_at_once
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.ops.segsort.segments import (
    frequent_labels,
    local_features,
    prototypes,
    prototypes_of,
    ranks,
    resize_labels,
    segment,
    with_densepose_feature,
)
from wsnb.papers.spml.model import cross_entropy

CELLS = 2**22  # pixel-prototype pairs of the plain form at a time on a processor
TERMS = ("annotation", "co_occurrence", "image_similarity", "feature_affinity")


@dataclass(frozen=True)
class Term:
    """One relation: concentration kappa and weight; weight 0 switches it off."""

    kappa: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True)
class Settings:
    """All that a step's loss depends on. faithful: the original's arithmetic with its quirks, else corrected: `step`.

    clusters: first grid of k-means; densepose: colours as local features, image similarity on the embedding alone.
    devices: parts of the batch whose means are averaged, as if each were on a device of its own.
    """

    n_classes: int
    annotation: Term = Term()
    co_occurrence: Term = Term()
    image_similarity: Term = Term()
    feature_affinity: Term = Term()
    clusters: tuple = (6, 6)
    iterations: int = 10
    densepose: bool = False
    faithful: bool = True
    devices: int = 1


@dataclass
class Step:
    """losses: {name: weighted term}; total, their sum; segments of the pixels; prototypes of this batch;
    candidates: those and the memory's; sets: their classes under feature affinity, or None."""

    losses: dict
    total: torch.Tensor
    segments: object
    prototypes: object
    candidates: object
    sets: torch.Tensor | None


def labels_at(semantic, size, settings) -> torch.Tensor:
    """Reduce semantic int64 [N, H, W] to the embedding's SIZE: a cell's top-left label (faithful), else its most
    frequent class, for a point that covers no top-left pixel would be lost."""
    return resize_labels(semantic, size) if settings.faithful else frequent_labels(semantic, size, settings.n_classes)


def step(embedding, semantic, regions, tags, head, settings, memory=None, x=None) -> Step:
    """Compute the loss of one batch.

    embedding: raw [N, C, h, w]; semantic (below n_classes: labelled; 255: void; else unlabelled) and regions int64
    [N, H, W]; tags 0/1 [N, n_classes - 1], the foreground classes of the whole pictures; head: the joint `SoftmaxHead`
    or None; memory: a `MemoryBank`, which the caller fills with step.prototypes afterwards; x: the pictures (for their
    colours, DensePose). Under several processes (Fabric) each compares its own pixels with the prototypes of all.

    Settings.faithful keeps: the float32 cancellation, the cross-entropy times the annotation's weight, the own
    segment twice where a picture has no foreground, top-left labels. Else log-sum-exp, weight 1, once, `labels_at`.
    Whatever has nothing to learn from — no valid pixel, no labelled one — contributes 0 and its gradient of zeros.
    """
    size = embedding.shape[-2:]
    local = local_features(embedding if x is None else x, size, with_colour=settings.densepose)
    segments = segment(embedding, labels_at(semantic, size, settings), resize_labels(regions, size), settings.clusters,
                       settings.iterations, local)
    if settings.densepose:
        segments = with_densepose_feature(segments, local)
    current, first = contrast.gather_prototypes(prototypes_of(segments, tags), len(embedding))
    segments = replace(segments, index=segments.index + first)
    candidates = (memory or MemoryBank(0)).with_current(current)
    sets = None
    if settings.feature_affinity.weight:
        sets = contrast.affinity_sets(candidates, settings.n_classes)
    # once for the whole batch: the head's BatchNorm sees all devices, as `synchronised` does over processes
    logits = None if head is None else head(embedding.detach())
    parts = []
    for pictures in torch.arange(len(embedding), device=embedding.device).chunk(settings.devices):
        chosen = (segments.picture >= pictures[0]) & (segments.picture <= pictures[-1])
        part = segments.of(chosen) if settings.devices > 1 else segments
        losses = contrasts(part, candidates, tags, sets, settings)
        if logits is not None:
            entropy = cross_entropy(logits[pictures], semantic[pictures], settings.n_classes)
            losses["cross_entropy"] = entropy * (settings.annotation.weight if settings.faithful else 1.0)
        parts.append(losses)
    losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
    total = sum(losses.values()) + 0.0 * embedding.sum()
    return Step(losses, total, segments, current, candidates, sets)


def contrasts(segments, candidates, tags, sets, settings) -> dict:
    """Compute {term: weighted mean over the pixels} of the relations that are on."""
    chosen = relations_of(segments, candidates, tags, sets, settings)
    found = {name: getattr(settings, name).weight * _mean(
        _contrast(segments.embedding, relation, candidates.embedding, getattr(settings, name).kappa, settings),
        segments.embedding) for name, relation in chosen.items()}
    if settings.image_similarity.weight:
        found["image_similarity"] = settings.image_similarity.weight * image_similarity(segments, settings)
    return found


def relations_of(segments, candidates, tags, sets, settings) -> dict:
    """Build {name: Relation} of the relations that are on between SEGMENTS' pixels and CANDIDATES of any picture."""
    found = {}
    if settings.annotation.weight:
        found["annotation"] = contrast.annotation(segments.semantic, segments.index, candidates.semantic,
                                                   settings.n_classes)
    if settings.co_occurrence.weight:
        found["co_occurrence"] = contrast.co_occurrence(segments.picture, segments.index, tags, candidates.tags)
    if settings.feature_affinity.weight:
        found["feature_affinity"] = contrast.feature_affinity(segments.index, sets)
    return found


def image_similarity(segments, settings):
    """Average over the pictures the mean over their pixels; prototypes are those of the picture's (segment, region)."""
    means = []
    for number in segments.picture.unique().tolist():
        part = segments.of(segments.picture == number)
        values = part.embedding if settings.densepose else part.feature
        own, keys = ranks(part.index, part.region)
        relation = contrast.image_similarity(part.region, own, keys[:, 1])
        losses = _contrast(values, relation, prototypes(values, own, len(keys)), settings.image_similarity.kappa,
                           settings)
        means.append(losses.mean())
    return torch.stack(means).mean() if means else 0.0 * segments.embedding.sum()


def _contrast(values, relation, candidates, kappa, settings):
    """Loss of each pixel that takes part in the relation."""
    if not len(relation):
        return values.new_zeros(0)
    values, candidates = values[relation.pixels], candidates[relation.prototypes]
    if not settings.faithful:
        return contrast.contrastive_loss(values, relation.own, relation.group, relation.positive, candidates, kappa)
    rows = max(1, cells_at_once(values.device, CELLS, 48) // len(candidates))
    chunks = zip(values.split(rows), relation.own.split(rows), relation.group.split(rows), strict=True)
    return torch.cat([checkpoint(contrast.plain_contrastive_loss, v, own, group, relation.positive, candidates, kappa,
                                 use_reentrant=False, preserve_rng_state=False) for v, own, group in chunks])


def _mean(losses, anchor):
    return losses.mean() if len(losses) else 0.0 * anchor.sum()
