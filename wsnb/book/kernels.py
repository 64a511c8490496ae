"""Kernels as processes: sockets in a private folder, a manager of this Python's kernel, how one ended."""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from wsnb.book import locks


def private_folder() -> tuple[Path, locks.Lock]:
    """A new folder of this process for sockets, with a short path (a socket's may have 107 bytes), and its
    lock.

    Folders of processes that were killed are cleared away first: nobody holds their lock any more.
    """
    base = Path(tempfile.gettempdir())
    if len(str(base)) > 60:
        base = Path("/tmp")
    prefix = f"wsnb-{os.getuid()}-"
    for stale in base.glob(f"{prefix}*"):
        try:
            if time.time() - stale.stat().st_mtime < 60:
                continue  # it may just have been made, and not locked yet
            locks.acquire(stale / "lock", str(stale)).close()
        except (locks.LockedError, OSError):
            continue
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    return folder, locks.acquire(folder / "lock", str(folder))


def kernel_manager(folder: Path, number: int):
    """Manager of a kernel of *this* Python that talks over sockets in FOLDER; no port can be taken by
    somebody else.
    """
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    from wsnb.book import provisioner

    manager = AsyncKernelManager(transport="ipc", connection_file=str(folder / f"k{number}.json"))
    manager.context.rcvhwm = 0  # messages: a runner that is held up for a while loses none
    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        metadata=provisioner.metadata(),
    )
    return manager


def kill_group(pid):
    """Kill a kernel with all processes of its group; one that is gone already is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it is gone already


def cause(exit_code) -> str:
    """An exit code in words; None is an unknown one."""
    if exit_code is None:
        return "kernel died"
    if exit_code < 0:
        name = (
            signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        )
        hint = "; perhaps out of memory" if exit_code == -signal.SIGKILL else ""
        return f"kernel died ({name}{hint})"
    return f"kernel died (exit code {exit_code})"
