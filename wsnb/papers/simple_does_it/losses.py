"""The losses of the instance system: class-balanced sums, weight decay, and how side outputs are supervised."""

import torch.nn.functional as F

SIDE_WEIGHT = {1: 1.0, 2: 0.5, 3: 0.0}  # of the side outputs' losses in the three stages of supervision


def balanced_loss(logits, label):
    """Class-balanced cross-entropy, summed over the batch's pixels (not their mean: values reach 10^6).

        L(z) = N-/N sum_{y=1} l(z, 1) + N+/N sum_{y=0} l(z, 0),   y = label > 0.5

    logits, label: one shape. A label of one kind only gives 0, and then nothing but the decay is trained.
    """
    y = (label > 0.5).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    positive, total = y.sum(), y.numel()
    return (total - positive) / total * (each * y).sum() + positive / total * (each * (1 - y)).sum()


def kernels(network):
    """The trained convolution kernels: they decay, biases do not."""
    return [p for name, p in network.named_parameters() if name.endswith("weight") and p.dim() == 4]


def decay(network, weight_decay, count_frozen):
    """weight_decay / 2 of the sum of squared kernels. COUNT_FROZEN adds the constant of the fixed bilinear kernels, as
    the original does: the printed loss only."""
    total = weight_decay / 2 * sum(p.pow(2).sum() for p in kernels(network))
    return total + network.frozen_decay(weight_decay) if count_frozen else total


def total_loss(main, sides, label, supervision):
    """Main loss and the side losses at the weight of this stage of supervision (1, 2 or 3)."""
    total = balanced_loss(main, label)
    if SIDE_WEIGHT[supervision]:
        total = total + SIDE_WEIGHT[supervision] * sum(balanced_loss(side, label) for side in sides)
    return total
