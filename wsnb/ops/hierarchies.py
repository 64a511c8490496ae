"""Where objects may end: a boundary probability that needs no training, and maps of trained detectors from files.

The papers of this book take HED or gPb here, detectors that were trained on drawn boundaries. Neither their weights nor
their data belong to the book; it computes its own: differences of colour and texture between the two sides of a
pixel, at several scales. Maps of HED or another detector can be given as pictures instead (`read_map`).

Hierarchies of regions: gradient watershed, oriented by nothing but contour strength, merged from weak to strong.

The owt-ucm construction (Arbelaez, Maire, Fowlkes, Malik, PAMI 2011) as `higra` has it: the watershed's basins are the
finest regions; two neighbours merge when the mean boundary strength between them is the lowest of all. A region's
height is the strength at which it came to be; cutting the tree at a height gives a segmentation.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from wsnb.files import FileError, loaded_image

SCALES = (2.0, 4.0)  # pixels, of the Gaussian derivatives, in a picture of 500 pixels; finer ones only add grain
TEXTURE_WEIGHT = 1.0  # of the texture channels against colour


def boundary_map(image) -> np.ndarray:
    """Measure the boundary strength float32 [H, W] in [0, 1] of a picture uint8 [H, W, 3].

    The largest directional derivative of the channels L, a, b and three texture energies (Di Zenzo's structure tensor),
    at two scales, each divided by what is usual around it, so that the many edges within a texture count for less
    than a lone contour. The sum goes through 1 - exp(-x). A picture of one colour gives zeros.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"boundary_map: picture {image.dtype} {image.shape}; give uint8 [H, W, 3]")
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100  # L in 0..1
    unit = max(image.shape[:2]) / 500
    channels = np.concatenate([lab, TEXTURE_WEIGHT * _texture(lab[..., 0], unit)], axis=2)
    total = np.zeros(image.shape[:2], np.float32)
    for scale in SCALES:
        strength = _derivative(channels, max(scale * unit, 0.5))
        usual = cv2.GaussianBlur(strength, (0, 0), 8 * max(scale * unit, 0.5), borderType=cv2.BORDER_REFLECT)
        total += strength / (usual + 0.05)
    return 1 - np.exp(-0.35 * total)


def _texture(light, unit: float) -> np.ndarray:
    """Local energy [H, W, 3] of band-passed light at three sizes of grain."""
    bands = []
    for sigma in (0.7, 1.4, 2.8):
        fine = cv2.GaussianBlur(light, (0, 0), max(sigma * unit, 0.4), borderType=cv2.BORDER_REFLECT)
        coarse = cv2.GaussianBlur(light, (0, 0), max(1.6 * sigma * unit, 0.6), borderType=cv2.BORDER_REFLECT)
        energy = cv2.GaussianBlur(np.abs(fine - coarse), (0, 0), max(2 * sigma * unit, 1.0),
                                  borderType=cv2.BORDER_REFLECT)
        bands.append(np.sqrt(energy))
    return np.stack(bands, axis=2)


def _derivative(channels, sigma: float) -> np.ndarray:
    """Root of the structure tensor's larger eigenvalue, times sigma: float32 [H, W]."""
    smooth = cv2.GaussianBlur(channels[..., :3], (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    more = cv2.GaussianBlur(channels[..., 3:], (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    xx = xy = yy = 0
    for part in (smooth, more):
        dx = cv2.Sobel(part, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        dy = cv2.Sobel(part, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        xx, xy, yy = xx + (dx * dx).sum(2), xy + (dx * dy).sum(2), yy + (dy * dy).sum(2)
    larger = (xx + yy) / 2 + np.sqrt((xx - yy) ** 2 / 4 + xy * xy)
    return sigma * np.sqrt(larger)


def read_map(path, shape) -> np.ndarray:
    """Read a detector's boundary map, a grey picture of 8 or 16 bits: float32 [H, W] in [0, 1], white is a boundary.

    SHAPE is (height, width) of its picture. Raises FileError for a missing or coloured file and another size.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: no boundary map; write one grey picture per image there, or give no folder of maps")
    picture = loaded_image(path)
    mode, values = picture.mode, np.array(picture)
    if mode not in ("L", "I;16", "I"):
        raise FileError(f"{path}: mode {mode}; write boundary strengths as grey of 8 or 16 bits")
    if values.shape != tuple(shape):
        raise FileError(f"{path}: {values.shape[1]}x{values.shape[0]}, its picture is {shape[1]}x{shape[0]}; "
                        "write the map in the picture's size")
    return values.astype(np.float32) / (255 if mode == "L" else 65535)


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
    """Build the hierarchy of a boundary map float [H, W] >= 0 (0 no boundary), such as `boundary_map` gives.

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
