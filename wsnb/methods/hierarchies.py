"""Hierarchies of regions: gradient watershed, oriented by nothing but contour strength, merged from weak to strong.

The owt-ucm construction (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011) as `higra` has it: the watershed's basins are the
finest regions; two neighbours merge when the mean boundary strength between them is the lowest of all. A region's
height is the strength at which it came to be; cutting the tree at a height gives a segmentation.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hierarchy:
    """A tree of regions over a picture.

    leaves   int32 [H, W], the basin of every pixel, 0..L-1
    parents  int64 [N], the parent of every node; the basins are the nodes 0..L-1, the last node is the root (its own
             parent), and every parent comes after its children
    heights  float64 [N], the boundary strength at which a node was merged; 0 for basins; never falls towards the root
    """

    leaves: np.ndarray
    parents: np.ndarray
    heights: np.ndarray


def ucm(boundary) -> Hierarchy:
    """The hierarchy of a boundary map float [H, W] >= 0 (0 no boundary), such as `boundaries.boundary_map` gives.

    Raises ValueError for values that are negative or not finite.
    """
    import higra as hg

    boundary = np.asarray(boundary, np.float64)
    if boundary.ndim != 2 or not boundary.size or not np.isfinite(boundary).all() or boundary.min() < 0:
        raise ValueError(f"ucm: boundary map {boundary.shape}; give finite values >= 0 as [H, W]")
    if boundary.size == 1:
        return Hierarchy(np.zeros((1, 1), np.int32), np.zeros(1, np.int64), np.zeros(1))
    graph = hg.get_4_adjacency_graph(boundary.shape)
    weights = hg.weight_graph(graph, boundary, hg.WeightFunction.mean)
    tree, heights = hg.mean_pb_hierarchy(graph, weights, boundary.shape)
    basins = hg.CptRegionAdjacencyGraph.get_vertex_map(hg.CptHierarchy.get_leaf_graph(tree))
    heights = np.maximum.accumulate(np.asarray(heights, np.float64))  # equal within rounding
    return Hierarchy(basins.reshape(boundary.shape).astype(np.int32), np.asarray(tree.parents(), np.int64), heights)


def regions(hierarchy: Hierarchy, threshold: float) -> np.ndarray:
    """The segmentation at a height: int32 [H, W], regions 0..R-1 in the order of their first pixel.

    All contours of strength <= THRESHOLD are gone; below 0 all basins stand, above the root's height one region is
    left.
    """
    return _relabel(cut(hierarchy, threshold)[hierarchy.leaves])


def cut(hierarchy: Hierarchy, threshold: float) -> np.ndarray:
    """For every basin, the highest node above it whose height is <= THRESHOLD: int64 [L]."""
    top = np.arange(len(hierarchy.parents))
    for node in range(len(top) - 2, -1, -1):
        parent = hierarchy.parents[node]
        if hierarchy.heights[parent] <= threshold:
            top[node] = top[parent]
    return top[: int(hierarchy.leaves.max()) + 1]


def contours(hierarchy: Hierarchy) -> np.ndarray:
    """The ultrametric contour map: float32 [H, W], for each pixel the strength of the strongest contour to its right or
    lower neighbour, that is the height at which the two pixels come together."""
    leaves = hierarchy.leaves
    shown = np.zeros(leaves.shape, np.float32)
    for here, there, target in ((leaves[:, :-1], leaves[:, 1:], shown[:, :-1]), (leaves[:-1], leaves[1:], shown[:-1])):
        pairs, inverse = np.unique(np.stack([here.ravel(), there.ravel()], 1), axis=0, return_inverse=True)
        heights = _meeting(hierarchy, pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64))
        np.maximum(target, heights[inverse.ravel()].reshape(target.shape), out=target)
    return shown


def _meeting(hierarchy, a, b) -> np.ndarray:
    """Height of the lowest common ancestor of nodes A and B, [K] each; 0 where they are the same."""
    a, b = a.copy(), b.copy()
    while (apart := a != b).any():
        lower = np.minimum(a, b)  # parents have larger numbers: the lower one of the two climbs
        climbed = hierarchy.parents[lower]
        a = np.where(apart & (a == lower), climbed, a)
        b = np.where(apart & (b == lower), climbed, b)
    return hierarchy.heights[a].astype(np.float32)


def _relabel(labels) -> np.ndarray:
    """Numbers 0..R-1 in the order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse.ravel()].reshape(labels.shape)
