"""A batch in parts, as several GPUs see it."""

import contextlib

import torch
from torch import nn

from wsnb.models.distributed import process_count


def forward(network, x, replicas=1):
    """Run NETWORK on x [B, ...] in REPLICAS parts, whose BatchNorms use each its own statistics: a tensor or a tuple.

    The running statistics are those of the first part, as torch's DataParallel keeps them. Processes that train
    together share the parts; each makes at least one.
    """
    replicas = a_process(replicas)
    if min(replicas, len(x)) == 1:
        return network(x)
    first, *rest = x.tensor_split(min(replicas, len(x)))
    found = [network(first)]
    with fixed_running_statistics(network):
        found += [network(part) for part in rest]
    if isinstance(found[0], tuple):
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
    return torch.cat(found)


def a_process(replicas) -> int:
    """Return how many of REPLICAS parts of a batch each of the processes that train together has. Raises ValueError if
    they cannot be shared out."""
    size = process_count()
    if replicas > 1 and replicas % size:
        raise ValueError(f"{replicas} parts of a batch cannot be shared out to {size} GPUs; make them a multiple, or 1")
    return max(1, replicas // size)


@contextlib.contextmanager
def fixed_running_statistics(network):
    """Keep the running statistics of all BatchNorms and InstanceNorms of NETWORK inside the block."""
    modules = [m for m in network.modules() if m.training] if isinstance(network, nn.Module) else []
    norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    others = {m: m.momentum for m in modules if isinstance(m, nn.modules.instancenorm._InstanceNorm)}
    for norm in norms:
        norm.track_running_stats = False
    for norm in others:
        norm.momentum = 0.0  # these write their statistics even where they do not track them
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for norm, momentum in others.items():
            norm.momentum = momentum
