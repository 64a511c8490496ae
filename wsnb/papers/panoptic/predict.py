"""Scores of predictions as released: a MAT file with one float32 array [H, W], whatever its name; and index PNGs in the
colours of the space.

Dense predictions of a segmenter: labels with their scores for the next ground truth, probabilities for instances.
"""

import io
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from PIL import Image

from wsnb.data import read
from wsnb.files import FileError, load_npz, save_npz, write
from wsnb.ops.segmentation import predict
from wsnb.papers.panoptic.boxes import _dateless


def save_scores(path, scores) -> None:
    """Write scores float [H, W] as float32 under the name `feat`, compressed, whole."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"feat": np.asarray(scores, np.float32)}, do_compression=True)
    with write(path) as file:
        file.write(_dateless(buffer.getvalue()))


def load_scores(path) -> np.ndarray:
    """The first array of the file, float32 [H, W]. Raises FileError."""
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
    return scores


def save_labels(path, labels, palette) -> None:
    """Write labels uint8 [H, W] as an 8-bit palette PNG whose stored indices are the labels, whole."""
    image = Image.fromarray(np.asarray(labels, np.uint8))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    with write(path) as file:
        image.save(file, format="PNG")


def reduced(maps, stride):
    """Probabilities [C, H, W] -> float16 [C, H / STRIDE, W / STRIDE], means over areas."""
    height, width = (max(1, round(side / stride)) for side in maps.shape[1:])
    return np.stack([cv2.resize(m, (width, height), interpolation=cv2.INTER_AREA) for m in maps]).astype(np.float16)


def load_probabilities(path, size=None):
    """Probabilities float32 [C, H, W] of a file, enlarged bilinearly to SIZE (H, W). Raises FileError."""
    maps = load_npz(path).get("probabilities")
    if maps is None or maps.ndim != 3:
        raise FileError(f"{path}: no array `probabilities` [C, h, w] in it; make it again with the prediction stage")
    maps = maps.astype(np.float32)
    if size is None or tuple(size) == maps.shape[1:]:
        return maps
    return np.stack([cv2.resize(m, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR) for m in maps])


def for_labels(network, items, folder, palette, scales, flip, base, device="cpu"):
    """Write folder/labels/ID.png and folder/scores/ID.mat (softmax value of the predicted class) of each picture that
    lacks one of them; yields the item."""
    for item in items:
        labels, scores = Path(folder, "labels", f"{item.id}.png"), Path(folder, "scores", f"{item.id}.mat")
        if not (labels.exists() and scores.exists()):
            maps = predict(network, read.image(item), scales, flip, device, base=base)
            save_scores(scores, maps.max(axis=0))
            save_labels(labels, maps.argmax(axis=0), palette)
        yield item


def for_instances(network, items, folder, palette, scales, flip, base, stride=4, device="cpu"):
    """Write folder/val_labels/ID.png and folder/val_probabilities/ID.npz of each picture that lacks one; yields the
    item."""
    for item in items:
        labels = Path(folder, "val_labels", f"{item.id}.png")
        kept = Path(folder, "val_probabilities", f"{item.id}.npz")
        if not (labels.exists() and kept.exists()):
            maps = predict(network, read.image(item), scales, flip, device, base=base)
            save_npz(kept, probabilities=reduced(maps, stride))
            save_labels(labels, maps.argmax(axis=0), palette)
        yield item
