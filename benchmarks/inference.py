"""Multi-scale, flipped inference: a picture and its mirror image as one batch against one variant at a time.

`python -m benchmarks.inference [repeats] [side]`; the same weights and scales, one thread, probabilities compared.
Seconds of the processor count, so that other work on the machine does not. Ours keeps the network's memory in the order
that its convolutions like (channels last), as the stages do.
"""

import copy
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.rows import Row
from wsnb.data import transforms
from wsnb.models import heads
from wsnb.ops.segmentation import predict

SCALES, CLASSES = (0.5, 0.75, 1.0), 21


@torch.no_grad()
def plain(network, image):
    """Each scale and each mirror image by itself, in the framework's default layout, enlarged and averaged."""
    import cv2

    height, width = image.shape[:2]
    total = 0
    for scale in SCALES:
        size = tuple(round(side * scale) for side in (width, height))
        x = transforms.normalise(transforms.to_unit(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)))[None]
        for flip in (False, True):
            maps = network(x.flip(-1) if flip else x).softmax(1)
            maps = maps.flip(-1) if flip else maps
            total = total + F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)[0]
    return (total / (2 * len(SCALES))).numpy()


def network_of(seed=0):
    """A segmenter with random weights whose normalisations have seen pictures, so that its output is not flat."""
    torch.manual_seed(seed)
    network, _ = heads.build("largefov", "mobilenet_v2", CLASSES, "random", freeze=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 128, 128))
    return network.eval()


def main(repeats=5, side=320):
    torch.set_num_threads(1)
    network = network_of()
    ordered = copy.deepcopy(network).to(memory_format=torch.channels_last)
    image = np.random.default_rng(0).integers(0, 256, (side * 3 // 4, side, 3), dtype=np.uint8)
    ways = {
        "plain": lambda: plain(network, image),
        "batched": lambda: predict(ordered, image, SCALES, True),
    }
    seconds, found = dict.fromkeys(ways, np.inf), {}
    for _ in range(repeats):  # in turn; the best of each counts
        for name, way in ways.items():
            start = time.process_time()
            found[name] = way()
            seconds[name] = min(seconds[name], time.process_time() - start)
    print(f"a picture of {side} x {side * 3 // 4}, scales {SCALES}, mirrored, one thread")
    for name, value in seconds.items():
        error = np.abs(found[name] - found["plain"]).max()
        print(f"{name:8} {value:6.3f} s  {seconds['plain'] / value:5.2f} x  largest difference {error:.1e}")
    gain = seconds["plain"] / seconds["batched"]
    return [Row(f"inference at scales {', '.join(map(str, SCALES))}, mirrored, {side} x {side * 3 // 4}",
                f"{seconds['plain']:.2f} s of a processor", f"{seconds['batched']:.2f} s of a processor",
                f"{gain:.2f} x", f"largest difference {error:.0e}", "1.5 x on a CPU", bool(gain >= 1.5))]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
