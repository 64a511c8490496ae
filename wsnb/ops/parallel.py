"""Work on many pictures with processes: in order, with a bounded number in flight."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor

import cv2


def _end_with_parent():
    """In a worker: leave when the process that wants the results is gone, however it went."""
    parent = multiprocessing.parent_process()

    def watch():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def one_thread():
    """OpenCV and torch (if it is loaded) compute with one thread inside."""
    torch = sys.modules.get("torch")
    before = cv2.getNumThreads(), torch and torch.get_num_threads()
    cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        if torch:
            torch.set_num_threads(before[1])


def _alone(function, job):
    with one_thread():
        return function(job)


def map_images(function, jobs, workers=2, ahead=4, preload=()):
    """Yield function(job) for each job, in the order of JOBS, computed by WORKERS processes (0 or 1: here).

    JOBS may be a generator: at most workers * AHEAD are taken before their results are handed out, which keeps memory
    flat. FUNCTION must be importable (a module's own function). Its errors are raised here, at the job's turn. It runs
    with one thread wherever it runs: processes fill the cores, and sums depend on threads. PRELOAD names more modules
    that the workers need.
    """
    if workers < 2:
        for job in jobs:
            yield _alone(function, job)
        return
    # a fresh server process forks the workers: it holds none of this process's threads and locks
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__, *preload])  # imported once, not once a worker
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    waiting = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(_alone, function, job))
            if len(waiting) >= workers * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
