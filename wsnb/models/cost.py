"""What networks cost: operations, and bytes that a GPU must hold, counted without computing anything.

The network is built on torch's device "meta" and sent forward, and backward where it learns: each product and
convolution is counted as it is called, with its true shapes. An operation is a product or a sum: two for each weight
that is applied.
"""

import contextlib
import contextvars
import functools
from dataclasses import dataclass, field

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

FLOAT = 4  # bytes
CONTEXT = 1.5e9  # bytes that CUDA and cuDNN take for themselves, workspaces among them
_WHOLE = contextvars.ContextVar("whole", default=True)


@dataclass(frozen=True)
class Count:
    """A network on one picture: operations of a forward pass, and of both passes; bytes kept between them; parameters
    and those that learn, bytes."""

    forward: float
    flops: float
    kept: float
    parameters: float
    learned: float

    def trained(self, batch: int, states: int = 1) -> float:
        """Bytes of a GPU that trains with BATCH pictures a step and an optimiser that keeps STATES numbers a weight."""
        return CONTEXT + self.parameters + (1 + states) * self.learned + batch * self.kept

    def checkpoint(self, states: int = 1) -> float:
        """Bytes on disk of a training: the checkpoint, its replacement while that is written, the network at the end.
        """
        return 2 * (self.parameters + states * self.learned) + self.parameters


@dataclass(frozen=True)
class Work:
    """What a stage takes.

    flops      operations on the device
    memory     bytes of the device
    cores      {row of figures/rates.csv: how many}: what processes do beside the device
    measured   megapixels of pictures of a stage without a device: what one costs says its published run
    kept       megapixels of pictures whose maps stay on disk: how many bytes says its published run
    disk       bytes of checkpoints
    training   whether `speed` applies
    """

    flops: float = 0
    memory: float = 0
    cores: dict = field(default_factory=dict)
    measured: float = 0
    kept: float = 0
    disk: float = 0
    training: bool = False


def together(*works: Work) -> Work:
    """One after another in a stage: the memory of the largest, else the sum."""
    cores = {}
    for work in works:
        for name, amount in work.cores.items():
            cores[name] = cores.get(name, 0) + amount
    sums = {name: sum(getattr(work, name) for work in works) for name in ("flops", "measured", "kept", "disk")}
    return Work(memory=max(work.memory for work in works), cores=cores, training=any(w.training for w in works), **sums)


def on_processors(megapixels: float) -> Work:
    """A stage without a device that goes through pictures of MEGAPIXELS in all; its published run says how fast."""
    return Work(measured=megapixels, kept=megapixels)


def reading(megapixels: float) -> Work:
    """A stage that reads pictures or label maps of MEGAPIXELS in all, and does little else."""
    return Work(cores={"picture": megapixels}, kept=megapixels)


def inference(of: Count, megapixels: float, shape, scale: float = 1.0, **cores) -> Work:
    """A network applied to pictures of MEGAPIXELS in all; counted on crops of SHAPE (height, width), and SCALE times a
    picture's area goes through it at a time. CORES: more work of processes beside reading and writing."""
    area = shape[0] * shape[1] / 1e6
    return Work(flops=scale * megapixels / area * of.forward, cores={"picture": megapixels, **cores}, kept=megapixels,
                memory=CONTEXT + of.parameters)


@contextlib.contextmanager
def parameters_alone():
    """Inside, only the parameters of networks are counted, in a tenth of the time: what disks must hold."""
    token = _WHOLE.set(False)
    try:
        yield
    finally:
        _WHOLE.reset(token)


def count(build, arguments: tuple, shape: tuple) -> Count:
    """Count build(*ARGUMENTS), a network or (network, ...), that learns from pictures of SHAPE (channels, height,
    width)."""
    return _count(build, arguments, shape, _WHOLE.get())


@functools.lru_cache(maxsize=256)
def _count(build, arguments, shape, whole) -> Count:
    with torch.device("meta"):
        built = build(*arguments)
        network = (built[0] if isinstance(built, tuple) else built).train()
        x = torch.empty(2, *shape)  # two: the mean over a picture of one pixel has no variance
    kept, parameters = {}, list(network.parameters())
    sizes = _bytes(parameters), _bytes([one for one in parameters if one.requires_grad])
    if not whole:
        return Count(1, 1, 0, *sizes)
    own = {id(one) for one in parameters}

    def keep(tensor):
        if id(tensor) not in own:
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage()  # held: an id is not given twice
        return tensor

    with FlopCounterMode(display=False) as counted:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            total = sum(one.float().sum() for one in tree_leaves(network(x)))
        forward = counted.get_total_flops()
        total.backward()
    return Count(forward / 2, counted.get_total_flops() / 2, sum(one.nbytes() for one in kept.values()) / 2, *sizes)


def _bytes(tensors) -> float:
    return FLOAT * sum(one.numel() for one in tensors)


def training(of: Count, batch: int, samples: float, rate: str, states: int = 1, more: float = 0) -> Work:
    """The work of a training on SAMPLES in all, loaded as RATE says; MORE operations a sample come beside the network.
    """
    return Work(samples * (of.flops + more), of.trained(batch, states), {rate: samples}, disk=of.checkpoint(states),
                training=True)


def variants(scales, flip=True) -> float:
    """The area of all SCALES of a picture, and of their mirror images with FLIP, in parts of its own."""
    return sum(scale**2 for scale in scales) * (2 if flip else 1)
