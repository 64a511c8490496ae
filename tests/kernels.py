"""The kernels of a runner, to be watched or killed."""

import psutil

from wsnb.book import warm


def kernels_of(process):
    """Processes that run the notebooks of the runner PROCESS, a subprocess.Popen."""
    return [p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == warm.NAME]
