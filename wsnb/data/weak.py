"""Weak labels from masks, for any data set: image tags, boxes, scribbles, points.

A mask is uint8 [H, W]: 0 background, 1.. classes, 255 void. An instance mask numbers the objects of the same picture
(0 none, 255 void); without one, each connected component of a class counts as an object. Scribbles and points come as
label maps, uint8 [H, W] with 255 wherever nothing is known. Everything is a function of its arguments, seed included.

BACKGROUND is the label of the background; None where a set has none (Cityscapes, whose 0 is road): then every label is
a class like the others, and stuff classes give objects as well.
"""

import cv2
import numpy as np

VOID = 255
_GRID = 48  # paths are sought on a grid of at most this many cells a side: enough for a stroke, and quick


def tags(mask, n_classes: int, background: int | None = 0) -> np.ndarray:
    """Mark each foreground class that the mask holds with 1.0: float32 [n_classes - 1]; entry k is class k + 1.

    Without a BACKGROUND, float32 [n_classes]: entry k is class k.
    Computed from the whole, uncropped mask, as the papers do. Raises ValueError for a label above the classes.
    """
    present = np.bincount(np.asarray(mask).ravel(), minlength=256) > 0
    if present[n_classes:VOID].any():
        raise ValueError(f"label {np.flatnonzero(present[:VOID])[-1]} in a mask of {n_classes} classes: "
                         "pass the set's own n_classes")
    return present[0 if background is None else 1:n_classes].astype(np.float32)


def objects(mask, instances=None, min_area: int = 1, background: int | None = 0) -> list[tuple[int, np.ndarray]]:
    """List the objects of a picture: (class, bool [H, W]), ordered by class, or by number where INSTANCES gives them.

    An instance's class is the one on most of its pixels. 255 is void in uint8 instance masks, a number in wider ones.
    Objects under MIN_AREA pixels are left out. Raises ValueError if the two masks differ in size or an instance lies on
    background and void only.
    """
    mask = np.asarray(mask)
    found = []
    if instances is None:
        for label in np.unique(mask):
            if label not in (background, VOID):
                count, parts = cv2.connectedComponents((mask == label).astype(np.uint8), connectivity=8)
                found += [(int(label), parts == k) for k in range(1, count)]
    else:
        instances = np.asarray(instances)
        if instances.shape != mask.shape:
            raise ValueError(f"instances {instances.shape}, mask {mask.shape}: give two masks of one picture")
        for k in np.unique(instances):
            if k != 0 and (k != VOID or instances.dtype != np.uint8):  # wider maps may count 255 instances and more
                votes = np.bincount(mask[instances == k], minlength=256)
                votes[[VOID] if background is None else [background, VOID]] = 0
                if not votes.any():
                    raise ValueError(f"instance {k} lies on background or void only: give two masks of one picture")
                found.append((int(votes.argmax()), instances == k))
    return [(label, region) for label, region in found if region.sum() >= min_area]


def boxes(mask, instances=None, background: int | None = 0):
    """Box each of the `objects` tightly: int64 [N, 4] (x0, y0, x1, y1, half-open) and its class, int64 [N]."""
    found, labels = [], []
    for label, region in objects(mask, instances, background=background):
        rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
        found.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        labels.append(label)
    return np.array(found, np.int64).reshape(-1, 4), np.array(labels, np.int64)


def draw_boxes(shape, boxes, labels) -> np.ndarray:
    """Fill boxes with their labels: uint8 [H, W]; the smaller box is in front, outside of all is background.

    The simplest reading of a box as a mask ("Rectangles"; Khoreva et al., Simple Does It, CVPR 2017, section 3).
    """
    drawn = np.zeros(shape, np.uint8)
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        x0, y0, x1, y1 = np.maximum(boxes[k], 0)
        drawn[y0:y1, x0:x1] = labels[k]
    return drawn


def scribbles(mask, seed: int, instances=None, width: int = 3, length: float = 1.0,
              background_strokes: int = 1) -> np.ndarray:
    """Draw a stroke along the middle of each object and of each of the BACKGROUND_STROKES largest pieces of background.

    WIDTH in pixels; LENGTH is the share of the stroke that is kept, around its middle (0 leaves a dab; the scribble
    lengths of ScribbleSup-like studies). Strokes never leave their region; objects under 20 pixels get none. Returns a
    label map, uint8 [H, W].
    """
    drawn = np.full(np.shape(mask), VOID, np.uint8)
    for k, (label, region) in enumerate(_background(mask, background_strokes) + objects(mask, instances, min_area=20)):
        drawn[along(region, np.random.default_rng([seed, k]), width, length)] = label
    return drawn


def points(mask, seed: int, instances=None, n: int = 1, background_points: int = 1, radius: int = 0) -> np.ndarray:
    """Draw N random points in each object and BACKGROUND_POINTS in the background, each a disc of RADIUS pixels.

    Where an object has room, its points keep a pixel or more off its border, as a person's clicks do. Discs never leave
    their region. Returns a label map, uint8 [H, W], 255 elsewhere.
    """
    mask = np.asarray(mask)
    drawn = np.full(mask.shape, VOID, np.uint8)
    regions = [(0, mask == 0, background_points), *((*one, n) for one in objects(mask, instances))]
    for k, (label, region, count) in enumerate(regions):
        depth = depth_inside(region)
        inner = np.flatnonzero(depth > min(2.0, depth.max() / 2))
        rng = np.random.default_rng([seed, k])
        chosen = rng.choice(inner, min(count, inner.size), replace=False) if inner.size else []
        for pixel in chosen:
            y, x = divmod(int(pixel), mask.shape[1])
            disc = cv2.circle(np.zeros(mask.shape, np.uint8), (x, y), radius, 1, -1) > 0
            drawn[disc & region] = label
    return drawn


def _background(mask, count: int) -> list[tuple[int, np.ndarray]]:
    """Find the COUNT largest connected pieces of background."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((np.asarray(mask) == 0).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return [(0, parts == k + 1) for k in np.argsort(-areas, kind="stable")[:count]]


# strokes


def depth_inside(region) -> np.ndarray:
    """Measure how far each pixel of REGION bool [H, W] is from its border or the picture's: float32 [H, W], pixels."""
    framed = np.pad(np.asarray(region, np.uint8), 1)  # else a region that fills the picture has no border
    return cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]


def along(region, rng, width: int = 3, length: float = 1.0) -> np.ndarray:
    """Draw a stroke through REGION as a person would, from one far end to the other: bool [H, W].

    It never leaves the region and is empty only if the region is.

    WIDTH in pixels; LENGTH in 0..1 is the share of the path that is kept around its middle. RNG moves the line a little
    off the middle, so that seeds differ. Of a region in pieces the largest gets the stroke.
    """
    region = np.asarray(region, bool)
    drawn = np.zeros(region.shape, np.uint8)
    if not region.any():
        return drawn.astype(bool)
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    part = region[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = max(1.0, max(part.shape) / _GRID)
    size = tuple(max(1, round(side / scale)) for side in part.shape)
    inside = cv2.resize(depth_inside(part), size[::-1], interpolation=cv2.INTER_AREA)
    cells = _longest(_largest(cv2.resize(part.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)), inside,
                     rng)
    keep = max(1, round(len(cells) * length))
    start = (len(cells) - keep) // 2
    line = (cells[start:start + keep] + 0.5) * (part.shape[0] / size[0], part.shape[1] / size[1])
    line = _smooth(line) + (rows[0], columns[0])
    polygon = np.floor(line[:, ::-1]).astype(np.int32)
    cv2.polylines(drawn, [polygon], False, 1, width)
    drawn[polygon[:, 1], polygon[:, 0]] = 1
    drawn = drawn.astype(bool) & region
    if not drawn.any():  # a region thinner than a grid cell: its deepest pixel
        drawn.flat[depth_inside(region).argmax()] = True
    return drawn


def _largest(grid) -> np.ndarray:
    """Select the largest connected piece of a uint8 grid, bool; the whole grid if it is empty."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(grid, connectivity=8)
    return parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else np.ones(grid.shape, bool)


def _longest(inside, depth, rng) -> np.ndarray:
    """Find a path between two far ends of INSIDE that keeps to the deep cells: cells [N, 2] (row, column)."""
    from scipy.sparse import coo_matrix  # half a second, which the runner spares
    from scipy.sparse.csgraph import dijkstra

    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    cost = 1 / (depth + 0.5) * rng.uniform(0.6, 1.4, inside.shape)  # shallow cells are dear
    start, stop, price = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, inside.shape[0] - dy), slice(max(0, -dx), inside.shape[1] - max(0, dx)))
        b = (slice(dy, None), slice(max(0, dx), inside.shape[1] - max(0, -dx)))
        both = inside[a] & inside[b]
        start.append(number[a][both])
        stop.append(number[b][both])
        price.append((cost[a] + cost[b])[both] * np.hypot(dy, dx))
    graph = coo_matrix((np.concatenate(price), (np.concatenate(start), np.concatenate(stop))), (inside.sum(),) * 2)
    graph = graph.tocsr()
    far = _farthest(dijkstra(graph, directed=False, indices=int(rng.integers(inside.sum()))))
    distance, before = dijkstra(graph, directed=False, indices=far, return_predecessors=True)
    path = [_farthest(distance)]
    while path[-1] != far:
        path.append(before[path[-1]])
    return np.argwhere(inside)[path]


def _farthest(distance) -> int:
    return int(np.where(np.isfinite(distance), distance, -1).argmax())


def _smooth(line) -> np.ndarray:
    """Average over five neighbouring points; the ends stay."""
    if len(line) < 5:
        return line
    padded = np.pad(line, ((2, 2), (0, 0)), mode="edge")
    return np.mean([padded[k:k + len(line)] for k in range(5)], axis=0)
