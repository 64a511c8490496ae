"""The published formulations, written straight down: the yardstick of the IRNet benchmarks."""

import numpy as np
import torch

from wsnb import metrics
from wsnb.ops.affinity import directions, path


def walk(cam, edge, radius=5, beta=10, exp_times=8):
    """The dense (h w) x (h w) matrix of IRN, squared; cam [K, h, w], edge [h, w] tensors -> [K, h, w]."""
    height, width = edge.shape
    padded = torch.nn.functional.pad(edge, (radius, radius, 0, radius), value=1.0)
    wide = padded.shape[1]
    size = height * width
    dense = torch.eye(padded.numel())
    numbers = torch.arange(padded.numel()).view(padded.shape)
    rows, left = height, radius
    for dy, dx in directions(radius):
        windows = [padded[y : rows + y, left + x : left + x + width] for y, x in path(dy, dx).tolist()]
        affinity = (1 - torch.stack(windows).amax(0)).flatten()
        here = numbers[:rows, left : left + width].flatten()
        there = here + dy * wide + dx
        dense[here, there] = dense[there, here] = affinity
    inner = numbers[:height, left : left + width].flatten()
    power = dense[inner][:, inner] ** beta
    del dense
    power = power / power.sum(0, keepdim=True)
    for _ in range(exp_times):
        power = power @ power
    return ((cam * (1 - edge)).view(len(cam), size) @ power).view(cam.shape)


def crf(image, maps, n_labels, settings, sure=0.7):
    """A field of its own for each label map, over all N_LABELS."""
    import pydensecrf.densecrf as dcrf
    from pydensecrf.utils import unary_from_labels

    found = []
    for labels in maps:
        field = dcrf.DenseCRF2D(image.shape[1], image.shape[0], n_labels)
        field.setUnaryEnergy(unary_from_labels(labels, n_labels, gt_prob=sure, zero_unsure=False))
        field.addPairwiseGaussian(sxy=settings.gaussian_sxy, compat=settings.gaussian_compat)
        field.addPairwiseBilateral(sxy=settings.bilateral_sxy, srgb=settings.bilateral_srgb, rgbim=image.copy(),
                                   compat=settings.bilateral_compat)
        marginals = np.array(field.inference(settings.iterations)).reshape(n_labels, *image.shape[:2])
        found.append(marginals.argmax(0))
    return found


def thresholds(pictures, n_classes, levels):
    """One pass over PICTURES (truth, keys, maps) for each threshold: mean IoU of each."""
    values = []
    for level in levels:
        table = np.zeros((n_classes, n_classes), np.int64)
        for truth, keys, maps in pictures:
            ground = np.full((1, *truth.shape), level, np.float32)
            label = np.concatenate([[0], keys])[np.concatenate([ground, maps]).argmax(0)]
            table += metrics.confusion(truth, label.astype(np.uint8), n_classes)
        values.append(metrics.mean_iou(table))
    return np.array(values)
