"""The dynamically instantiated instance network (Arnab and Torr, CVPR 2017): one label a detection.

A picture with N detections has N labels; which class label k has, the detection says. The unary term asks the
segmentation Q about the detection's class l_k with the detection's score s_k:

    box term     psi_B(k) = s_k Q(l_k) inside box k, else 0
    global term  psi_G(k) = Q(l_k) everywhere
    U(k)         = -ln(w_B psi_B(k) + w_G psi_G(k))

Stuff and the background are detections too, certain and as large as the picture. The authors learn the scalars
w_B and w_G, from 1 on; here they are parameters. Only their ratio changes a label. The shape term of the CVPR paper is
not used in the panoptic paper's program.

A dense CRF over the N labels follows (Potts, no class weights), solved by mean field; each pixel takes the label with
the largest marginal.
"""

import numpy as np

from wsnb.metrics.panoptic import numbers
from wsnb.ops.crf import CRF, dense_crf

INSTANCES = CRF(iterations=3, gaussian_sxy=3, gaussian_compat=3, bilateral_sxy=49, bilateral_srgb=5, bilateral_compat=4)
FLOOR = 1e-5  # of the evidence, as in dense_crf


def box_term(probabilities, found) -> np.ndarray:
    """Compute psi_B float32 [N, H, W]: score times probability of the class inside the box, 0 outside.

    probabilities float [C, H, W]; found: `detections.Detections` with boxes in whole pixels.
    """
    result = np.zeros((len(found), *probabilities.shape[1:]), np.float32)
    for k, (label, box) in enumerate(zip(found.classes, found.boxes.astype(int), strict=True)):
        x0, y0, x1, y1 = np.maximum(box, 0)
        result[k, y0:y1, x0:x1] = found.scores[k] * probabilities[label, y0:y1, x0:x1]
    return result


def global_term(probabilities, found) -> np.ndarray:
    """Compute psi_G float32 [N, H, W]: the probability of the detection's class at every pixel."""
    return np.asarray(probabilities, np.float32)[found.classes]


def evidence(probabilities, found, box_weight=1.0, global_weight=1.0) -> np.ndarray:
    """Compute (w_B psi_B + w_G psi_G) / (w_B + w_G), float32 [N, H, W] in [0, 1].

    This is exp(-U) but for a factor that all labels of all pixels share. Raises ValueError for weights below 0 or both
    0.
    """
    if min(box_weight, global_weight) < 0 or box_weight + global_weight == 0:
        raise ValueError(f"weights {box_weight} and {global_weight}: both >= 0, one of them above")
    total = box_term(probabilities, found)
    total *= box_weight / (box_weight + global_weight)
    total += global_term(probabilities, found) * (global_weight / (box_weight + global_weight))
    return total


def marginals(image, evidence, settings=INSTANCES) -> np.ndarray:
    """Compute the labels' marginals float32 [N, H, W] by mean field.

    image: uint8 [H, W, 3]; evidence: float [N, H, W] in [0, 1], whatever its sum; the unary term is
    -ln(clip(evidence, 1e-5, 1)). 0 iterations: the evidence, normalised.
    """
    if settings.iterations == 0:
        raised = np.clip(evidence, FLOOR, 1)
        return (raised / raised.sum(0)).astype(np.float32)
    return dense_crf(image, evidence, settings)


def instance_map(winner, probabilities, found, not_instances=()):
    """Number the detections that won pixels: (ids uint16 [H, W], classes, scores of the ids ascending).

    winner integers [H, W]: the label of each pixel, an index into FOUND. Detections without a pixel vanish; the rest
    are numbered 1, 2, ... in their order, passing over 255. Labels whose class is in NOT_INSTANCES (VOC's background)
    become 0. A score is the mean probability of the class over the instance's own pixels.
    """
    pixels = np.bincount(winner.ravel(), minlength=len(found))
    kept = [k for k in np.flatnonzero(pixels) if found.classes[k] not in set(not_instances)]
    table, classes, scores = np.zeros(len(pixels), np.uint16), [], []
    for k, number in zip(kept, numbers(len(kept)), strict=True):
        table[k] = number
        classes.append(int(found.classes[k]))
        scores.append(float(probabilities[found.classes[k]][winner == k].mean(dtype=np.float64)))
    return table[winner], classes, scores
