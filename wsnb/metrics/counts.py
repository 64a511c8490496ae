"""Scores as functions of counts of single pictures, and the file that keeps the counts of a stage's results.

Counts of N pictures are confusions [N, C, C] for measures of pixels, K numbers a class [N, C, K] for others. A measure
turns the sum over any pictures into a score; drawing the pictures again costs one product of matrices. Detections that
are ranked over all pictures do not add: see `wsnb.metrics.ranked` for theirs.
"""

from pathlib import Path

import numpy as np

from wsnb.files import FileError, load_npz, save_npz
from wsnb.metrics import ranked

NAME = "counts.npz"  # in a stage's folder


def added_up(tables, measure) -> np.ndarray:
    """Reduce counts of a MEASURE to what adds up: float64 [N, C, K]; of confusions right, true and predicted pixels."""
    tables = np.asarray(tables, float)
    if measure not in PIXELS:
        return tables
    return np.stack([np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(-1), tables.sum(-2)], axis=-1)


def _shares(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def _mean(values) -> np.ndarray:
    """Average over the last axis without NaN; NaN where all are."""
    known = np.isfinite(values)
    return _shares(np.where(known, values, 0.0).sum(-1), known.sum(-1).astype(float))


def _mean_iou(sums):
    hit, true, predicted = np.moveaxis(sums, -1, 0)
    return _mean(_shares(hit, true + predicted - hit))


def _mean_recall(sums):
    return _mean(_shares(sums[..., 0], sums[..., 1]))


def _pixel_accuracy(sums):
    return _shares(sums[..., 0].sum(-1), sums[..., 1].sum(-1))


def _panoptic_quality(sums):
    overlap, hit, extra, missed = np.moveaxis(sums, -1, 0)
    return _mean(_shares(overlap, hit + extra / 2 + missed / 2))


def _recall_times_precision(sums):
    hit, true, found = np.moveaxis(sums, -1, 0)
    return _mean(_shares(hit, true) * np.nan_to_num(_shares(hit, found)))


PIXELS = {  # float64 [..., C, 3] -> [...] in [0, 1]
    "mean IoU": _mean_iou,
    "mean IoU of objects": lambda sums: _mean_iou(sums[..., 1:, :]),  # class 0 is background
    "mean accuracy": _mean_recall,
    "pixel accuracy": _pixel_accuracy,
}
MEASURES = {  # float64 [..., C, K] -> [...] in [0, 1]; the K counts of each
    **PIXELS,
    "panoptic quality": _panoptic_quality,  # sum of IoUs, true positives, false positives, false negatives
    "recall times precision": _recall_times_precision,  # objects found, true, predicted: AP where nothing is ranked
    "mean over objects": _mean_recall,  # sum over the true objects, their number: ABO
}
RANKED = {  # names of the areas of `wsnb.metrics.ranked`
    "average precision": ranked.interpolated,
    "average precision, by steps": ranked.stepwise,
    "average precision, centred": ranked.centred,
}


def percent(measure, sums) -> np.ndarray:
    """Compute the score in % of a MEASURE from summed counts [..., C, K]."""
    return 100 * MEASURES[measure](np.asarray(sums, float))


def weighted(tables, measure, weights) -> np.ndarray:
    """Score counts of N pictures in %, each taken as often as WEIGHTS [R, N] says: float64 [R]."""
    if measure in RANKED:
        return 100 * ranked.scores(tables, RANKED[measure], weights)
    single = added_up(tables, measure)
    sums = np.asarray(weights) @ single.reshape(len(single), -1)
    return percent(measure, sums.reshape(len(sums), *single.shape[1:]))


def kept(folder, results) -> list[dict]:
    """Move the counts of RESULTS into FOLDER's file NAME: results whose "counts" says {"measure", "name"}.

    A result may have "counts" (None: none) and "measure", a name of MEASURES or RANKED.
    Raises ValueError where the counts do not give the result's value.
    """
    arrays, made = {}, []
    for result in results:
        counts, measure = result.get("counts"), result.get("measure")
        made.append({name: value for name, value in result.items() if name not in ("counts", "measure")})
        if counts is None or not len(counts):
            continue
        found, value = weighted(counts, measure, np.ones((1, len(counts))))[0], result["value"]
        if value is not None and np.isfinite(value) and not np.isclose(found, value, rtol=1e-6, atol=1e-9):
            raise ValueError(f"{result['name']}: {value} is not the {measure} of its counts, {found}; give its own")
        name = next((name for name, array in arrays.items() if array is counts), f"counts_{len(arrays)}")
        arrays[name] = counts
        made[-1]["counts"] = {"measure": measure, "name": name}
    if arrays:
        save_npz(Path(folder) / NAME, **{name: _small(array) for name, array in arrays.items()})
    return made


def _small(array):
    """Whole numbers as uint32, others as float32."""
    return array.astype(np.uint32 if np.issubdtype(array.dtype, np.integer) else np.float32)


def read(path, name) -> np.ndarray:
    """Read counts that `kept` wrote to PATH under NAME: [N, C, C], [N, C, K] or those of ranked detections. Raises
    FileError."""
    arrays = load_npz(path)
    if name not in arrays or arrays[name].ndim not in (3, 4):
        raise FileError(f"{path}: holds no counts {name}; check it out again, or run the stage again")
    return arrays[name]
