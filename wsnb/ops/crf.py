"""Fully connected CRF by mean field (Kraehenbuehl and Koltun 2011), through pydensecrf or in torch.

It refines class scores (`crf_labels`) and label maps (`refine_labels`; Ahn et al., CVPR 2019, section 3.1).
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np

BACKENDS = ("pydensecrf", "torch")


@dataclass(frozen=True)
class CRF:
    """Mean-field steps; Gaussian kernel (pixels, weight); bilateral kernel (pixels, colour levels, weight).

    BACKEND, one of BACKENDS, computes it: pydensecrf on a processor, torch on DEVICE, with the same labels on more than
    99.5 % of the pixels. Raises ValueError for another.
    """

    iterations: int = 10
    gaussian_sxy: float = 3
    gaussian_compat: float = 3
    bilateral_sxy: float = 80
    bilateral_srgb: float = 13
    bilateral_compat: float = 10
    backend: str = "pydensecrf"
    device: str = "cpu"

    def __post_init__(self):
        if self.backend not in BACKENDS:
            raise ValueError(f"crf_backend {self.backend!r}: choose one of {', '.join(BACKENDS)}")


def with_kernels(image, classes, settings):
    """Make a field of CLASSES over a picture uint8 [H, W, 3], with both kernels and no unary term yet."""
    import pydensecrf.densecrf as dcrf

    field = dcrf.DenseCRF2D(image.shape[1], image.shape[0], classes)
    field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_compat)
    field.addPairwiseBilateral(sxy=settings.bilateral_sxy, srgb=settings.bilateral_srgb,
                               rgbim=np.ascontiguousarray(image), compat=settings.bilateral_compat)
    return field


def dense_crf(image, scores, settings=CRF()) -> np.ndarray:
    """Refine class scores along the picture.

    image uint8 [H, W, 3]; scores float [C, H, W] in [0, 1], whatever their sum -> marginals float32 [C, H, W].
    The unary term is -log(clip(score, 1e-5, 1)). Pass only the classes that are present: it is faster, and classes
    whose scores are all 0 can win no pixel. One class alone is returned as ones.
    """
    classes, height, width = scores.shape
    if image.shape[:2] != (height, width):
        raise ValueError(f"picture {image.shape[:2]} and scores {(height, width)} differ in size: resize the scores")
    if classes == 1:
        return np.ones_like(scores, dtype=np.float32)
    unary = np.ascontiguousarray(-np.log(np.clip(scores, 1e-5, 1)).reshape(classes, -1), dtype=np.float32)
    if settings.backend == "torch":
        return np.ascontiguousarray(side_by_side(image, unary[None], settings)[:, 0].T).reshape(scores.shape)
    field = with_kernels(image, classes, settings)
    field.setUnaryEnergy(unary)
    return np.array(field.inference(settings.iterations), dtype=np.float32).reshape(classes, height, width)


def side_by_side(image, unaries, settings=CRF()) -> np.ndarray:
    """Compute the marginals of several fields of one picture at once: float32 [H * W, M, C] from unary energies [M, C,
    H * W].

    The lattice is built once, and the classes of all fields go through its filters together: one reading of a
    pixel's place in the lattice serves them all, and few classes leave no gaps in its packs of four. Each field keeps
    its own softmax and does not depend on the others, bit for bit.
    """
    if settings.backend == "torch":
        from wsnb.ops import permutohedral  # loads torch

        return permutohedral.mean_field(np.ascontiguousarray(image), unaries, settings).cpu().numpy()
    from pydensecrf import eigen

    m, classes, pixels = unaries.shape
    unaries = np.ascontiguousarray(unaries.reshape(m * classes, pixels), dtype=np.float32)
    field = with_kernels(image, m * classes, settings)
    field.setUnaryEnergy(unaries)
    # the library's matrices hold pixel after pixel, and are shared with NumPy
    belief, energy, scratch = (eigen.matrixXf(each) for each in (unaries, -unaries, unaries))
    shape = pixels, m, classes
    _softmax(np.asarray(energy).T.reshape(shape), np.asarray(belief).T.reshape(shape))
    for _ in range(settings.iterations):
        field.stepInference(belief, energy, scratch)  # its softmax is over all fields: only the energies are used
        _softmax(np.asarray(energy).T.reshape(shape), np.asarray(belief).T.reshape(shape))
    return np.array(belief).T.reshape(shape)


def _softmax(energy, out):
    """Softmax over the last axis, class by class: for the few classes there are, many times faster than NumPy's
    reductions."""
    classes = range(energy.shape[-1])
    np.subtract(energy, reduce(np.maximum, (energy[..., k] for k in classes))[..., None], out=out)
    np.exp(out, out=out)
    out /= reduce(np.add, (out[..., k] for k in classes))[..., None]


def crf_labels(image, scores, settings=CRF()) -> np.ndarray:
    """Label a picture, uint8 [H, W], after the CRF, run on the classes with any positive score only."""
    present = np.flatnonzero(scores.reshape(len(scores), -1).max(axis=1) > 0)
    if not len(present):
        return np.zeros(image.shape[:2], np.uint8)
    return present[dense_crf(image, scores[present], settings).argmax(axis=0)].astype(np.uint8)


SURE = 0.7
LABEL_CRF = CRF(10, 3, 3, 50, 5, 10)


def label_unary(labels, n_labels) -> np.ndarray:
    """Compute the energies float32 [n_labels, H * W]: a pixel's own label is true with probability SURE, the others
    share the rest."""
    other = (1 - SURE) / max(n_labels - 1, 1)
    energy = np.full((n_labels, labels.size), -np.log(other) if n_labels > 1 else 0, np.float32)
    energy[labels.ravel(), np.arange(labels.size)] = -np.log(SURE)
    return energy


def refine_labels(image, maps, n_labels, settings=LABEL_CRF) -> list[np.ndarray]:
    """Refine several label maps of one picture, each by its own CRF; they share one lattice, the costly part.

    image uint8 [H, W, 3]; maps: integer arrays [H, W] in 0..n_labels - 1 -> int64 [H, W] each, bit for bit as with a
    lattice of its own. With one label there is nothing to refine. Raises ValueError for different sizes.
    """
    maps = [np.asarray(labels, np.int64) for labels in maps]
    if wrong := [labels.shape for labels in maps if labels.shape != image.shape[:2]]:
        raise ValueError(f"picture {image.shape[:2]} and labels {wrong[0]} differ in size: resize the labels")
    if n_labels < 2 or not settings.iterations:
        return maps
    unaries = np.stack([label_unary(labels, n_labels) for labels in maps])
    marginals = side_by_side(image, unaries, settings)
    return [marginals[:, k].argmax(-1).reshape(labels.shape) for k, labels in enumerate(maps)]
