"""Several processes that train one network, a GPU each (Lightning Fabric), started from within a notebook.

Batch normalisation over all of them is here too, in the "vacancy" style: the variance is clamped from below, not
enlarged.
"""

import multiprocessing
import signal
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class Distributed:
    """This process's place among those that train together.

    device  torch.device of this process
    rank    its number; 0 keeps the checkpoints and the log
    size    the number of processes
    fabric  Lightning Fabric, None for a process alone
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    fabric: object = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wrap(self, module):
        """Return MODULE, its gradients averaged over all processes after every backward pass."""
        return module if self.fabric is None else self.fabric.setup_module(module, move_to_device=False)

    def shard(self, order, batch) -> list:
        """Return this process's samples of ORDER, batch after batch: its equal part of every whole batch of BATCH
        samples (the last, smaller batch is left out). Raises ValueError if BATCH cannot be shared out."""
        if self.size == 1:
            return order
        if batch % self.size or len(order) < batch:
            raise ValueError(f"batches of {batch} among {len(order)} samples cannot be shared by {self.size} GPUs; "
                             f"use a batch that is a multiple of {self.size} and not larger than the set")
        share = batch // self.size
        starts = range(self.rank * share, len(order) // batch * batch, batch)
        return [sample for start in starts for sample in order[start : start + share]]

    def first_only(self, report):
        """Return REPORT, a log or a progress, in the first process; in others a function that passes its argument
        on."""
        return report if self.is_first else lambda given, *_, **__: given

    def barrier(self) -> None:
        """Wait until all processes have come as far."""
        if self.size > 1:
            dist.barrier()


def single_process(device) -> Distributed:
    """Return the place of a process that trains alone on DEVICE."""
    return Distributed(torch.device(device))


def build_device(gpus, device) -> torch.device:
    """Return the device on which networks are built: DEVICE, or in main memory if they are handed to several
    processes."""
    return torch.device(device if gpus == 1 else "cpu")


def launch(learn, gpus, device) -> None:
    """Call learn(Distributed) in GPUS processes and wait for them; in this one if GPUS is 1.

    The processes are forks of this one, so that LEARN sees all that a notebook has defined; what they change comes back
    through files only. device: "cpu" makes processes on CPUs, for tests. The notebook must not have used a GPU before,
    for a fork cannot. Interrupted, all processes end at once: their last checkpoint holds. Raises RuntimeError if
    Lightning Fabric or enough GPUs are missing, or if a process failed.
    """
    if gpus == 1:
        learn(single_process(device))
        return
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError(f"gpus: {gpus} needs Lightning Fabric; `pip install -e .[gpus]`, or set gpus: 1") from error
    kind = torch.device(device).type
    if kind == "cuda" and torch.cuda.device_count() < gpus:
        raise RuntimeError(f"gpus: {gpus}, but there are {torch.cuda.device_count()}; set gpus to what there is")
    fabric = Fabric(accelerator=kind, devices=gpus, strategy="ddp_notebook")

    def process(fabric):
        for number in (signal.SIGINT, signal.SIGTERM):  # processes that stopped at different steps would wait for ever
            signal.signal(number, signal.SIG_DFL)
        torch.set_num_threads(1)  # OpenMP does not survive a fork with more
        learn(Distributed(fabric.device, fabric.global_rank, fabric.world_size, fabric))

    try:
        fabric.launch(process)
    finally:
        for child in multiprocessing.active_children():
            child.kill()


def sum_over_processes(value):
    """Return the sum of a tensor over all processes, with its gradient; the tensor itself where there is one
    process."""
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
        sums = sum_over_processes(torch.cat([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3)), count]))
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
    """Return MODULE with every nn.BatchNorm2d replaced by SyncBatchNorm2d of the same weights, in place."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            new = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
            new.load_state_dict(child.state_dict())
            setattr(module, name, new)
        else:
            synchronised(child)
    return module
