"""How many similarities are computed at once: few enough for a processor's cache, as many as a GPU's memory allows."""

import torch

SHARE = 0.5  # of the GPU's free memory
LARGEST = 2**31 - 1  # cells that the indices of CUDA's kernels can count


def cells_at_once(device, on_processor, bytes_each) -> int:
    """Choose the number of cells of a chunk on DEVICE, each of which takes BYTES_EACH with all temporaries.

    ON_PROCESSOR where there is no GPU, and at least on one; there half of the memory that is free, or that torch keeps
    for later use.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return on_processor
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + unused
    return min(max(on_processor, int(SHARE * free) // bytes_each), LARGEST)
