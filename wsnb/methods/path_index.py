"""Which pixels lie between two pixels: search directions and straight paths of IRNet (Ahn et al., CVPR 2019)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@lru_cache
def directions(radius: int) -> tuple:
    """Half of the neighbours within RADIUS, as (dy, dx): (0, x), then row by row below; 34 for radius 5."""
    found = [(0, x) for x in range(1, radius)]
    for y in range(1, radius):
        found += [(y, x) for x in range(1 - radius, radius) if x * x + y * y < radius * radius]
    return tuple(found)


@lru_cache
def path(dy: int, dx: int) -> np.ndarray:
    """Lattice points less than 1 pixel from the segment (0, 0)-(dy, dx), within its rectangle; int [L, 2].

    The destination comes first, (0, 0) last.
    """
    rows, columns = range(min(0, dy), max(0, dy) + 1), range(min(0, dx), max(0, dx) + 1)
    near = [(y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]
    return np.array(sorted(near, key=lambda point: -abs(point[0]) - abs(point[1])))


@lru_cache
def grouped(radius: int) -> tuple:
    """The paths of all directions, grouped by their length (ascending, order kept): arrays [n, L, 2]."""
    by_length = {}
    for direction in directions(radius):
        by_length.setdefault(len(path(*direction)), []).append(path(*direction))
    return tuple(np.stack(by_length[length]) for length in sorted(by_length))


@lru_cache
def displacements(radius: int) -> np.ndarray:
    """(dy, dx) of each direction in the order of `grouped`: int [n_dirs, 2]."""
    return np.concatenate([paths[:, 0] for paths in grouped(radius)])


@dataclass(frozen=True)
class PathIndex:
    """Flat indices into a map [H, W]: sources int64 [n_src], destinations [n_dirs, n_src], and for each length of path
    the pixels on it [n, L, n_src]."""

    sources: np.ndarray
    destinations: np.ndarray
    paths: tuple


@lru_cache(maxsize=8)
def path_index(radius: int, height: int, width: int) -> PathIndex:
    """Pairs of pixels whose paths lie inside the map; sources are rows 0..H - r and columns r - 1..W - r.

    Kept for the last sizes. Raises ValueError if the map is too small for any source.
    """
    if height < radius or width < 2 * radius - 1:
        raise ValueError(f"map {height} x {width}: radius {radius} wants {radius} x {2 * radius - 1} at least")
    rows, columns = np.arange(height - radius + 1), np.arange(radius - 1, width - radius + 1)
    sources = (rows[:, None] * width + columns).ravel()
    paths = tuple(
        (p[..., 0] * width + p[..., 1])[..., None] + sources for p in grouped(radius)
    )
    return PathIndex(sources, np.concatenate([p[:, 0] for p in paths]), paths)
