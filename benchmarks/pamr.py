"""PAMR at 321 x 321, six dilations, ten iterations: seconds, peak memory and largest difference to the plain form.

Each side runs in a process of its own, after a warm-up at a small size; memory is the rise of the peak resident size
above what stood before the call. `python -m benchmarks.pamr [classes]`
"""

import multiprocessing
import resource
import sys
import time

import torch

from benchmarks import plain
from benchmarks.rows import Row, size
from wsnb.ops import pamr

SIZE, THREADS = 321, 2


def inputs(classes, size=SIZE):
    torch.manual_seed(0)
    return torch.rand(1, 3, size, size), torch.rand(1, classes, size, size).softmax(1)


def measure(which, classes, queue):
    torch.set_num_threads(THREADS)
    function = {"plain": plain.pamr, "ours": pamr.pamr}[which]
    function(*inputs(classes, 24), pamr.DILATIONS, 2)
    image, masks = inputs(classes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with torch.no_grad():
        out = function(image, masks, pamr.DILATIONS, 10)
    seconds = time.perf_counter() - start
    queue.put((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, out.numpy()))


def run(which, classes):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(which, classes, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main(classes=21):
    slow, fast = run("plain", classes), run("ours", classes)
    difference = abs(slow[2] - fast[2]).max()
    print(f"PAMR {SIZE}x{SIZE}, {classes} classes, dilations {pamr.DILATIONS}, 10 iterations, {THREADS} threads")
    print(f"plain  {slow[0]:7.2f} s  {slow[1] / 2**20:8.1f} MiB")
    print(f"ours   {fast[0]:7.2f} s  {fast[1] / 2**20:8.1f} MiB")
    print(
        f"ratio  {slow[0] / fast[0]:7.1f} x  {slow[1] / max(fast[1], 1):8.1f} x   largest difference {difference:.2g}"
    )
    faster, smaller = slow[0] / fast[0], slow[1] / max(fast[1], 2**20)  # it may lie below what loading took
    return [Row(f"PAMR, {SIZE} x {SIZE}, {classes} classes, 6 dilations, 10 iterations",
                f"{slow[0]:.1f} s, {size(slow[1])}", f"{fast[0]:.2f} s, {size(fast[1])}",
                f"{faster:.1f} x, memory at least {smaller:.0f} x", f"largest difference {difference:.1g}",
                "9 x, memory 40 x, 1e-5", bool(faster >= 9 and smaller >= 40 and difference <= 1e-5))]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
