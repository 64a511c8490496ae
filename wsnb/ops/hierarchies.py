"""Hierarchies of regions, made from boundary maps (owt-ucm).

The construction (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011) is higra's: the watershed's basins are the finest regions;
two neighbours merge when the mean boundary strength between them is the lowest of all. A region's height is the
strength at which it came to be; cutting the tree at a height gives a segmentation.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hierarchy:
    """A tree of regions over a picture.

    leaves   int32 [H, W], the basin of every pixel, 0..L-1
    tree     higra.Tree of N nodes; the basins are its leaves, the last node is the root (its own parent), and every
             parent comes after its children
    heights  float64 [N], the boundary strength at which a node was merged; 0 for basins; never falls towards the root
    """

    leaves: np.ndarray
    tree: "higra.Tree"  # noqa: F821
    heights: np.ndarray


def ucm(boundary) -> Hierarchy:
    """Build the hierarchy of a boundary map float [H, W] >= 0 (0 no boundary), such as `boundaries.boundary_map` gives.

    Raises ValueError for values that are negative or not finite.
    """
    import higra as hg  # half a second, which stages without hierarchies save

    boundary = np.asarray(boundary, np.float64)
    if boundary.ndim != 2 or not boundary.size or not np.isfinite(boundary).all() or boundary.min() < 0:
        raise ValueError(f"ucm: boundary map {boundary.shape}; give finite values >= 0 as [H, W]")
    if boundary.size == 1:
        return Hierarchy(np.zeros((1, 1), np.int32), hg.Tree(np.zeros(1, np.int64)), np.zeros(1))
    graph = hg.get_4_adjacency_graph(boundary.shape)
    weights = hg.weight_graph(graph, boundary, hg.WeightFunction.mean)
    tree, heights = hg.mean_pb_hierarchy(graph, weights, boundary.shape)
    basins = hg.CptRegionAdjacencyGraph.get_vertex_map(hg.CptHierarchy.get_leaf_graph(tree))
    heights = np.maximum.accumulate(np.asarray(heights, np.float64))  # equal within rounding
    return Hierarchy(basins.reshape(boundary.shape).astype(np.int32), hg.Tree(tree.parents()), heights)


def regions(hierarchy: Hierarchy, threshold: float, most: int | None = None) -> np.ndarray:
    """Cut the hierarchy at a height: int32 [H, W], regions 0..R-1 in the order of their first pixel.

    All contours of strength <= THRESHOLD are gone; below 0 all basins stand, above the root's height one region is
    left. Where more than MOST regions are left, the cut is at the lowest higher height that leaves at most MOST.
    """
    import higra as hg

    if most is not None:
        cuts = hg.HorizontalCutExplorer(hierarchy.tree, hierarchy.heights)
        heights = np.array(cuts.altitude_cuts())
        threshold = max(threshold, heights[np.array(cuts.num_regions_cuts()) <= most].min())
    basins = hg.labelisation_horizontal_cut_from_threshold(hierarchy.tree, hierarchy.heights, threshold)
    _, first, inverse = np.unique(basins[hierarchy.leaves], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int32)[inverse].reshape(hierarchy.leaves.shape)


def contours(hierarchy: Hierarchy) -> np.ndarray:
    """Draw the ultrametric contour map: float32 [H, W], for each pixel the strength of the strongest contour to its
    right or lower neighbour, that is the height at which the two pixels come together."""
    leaves = hierarchy.leaves
    shown = np.zeros(leaves.shape, np.float32)
    for here, there, target in ((leaves[:, :-1], leaves[:, 1:], shown[:, :-1]), (leaves[:-1], leaves[1:], shown[:-1])):
        meeting = hierarchy.tree.lowest_common_ancestor(here.ravel(), there.ravel())
        np.maximum(target, hierarchy.heights[meeting].reshape(target.shape), out=target)
    return shown
