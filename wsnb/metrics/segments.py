"""Segments of two id maps and the pixels that they share: the base of all panoptic and instance metrics.

A picture is described by an id map [H, W] of integers >= 0 and {id: class}. NONE (usually 0) is no segment, VOID (255)
is not scored: ids of segments are any other values, in 8-bit and 16-bit maps alike.
"""

from dataclasses import dataclass

import numpy as np

NONE, VOID = 0, 255


@dataclass(frozen=True)
class Shared:
    """rows, columns: ascending ids of the two maps; pixels int64 [rows, columns]: how many they share."""

    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray


def _dense(ids, name):
    """Find (ascending values, position of each pixel's value in them)."""
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iub":
        raise ValueError(f"{name}: ids are integers, not {ids.dtype}")
    if not ids.size:
        raise ValueError(f"{name}: an empty map")
    low, high = int(ids.min()), int(ids.max())
    if low < 0:
        raise ValueError(f"{name}: id {low} is negative")
    if high > 1 << 22:  # such as class * 1000 + k of many classes: sorting takes less memory than a table
        return np.unique(ids, return_inverse=True)
    present = np.bincount(ids.ravel(), minlength=1) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[ids]


def shared_pixels(first, second) -> Shared:
    """Count the pixels of every pair of ids of two maps [H, W] in one pass. Raises ValueError for different shapes."""
    if np.shape(first) != np.shape(second):
        raise ValueError(f"maps {np.shape(first)} and {np.shape(second)} differ in shape: resize the prediction")
    rows, a = _dense(first, "first map")
    columns, b = _dense(second, "second map")
    pairs = np.ravel(a) * len(columns) + np.ravel(b)
    pixels = np.bincount(pairs, minlength=len(rows) * len(columns))
    return Shared(rows, columns, pixels.reshape(len(rows), len(columns)).astype(np.int64))


def ids_of(id_map) -> np.ndarray:
    """List the ids of the segments of a map, ascending, without NONE and VOID."""
    ids = _dense(id_map, "id map")[0]
    return ids[(ids != NONE) & (ids != VOID)]


def iou(shared, free=None) -> np.ndarray:
    """Compute the IoU float64 [rows, columns] of all pairs; FREE [columns] pixels are taken off each column's area."""
    rows, columns = shared.pixels.sum(1, keepdims=True), shared.pixels.sum(0, keepdims=True)
    union = rows + columns - shared.pixels - (0 if free is None else np.asarray(free)[None])
    return shared.pixels / np.maximum(union, 1)


def labelled(ids, classes, name) -> np.ndarray:
    """Look up the classes int64 of IDS in the mapping CLASSES. Raises ValueError naming an id without a class."""
    missing = [int(k) for k in ids if int(k) not in classes]
    if missing:
        raise ValueError(f"{name}: no class for the ids {missing[:5]}; give every id of the map one")
    return np.array([classes[int(k)] for k in ids], np.int64)


def split_means(values, things) -> dict[str, float]:
    """Average a value a class [C] over all classes, the thing classes THINGS, and the others (stuff).

    NaN is left out, and is the mean of nothing.
    """
    values = np.asarray(values, float)
    thing = np.isin(np.arange(len(values)), list(things))
    chosen = {"all": values, "things": values[thing], "stuff": values[~thing]}
    return {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in chosen.items()}
