"""A batch on several GPUs, on one: each part goes through the network by itself."""

import contextlib

import torch
from torch import nn


def forward(network, x, replicas=1):
    """NETWORK of x [B, ...] in REPLICAS parts, whose BatchNorms use each its own statistics: a tensor or a tuple.

    The running statistics are those of the first part, as torch's DataParallel keeps them.
    """
    first, *rest = x.tensor_split(min(replicas, len(x)))
    found = [network(first)]
    with remembering_nothing(network):
        found += [network(part) for part in rest]
    if isinstance(found[0], tuple):
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
    return torch.cat(found)


@contextlib.contextmanager
def remembering_nothing(network):
    """Inside, no BatchNorm of NETWORK changes its running statistics."""
    modules = network.modules() if isinstance(network, nn.Module) else ()
    norms = [module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
