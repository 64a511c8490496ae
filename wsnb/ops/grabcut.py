"""From a box to the object in it: GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) and GrabCut+ (Khoreva et al., CVPR
2017, section 3.2), whose cut follows object boundaries instead of colour contrast.

Both minimise E(a) = sum_n D(a_n, z_n) + gamma sum_(m,n) [a_m != a_n] w_mn over labels a (1: object) of the nodes n. D
is the cost of a colour z under a mixture of Gaussians for each side, w the cost of a border between neighbours.

GrabCut is OpenCV's, which takes no boundary map. GrabCut+ cuts a graph of pixels with eight neighbours each, as GrabCut
does: the paper's way. The fast choice splits the picture along the boundary map into small regions (the watershed's
basins, a few thousand) and cuts between these: the data term of a region is the sum over its pixels, computed exactly
from its colour moments, and the border of two regions costs its length times a fall of the mean boundary strength along
it. Such a cut follows the watershed's lines alone, also where they miss an object's border.
"""

from dataclasses import dataclass

import cv2
import numpy as np

TINY = 9  # pixels; smaller boxes are taken as they are
MARGIN = 3  # pixels that a box of the whole picture is shrunk by: some background has to be known
COMPONENTS = 5  # Gaussians a side, of both
GAMMA = 15.0  # nats a border pixel; OpenCV takes 50 for colour contrast, which cuts small objects away here
UNITS = 10**6  # capacities of GrabCut+'s graph are whole numbers: this many to a nat


def inside_picture(box, shape) -> tuple[int, int, int, int]:
    """Cut BOX (x0, y0, x1, y1, half-open) to a picture of SHAPE (height, width); (0, 0, 0, 0) if nothing is left."""
    x0, y0, x1, y1 = (int(v) for v in box)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, shape[1]), min(y1, shape[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else (0, 0, 0, 0)


def filled(shape, box) -> np.ndarray:
    """Fill BOX, a mask bool [H, W]; parts outside the picture are cut off."""
    x0, y0, x1, y1 = inside_picture(box, shape)
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def grabcut_label(image, box, seed: int = 0, iterations: int = 5) -> np.ndarray:
    """GrabCut: the object in a box, bool [H, W], of a picture uint8 [H, W, 3] (RGB); box (x0, y0, x1, y1, half-open).

    Outside the box all is background; inside, two mixtures of five Gaussians and a cut along colour contrast decide,
    over ITERATIONS. A box of fewer than 9 pixels is the label itself; one of the whole picture is shrunk by 3 pixels a
    side. The box is cut to the picture first; one outside it gives an empty label. The label may be empty: a small
    object's colours may all be explained by the background. SEED feeds OpenCV's generator: a label does not depend on
    earlier ones, as the original program's do.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"grabcut_label: picture {image.dtype} {image.shape}; give uint8 [H, W, 3]")
    height, width = image.shape[:2]
    x0, y0, x1, y1 = inside_picture(box, (height, width))
    area = (x1 - x0) * (y1 - y0)
    if area < TINY:
        return filled((height, width), (x0, y0, x1, y1))
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    if area == height * width:
        rectangle = (MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
        if min(rectangle[2:]) < 1:  # nothing would be left: the picture is all object
            return filled((height, width), (x0, y0, x1, y1))
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(int(seed))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, rectangle, *models, iterations, cv2.GC_INIT_WITH_RECT)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def grabcut_from_map(image, scores, percentiles=(15, 70, 99.5), seed: int = 0, iterations=5) -> np.ndarray:
    """GrabCut from a class activation map: the object, bool [H, W], of a picture uint8 [H, W, 3] (RGB) and SCORES float
    [H, W].

    Scores below the first of the PERCENTILES are background, above the last object; between them GrabCut decides,
    beginning with object above the middle one. A map without a background or without an object pixel by that rule
    (a flat one) points at nothing: all False. SEED as in `grabcut_label`.
    """
    low, middle, high = np.percentile(scores, percentiles)
    mask = np.select([scores < low, scores < middle, scores <= high],
                     [cv2.GC_BGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD], cv2.GC_FGD).astype(np.uint8)
    if not ((mask == cv2.GC_BGD) | (mask == cv2.GC_PR_BGD)).any() or not (mask == cv2.GC_FGD).any():
        return np.zeros(mask.shape, bool)
    cv2.setRNGSeed(int(seed))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def reduced(image, boxes, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale picture and boxes until the longer side has SIDE pixels at most (0: as they are); boxes int64 [N, 4].

    Boxes grow outwards to whole pixels and keep at least one. GrabCut's time is linear in pixels.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    height, width = image.shape[:2]
    if not side or max(height, width) <= side:
        return image, boxes
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    ratio = np.array([size[0] / width, size[1] / height] * 2)
    scaled = boxes * ratio
    scaled[:, :2], scaled[:, 2:] = np.floor(scaled[:, :2] + 1e-6), np.ceil(scaled[:, 2:] - 1e-6)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scaled.astype(np.int64)


def enlarged(mask, shape, box) -> np.ndarray:
    """Enlarge a mask bool [h, w] of a reduced picture to SHAPE (height, width), within BOX: bool [H, W].

    Bilinear, cut at one half: smoother than nearest pixels. The box was known exactly before the reduction.
    """
    if mask.shape != tuple(shape):
        mask = cv2.resize(mask.astype(np.float32), tuple(shape)[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return mask & filled(tuple(shape), box)


@dataclass(frozen=True)
class RegionGraph:
    """Small regions of a picture, or its pixels, with their colours and their borders.

    regions   int32 [H, W], 0..R-1
    sizes     float64 [R], pixels; means [R, 3] and scatters [R, 3, 3] (covariance within) of their Lab colours
    pairs     int64 [E, 2], neighbours; lengths float64 [E] of their borders (pixel edges; 1 / distance of two pixels)
    strengths float64 [E], mean boundary strength along each border, 0..1
    """

    regions: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    scatters: np.ndarray
    pairs: np.ndarray
    lengths: np.ndarray
    strengths: np.ndarray


def region_graph(image, boundary, regions) -> RegionGraph:
    """Build the graph of a picture uint8 [H, W, 3], its boundary map [H, W] and its regions int [H, W] (0..R-1).

    Regions are such as `Hierarchy.leaves`.
    """
    colours = _lab(image)
    flat, count = regions.ravel(), int(regions.max()) + 1
    sizes = np.bincount(flat, minlength=count).astype(np.float64)
    means = np.stack([np.bincount(flat, colours[:, c], count) for c in range(3)], 1) / sizes[:, None]
    rest = colours - means[flat]
    scatters = np.empty((count, 3, 3))
    for a in range(3):
        for b in range(a, 3):
            scatters[:, a, b] = scatters[:, b, a] = np.bincount(flat, rest[:, a] * rest[:, b], count) / sizes
    ends, between = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        apart = regions[one] != regions[other]
        ends.append(np.sort(np.stack([regions[one][apart], regions[other][apart]], 1), 1))
        between.append((boundary[one][apart] + boundary[other][apart]) / 2)
    codes = np.concatenate(ends).astype(np.int64) @ (count, 1)
    found, place = np.unique(codes, return_inverse=True)
    lengths = np.bincount(place, minlength=len(found)).astype(np.float64)
    strengths = np.bincount(place, np.concatenate(between), len(found)) / np.maximum(lengths, 1)
    return RegionGraph(regions, sizes, means, scatters, np.stack(np.divmod(found, count), 1), lengths, strengths)


def pixel_graph(image, boundary) -> RegionGraph:
    """Build the graph of the pixels of a picture uint8 [H, W, 3] and its boundary map [H, W].

    Each pixel has eight neighbours; diagonal ones weigh 1 / sqrt(2), as in GrabCut. The strength between two pixels is
    the mean of theirs.
    """
    numbers = np.arange(boundary.size, dtype=np.int32).reshape(boundary.shape)
    pairs, lengths, strengths = [], [], []
    for one, other, length in ((np.s_[:, :-1], np.s_[:, 1:], 1), (np.s_[:-1], np.s_[1:], 1),
                               (np.s_[:-1, :-1], np.s_[1:, 1:], 0.5**0.5), (np.s_[:-1, 1:], np.s_[1:, :-1], 0.5**0.5)):
        pairs.append(np.stack([numbers[one].ravel(), numbers[other].ravel()], 1))
        lengths.append(np.full(len(pairs[-1]), length, np.float64))
        strengths.append((boundary[one].ravel() + boundary[other].ravel()) / 2)
    return RegionGraph(numbers, np.ones(numbers.size), _lab(image), np.zeros((numbers.size, 3, 3)),
                       np.concatenate(pairs).astype(np.int64), np.concatenate(lengths), np.concatenate(strengths))


def _lab(image):
    """Lab colours float64 [H * W, 3] of a picture uint8 [H, W, 3]."""
    return cv2.cvtColor(np.asarray(image, np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)


def grabcut_plus_label(graph: RegionGraph, box, seed: int = 0, iterations: int = 5, margin: float = 0.0,
                       gamma: float = GAMMA, within=None) -> np.ndarray:
    """GrabCut+: the object in a box (x0, y0, x1, y1, half-open), bool [H, W], nothing outside the box.

    Each of the ITERATIONS learns the two colour mixtures from the present cut, then cuts anew at minimum cost.
    MARGIN: only the background within this share of the box's sides around it is looked at (0: the whole picture).
    A box without a pixel in the picture gives an empty label; one under 9 pixels, or around the whole picture with
    nothing to learn the background from, is the label itself, since there is nothing to cut. WITHIN overrides the box
    that the label is cut to.
    """
    shape = graph.regions.shape
    x0, y0, x1, y1 = inside_picture(box, shape)
    limit = filled(shape, (x0, y0, x1, y1) if within is None else within)
    object_, around = _sides(graph, (x0, y0, x1, y1), margin)
    if (x1 - x0) * (y1 - y0) < TINY or not object_.any() or not around.any():
        return filled(shape, (x0, y0, x1, y1)) & limit
    used = np.flatnonzero(object_ | around)
    free = object_[used]
    border = border_costs(graph, used, gamma)
    inner, rng = free.copy(), np.random.default_rng(seed)
    components = None
    for _ in range(iterations):
        costs, components = data_costs(graph, used, inner, components, rng)
        cut = minimum_cut(costs, free, border, graph.sizes[used])
        if not cut.any() or (cut == inner).all():
            inner = cut
            break
        inner = cut
    chosen = np.zeros(len(graph.sizes), bool)
    chosen[used[inner]] = True
    return chosen[graph.regions] & limit


def _sides(graph, box, margin) -> tuple[np.ndarray, np.ndarray]:
    """Regions mostly inside the box, and regions of the known background around it: bool [R] both."""
    x0, y0, x1, y1 = box
    count = len(graph.sizes)
    inside = np.bincount(graph.regions[y0:y1, x0:x1].ravel(), minlength=count) / graph.sizes
    object_ = inside > 0.5
    if not margin:
        return object_, ~object_
    dx, dy = round((x1 - x0) * margin), round((y1 - y0) * margin)
    wide = inside_picture((x0 - max(dx, 1), y0 - max(dy, 1), x1 + max(dx, 1), y1 + max(dy, 1)), graph.regions.shape)
    near = np.bincount(graph.regions[wide[1] : wide[3], wide[0] : wide[2]].ravel(), minlength=count) / graph.sizes
    return object_, ~object_ & (near > 0.5)


def data_costs(graph, used, inner, components, rng):
    """Learn the two colour mixtures from the present cut INNER bool [U].

    Returns the data term, costs [2, U] of calling each region background or object in nats a pixel, and the component
    that each region takes on each side.
    """
    costs, taken = [], []
    for side in (0, 1):
        own = np.flatnonzero(inner == bool(side))
        rows = used[own]
        if components is None:
            assigned = cluster_colours(graph.means[rows], graph.sizes[rows], rng)
        else:
            assigned = components[side][own]
        each = gaussian_costs(graph, used, *gaussian_mixture(graph, rows, assigned))  # [U, K]
        taken.append(each.argmin(1))
        costs.append(each.min(1))
    return np.array(costs), taken


def cluster_colours(colours, sizes, rng, steps=10) -> np.ndarray:
    """k-means of weighted colours [N, 3], seeded by k-means++: component [N]."""
    count = min(COMPONENTS, len(colours))
    centres = colours[[rng.choice(len(colours), p=sizes / sizes.sum())]]
    far = np.inf
    for _ in range(count - 1):
        far = np.minimum(far, ((colours - centres[-1]) ** 2).sum(1) * sizes)
        if far.sum() <= 0:
            break
        centres = np.concatenate([centres, colours[[rng.choice(len(colours), p=far / far.sum())]]])
    for _ in range(steps):
        nearest = ((centres**2).sum(1) - 2 * colours @ centres.T).argmin(1)
        for k in range(len(centres)):
            own = nearest == k
            if own.any():
                centres[k] = np.average(colours[own], axis=0, weights=sizes[own])
    return nearest


def gaussian_mixture(graph, rows, assigned):
    """Weights [K], means [K, 3] and covariances [K, 3, 3] of the pixels of ROWS, exactly, from the regions' moments."""
    weights, means, covariances = [], [], []
    for k in np.unique(assigned):
        own = rows[assigned == k]
        size = graph.sizes[own]
        mean = np.average(graph.means[own], axis=0, weights=size)
        rest = graph.means[own] - mean
        spread = np.tensordot(size, graph.scatters[own], 1) + (size[:, None] * rest).T @ rest
        weights.append(size.sum())
        means.append(mean)
        covariances.append(spread / size.sum() + np.eye(3))  # 1 Lab unit: never singular
    weights = np.array(weights)
    return weights / weights.sum(), np.array(means), np.array(covariances)


def gaussian_costs(graph, used, weights, means, covariances) -> np.ndarray:
    """Mean over a region's pixels of -log(weight * density), up to a constant, for every component: [U, K]."""
    colours, scatters, costs = graph.means[used], graph.scatters[used].reshape(-1, 9), []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        inverse, rest = np.linalg.inv(covariance), colours - mean
        far = ((rest @ inverse) * rest).sum(1) + scatters @ inverse.ravel()
        costs.append(0.5 * (far + np.linalg.slogdet(covariance)[1]) - np.log(weight))
    return np.stack(costs, 1)


def border_costs(graph, used, gamma):
    """Cost of the borders within USED: (first [E], second [E], cost [E]); strong boundaries are cheap.

    cost = gamma length exp(-b^2 / (2 mean b^2)), with the mean boundary strength b along a border and the mean of b^2
    over all borders, weighted by length.
    """
    place = np.full(len(graph.sizes), -1)
    place[used] = np.arange(len(used))
    first, second = place[graph.pairs[:, 0]], place[graph.pairs[:, 1]]
    kept = (first >= 0) & (second >= 0)
    strengths, lengths = graph.strengths[kept], graph.lengths[kept]
    typical = np.average(strengths**2, weights=lengths) if kept.any() else 0.0
    fall = np.exp(-(strengths**2) / (2 * typical)) if typical > 0 else np.ones(len(strengths))
    return first[kept], second[kept], gamma * lengths * fall


def minimum_cut(costs, free, border, sizes) -> np.ndarray:
    """Find the cheapest labels bool [U] (True: object): the minimum cut of the graph of regions.

    costs: see `data_costs`; border: see `border_costs`; sizes [U] in pixels. Regions outside FREE bool [U] are
    background: a border with one of them is part of its neighbour's data term.
    """
    from ortools.graph.python.max_flow import SimpleMaxFlow  # a tenth of a second, which other stages save

    first, second, between = border
    place, count = np.cumsum(free) - 1, int(free.sum())  # of a free region among them; the others are the sink
    source, sink = count, count + 1
    gap = (costs[0] - costs[1]) * sizes  # by how much background is dearer than object
    for own, other in ((first, second), (second, first)):
        outwards = free[own] & ~free[other]
        gap -= np.bincount(own[outwards], between[outwards], len(free))
    gap, within = gap[free], free[first] & free[second]
    one, other, between = place[first[within]], place[second[within]], between[within]
    liked, disliked = np.flatnonzero(gap > 0), np.flatnonzero(gap < 0)
    network = SimpleMaxFlow()
    tails = np.concatenate([np.full(len(liked), source), disliked, one, other])
    heads = np.concatenate([liked, np.full(len(disliked), sink), other, one])
    capacities = np.round(np.concatenate([gap[liked], -gap[disliked], between, between]) * UNITS)
    network.add_arcs_with_capacity(tails.astype(np.int32), heads.astype(np.int32), capacities.astype(np.int64))
    status = network.solve(source, sink)
    if status != network.OPTIMAL:
        raise ValueError(f"minimum_cut: {status.name} for {count} regions; give finite costs")
    object_ = np.zeros(count + 2, bool)
    object_[network.get_source_side_min_cut()] = True
    found = np.zeros(len(free), bool)
    found[free] = object_[:count]
    return found
