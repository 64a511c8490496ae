"""A stroke as a person would draw it: through the middle of a region, from one far end to the other."""

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

_GRID = 48  # paths are sought on a grid of at most this many cells a side: enough for a stroke, and quick


def depth(region) -> np.ndarray:
    """Distance of each pixel of REGION (bool [H, W]) from its border or the picture's, in pixels, float32 [H, W]."""
    framed = np.pad(np.asarray(region, np.uint8), 1)  # else a region that fills the picture has no border
    return cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]


def along(region, rng, width: int = 3, length: float = 1.0) -> np.ndarray:
    """A stroke through REGION, bool [H, W], never outside it and never empty unless the region is.

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
    inside = cv2.resize(depth(part), size[::-1], interpolation=cv2.INTER_AREA)
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
        drawn.flat[depth(region).argmax()] = True
    return drawn


def _largest(grid) -> np.ndarray:
    """The largest connected piece of a uint8 grid, bool; the whole grid if it is empty."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(grid, connectivity=8)
    return parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else np.ones(grid.shape, bool)


def _longest(inside, depth, rng) -> np.ndarray:
    """Cells [N, 2] (row, column) of a path between two far ends of INSIDE that keeps to the deep cells."""
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
    """Running mean over five points; the ends stay."""
    if len(line) < 5:
        return line
    padded = np.pad(line, ((2, 2), (0, 0)), mode="edge")
    return np.mean([padded[k:k + len(line)] for k in range(5)], axis=0)
