"""Prototypes of several processes, one a GPU: what each learns to contrast its pixels with."""

import torch
import torch.distributed as dist

from wsnb.methods.segsort.segments import Prototypes


def world() -> int:
    """How many processes learn together; 1 without torch.distributed (Fabric starts it)."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gathered(prototypes, pictures):
    """(prototypes of all processes in their order, place of this process's first one).

    Every process brings PICTURES pictures, which are numbered through. Gradients flow back to the process that a
    prototype came from: with gradients averaged over processes, as Fabric does, the sum is that of the mean of all
    processes' losses.
    """
    if world() == 1:
        return prototypes, 0
    rank = dist.get_rank()
    counts = [torch.zeros(1, dtype=torch.long, device=prototypes.picture.device) for _ in range(world())]
    dist.all_gather(counts, counts[0].new_tensor([len(prototypes)]))
    counts = [int(count) for count in counts]
    own = {**vars(prototypes), "picture": prototypes.picture + rank * pictures}
    joined = {name: torch.cat(_rows(value, counts)) for name, value in own.items()}
    return Prototypes(**joined), sum(counts[:rank])


def _rows(value, counts):
    """The rows of every process; all send as many as the one with most, since gathering wants equal shapes."""
    padded = torch.cat([value, value.new_zeros(max(counts) - len(value), *value.shape[1:])])
    if value.is_floating_point():
        from torch.distributed.nn.functional import all_gather

        parts = all_gather(padded)
    else:
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
    return [part[:count] for part, count in zip(parts, counts, strict=True)]
