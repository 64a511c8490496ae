"""Predictions of a trained segmenter on disk: scores in the released format, probabilities for the instance network."""

from pathlib import Path

import cv2
import numpy as np
import scipy.io

from wsnb.data import read
from wsnb.files import FileError, load_npz, save_npz, save_png
from wsnb.ops.label_maps import need_finite
from wsnb.ops.segmentation import predict
from wsnb.papers.panoptic.boxes import save_mat


def save_scores(path, scores) -> None:
    """Write finite scores float [H, W] as float32 under the name `feat` of a MAT file, whole. Raises FileError."""
    need_finite(scores, path)
    save_mat(path, {"feat": np.asarray(scores, np.float32)})


def load_scores(path) -> np.ndarray:
    """Read the first array of a MAT file, whatever its name: float32 [H, W]. Raises FileError."""
    try:
        with open(path, "rb") as file:
            arrays = [value for name, value in scipy.io.loadmat(file).items() if not name.startswith("__")]
        scores = np.asarray(arrays[0], np.float32)
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run the stage that predicts, or set `run_score_thresh` to false") from error
    except Exception as error:  # of scipy and zlib for damaged files
        raise FileError(f"{path}: not a MAT file of scores ({error}); make or fetch it again") from error
    if scores.ndim != 2:
        raise FileError(f"{path}: scores of shape {scores.shape}, but [H, W] is expected")
    need_finite(scores, path)
    return scores


def write_probabilities(network, items, folder, palette, scales, flip, stride=4, device="cpu"):
    """Write val_labels/ID.png and val_probabilities/ID.npz below FOLDER for each picture that lacks one; yield it.

    Probabilities are kept at 1 / STRIDE of the picture's size, float16; labels are those of the full size.
    """
    for item in items:
        labels = Path(folder, "val_labels", f"{item.id}.png")
        kept = Path(folder, "val_probabilities", f"{item.id}.npz")
        if not (labels.exists() and kept.exists()):
            maps = predict(network, read.image(item), scales, flip, device)
            need_finite(maps, labels)
            save_npz(kept, probabilities=reduced(maps, stride))
            save_png(labels, maps.argmax(axis=0).astype(np.uint8), palette)
        yield item


def reduced(maps, stride):
    """Average maps [C, H, W] over areas: float32 -> float16 [C, H / STRIDE, W / STRIDE]."""
    height, width = (max(1, round(side / stride)) for side in maps.shape[1:])
    return np.stack([cv2.resize(m, (width, height), interpolation=cv2.INTER_AREA) for m in maps]).astype(np.float16)


def load_probabilities(path, size):
    """Read probabilities and enlarge them bilinearly to SIZE (H, W): float32 [C, H, W]. Raises FileError."""
    maps = load_npz(path).get("probabilities")
    if maps is None or maps.ndim != 3:
        raise FileError(f"{path}: no array `probabilities` [C, h, w] in it; make it again with the prediction stage")
    need_finite(maps, path)
    return enlarged(maps, size)


def enlarged(maps, size):
    """Enlarge probabilities [C, h, w] bilinearly to SIZE (H, W): float32 [C, H, W]."""
    maps = maps.astype(np.float32)
    if tuple(size) == maps.shape[1:]:
        return maps
    return np.stack([cv2.resize(m, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR) for m in maps])
