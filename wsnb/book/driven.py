"""The kernel's side of being driven by the runner: what it was told, and dying with it."""

import ctypes
import json
import os
import signal
import sys

KEY = "WSNB_STAGE_KEY"
TOLD = "WSNB_STAGE"
PR_SET_PDEATHSIG = 1


def environment(key: str, told: dict) -> dict:
    """Environment variables by which the runner tells a kernel about its stage."""
    return {KEY: key, TOLD: json.dumps(told)}


def told(paper: str, notebook: str) -> dict | None:
    """What the runner told this kernel: {"key", "root", "paper", "experiment", "stage", "notebook", "values",
    "needs", "parts"}; None in a kernel that nobody drives, or that was started by a driven one for something
    else.
    """
    if KEY not in os.environ:
        return None
    message = json.loads(os.environ[TOLD])
    if (message["paper"], message["notebook"]) != (paper, notebook):
        return None
    return {**message, "key": os.environ[KEY]}


def die_with_parent() -> None:
    """Have the system kill this process as soon as the runner is gone, and its forked workers with it.

    ipykernel looks for its parent once a second; within that second an orphan could still write. Linux only:
    elsewhere ipykernel's own look stays the only one.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def bind():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    bind()
    os.register_at_fork(after_in_child=bind)
    parent = int(os.environ.get("JPY_PARENT_PID", "0"))
    if parent and os.getppid() != parent:  # it died before we could ask
        os.kill(os.getpid(), signal.SIGKILL)
