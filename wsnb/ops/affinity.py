"""Pairs of pixels, the straight path between them, their labels and their affinity (IRNet, Ahn et al., CVPR 2019)."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch


@lru_cache
def directions(radius: int) -> tuple:
    """List half of the neighbours within RADIUS, as (dy, dx): (0, x), then row by row below; 34 for radius 5."""
    found = [(0, x) for x in range(1, radius)]
    for y in range(1, radius):
        found += [(y, x) for x in range(1 - radius, radius) if x * x + y * y < radius * radius]
    return tuple(found)


@lru_cache
def path(dy: int, dx: int) -> np.ndarray:
    """List the lattice points less than 1 pixel from the segment (0, 0)-(dy, dx), within its rectangle; int [L, 2].

    The destination comes first, (0, 0) last.
    """
    rows, columns = range(min(0, dy), max(0, dy) + 1), range(min(0, dx), max(0, dx) + 1)
    near = [(y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]
    return np.array(sorted(near, key=lambda point: -abs(point[0]) - abs(point[1])))


@lru_cache
def grouped(radius: int) -> tuple:
    """Group the paths of all directions by their length (ascending, order kept): arrays [n, L, 2]."""
    by_length = {}
    for direction in directions(radius):
        by_length.setdefault(len(path(*direction)), []).append(path(*direction))
    return tuple(np.stack(by_length[length]) for length in sorted(by_length))


@lru_cache
def displacements(radius: int) -> np.ndarray:
    """List (dy, dx) of each direction in the order of `grouped`: int [n_dirs, 2]."""
    return np.concatenate([paths[:, 0] for paths in grouped(radius)])


@dataclass(frozen=True)
class PathIndex:
    """Flat indices into a map [H, W]: starts int64 [n_src], ends [n_dirs, n_src], and for each length of path
    the pixels on it [n, L, n_src]."""

    starts: np.ndarray
    ends: np.ndarray
    paths: tuple


@lru_cache(maxsize=8)
def path_index(radius: int, height: int, width: int) -> PathIndex:
    """Index the pairs of pixels whose paths lie inside the map; starts are rows 0..H - r and columns r - 1..W - r.

    Kept for the last sizes. Raises ValueError if the map is too small for any pair.
    """
    if height < radius or width < 2 * radius - 1:
        raise ValueError(f"map {height} x {width}: radius {radius} wants {radius} x {2 * radius - 1} at least")
    rows, columns = np.arange(height - radius + 1), np.arange(radius - 1, width - radius + 1)
    starts = (rows[:, None] * width + columns).ravel()
    paths = tuple((p[..., 0] * width + p[..., 1])[..., None] + starts for p in grouped(radius))
    return PathIndex(starts, np.concatenate([p[:, 0] for p in paths]), paths)


@lru_cache(maxsize=8)
def path_tensors(radius: int, height: int, width: int, device) -> PathIndex:
    """The same as tensors on DEVICE, which stay there."""
    index = path_index(radius, height, width)
    starts, ends, *paths = (torch.from_numpy(part).to(device) for part in (index.starts, index.ends, *index.paths))
    return PathIndex(starts, ends, tuple(paths))


def pair_labels(labels, radius, n_classes=21):
    """Mark the pairs of pixels that share a confident label.

    labels int [..., H, W]; ids from N_CLASSES on (255) are unknown -> background pairs, foreground pairs and pairs of
    different labels: float32 [..., n_dirs, n_src] each.
    """
    labels = torch.as_tensor(np.asarray(labels) if not isinstance(labels, torch.Tensor) else labels).long()
    index = path_tensors(radius, *labels.shape[-2:], labels.device)
    flat = labels.flatten(-2)
    here, there = flat[..., index.starts][..., None, :], flat[..., index.ends]
    known, same = (here < n_classes) & (there < n_classes), here == there
    return tuple(pairs.float() for pairs in (known & same & (here == 0), known & same & (here > 0), known & ~same))


def edge_to_affinity(edge, radius):
    """Compute from boundary probabilities [B, 1, H, W] the affinity of each pair, 1 - the largest on its path (paper,
    equation 3): [B, n_dirs, n_src].

    The largest is looked for without a graph, then gathered: the gradient touches one pixel a pair.
    """
    index, flat = path_tensors(radius, *edge.shape[-2:], edge.device), edge.flatten(1)
    winners = []
    with torch.no_grad():
        for pixels in index.paths:
            best = torch.stack([one[pixels].argmax(1) for one in flat])  # pixels [n, L, n_src]
            winners.append(pixels[None].expand(len(flat), -1, -1, -1).gather(2, best[:, :, None])[:, :, 0])
        winners = torch.cat(winners, 1)  # [B, n_dirs, n_src]
    return 1 - flat.gather(1, winners.flatten(1)).view(winners.shape)


@lru_cache(maxsize=8)
def quarter_index(height: int, width: int, rule: str) -> np.ndarray:
    """List the pixels that `quarter` picks of a map [H, W], as flat indices int64 [h, w]."""
    return quarter(np.arange(height * width, dtype=np.int32).reshape(height, width), rule).astype(np.int64)


def quarter(labels, rule="centre"):
    """Pick every fourth label of [H, W]: "corner" picks pixel 4i (OpenCV's nearest), "centre" 4i + 2 (PIL's).

    Sides that are not multiples of 4 are picked by the same library's rule for that size.
    """
    height, width = (-(-side // 4) for side in labels.shape)
    if rule == "corner":
        return cv2.resize(np.ascontiguousarray(labels), (width, height), interpolation=cv2.INTER_NEAREST)
    if rule != "centre":
        raise ValueError(f"label grid {rule!r}: use corner or centre")
    rows = np.minimum(((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int), labels.shape[0] - 1)
    columns = np.minimum(((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int), labels.shape[1] - 1)
    return labels[rows][:, columns]
