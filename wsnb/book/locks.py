"""Locks that die with their owner: flock on a file that says who holds it."""

import fcntl
import os
import socket
import time
from pathlib import Path


class LockedError(RuntimeError):
    """Somebody else works there; the message names process and host."""


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
                    raise LockedError(f"{what} is in use by {holder(path)}; wait for it or end it") from error
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


def holder(path) -> str:
    """What the last holder of a lock wrote into it."""
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
