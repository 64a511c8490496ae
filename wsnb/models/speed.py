"""One switch for all trainings: exact, as the originals compute, or fast on a GPU.

| switch | exact | fast |
|---|---|---|
| numbers inside the networks (losses are float32) | float32 | bfloat16 where autocast takes it |
| products of float32 matrices and convolutions | whole | TF32: 10 bits of mantissa |
| kernels of convolutions | cuDNN's first choice | the fastest of a trial of each size |
| losses come to the processor | at every step | every CHECKED_EVERY steps, and at the end of an epoch |

Batches lie in pinned memory and are copied while the GPU computes under both: that changes no number.
"""

import contextlib

import torch

KINDS = ("exact", "fast")
CHECKED_EVERY = 50


@contextlib.contextmanager
def at(speed, run, device):
    """Inside, the networks of RUN (a `training.Training`) learn at SPEED, one of KINDS. Raises ValueError for another.

    On a device that is neither a processor nor a GPU, numbers stay float32.
    """
    if speed not in KINDS:
        raise ValueError(f"speed {speed!r}: choose one of {', '.join(KINDS)}")
    if speed == "exact":
        yield
        return
    kind, networks = torch.device(device).type, list(run.networks.values())
    for network in networks if kind in ("cpu", "cuda") else ():
        network.forward = _in_bfloat16(network.forward, kind)
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32
    cudnn.benchmark = cudnn.allow_tf32 = products.allow_tf32 = True
    run.check_every = CHECKED_EVERY
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = before
        run.check_every = 1
        for network in networks:
            network.__dict__.pop("forward", None)


def _in_bfloat16(forward, kind):
    def call(*arguments, **more):
        with torch.autocast(kind, torch.bfloat16):
            found = forward(*arguments, **more)
        return tuple(value.float() for value in found) if isinstance(found, tuple) else found.float()

    return call
