"""Label maps on disk from class probabilities: one picture after another, resumable, CRFs in worker processes."""

from pathlib import Path

import numpy as np

from wsnb.files import save_png
from wsnb.methods.crf import CRF, crf_labels


def crf_from(p) -> CRF:
    """The CRF of a stage's parameters."""
    return CRF(
        p.crf_iterations,
        p.crf_gaussian_sxy,
        p.crf_gaussian_compat,
        p.crf_bilateral_sxy,
        p.crf_bilateral_srgb,
        p.crf_bilateral_compat,
    )


def crf_text(crf: CRF) -> str:
    """The CRF's parameters for a protocol; empty without CRF."""
    if not crf.iterations:
        return ""
    return (
        f"{crf.iterations} iterations, gaussian sxy {crf.gaussian_sxy:g} compat {crf.gaussian_compat:g}, bilateral sxy "
        f"{crf.bilateral_sxy:g} srgb {crf.bilateral_srgb:g} compat {crf.bilateral_compat:g}"
    )


def jobs(scores_of, items, image_of, folders, crf):
    """For each picture what `finish` needs; None where all its files are there (names only ever show whole files).

    scores_of(item, image) -> float [C, H, W]; folders: one, or with a CRF two (without, with).
    """
    for item in items:
        paths = [Path(folder) / f"{item.id}.png" for folder in folders]
        if all(path.exists() for path in paths):
            yield None
            continue
        image = image_of(item)
        yield image, np.asarray(scores_of(item, image), np.float32), crf, paths


def finish(job) -> None:
    """Write the winning class, and, where there is a second path, the one after the CRF."""
    if job is None:
        return
    image, scores, crf, paths = job
    save_png(paths[0], scores.argmax(axis=0).astype(np.uint8))
    if len(paths) > 1:
        save_png(paths[1], crf_labels(image, scores, crf))
