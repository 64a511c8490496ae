"""The kernels of a runner, to be watched or killed."""

import signal

import psutil

from wsnb.run import kernel_forkserver


def kernels_of(process):
    """Processes that run the notebooks of the runner PROCESS, a subprocess.Popen."""
    return [
        p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == kernel_forkserver.PROCESS_NAME
    ]


def kill_all(process):
    """SIGKILL to the runner PROCESS and to its kernels; returns when all of them are gone."""
    kernels = kernels_of(process)
    for one in [process, *kernels]:
        one.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(kernels, timeout=10)
