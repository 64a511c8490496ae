"""Dense CRF over any number of labels by mean field, as the instance network ends with (Potts, no class weights).

Two ways to the same marginals: `marginals` through pydensecrf's filters, for whole pictures; `exact_marginals` with
every pair of pixels written out, differentiable, for small ones and for checking the first.
"""

import numpy as np
import torch

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


def exact_marginals(image, evidence, settings=INSTANCES) -> torch.Tensor:
    """The same with the full matrices of both kernels: O((H W)^2) memory, gradients to EVIDENCE (a tensor).

    Each step (Kraehenbuehl and Koltun 2011, algorithm 1; kernels normalised symmetrically, so that a kernel's total is
    about 1 at every pixel; a pixel sends a message to itself too, which the filters cannot leave out):
    Q <- softmax(ln evidence + sum of weight * kernel Q).
    """
    evidence = torch.as_tensor(evidence)
    n, height, width = evidence.shape
    log = evidence.clamp(FLOOR, 1).log().reshape(n, -1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([x, y], -1).reshape(-1, 2).to(log)
    colour = torch.as_tensor(np.asarray(image)).reshape(-1, 3).to(log)
    near = _kernel(place / settings.gaussian_sxy)
    alike = _kernel(torch.cat([place / settings.bilateral_sxy, colour / settings.bilateral_srgb], 1))
    pull = settings.gaussian_compat * near + settings.bilateral_compat * alike
    q = log.softmax(0)
    for _ in range(settings.iterations):
        q = (log + q @ pull).softmax(0)
    return q.reshape(n, height, width)


def _kernel(features):
    kernel = torch.exp(-torch.cdist(features, features).square() / 2)
    scale = kernel.sum(1).rsqrt()
    return scale[:, None] * kernel * scale[None]
