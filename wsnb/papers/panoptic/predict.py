"""Predictions of a trained segmenter on disk: scores in the released format, probabilities for the instance network."""

from pathlib import Path

import cv2
import numpy as np

from wsnb.data import mat, read
from wsnb.data.item import image_shape, of_image_size
from wsnb.files import FileError, load_npz, save_npz, save_png
from wsnb.ops import parallel
from wsnb.ops.label_maps import need_finite
from wsnb.ops.segmentation import predict
from wsnb.papers.panoptic.boxes import save_mat
from wsnb.papers.panoptic.data import file_of


def save_scores(path, scores) -> None:
    """Write finite scores float [H, W] as float32 under the name `feat` of a MAT file, whole: the released format.
    Raises FileError."""
    need_finite(scores, path)
    save_mat(path, {"feat": np.asarray(scores, np.float32)})


def load_scores(path, size=None) -> np.ndarray:
    """Read scores float32 [H, W]: the first array of a MAT file, whatever its name, or the reduced ones of
    `write_predictions`, which are enlarged bilinearly to SIZE (H, W). Raises FileError."""
    path = Path(path)
    if path.suffix == ".npz":
        scores = np.asarray(load_npz(path).get("scores"), np.float32)
        if scores.ndim == 2 and size is not None:
            scores = cv2.resize(scores, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
    else:
        scores = _of_mat(path)
    if scores.ndim != 2:
        raise FileError(f"{path}: scores of shape {scores.shape}, but [H, W] is expected")
    need_finite(scores, path)
    return scores


def scores_of(folder, item) -> np.ndarray:
    """Read the scores float32 [H, W] of a picture in FOLDER. Raises FileError for those of another size."""
    path = scores_file(folder, item.id)
    path = file_of(folder, item.id, path.suffix)
    return of_image_size(item, path, load_scores(path, image_shape(item)))


def _of_mat(path):
    if not path.exists():
        raise FileError(f"{path}: missing; run the stage that predicts, or set `run_score_thresh` to false")
    content = mat.load(path)
    try:
        return np.asarray(next(iter(content.values())), np.float32)
    except (StopIteration, ValueError, TypeError) as error:  # the first for a file without variables
        raise FileError(f"{path}: not a MAT file of scores ({error}); make or fetch it again") from error


def scores_file(folder, name) -> Path:
    """The file of the scores of the picture NAME in FOLDER: reduced, if it is there, or the released format."""
    reduced_file = Path(folder) / f"{name}.npz"
    return reduced_file if reduced_file.exists() else Path(folder) / f"{name}.mat"


def write_predictions(label_and_score, items, folder, palette, stride, workers):
    """Write labels/ID.png and the scores below FOLDER for each picture that lacks one; yield once for each.

    label_and_score(item) -> (uint8, float32) [H, W], here, where the network is; WORKERS processes write. Scores are
    kept at 1 / STRIDE of the picture's size, float16, as scores/ID.npz; with STRIDE 0 whole, as scores/ID.mat.
    """
    ending = ".npz" if stride else ".mat"

    def jobs():
        for item in items:
            paths = Path(folder, "labels", f"{item.id}.png"), Path(folder, "scores", f"{item.id}{ending}")
            yield None if all(path.exists() for path in paths) else (paths, label_and_score(item), palette, stride)

    yield from parallel.map_images(_write, jobs(), workers)


def _write(job):
    if job is None:
        return
    (label_path, score_path), (label, score), palette, stride = job
    need_finite(score, score_path)
    if stride:
        save_npz(score_path, scores=reduced(score[None], stride)[0])
    else:
        save_scores(score_path, score)
    save_png(label_path, label, palette)


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
