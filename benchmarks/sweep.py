"""A hundred thresholds of the background score, pictures of 375 x 500: a hundred passes against one joint histogram.

`python -m benchmarks.sweep [pictures]`
"""

import sys
import time

import cv2
import numpy as np

from benchmarks import irn_plain
from benchmarks.rows import Row
from wsnb.ops.threshold_sweep import LEVELS, Sweep


def picture(seed, size=(375, 500)):
    """Truth uint8 with void, two classes, their maps."""
    rng = np.random.default_rng(seed)
    maps = np.stack([cv2.GaussianBlur(rng.random(size).astype(np.float32), (0, 0), 20) for _ in range(2)])
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    truth = np.array([0, 3, 8, 255], np.uint8)[np.clip((maps[0] * 5).astype(int), 0, 3)]
    return truth, np.array([3, 8]), maps


def main(pictures=8):
    levels = np.linspace(0, LEVELS - 1, 100).astype(int)
    images = [picture(seed) for seed in range(pictures)]
    start = time.perf_counter()
    plain = irn_plain.thresholds(images, 21, levels / LEVELS)
    middle = time.perf_counter()
    counted = Sweep(21)
    for one in images:
        counted.add(*one)
    ours = counted.curve()[1][levels]
    end = time.perf_counter()
    print(f"100 thresholds, {pictures} pictures of 375x500, 21 classes")
    print(f"plain  {middle - start:7.2f} s\nours   {end - middle:7.2f} s   (256 thresholds)")
    print(f"ratio  {(middle - start) / (end - middle):7.1f} x   largest difference {np.abs(plain - ours).max():.2g}")
    return [Row(f"100 thresholds, {pictures} pictures", f"{middle - start:.1f} s, 100 passes",
                f"{end - middle:.2f} s, one pass", f"{(middle - start) / (end - middle):.0f} x",
                f"largest difference of the mean IoU {np.abs(plain - ours).max():.1g}", "one pass", True)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
