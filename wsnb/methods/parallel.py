"""Work on many pictures with processes: in order, with a bounded number in flight."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor


def _end_with_parent():
    """In a worker: leave when the process that wants the results is gone, however it went."""
    parent = multiprocessing.parent_process()

    def watch():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def map_images(function, jobs, workers=2, ahead=4):
    """Yield function(job) for each job, in the order of JOBS, computed by WORKERS processes (0 or 1: here).

    JOBS may be a generator: at most workers * AHEAD are taken before their results are handed out, so that memory stays
    flat. FUNCTION must be importable (a module's own function). Its errors are raised here, at the job's turn.
    """
    if workers < 2:
        yield from map(function, jobs)
        return
    # a fresh server process forks the workers: it holds none of this process's threads and locks
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])  # imported once, not once a worker
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    waiting = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) >= workers * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
