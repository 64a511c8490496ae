"""Training: seeds, the order of samples, batches, and a state that survives its process, with checkpoints in the middle
of an epoch, a clean stop on a signal and a full stop on NaN. Also Caffe's SGD.
"""

import math
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import torch

from wsnb.files import load_torch, save_torch
from wsnb.models import distributed

PREFETCHED = 4  # batches of a worker that wait


def seed_everything(seed, threads=0, deterministic=False) -> None:
    """Seed torch, NumPy and Python. THREADS > 0 fixes torch's CPU threads, since sums depend on their number;
    DETERMINISTIC asks torch for deterministic kernels (a GPU matter: the CPU's are); torch warns where it has none, as
    for the cross-entropy of maps. Products and convolutions on a GPU are of whole float32, never TF32 (10 bits of
    mantissa), which cuDNN would take on newer GPUs: the originals' versions of torch had none."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)  # else the cross-entropy of maps fails on a GPU
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS has repeatable products only so
    if threads:
        torch.set_num_threads(threads)


def epoch_order(count, seed, epoch, shuffle=True) -> list[int]:
    """The order of COUNT samples in an epoch: a function of (seed, epoch)."""
    if not shuffle:
        return list(range(count))
    return np.random.default_rng([seed, epoch, 2**31]).permutation(count).tolist()


def batches(dataset, order, batch_size, first=0, drop_last=True, workers=0, shared=True, collate=None):
    """Collated batches (torch's way, or COLLATE(samples)) of dataset[i] for i in ORDER, from batch number FIRST on.

    The last, smaller batch is dropped if DROP_LAST and there is more than one batch (a set smaller than a batch still
    gives one). The result does not depend on the number of worker processes. Of processes that train together each gets
    its part of every batch if SHARED, see `distributed.share`.
    """
    groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if drop_last and len(groups) > 1 and len(groups[-1]) < batch_size:
        groups.pop()
    if workers and groups[first:]:
        _need_shared_memory(dataset[order[0]], batch_size, workers)
    own = torch.Generator().manual_seed(0)  # else every start of a loader draws from the global generator
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=[distributed.share(group) if shared else group for group in groups[first:]],
        num_workers=workers,
        generator=own,
        multiprocessing_context="fork" if workers else None,
        collate_fn=collate,
        worker_init_fn=_leave_signals if workers else None,
        prefetch_factor=PREFETCHED if workers else None,
        pin_memory=torch.cuda.is_initialized(),
    )


def _need_shared_memory(sample, batch_size, workers) -> None:
    """Raise RuntimeError if /dev/shm, by which batches of such samples come from WORKERS, is too small for them."""
    place = Path("/dev/shm")
    if not place.is_dir():  # not Linux
        return
    values = sample.values() if isinstance(sample, dict) else sample
    one = sum(value.nbytes for value in values if isinstance(value, torch.Tensor))
    needed, free = (PREFETCHED * workers + 1) * batch_size * one, shutil.disk_usage(place).free
    if needed > free:
        raise RuntimeError(f"/dev/shm has {free / 2**20:.0f} MiB free, but batches of {workers} workers need "
                           f"{needed / 2**20:.0f}; enlarge it (Docker: --shm-size=8g), or take fewer workers (0: none)")


def _leave_signals(_number) -> None:
    """A worker goes on until its training stops: a signal to all processes must not end it before the step is over."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def placed(batch, device) -> dict:
    """Return a collated BATCH whose tensors are on DEVICE; label maps travel as uint8 and are int64 there."""
    def move(value):
        if not isinstance(value, torch.Tensor):
            return value
        value = value.to(device, non_blocking=True)
        return value.long() if value.dtype == torch.uint8 else value

    return {name: move(value) for name, value in batch.items()}


class Training:
    """The state of a training, kept in one file: a killed run continues to the same weights.

    path: the checkpoint. parts: named objects with state_dict / load_state_dict (network, optimiser, schedule).
    The loop stays in the notebook:

        with Training(path, network=net, optimiser=opt) as training:
            for epoch in training.epochs(20):
                for batch in training.steps(lambda first: loader(epoch, first)):
                    ...
                    training.check(loss, lr=..., images=batch["id"])

    Samples must be functions of (seed, epoch, position); torch's, NumPy's and Python's generators are kept here.
    `training.kept` is a dict of plain values for the caller's own records (history, best score); `training.running`
    holds sums within the epoch and is emptied at its end.
    """

    def __init__(self, path, every_seconds=120, log=print, **parts):
        self.path, self.every, self.log, self.writes, self.parts = path, every_seconds, log, True, parts
        self.epoch, self.step, self.kept, self.running = 0, 0, {}, {}
        self.check_every = 1  # steps
        self._stop, self._learning, self._handlers, self._saved = None, False, {}, time.monotonic()
        if path.exists():
            self.restore()
            log(f"continuing from {path.name}: epoch {self.epoch}, step {self.step}")

    def enter(self, process) -> None:
        """Go on as PROCESS, a `distributed.Distributed`: on its device; only the first writes and speaks."""
        self.writes, self.log = process.is_first, process.first_only(self.log)
        self.to(process.device)

    @property
    def networks(self) -> dict:
        return {name: part for name, part in self.parts.items() if isinstance(part, torch.nn.Module)}

    def to(self, device) -> None:
        """Bring all parts to DEVICE: networks, then the states of optimisers, which follow their parameters."""
        for part in self.networks.values():
            part.to(device)
        for name in self.parts.keys() - self.networks.keys():
            self.parts[name].load_state_dict(self.parts[name].state_dict())

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *error):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _asked(self, number, frame):
        alone = distributed.process_count() == 1  # several stop after the same step, or wait for each other for ever
        if alone and (self._stop or not self._learning):  # the last checkpoint holds all that there is to keep
            raise KeyboardInterrupt(signal.Signals(number).name)
        self._stop = signal.Signals(number).name

    def epochs(self, count):
        """The epochs still to do; a checkpoint is written after each."""
        while self.epoch < count:
            yield self.epoch
            self.epoch, self.step, self.running = self.epoch + 1, 0, {}
            self.save()
            self._learning = False
            if distributed.any_process(self._stop):
                self._obey()

    def steps(self, batches):
        """The batches still to do in this epoch: BATCHES(first) yields them from number FIRST on. A checkpoint is
        written every `every_seconds`. SIGINT or SIGTERM from the first step to the end of the epoch: a
        checkpoint is written after the step, then KeyboardInterrupt raised; else (validation) it is raised at once."""
        self._learning = True
        for batch in batches(self.step):
            yield batch
            self.step += 1
            if distributed.any_process(self._stop):
                self.save()
                self._obey()
            if time.monotonic() - self._saved > self.every:
                self.save()

    def _obey(self):
        where = f"epoch {self.epoch}, step {self.step}"
        raise KeyboardInterrupt(f"{self._stop or 'another process was stopped'}: checkpoint written at {where}")

    def check(self, loss, lr, images):
        """The loss as a float, of several, one a picture, the last. Raises FloatingPointError if one is not finite,
        before any weight has changed. Of `check_every` steps all but one get it back as it is, in a tensor."""
        if isinstance(loss, torch.Tensor) and (self.step + 1) % self.check_every:
            return loss.detach().flatten()[-1]
        values = loss.detach().flatten().tolist() if isinstance(loss, torch.Tensor) else [float(loss)]
        bad = [k for k, value in enumerate(values) if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(
                f"loss is {values[bad[0]]} at epoch {self.epoch}, step {self.step}, learning rate {lr:g}, "
                f"pictures {list(images) if len(values) == 1 else [images[k] for k in bad]}; "
                f"the last good checkpoint is {self.path}. Lower `lr` or look at these pictures."
            )
        return values[-1]

    def add(self, **values):
        """Add to the sums of this epoch numbers, or tensors of one, which stay on their device where not every step is
        checked."""
        for name, value in values.items():
            value = float(value) if self.check_every == 1 else value
            self.running[name] = self.running.get(name, 0.0) + value

    def save(self):
        """Write the checkpoint, whole; a process that does not write (`writes` is False) only checks. Raises TypeError
        if `kept` or `running` hold values that could not be read back."""
        for name, value in (("kept", self.kept), ("running", self.running)):
            _only_plain(name, value)
        for name, part in self.parts.items():
            if bad := [key for key, value in _tensors(part.state_dict()) if not torch.isfinite(value).all()]:
                where = f"epoch {self.epoch}, step {self.step}"
                raise FloatingPointError(
                    f"{name}: {len(bad)} tensors are not finite {bad[:3]} after {where}; "
                    f"the last good checkpoint is {self.path}. Lower `lr`."
                )
        self._saved = time.monotonic()
        if not self.writes:
            return
        kind, keys, position, has_gauss, gauss = np.random.get_state()
        gpu = _gpu_of(self.parts)
        save_torch(
            self.path,
            {
                "parts": {name: part.state_dict() for name, part in self.parts.items()},
                "epoch": self.epoch,
                "step": self.step,
                "kept": self.kept,
                "running": self.running,
                "rng": {
                    "torch": torch.get_rng_state(),
                    "python": random.getstate(),
                    "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
                    "cuda": None if gpu is None else torch.cuda.get_rng_state(gpu),  # of no other: it need not be there
                },
            },
        )

    def restore(self):
        """Read the checkpoint."""
        state = load_torch(self.path)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.epoch, self.step = state["epoch"], state["step"]
        self.kept, self.running = state["kept"], state["running"]
        rng = state["rng"]
        torch.set_rng_state(rng["torch"])
        version, internal, gauss_next = rng["python"]
        random.setstate((version, tuple(internal), gauss_next))
        kind, keys, position, has_gauss, gauss = rng["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
        gpu = _gpu_of(self.parts)
        if gpu is not None and rng["cuda"] is not None:
            torch.cuda.set_rng_state(rng["cuda"], gpu)


def _gpu_of(parts):
    """The GPU on which PARTS are, None in main memory."""
    tensors = (value for part in parts.values() for _, value in _tensors(part.state_dict()))
    return next((value.device for value in tensors if value.device.type == "cuda"), None)


def _tensors(state, prefix=""):
    """Yield (name, tensor) of every tensor within dicts and lists."""
    if isinstance(state, torch.Tensor):
        yield prefix, state
    pairs = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    for key, value in pairs:
        yield from _tensors(value, f"{prefix}.{key}")


def _only_plain(name, value):
    """Checkpoints are read without running code in them: they may hold tensors and Python's own values only."""
    if isinstance(value, dict):
        for key, item in value.items():
            _only_plain(f"{name}[{key!r}]", item)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _only_plain(f"{name}[{i}]", item)
    elif type(value) not in (int, float, bool, str, type(None), torch.Tensor):
        raise TypeError(
            f"training.{name} is a {type(value).__name__}: make it a plain number, e.g. with float() or .tolist()"
        )


class InnerSGD(torch.optim.Optimizer):
    """SGD whose momentum buffer holds the learning rate, as in Caffe and the program of SPML.

    b <- momentum b + lr (g + weight_decay w); w <- w - b. torch.optim.SGD multiplies by lr outside of b: the two differ
    as soon as lr changes.
    """

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                change = group["lr"] * parameter.grad.add(parameter, alpha=group["weight_decay"])
                buffer = self.state[parameter].get("momentum_buffer")
                if buffer is None:
                    buffer = self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
                buffer.mul_(group["momentum"]).add_(change)
                parameter.sub_(buffer)
        return loss
