"""Dense predictions of a segmenter: labels with their scores for the next ground truth, probabilities for instances."""

from pathlib import Path

import cv2
import numpy as np

from wsnb.data import read
from wsnb.files import FileError, load_npz, save_npz
from wsnb.methods.segmentation import predict
from wsnb.papers.panoptic.score_files import save_labels, save_scores


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
