"""Fully connected CRF by mean field (Kraehenbuehl and Koltun 2011), through pydensecrf."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CRF:
    """Mean-field steps; Gaussian kernel (pixels, weight); bilateral kernel (pixels, colour levels, weight)."""

    iterations: int = 10
    gaussian_sxy: float = 3
    gaussian_compat: float = 3
    bilateral_sxy: float = 80
    bilateral_srgb: float = 13
    bilateral_compat: float = 10


def dense_crf(image, scores, settings=CRF()) -> np.ndarray:
    """Refine class scores along the picture.

    image uint8 [H, W, 3]; scores float [C, H, W] in [0, 1], whatever their sum -> marginals float32 [C, H, W].
    The unary term is -log(clip(score, 1e-5, 1)). Pass only the classes that are present: it is faster, and classes
    whose scores are all 0 can win no pixel. One class alone is returned as ones.
    """
    import pydensecrf.densecrf as dcrf

    classes, height, width = scores.shape
    if image.shape[:2] != (height, width):
        raise ValueError(f"picture {image.shape[:2]} and scores {(height, width)} differ in size: resize the scores")
    if classes == 1:
        return np.ones_like(scores, dtype=np.float32)
    field = dcrf.DenseCRF2D(width, height, classes)
    unary = -np.log(np.clip(scores, 1e-5, 1)).reshape(classes, -1)
    field.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_compat)
    field.addPairwiseBilateral(
        sxy=settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.ascontiguousarray(image),
        compat=settings.bilateral_compat,
    )
    return np.array(field.inference(settings.iterations), dtype=np.float32).reshape(classes, height, width)


def crf_labels(image, scores, settings=CRF()) -> np.ndarray:
    """Labels uint8 [H, W] after the CRF, run on the classes with any positive score only."""
    present = np.flatnonzero(scores.reshape(len(scores), -1).max(axis=1) > 0)
    if not len(present):
        return np.zeros(image.shape[:2], np.uint8)
    return present[dense_crf(image, scores[present], settings).argmax(axis=0)].astype(np.uint8)
