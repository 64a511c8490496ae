"""Dense CRF over any number of labels by mean field, as the instance network ends with (Potts, no class weights)."""

import numpy as np

from wsnb.methods.crf import CRF, dense_crf

INSTANCES = CRF(iterations=3, gaussian_sxy=3, gaussian_compat=3, bilateral_sxy=49, bilateral_srgb=5, bilateral_compat=4)
FLOOR = 1e-5  # of the evidence, as in dense_crf


def marginals(image, evidence, settings=INSTANCES) -> np.ndarray:
    """Marginals float32 [N, H, W] of the labels. image uint8 [H, W, 3]; evidence float [N, H, W] in [0, 1], whatever
    its sum; the unary term is -ln(clip(evidence, 1e-5, 1)). 0 iterations: the evidence, normalised."""
    if settings.iterations == 0:
        raised = np.clip(evidence, FLOOR, 1)
        return (raised / raised.sum(0)).astype(np.float32)
    return dense_crf(image, evidence, settings)
