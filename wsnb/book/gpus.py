"""One run a GPU: a locked file stands for each of them, so that none is shared and none stays taken after a
kill.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from wsnb.book import locks


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
    """Where the slots of this machine lie: $WSNB_SLOTS, else a folder for temporary files."""
    return Path(os.environ.get("WSNB_SLOTS") or Path(tempfile.gettempdir(), f"wsnb-gpus-{os.getuid()}"))


def take(device: str, what: str, say) -> tuple[locks.Lock | None, dict]:
    """(lock, environment) for a run on DEVICE (auto, cpu, cuda, cuda:N): a free GPU's slot, waiting for one
    if need be.

    No slot and no variables on the CPU. SAY is told what is waited for, once a minute. With cuda:N only that
    one is taken.
    """
    gpus = [] if device == "cpu" else visible()
    if not gpus:
        return None, {}
    number = device.partition(":")[2]
    wanted = [gpus[int(number)]] if number.isdigit() and int(number) < len(gpus) else gpus
    said = -60.0
    while True:
        for gpu in wanted:
            try:
                lock = locks.acquire(
                    slots_folder() / f"gpu-{gpu.replace('/', '_')}.lock", f"GPU {gpu}", 0, f"for {what}"
                )
            except locks.LockedError as error:
                held = error
                continue
            # cuda:N counts all of them, so the view stays as it is
            return lock, {} if number else {"CUDA_VISIBLE_DEVICES": gpu}
        if time.monotonic() - said >= 60:
            said = time.monotonic()
            say(f"waiting for a GPU: {held}")
        time.sleep(0.5)
