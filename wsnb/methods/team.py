"""Several processes that learn one network together, a GPU each (Lightning Fabric), started from within a notebook."""

import multiprocessing
import signal
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Team:
    """This process's place among those that learn together.

    device  torch.device of this process
    rank    its number; 0 keeps the checkpoints and the log
    size    how many there are
    fabric  Lightning Fabric, None for a process alone
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    fabric: object = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def shared(self, module):
        """MODULE, its gradients averaged over the team after every backward pass."""
        return module if self.fabric is None else self.fabric.setup_module(module, move_to_device=False)

    def part_of(self, order, batch) -> list:
        """This process's samples of ORDER, batch after batch: its equal part of every whole batch of BATCH samples (the
        last, smaller batch is left out). Raises ValueError if BATCH cannot be shared out."""
        if self.size == 1:
            return order
        if batch % self.size or len(order) < batch:
            raise ValueError(f"batches of {batch} among {len(order)} samples cannot be shared by {self.size} GPUs; "
                             f"use a batch that is a multiple of {self.size} and not larger than the set")
        share = batch // self.size
        starts = range(self.rank * share, len(order) // batch * batch, batch)
        return [sample for start in starts for sample in order[start : start + share]]

    def quiet(self, say):
        """SAY, a log or a progress, in the first process; in others a function that only hands on what it is given."""
        return say if self.first else lambda given, *_, **__: given

    def wait(self) -> None:
        """Until all have come as far."""
        if self.size > 1:
            dist.barrier()


def alone(device) -> Team:
    """A process that learns alone on DEVICE."""
    return Team(torch.device(device))


def home(gpus, device) -> torch.device:
    """Where networks are built: on DEVICE, or in main memory if they are handed to several processes."""
    return torch.device(device if gpus == 1 else "cpu")


def launch(learn, gpus, device) -> None:
    """Call learn(team) in GPUS processes and wait for them; in this one if GPUS is 1.

    The processes are forks of this one, so that LEARN sees all that a notebook has defined; what they change comes back
    through files only. device: "cpu" makes processes on CPUs, for tests. The notebook must not have used a GPU before,
    for a fork cannot. Interrupted, all processes end at once: their last checkpoint holds. Raises RuntimeError if
    Lightning Fabric or enough GPUs are missing, or if a process failed.
    """
    if gpus == 1:
        learn(alone(device))
        return
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError(f"gpus: {gpus} needs Lightning Fabric; `pip install -e .[gpus]`, or set gpus: 1") from error
    kind = torch.device(device).type
    if kind == "cuda" and torch.cuda.device_count() < gpus:
        raise RuntimeError(f"gpus: {gpus}, but there are {torch.cuda.device_count()}; set gpus to what there is")
    fabric = Fabric(accelerator=kind, devices=gpus, strategy="ddp_notebook")


    def member(fabric):
        for number in (signal.SIGINT, signal.SIGTERM):  # a team that stopped at different steps would wait for ever
            signal.signal(number, signal.SIG_DFL)
        torch.set_num_threads(1)  # OpenMP does not survive a fork with more
        learn(Team(fabric.device, fabric.global_rank, fabric.world_size, fabric))

    try:
        fabric.launch(member)
    finally:
        for child in multiprocessing.active_children():
            child.kill()
