"""Dense CRF on label maps, and the confident labels that IRNet learns from (Ahn et al., CVPR 2019, section 3.1)."""

import numpy as np

from wsnb.methods.crf import CRF, side_by_side

IGNORE = 255
SURE = 0.7
LABEL_CRF = CRF(10, 3, 3, 50, 5, 10)


def label_unary(labels, n_labels) -> np.ndarray:
    """Energies float32 [n_labels, H * W]: a pixel's own label is true with probability SURE, the others share the
    rest."""
    other = (1 - SURE) / max(n_labels - 1, 1)
    energy = np.full((n_labels, labels.size), -np.log(other) if n_labels > 1 else 0, np.float32)
    energy[labels.ravel(), np.arange(labels.size)] = -np.log(SURE)
    return energy


def refine_labels(image, maps, n_labels, settings=LABEL_CRF) -> list[np.ndarray]:
    """Several label maps of one picture, each after its own CRF; side by side in one lattice, which is what costs time.

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


def with_background(maps, threshold) -> np.ndarray:
    """Winner of [THRESHOLD, maps...] for class maps [K, H, W]: int64 [H, W] in 0..K, ties to the lower number."""
    maps = np.asarray(maps, np.float32)
    return np.concatenate([np.full((1, *maps.shape[1:]), threshold, np.float32), maps]).argmax(0)


def combined(objects, ground) -> np.ndarray:
    """Labels that are sure enough to learn from: uint8 [H, W], 255 where it is unsure.

    Of label numbers [H, W] by the foreground's and by the background's threshold: an object where the first finds one,
    0 where neither does, else 255. IRN: 0.30 and 0.05. NoPeopleAllowed: 0.0075 and 0.24, that is, the wrong way round,
    so that nothing is left unsure.
    """
    result = np.where(objects != 0, objects, IGNORE)
    result[(objects == 0) & (ground == 0)] = 0
    return result.astype(np.uint8)
