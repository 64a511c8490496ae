"""Several processes that train one network, a GPU each (started by Lightning Fabric from within a notebook), or share
out the pictures that a trained one labels.

In training each takes its part of every batch; gradients are averaged over all. Batch normalisation over all of them
is here too: torch's, and in the "vacancy" style, where the variance is clamped from below, not enlarged.
"""

import contextlib
import multiprocessing
import signal
import threading
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from wsnb.ops.parallel import one_thread


@dataclass(frozen=True)
class Distributed:
    """This process's place among those that train together.

    device  torch.device of this process
    rank    its number; 0 keeps the checkpoints and the log
    size    the number of processes
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def first_only(self, report):
        """Return REPORT, a log or a progress, in the first process; in others a function that passes its argument
        on."""
        return report if self.is_first else lambda given, *_, **__: given


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
    for a fork cannot. SIGINT and SIGTERM go on to all processes, which stop after one and the same step; then
    KeyboardInterrupt is raised. A second signal kills them: their last checkpoint holds. Raises RuntimeError if
    Lightning Fabric or enough GPUs are missing, an error of torch.multiprocessing if a process failed.
    """
    if gpus == 1:
        learn(single_process(device))
        return
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError(f"gpus: {gpus} needs Lightning Fabric; `pip install -e .[gpus]`, or set gpus: 1") from error
    kind = _need(gpus, device)
    fabric = Fabric(accelerator=kind, devices=gpus, strategy="ddp_notebook")

    def process(fabric):
        for number in (signal.SIGINT, signal.SIGTERM):  # until its training begins, there is nothing to keep
            signal.signal(number, signal.SIG_DFL)
        try:
            learn(Distributed(fabric.device, fabric.global_rank, fabric.world_size))
        except KeyboardInterrupt as error:
            return f"{error}"
        return None

    with _passed_on() as asked:
        try:
            with one_thread():  # OpenMP and OpenCV's threads do not survive a fork with more
                stopped = fabric.launch(process)
        except (torch.multiprocessing.ProcessRaisedException, torch.multiprocessing.ProcessExitedException):
            if not asked:
                raise
            stopped = "stopped before a step"
        finally:
            for child in multiprocessing.active_children():
                child.kill()
    if stopped is not None:
        raise KeyboardInterrupt(stopped)


def _need(gpus, device) -> str:
    """Return the kind of DEVICE. Raises RuntimeError unless processes on GPUS of its kind can be forked."""
    kind = torch.device(device).type
    if kind == "cuda" and torch.cuda.device_count() < gpus:
        raise RuntimeError(f"gpus: {gpus}, but there are {torch.cuda.device_count()}; set gpus to what there is")
    if torch.cuda.is_initialized():
        raise RuntimeError(f"gpus: {gpus}, but this process has used a GPU, which its forks cannot; start a new kernel")
    return kind


def over_gpus(work, items, gpus, device, *networks):
    """Yield the values of the generator work(items, device), one an item, in their order; NETWORKS are on that device.

    GPUS > 1: every GPU has a process, which works on each GPUS-th item; values are sent to this one. The processes are
    forks, as in `launch`. device: also "cpu", for tests. An error of WORK is raised here, at its item's turn. Raises
    RuntimeError for too few GPUs, or if a process ended early.
    """
    items = list(items)
    if gpus == 1:
        yield from work(items, _moved(networks, device))
        return
    kind, context, running = _need(gpus, device), multiprocessing.get_context("fork"), []
    try:
        for number in range(gpus):
            here, there = context.Pipe(duplex=False)
            place = torch.device(kind, number) if kind == "cuda" else torch.device(kind)
            process = context.Process(target=_work, args=(work, items[number::gpus], place, networks, there))
            with one_thread():  # as in `launch`
                process.start()
            there.close()
            running.append((here, process))
        for number in range(len(items)):
            here, process = running[number % gpus]
            try:
                done, value = here.recv()
            except EOFError:
                process.join()
                raise RuntimeError(f"process {number % gpus} of {gpus} ended with exit code {process.exitcode} before "
                                   f"{items[number]}; see its output above, or take fewer gpus") from None
            if not done:
                raise value
            yield value
        for _, process in running:
            process.join()
    finally:
        for here, process in running:
            process.kill()
            process.join()
            here.close()


def _moved(networks, device) -> torch.device:
    for network in networks:
        network.to(device)
    return torch.device(device)


def _work(work, items, device, networks, results):
    """In a fork: send (True, value) of each item, or (False, error) once."""
    for number in (signal.SIGINT, signal.SIGTERM):  # all that it writes is whole
        signal.signal(number, signal.SIG_DFL)
    try:
        for value in work(items, _moved(networks, device)):
            results.send((True, value))
    except Exception as error:  # the other process raises it
        results.send((False, error))


@contextlib.contextmanager
def _passed_on():
    """Inside, SIGINT and SIGTERM go on to this process's children; the second one kills them. Yields those received."""
    asked, handlers = [], {}

    def handle(number, _frame):
        for child in multiprocessing.active_children():
            child.kill() if asked else child.terminate()
        asked.append(number)

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def process_count() -> int:
    """Count the processes that train together; 1 without torch.distributed (Fabric starts it)."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(batch) -> list:
    """Return this process's equal part of BATCH, a list of samples. Raises ValueError if it cannot be shared out."""
    size = process_count()
    if size == 1:
        return batch
    if len(batch) % size:
        raise ValueError(f"a batch of {len(batch)} samples cannot be shared by {size} GPUs; use a batch that is a "
                         f"multiple of {size} and not larger than the set")
    each = len(batch) // size
    return batch[dist.get_rank() * each : (dist.get_rank() + 1) * each]


def any_process(flag) -> bool:
    """Say whether FLAG is true in any process; all must ask."""
    return bool(flag) if process_count() == 1 else float(mean_over_processes(torch.tensor(float(bool(flag))))) > 0


def mean_over_processes(value):
    """Return the mean of a number in a tensor over all processes, without a gradient."""
    if process_count() == 1:
        return value.detach()
    total = value.detach().to(_device(), torch.float32, copy=True)
    dist.all_reduce(total)
    return total / process_count()


def of_last_process(value):
    """Return the number that the tensor VALUE is in the last process."""
    if process_count() == 1:
        return value
    found = value.detach().to(_device(), torch.float32, copy=True)
    dist.broadcast(found, process_count() - 1)
    return found


def average_gradients(parameters) -> None:
    """Average the gradients of PARAMETERS over all processes. One that has a gradient anywhere has one everywhere."""
    if process_count() == 1:
        return
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    had = torch.tensor([parameter.grad is not None for parameter in learning], device=_device(), dtype=torch.float32)
    flat = torch.cat([had, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in learning)])
    dist.all_reduce(flat)
    had, *parts = flat.split([len(learning), *(parameter.numel() for parameter in learning)])
    for parameter, part, any_had in zip(learning, parts, had.tolist(), strict=True):
        parameter.grad = part.view_as(parameter) / process_count() if any_had else None


def _device():
    """Where this process's collective operations take place."""
    return torch.device("cpu" if dist.get_backend() == "gloo" else f"cuda:{torch.cuda.current_device()}")


def sum_over_processes(value):
    """Return the sum of a tensor over all processes, with its gradient; the tensor itself where there is one
    process."""
    if process_count() == 1:
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
        scale = self._bounded(variance).rsqrt() * (1 if self.weight is None else self.weight)
        shift = (0 if self.bias is None else self.bias) - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


    def _bounded(self, variance):
        return variance.clamp_min(self.eps)


class SharedBatchNorm2d(SyncBatchNorm2d):
    """nn.BatchNorm2d over the pixels of all processes."""

    def _bounded(self, variance):
        return variance + self.eps


def share_statistics(module) -> None:
    """Have every nn.BatchNorm2d of MODULE see the batches of all processes; its weights stay the same objects."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = SharedBatchNorm2d


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
