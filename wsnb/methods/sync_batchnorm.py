"""Batch normalisation over all devices, "vacancy" style: the variance is clamped from below, not enlarged."""

import torch
import torch.distributed as dist
from torch import nn


def together(value):
    """The sum of a tensor over all processes, with its gradient; the tensor itself where there is one process."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return value
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(value)


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Training: mean and biased variance over the pixels of all devices, (x - mean) / sqrt(max(variance, eps)); running
    variance unbiased. Evaluation: as nn.BatchNorm2d, sqrt(variance + eps). Keys are nn.BatchNorm2d's."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = together(torch.cat([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3)), count]))
        total = sums[-1]
        mean, squares = sums[:-1].view(2, -1) / total
        variance = squares - mean * mean
        with torch.no_grad():
            unbiased = variance * total / (total - 1).clamp_min(1)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(unbiased.detach(), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * variance.clamp_min(self.eps).rsqrt()
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


def synchronised(module) -> nn.Module:
    """MODULE with every nn.BatchNorm2d replaced by SyncBatchNorm2d of the same weights, in place."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            new = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
            new.load_state_dict(child.state_dict())
            setattr(module, name, new)
        else:
            synchronised(child)
    return module
