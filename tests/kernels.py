"""Runs that are killed, and their kernels."""

import contextlib
import signal
import time

import psutil

from wsnb.run import kernel_forkserver


def kernels_of(process):
    """Processes that run the notebooks of the runner PROCESS, a subprocess.Popen."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name() == kernel_forkserver.PROCESS_NAME:
                found.append(one)
    return found


def kill_all(process):
    """SIGKILL to the runner PROCESS and to its kernels; returns when all of them are gone."""
    kernels = kernels_of(process)
    for one in [process, *kernels]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(kernels, timeout=10)


def killed(start, place, inside, folder, kill=kill_all):
    """Have a run end inside a stage: KILL(process) as soon as INSIDE(the stage's folder). Returns (runs, its text).

    start   runs -> a subprocess.Popen that runs there; RUNS is another folder in FOLDER at each try
    place   runs -> the stage's folder

    A miniature may end before it is killed, for the machine may be faster than this process: then another one is
    started, five at most.
    """
    for number in range(5):
        runs = folder / f"try{number}"
        process = start(runs)
        while process.poll() is None and not inside(place(runs)):
            time.sleep(0.01)
        if process.poll() is None:
            kernels = kernels_of(process)
            kill(process)
            text, _ = process.communicate(timeout=60)
            psutil.wait_procs(kernels, timeout=10)
        else:
            text = process.stdout.read()
        if not (place(runs) / "manifest.json").exists():
            assert inside(place(runs)) and process.returncode, text
            return runs, text
    raise AssertionError(f"five runs in {folder} ended before they were killed")


def logged(words):
    """A function for `killed`: whether the log of a stage has WORDS."""

    def inside(folder):
        log = folder / "log.txt"
        return log.exists() and words in log.read_text()

    return inside
