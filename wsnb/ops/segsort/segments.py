"""Segments of a batch: each picture's spherical k-means clusters, cut along its labels and regions; their prototypes.

k-means starts from a grid and sees places (and colours) of pixels beside their embeddings.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

FLAT = 1e-5  # a channel that varies less is of one value, but for rounding


def unit(x, dim=-1):
    """Divide x by its length along DIM; lengths below 1e-12 count as 1e-12, so that zero stays zero."""
    return F.normalize(x, dim=dim, eps=1e-12)


def location(height, width, device="cpu") -> torch.Tensor:
    """Return (y, x) of every pixel, float32 [H, W, 2], from -0.5 to 0.5 with both ends; a single row or column is
    -0.5."""
    y, x = (torch.linspace(0, 1, n, device=device) - 0.5 for n in (height, width))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def smoothing_kernel() -> torch.Tensor:
    """Return [5, 5]: a pixel's distance to the centre over the sum of all. The centre counts nothing, as in SPML."""
    offsets = torch.arange(-2.0, 3.0)
    distance = torch.hypot(offsets[:, None], offsets[None])
    return distance / distance.sum()


def colour(x, size) -> torch.Tensor:
    """Smooth the colours of normalised pictures x [N, C, H, W]: [N, h, w, C] in -1..1 (SIZE is h, w).

    Each channel is weighed by `smoothing_kernel` without padding (4 pixels less a side), resized bilinearly, freed of
    its mean and divided by its largest magnitude. A channel of one value gives 0 (the original gives NaN).
    """
    channels = x.shape[1]
    kernel = smoothing_kernel().to(x).expand(channels, 1, -1, -1)
    smooth = F.conv2d(x, kernel, groups=channels)
    smooth = F.interpolate(smooth, size=tuple(size), mode="bilinear", align_corners=False)
    smooth = smooth - smooth.mean(dim=(2, 3), keepdim=True)
    largest = smooth.abs().amax(dim=(2, 3), keepdim=True)
    return torch.where(largest > FLAT, smooth / largest, 0.0).permute(0, 2, 3, 1)


def local_features(x, size, with_colour=False) -> torch.Tensor:
    """Compute features [N, h, w, 2 or 5] of pictures x [N, 3, H, W] at SIZE (h, w): location, and WITH_COLOUR
    (DensePose) the smoothed colours. No gradient."""
    with torch.no_grad():
        places = location(*size, device=x.device).to(x.dtype)[None].expand(len(x), -1, -1, -1)
        return torch.cat([places, colour(x, size)], dim=-1) if with_colour else places


def resize_labels(labels, size) -> torch.Tensor:
    """Resize labels int64 [N, H, W] to SIZE (h, w), each the label of the top-left pixel of its cell, as in SPML."""
    return F.interpolate(labels[:, None].double(), size=tuple(size), mode="nearest")[:, 0].long()


def frequent_labels(labels, size, n_classes) -> torch.Tensor:
    """Resize labels int64 [N, H, W] to SIZE (h, w), each the most frequent label below N_CLASSES of its cell, the
    lowest of equally frequent ones, so that no thin stroke is lost; the top-left label where the cell has none."""
    cells = [torch.searchsorted(torch.arange(n, device=labels.device) * side // n,
                                torch.arange(side, device=labels.device), right=True) - 1
             for n, side in zip(size, labels.shape[1:], strict=True)]
    picture, y, x = (labels < n_classes).nonzero(as_tuple=True)
    place = (picture * size[0] + cells[0][y]) * size[1] + cells[1][x]
    top_left = resize_labels(labels, size)
    votes = torch.bincount(place * n_classes + labels[picture, y, x], minlength=top_left.numel() * n_classes)
    votes = votes.view(*top_left.shape, n_classes)
    return torch.where(votes.any(-1), votes.argmax(-1), top_left)


CELLS = 2**21  # similarities held at once: pixels beyond them would leave the processor's cache


def initial_grid(height, width, clusters, device="cpu") -> torch.Tensor:
    """Return the first cluster of every pixel, int64 [H, W]: CLUSTERS (rows, columns) on a grid whose border cells are
    half as large, numbered column by column."""
    rows, columns = (torch.linspace(0, k - 1, n, device=device).round().long()
                     for k, n in zip(clusters, (height, width), strict=True))
    return rows[:, None] + (rows.max() + 1) * columns[None]


def segment_sum(values, index, count) -> torch.Tensor:
    """Sum VALUES [P, C] over the members of each of COUNT segments; index int64 [P] -> [count, C]."""
    return values.new_zeros(count, values.shape[1]).index_add(0, index, values)


def segment_mean(values, index, count) -> torch.Tensor:
    """Average over the members; 0 for a segment without any."""
    sizes = torch.bincount(index, minlength=count).clamp_min(1).to(values.dtype)
    return segment_sum(values, index, count) / sizes[:, None]


def prototypes(values, index, count=None) -> torch.Tensor:
    """Compute u [S, C], the direction of the sum of the members' VALUES [P, C]; a segment without members has 0.

    The gradient flows back to every member. Hwang et al., section 3.1.
    """
    count = int(index.max()) + 1 if count is None else count
    return unit(segment_sum(values, index, count))


@torch.no_grad()
def nearest(values, centres) -> torch.Tensor:
    """Find the centre [K, C] with the largest dot product for each of VALUES [P, C]: int64 [P]; the first of equals."""
    step = max(1, CELLS // max(len(centres), 1))
    return torch.cat([(part @ centres.T).max(1).indices for part in values.split(step)]) if len(values) else \
        torch.zeros(0, dtype=torch.long, device=values.device)


@torch.no_grad()
def kmeans(values, index, count, iterations) -> torch.Tensor:
    """Cluster unit VALUES [P, C]: int64 [P] after ITERATIONS rounds from INDEX: centre = prototype, then nearest.

    The number of centres stays COUNT; an empty one is the zero vector. Stops early where nothing moves: the further
    rounds would not either.
    """
    if not len(values):
        return index
    for _ in range(iterations):
        moved = nearest(values, prototypes(values, index, count))
        if torch.equal(moved, index):
            break
        index = moved
    return index


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
        """Select the pixels that CHOSEN (bool [P] or indices) selects; segments keep their numbers."""
        return Segments(**{name: value[chosen] for name, value in vars(self).items()})


def ranks(*keys) -> tuple:
    """Rank rows: (rank int64 [P], first occurrence's keys [S, K]) by lexicographic order of KEYS, each int64 [P] >=
    0."""
    code = torch.zeros_like(keys[0])
    for key in keys:
        code = code * (int(key.max()) + 1 if len(key) else 1) + key
    found, rank = torch.unique(code, return_inverse=True)
    first = torch.full((len(found),), len(code), dtype=torch.long, device=code.device)
    first.scatter_reduce_(0, rank, torch.arange(len(code), device=code.device), "amin")
    return rank, torch.stack([key[first] for key in keys], dim=1)


def segment(embedding, semantic=None, region=None, clusters=(6, 6), iterations=10, local=None) -> Segments:
    """Segment raw EMBEDDING [N, C, H, W].

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
    grid = initial_grid(height, width, clusters, device).reshape(-1).unique(return_inverse=True)[1]
    count = int(grid.max()) + 1
    kept = semantic != VOID
    cluster = torch.cat([kmeans(f[i][kept[i]].detach(), grid[kept[i]], count, iterations)
                         for i in range(n)])
    picture, place = kept.nonzero(as_tuple=True)
    # picture by picture and not by one mask: the order is the same, and so is the rounding of the original's sums
    semantic, region = semantic[kept], region[kept]
    index, _ = ranks(picture, cluster, semantic, region)
    return Segments(e[kept], f[kept], semantic, region, index, picture, picture * (height * width) + place)


def with_densepose_feature(segments, local) -> Segments:
    """Replace the feature by unit([0.1 e, local]), local [N, H, W, L], as the original does for DensePose."""
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

    def to(self, device) -> "Prototypes":
        return Prototypes(**{name: value.to(device) for name, value in vars(self).items()})

    @staticmethod
    def joined(several) -> "Prototypes":
        return Prototypes(**{name: torch.cat([getattr(p, name) for p in several]) for name in vars(several[0])})


def prototypes_of(segments, tags) -> Prototypes:
    """Build the prototypes of all SEGMENTS, with their labels and their pictures' TAGS [N, T]."""
    count, index = segments.count, segments.index
    first = torch.full((count,), len(index), dtype=torch.long, device=index.device)
    first.scatter_reduce_(0, index, torch.arange(len(index), device=index.device), "amin")
    picture = segments.picture[first]
    return Prototypes(prototypes(segments.embedding, index, count),
                      prototypes(segments.feature, index, count),
                      segments.semantic[first], segments.region[first], picture, tags[picture])


def majority(labels, index, count) -> torch.Tensor:
    """Find the most frequent of LABELS int64 [P] in each segment, the lowest of equally frequent ones; 0 in an empty
    one."""
    if not len(labels):
        return torch.zeros(count, dtype=torch.long, device=labels.device)
    classes = int(labels.max()) + 1
    return torch.bincount(index * classes + labels, minlength=count * classes).view(count, classes).argmax(1)
