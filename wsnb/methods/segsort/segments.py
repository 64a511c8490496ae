"""Segments of a batch: each picture's k-means clusters, cut along its labels and regions."""

from dataclasses import dataclass, replace

import torch

from wsnb.methods.segsort import kmeans as clustering
from wsnb.methods.segsort.features import location, unit

VOID = 255


@dataclass
class Segments:
    """The pixels that are kept (not void), picture by picture, row by row; S segments.

    embedding [P, C] and feature [P, C + local] have unit length and carry gradients; semantic, region, index (the
    segment, 0..S-1) and picture are int64 [P]; position is the pixel's place in the batch's maps, int64 [P].
    """

    embedding: torch.Tensor
    feature: torch.Tensor
    semantic: torch.Tensor
    region: torch.Tensor
    index: torch.Tensor
    picture: torch.Tensor
    position: torch.Tensor

    @property
    def count(self) -> int:
        return int(self.index.max()) + 1 if len(self.index) else 0

    def of(self, chosen) -> "Segments":
        """The pixels that CHOSEN (bool [P] or indices) selects; segments keep their numbers."""
        return Segments(**{name: value[chosen] for name, value in vars(self).items()})


def ranks(*keys) -> tuple:
    """(rank int64 [P], first occurrence's keys [S, K]) of rows by lexicographic order of KEYS, each int64 [P] >= 0."""
    code = torch.zeros_like(keys[0])
    for key in keys:
        code = code * (int(key.max()) + 1 if len(key) else 1) + key
    found, rank = torch.unique(code, return_inverse=True)
    first = torch.full((len(found),), len(code), dtype=torch.long, device=code.device)
    first.scatter_reduce_(0, rank, torch.arange(len(code), device=code.device), "amin")
    return rank, torch.stack([key[first] for key in keys], dim=1)


def segment(embedding, semantic=None, region=None, clusters=(6, 6), iterations=10, local=None) -> Segments:
    """Segments of raw EMBEDDING [N, C, H, W].

    semantic, region int64 [N, H, W] (None: one label): pixels of semantic 255 are dropped; any other label, also of
    unlabelled pixels, takes part. clusters: the first grid (rows, columns) of k-means. local: features [N, H, W, L]
    appended to the unit embedding (None: location). A segment is a distinct (picture, k-means cluster, semantic,
    region), numbered in that order, whatever the number of regions (the original's 8 bits alias). A batch of void
    alone gives no segment (the original stops with an error). Assignment has no gradient.
    """
    n, c, height, width = embedding.shape
    device = embedding.device
    e = unit(embedding.permute(0, 2, 3, 1).reshape(n, -1, c))
    if local is None:
        local = location(height, width, device)[None].expand(n, -1, -1, -1)
    f = unit(torch.cat([e, local.reshape(n, height * width, -1).to(e.dtype)], dim=-1))
    nothing = torch.zeros(n, height * width, dtype=torch.long, device=device)
    semantic = nothing if semantic is None else semantic.reshape(n, -1)
    region = nothing if region is None else region.reshape(n, -1)
    grid = clustering.initial_grid(height, width, clusters, device).reshape(-1).unique(return_inverse=True)[1]
    count = int(grid.max()) + 1
    kept = semantic != VOID
    cluster = torch.cat([clustering.kmeans(f[i][kept[i]].detach(), grid[kept[i]], count, iterations)
                         for i in range(n)])
    picture, place = kept.nonzero(as_tuple=True)
    # picture by picture and not by one mask: the order is the same, and so is the rounding of the original's sums
    semantic, region = semantic[kept], region[kept]
    index, _ = ranks(picture, cluster, semantic, region)
    return Segments(e[kept], f[kept], semantic, region, index, picture, picture * (height * width) + place)


def squeezed(segments, local) -> Segments:
    """Segments whose feature is unit([0.1 e, local]), local [N, H, W, L]: the original's DensePose."""
    flat = local.reshape(-1, local.shape[-1])[segments.position].to(segments.embedding.dtype)
    return replace(segments, feature=unit(torch.cat([0.1 * segments.embedding, flat], dim=-1)))


@dataclass
class Prototypes:
    """One row a segment: embedding [S, C], feature [S, C + local], semantic, region, picture int64 [S], tags [S, T]."""

    embedding: torch.Tensor
    feature: torch.Tensor
    semantic: torch.Tensor
    region: torch.Tensor
    picture: torch.Tensor
    tags: torch.Tensor

    def __len__(self):
        return len(self.embedding)

    def detached(self) -> "Prototypes":
        return Prototypes(**{name: value.detach().clone() for name, value in vars(self).items()})

    @staticmethod
    def joined(several) -> "Prototypes":
        return Prototypes(**{name: torch.cat([getattr(p, name) for p in several]) for name in vars(several[0])})


def prototypes_of(segments, tags) -> Prototypes:
    """Prototypes of all SEGMENTS, with their labels and their pictures' TAGS [N, T]."""
    count, index = segments.count, segments.index
    first = torch.full((count,), len(index), dtype=torch.long, device=index.device)
    first.scatter_reduce_(0, index, torch.arange(len(index), device=index.device), "amin")
    picture = segments.picture[first]
    return Prototypes(clustering.prototypes(segments.embedding, index, count),
                      clustering.prototypes(segments.feature, index, count),
                      segments.semantic[first], segments.region[first], picture, tags[picture])


def majority(labels, index, count) -> torch.Tensor:
    """The most frequent of LABELS int64 [P] in each segment, the lowest of equally frequent ones; 0 in an empty one."""
    if not len(labels):
        return torch.zeros(count, dtype=torch.long, device=labels.device)
    classes = int(labels.max()) + 1
    return torch.bincount(index * classes + labels, minlength=count * classes).view(count, classes).argmax(1)
