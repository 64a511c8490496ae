"""Locks that die with their owner (flock on a file that names the holder), and one such lock for each GPU."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from wsnb.files import FileError


class LockedError(RuntimeError):
    """Another process works there; the message names process and host."""


class Lock:
    """A held lock. It is freed by close(), or by the kernel when the process ends, however it ends."""

    def __init__(self, path: Path, descriptor: int):
        self.path = path
        self._descriptor = descriptor
        # a forked child (a data loader's worker) would keep the lock alive after this process is gone
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        """Free the lock; doing so twice is harmless."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def acquire(path, what: str, wait: float = 0.3, note: str = "") -> Lock:
    """Lock PATH, trying for WAIT seconds (a look by is_held() may hold it for an instant). Raises LockedError
    naming the holder and WHAT it works on, FileError where the file system has no locks.

    NOTE is written beside pid and host, for holder() to find.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        while True:
            try:
                _flock(path, descriptor, fcntl.LOCK_EX)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise LockedError(f"{what} is in use by {holder(path)}; {_remedy(path)}") from error
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            f"process {os.getpid()} on {socket.gethostname()}{' ' + note if note else ''}\n".encode(),
            0,
        )
    except BaseException:
        os.close(descriptor)
        raise
    return Lock(path, descriptor)


def _flock(path, descriptor, kind):
    """flock without waiting. Raises BlockingIOError if the lock is held, FileError if there can be none."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise FileError(
            f"{path}: its file system refuses locks ({os.strerror(error.errno)}); mount it with them (Lustre: "
            f"-o flock; NFS: version 4, or lockd), or give --runs, and $WSNB_SLOTS for GPUs, a folder elsewhere"
        ) from error


INTERACTIVE = "(an interactive notebook)"  # the note of a lock that an open notebook holds


def _remedy(path) -> str:
    if INTERACTIVE in holder(path):
        return "in JupyterLab choose Kernel → Shut Down Kernel, or end that process"
    return "wait for it or end it"


def refuse_open_notebook(path, what: str) -> None:
    """Raise LockedError if an open notebook holds the lock: it may hold it for days."""
    if INTERACTIVE in holder(path) and is_held(path):
        raise LockedError(f"{what} is in use by {holder(path)}; {_remedy(path)}")


def acquire_when_free(path, what: str, say) -> Lock:
    """Lock PATH, however long that takes. SAY is called with the holder, once a minute."""
    remind = _reminder(say)
    while True:
        try:
            return acquire(path, what)
        except LockedError as error:
            remind(f"waiting: {error}")


def _reminder(say):
    """A function that calls SAY with its text once a minute."""
    said = -60.0

    def remind(text):
        nonlocal said
        if time.monotonic() - said >= 60:
            said = time.monotonic()
            say(text)

    return remind


def holder(path) -> str:
    """The line that the last holder of a lock wrote into it."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() or "an unknown process"
    except OSError as error:
        return f"an unknown process ({error})"


def is_held(path) -> bool:
    """Whether somebody holds the lock now."""
    if not Path(path).exists():
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _flock(path, descriptor, fcntl.LOCK_SH)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def visible() -> list:
    """Numbers of the GPUs that we may use, as CUDA_VISIBLE_DEVICES has them; empty on a machine without."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [part.strip() for part in named.split(",") if part.strip() and part.strip() != "-1"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "-L"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return []
    return [
        str(i)
        for i, line in enumerate(line for line in listed.stdout.splitlines() if line.startswith("GPU "))
    ]


JOBS = ("SLURM_JOB_ID", "SLURM_STEP_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # names of schedulers' allocations


def slots_folder() -> Path:
    """Folder of the slots of this machine, under a scheduler of its job: there every job may see its own GPU as
    number 0. $WSNB_SLOTS, else one among the temporary files."""
    given, job = os.environ.get("WSNB_SLOTS"), [os.environ[name] for name in JOBS if os.environ.get(name)]
    name = "-".join(["wsnb-gpus", str(os.getuid()), *job]).replace("/", "_")
    return Path(given or Path(tempfile.gettempdir(), name))


def take(device: str, what: str, say, count: int = 1) -> tuple[contextlib.ExitStack | None, dict]:
    """(locks, environment) for a run on COUNT GPUs of DEVICE (auto, cpu, cuda, cuda:N): the slots of free ones, waiting
    for them if need be.

    No slot and no variables on the CPU. SAY is called with a slot's holder, once a minute. With cuda:N only that one is
    taken. Two runs that want several never wait for each other's: all are taken, or none. Raises ValueError if there
    are fewer than COUNT.
    """
    gpus = [] if device == "cpu" else visible()
    if not gpus:
        return None, {}
    number = device.partition(":")[2]
    wanted = [gpus[int(number)]] if number.isdigit() and int(number) < len(gpus) else gpus
    if len(wanted) < count:
        raise ValueError(f"gpus: {count}, but {what} may use {len(wanted)} ({', '.join(wanted)}); set gpus to that")
    remind = _reminder(say)
    while True:
        held, taken = None, []
        with contextlib.ExitStack() as locks:
            for gpu in wanted:
                path = slots_folder() / f"gpu-{gpu.replace('/', '_')}.lock"
                try:
                    locks.enter_context(acquire(path, f"GPU {gpu}", 0, f"for {what}"))
                except LockedError as error:
                    held = error
                    continue
                taken.append(gpu)
                if len(taken) == count:
                    # cuda:N counts all of them; the view stays as it is
                    return locks.pop_all(), {} if number else {"CUDA_VISIBLE_DEVICES": ",".join(taken)}
        remind(f"waiting for a GPU: {held}")
        time.sleep(0.5)
