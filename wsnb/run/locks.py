"""Locks that die with their owner (flock on a file that names the holder), and one such lock for each GPU."""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path


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
    naming the holder and WHAT it works on.

    NOTE is written beside pid and host, for holder() to find.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
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


def slots_folder() -> Path:
    """Folder of this machine's slots: $WSNB_SLOTS, else one among the temporary files."""
    return Path(os.environ.get("WSNB_SLOTS") or Path(tempfile.gettempdir(), f"wsnb-gpus-{os.getuid()}"))


def take(device: str, what: str, say) -> tuple[Lock | None, dict]:
    """(lock, environment) for a run on DEVICE (auto, cpu, cuda, cuda:N): a free GPU's slot, waiting for one
    if need be.

    No slot and no variables on the CPU. SAY is called with the slot's holder, once a minute. With cuda:N only that
    one is taken.
    """
    gpus = [] if device == "cpu" else visible()
    if not gpus:
        return None, {}
    number = device.partition(":")[2]
    wanted = [gpus[int(number)]] if number.isdigit() and int(number) < len(gpus) else gpus
    remind = _reminder(say)
    while True:
        for gpu in wanted:
            try:
                lock = acquire(
                    slots_folder() / f"gpu-{gpu.replace('/', '_')}.lock", f"GPU {gpu}", 0, f"for {what}"
                )
            except LockedError as error:
                held = error
                continue
            # cuda:N counts all of them; the view stays as it is
            return lock, {} if number else {"CUDA_VISIBLE_DEVICES": gpu}
        remind(f"waiting for a GPU: {held}")
        time.sleep(0.5)
