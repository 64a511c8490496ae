"""Mean field with every pair of pixels written out: what the filters of `instance_crf.marginals` are compared with."""

import numpy as np
import torch

from wsnb.ops.instance_crf import FLOOR, INSTANCES


def marginals(image, evidence) -> torch.Tensor:
    """Marginals of the labels' EVIDENCE, float [N, H, W] each, by the full matrices of both kernels.

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
    near = _kernel(place / INSTANCES.gaussian_sxy)
    alike = _kernel(torch.cat([place / INSTANCES.bilateral_sxy, colour / INSTANCES.bilateral_srgb], 1))
    pull = INSTANCES.gaussian_compat * near + INSTANCES.bilateral_compat * alike
    q = log.softmax(0)
    for _ in range(INSTANCES.iterations):
        q = (log + q @ pull).softmax(0)
    return q.reshape(n, height, width)


def _kernel(features):
    kernel = torch.exp(-torch.cdist(features, features).square() / 2)
    scale = kernel.sum(1).rsqrt()
    return scale[:, None] * kernel * scale[None]
