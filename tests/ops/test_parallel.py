"""Many pictures through processes: order, errors, and how many are in flight."""

import os
import subprocess
import sys
import time

import cv2
import pytest
import torch

from wsnb.ops.parallel import map_images


def square(x):
    return x * x


def slow_first(x):
    time.sleep(0.2 if x == 0 else 0)
    return x, os.getpid()


def picky(x):
    if x == 5:
        raise ValueError(f"picture {x} is damaged")
    return x


def die(x):
    os._exit(1)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_same_results_in_order(workers):
    assert list(map_images(square, range(25), workers, ahead=2)) == [x * x for x in range(25)]
    assert list(map_images(square, [], workers)) == []


def test_order_holds_when_the_first_is_slowest_and_processes_are_others():
    found = list(map_images(slow_first, range(12), workers=2))
    assert [x for x, _ in found] == list(range(12))
    assert os.getpid() not in {pid for _, pid in found}


def threads(x):
    return cv2.getNumThreads(), torch.get_num_threads()


@pytest.mark.parametrize("workers", [0, 2])
def test_one_thread_a_picture_and_as_many_as_before_afterwards(workers):
    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(2)
        torch.set_num_threads(2)
        taken = []

        def jobs():
            for x in range(3):
                taken.append(threads(x))  # what makes the jobs keeps its threads
                yield x

        assert list(map_images(threads, jobs(), workers)) == [(1, 1)] * 3
        assert taken + [threads(0)] == [(2, 2)] * 4
        with pytest.raises(ValueError, match="damaged"):
            list(map_images(picky, [5], workers))
        assert threads(0) == (2, 2)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_at_its_turn(workers):
    found = []
    with pytest.raises(ValueError, match="picture 5 is damaged"):
        for value in map_images(picky, range(40), workers):
            found.append(value)
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers, ahead, most", [(0, 4, 1), (2, 1, 2), (2, 3, 6)])
def test_few_are_in_flight(workers, ahead, most):
    taken, flying = 0, []

    def jobs():
        nonlocal taken
        for x in range(30):
            taken += 1
            yield x

    for handed, _ in enumerate(map_images(square, jobs(), workers, ahead)):
        flying.append(taken - handed)
    assert taken == 30 and max(flying) == most


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_jobs_themselves(workers):
    def jobs():
        yield 1
        raise OSError("no more pictures")

    with pytest.raises(OSError, match="no more pictures"):
        list(map_images(square, jobs(), workers))


def test_stopping_early_leaves_no_process():
    results = map_images(slow_first, iter(range(10 ** 9)), workers=2)
    pids = {next(results)[1] for _ in range(6)}
    results.close()
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_a_killed_worker_is_an_error_not_a_wait():
    with pytest.raises(RuntimeError, match="terminated abruptly"):
        list(map_images(die, range(4), workers=2))


ORPHANS = """
import os, sys, time
from tests.ops.test_parallel import slow_pid
from wsnb.ops.parallel import map_images
for pid in map_images(slow_pid, range(100), workers=2):
    print(pid, flush=True)
"""


def slow_pid(job):
    time.sleep(0.05)
    return os.getpid()


def test_workers_end_with_a_killed_parent():
    process = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True)
    pids = {int(process.stdout.readline()) for _ in range(6)}
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
