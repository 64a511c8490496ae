"""The published formulations, written straight down: oracles of the tests and the other side of the benchmarks."""

import numpy as np
import torch
import torch.nn.functional as F


def pamr(image, masks, dilations, iterations):
    """PAMR with all neighbours of everything gathered at once (convolutions with one-hot kernels)."""
    ring = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    one_hot = torch.zeros(8, 1, 3, 3)
    for i, (y, x) in enumerate(ring):
        one_hot[i, 0, y, x] = 1

    def gather(x):  # [B, C, H, W] -> [B, C, 8 * len(dilations), H, W]
        b, c, h, w = x.shape
        flat = x.reshape(b * c, 1, h, w)
        parts = [F.conv2d(F.pad(flat, [d] * 4, mode="replicate"), one_hot, dilation=d) for d in dilations]
        return torch.cat(parts, 1).view(b, c, -1, h, w)

    near, centre = gather(image), image.unsqueeze(2)
    samples = torch.cat([near, centre.expand(-1, -1, len(dilations), -1, -1)], 2)
    std = samples.std(2, keepdim=True)
    affinity = (-(near - centre).abs() / (1e-8 + 0.1 * std)).mean(1, keepdim=True).softmax(2)
    for _ in range(iterations):
        masks = (gather(masks) * affinity).sum(2)
    return masks


def confusion(truth, prediction, n_classes):
    """scikit-learn's confusion matrix on the counted pixels."""
    from sklearn.metrics import confusion_matrix

    counted = truth < n_classes
    return confusion_matrix(truth[counted], prediction[counted], labels=np.arange(n_classes))
