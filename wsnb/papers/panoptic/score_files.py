"""Scores of predictions as released: a MAT file with one float32 array [H, W], whatever its name; and index PNGs in the
colours of the space."""

import io

import numpy as np
import scipy.io
from PIL import Image

from wsnb.files import FileError, write
from wsnb.papers.panoptic.box_files import _dateless


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
