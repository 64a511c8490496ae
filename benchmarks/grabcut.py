"""GrabCut labels of synthetic pictures by one and by more processes of one thread each, and by one process with all of
OpenCV's threads: time, and the same masks.
`python -m benchmarks.grabcut [pictures] [processes] [height]`
"""

import hashlib
import sys
import time

import cv2
import numpy as np

from benchmarks.rows import Row
from wsnb.data.synthetic import shapes
from wsnb.ops import parallel
from wsnb.papers.simple_does_it import box_labels

KINDS = ("grabcut", "grabcut_plus", "proposal")


def label(job):
    """(seconds a kind, hash of all masks) of one picture."""
    index, height = job
    scene = shapes.scene(index, size=(height, height * 4 // 3))
    picture, seconds, masks = box_labels.Picture(scene.image), {}, []
    for kind in KINDS:
        start = time.perf_counter()
        masks += [picture.object_mask(kind, tuple(box), k) for k, box in enumerate(scene.boxes.tolist())]
        seconds[kind] = (time.perf_counter() - start) / max(len(scene.boxes), 1)
    return seconds, hashlib.sha256(np.concatenate([mask.ravel() for mask in masks]).tobytes()).hexdigest()


def main(pictures=24, processes=2, height=375):
    jobs, walls, found = [(index, height) for index in range(pictures)], {}, {}
    for workers in (1, processes):
        list(parallel.map_images(label, jobs[:workers], workers))  # processes start and import
        start = time.perf_counter()
        found[workers] = list(parallel.map_images(label, jobs, workers))
        walls[workers] = time.perf_counter() - start
    start = time.perf_counter()
    found[0] = [label(job) for job in jobs]
    walls[0] = time.perf_counter() - start
    each = {kind: np.mean([seconds[kind] for seconds, _ in found[1]]) for kind in KINDS}
    print(f"{pictures} pictures of {height}x{height * 4 // 3}, one process: "
          + ", ".join(f"{kind} {1000 * value:.0f} ms a box" for kind, value in each.items()))
    same = all([one for _, one in found[1]] == [one for _, one in found[many]] for many in (0, processes))
    print(f"1 process {walls[1]:.1f} s (with {cv2.getNumThreads()} threads {walls[0]:.1f} s), {processes} processes "
          f"{walls[processes]:.1f} s: {walls[1] / walls[processes]:.2f} x; "
          f"masks {'identical' if same else 'DIFFERENT'}")
    gain = walls[1] / walls[processes]
    return [Row(f"GrabCut labels of {pictures} pictures, {processes} processes", f"{walls[1]:.1f} s in one process",
                f"{walls[processes]:.1f} s", f"{gain:.2f} x", "same masks" if same else "masks DIFFER",
                f"{0.9 * processes:.1f} x, same masks", bool(gain >= 0.9 * processes and same))]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
