"""SPML's random walk T^64 on a 46 x 62 grid: dense squarings, with denormal numbers as they come, against products of
the seeds with T. `python -m benchmarks.spml_walk [height] [width]`"""

import sys

import torch

from benchmarks import spml_plain
from benchmarks.rows import Row
from wsnb.ops.segsort import random_walk

THREADS, CLASSES, PRESENT = spml_plain.THREADS, 21, 4


def inputs(height, width):
    """Embeddings of blobs with noise, so that neighbours are alike; seeds of the few classes of a picture."""
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(1, 64, 5, 6), size=(height, width), mode="bilinear")
    rows = torch.nn.functional.normalize((smooth + 0.1 * torch.randn(1, 64, height, width))[0].flatten(1).T, dim=1)
    seeds = torch.rand(CLASSES, height, width) ** 4
    seeds[PRESENT:] = 0  # a picture's weak mask names its classes
    return rows.contiguous(), seeds


def main(height=46, width=62):
    torch.set_num_threads(THREADS)
    rows, seeds = inputs(height, width)
    random_walk.random_walk(seeds[:, :8, :8], random_walk.affinity([rows[:64]]), 64)  # both sides start warm
    fast = spml_plain.timed(
        lambda: random_walk.random_walk(seeds, random_walk.affinity([rows]), 64).flatten(1), repeats=3
    )
    slow = spml_plain.timed(spml_plain.random_walk, seeds.flatten(1), rows)
    print(f"random walk, {height * width} nodes, {CLASSES} classes, {PRESENT} present, T^64, {THREADS} threads")
    spml_plain.report(slow, fast)
    plain, ours = slow[2], fast[2]
    differ, faster = int((plain.argmax(0) != ours.argmax(0)).sum()), slow[1] / fast[1]
    print(f"largest difference {float((plain - ours).abs().max()):.2g}, labels that differ: {differ}")
    return [Row(f"SPML's random walk T^64, {height * width} nodes", f"{slow[1]:.1f} s of a processor",
                f"{fast[1]:.2f} s of a processor", f"{faster:.0f} x", f"{differ} labels differ", "20 x, same labels",
                faster >= 20 and not differ)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
