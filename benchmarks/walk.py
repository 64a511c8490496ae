"""IRNet's random walk, radius 5, 2^8 steps: the dense matrix squared 8 times against 256 sparse products.

Side by side at 64 x 84 (seconds, peak memory, largest difference, same winners); ours alone at 94 x 125 and 256 x 512,
where the dense matrix would take 552 MB and 69 GB. Each measurement has a process of its own.
`python -m benchmarks.walk [height] [width]`
"""

import multiprocessing
import resource
import sys
import time

import cv2
import numpy as np
import torch

from benchmarks import irn_plain, rows
from wsnb.ops.random_walk import random_walk

THREADS = 2


def inputs(height, width, classes=3):
    """Soft class blobs, and boundaries that look like a network's: thin lines of any strength."""
    rng = np.random.default_rng(0)
    cam = np.stack([cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 6)
                    for _ in range(classes)])
    cam = (cam - cam.min()) / (cam.max() - cam.min())
    smooth = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 4)
    slope = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    return cam, np.clip(slope / np.percentile(slope, 98), 0, 1) ** 2


def measure(which, size, queue):
    torch.set_num_threads(THREADS)
    cam, edge = inputs(*size)
    random_walk(*inputs(12, 12))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if which == "plain":
        out = irn_plain.walk(torch.from_numpy(cam), torch.from_numpy(edge)).numpy()
    else:
        out = random_walk(cam, edge)
    seconds = time.perf_counter() - start
    queue.put((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, out))


def run(which, size):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(which, size, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main(height=64, width=84):
    size = (height, width)
    slow, fast = run("plain", size), run("ours", size)
    same = (slow[2].argmax(0) == fast[2].argmax(0)).mean()
    print(f"random walk, radius 5, 2^8 steps, 3 classes, {THREADS} threads")
    print(f"{height}x{width}  plain {slow[0]:7.2f} s  {slow[1] / 2**20:8.1f} MiB")
    print(f"{height}x{width}  ours  {fast[0]:7.2f} s  {fast[1] / 2**20:8.1f} MiB")
    print(f"ratio  {slow[0] / fast[0]:7.1f} x  {slow[1] / max(fast[1], 1):8.1f} x   largest difference "
          f"{np.abs(slow[2] - fast[2]).max():.2g}, same winner on {100 * same:.2f} % of the pixels")
    title, faster = f"IRNet's random walk, {height} x {width}, radius 5, 2^8 steps", slow[0] / fast[0]
    found = [rows.Row(title, f"{slow[0]:.1f} s, {rows.size(slow[1])}", f"{fast[0]:.2f} s, {rows.size(fast[1])}",
                      f"{faster:.0f} x", f"same winner on {100 * same:.2f} % of pixels", "30 x, same winner",
                      bool(faster >= 30 and same == 1))]
    for other, reach, most in (((94, 125), 2.5, None), ((256, 512), 30, 500e6)):
        seconds, memory, _ = run("ours", other)
        matrix = rows.size(4 * (other[0] * other[1]) ** 2)
        found.append(rows.Row(f"the same, {other[0]} x {other[1]}", f"not run: a matrix of {matrix}",
                              f"{seconds:.2f} s, {rows.size(memory)}", "", "", f"{reach} s" + ", 500 MB" * bool(most),
                              bool(seconds < reach and (most is None or memory < most))))
        print(f"{other[0]}x{other[1]}  ours  {seconds:7.2f} s  {memory / 2**20:8.1f} MiB")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
