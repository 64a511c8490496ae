"""Spherical k-means from a grid, and the sums over segments that it shares with the prototypes."""

import torch

from wsnb.methods.segsort.features import unit

CELLS = 2**21  # similarities held at once: pixels beyond them would leave the processor's cache


def initial_grid(height, width, clusters, device="cpu") -> torch.Tensor:
    """First cluster of every pixel, int64 [H, W]: CLUSTERS (rows, columns) on a grid whose border cells are half as
    large, numbered column by column."""
    rows, columns = (torch.linspace(0, k - 1, n, device=device).round().long()
                     for k, n in zip(clusters, (height, width), strict=True))
    return rows[:, None] + (rows.max() + 1) * columns[None]


def segment_sum(values, index, count) -> torch.Tensor:
    """Sums of VALUES [P, C] over the members of each of COUNT segments; index int64 [P] -> [count, C]."""
    return values.new_zeros(count, values.shape[1]).index_add(0, index, values)


def segment_mean(values, index, count) -> torch.Tensor:
    """Means over the members; 0 for a segment without any."""
    sizes = torch.bincount(index, minlength=count).clamp_min(1).to(values.dtype)
    return segment_sum(values, index, count) / sizes[:, None]


def prototypes(values, index, count=None) -> torch.Tensor:
    """u [S, C]: the direction of the sum of the members' VALUES [P, C]; a segment without members has 0.

    The gradient flows back to every member. Hwang et al., section 3.1.
    """
    count = int(index.max()) + 1 if count is None else count
    return unit(segment_sum(values, index, count))


@torch.no_grad()
def nearest(values, centres) -> torch.Tensor:
    """The centre [K, C] with the largest dot product for each of VALUES [P, C]: int64 [P]; the first of equal ones."""
    step = max(1, CELLS // max(len(centres), 1))
    return torch.cat([(part @ centres.T).max(1).indices for part in values.split(step)]) if len(values) else \
        torch.zeros(0, dtype=torch.long, device=values.device)


@torch.no_grad()
def kmeans(values, index, count, iterations) -> torch.Tensor:
    """Clusters int64 [P] of unit VALUES [P, C] after ITERATIONS rounds from INDEX: centre = prototype, then nearest.

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
