"""Class maps of VOC training pictures on disk: float32 at stride 4 and at full size, as IRN keeps them, against float16
at the network's stride, each scale by itself. Present classes only.

Writes a few made-up pictures both ways and scales to 10,582. `python -m benchmarks.cam_store [pictures]`
"""

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.rows import Row
from wsnb.ops import cam
from wsnb.papers.no_people_allowed import cams

VOC = 10582


SIZE, SCALES = (375, 500), (1.0, 0.5, 1.5, 2.0)


def maps_of(rng):
    """One to three smooth maps at stride 16 of each scale, as on VOC: 1.5 classes a picture."""
    count = rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])
    shapes = [[-(-round(side * scale) // 16) for side in SIZE] for scale in SCALES]
    return [np.stack([cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 1) for _ in range(count)])
            for shape in shapes]


def main(pictures=40):
    rng, plain, seconds, error = np.random.default_rng(0), 0, np.zeros(3), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for k in range(pictures):
            each = maps_of(rng)
            keys, cover, grid = np.arange(len(each[0])), cams.irn_cover(SIZE), cams.stride_4(SIZE)
            start = time.perf_counter()
            both = [torch.from_numpy(one) for one in each]
            high, low = cam.summed(both, SIZE, cover).numpy(), cam.summed(both, grid).numpy()
            np.save(Path(folder) / f"{k}.npy", {"keys": keys, "cam": low, "high_res": high})
            seconds[0] += time.perf_counter() - start
            plain += (Path(folder) / f"{k}.npy").stat().st_size
            start = time.perf_counter()
            cam.write(folder, str(k), keys, each, SIZE, cover, grid)
            seconds[1] += time.perf_counter() - start
            start = time.perf_counter()
            found = cam.read(folder, str(k))[1]
            seconds[2] += time.perf_counter() - start
            error = max(error, float(np.abs(found - high).max() / np.abs(high).max()))
        ours = sum(path.stat().st_size for path in Path(folder).glob("*.npz"))
    scale = VOC / pictures / 1e9
    print(f"class maps of {VOC:,} pictures, from {pictures}")
    print(f"plain  {plain * scale:6.2f} GB   {1000 * seconds[0] / pictures:6.1f} ms to write")
    print(f"ours   {ours * scale:6.2f} GB   {1000 * seconds[1] / pictures:6.1f} ms to write, "
          f"{1000 * seconds[2] / pictures:.1f} ms to read at full size")
    print(f"ratio  {plain / ours:6.1f} x   largest error {error:.2g} of a picture's maximum")
    return [Row(f"class maps of {VOC:,} pictures", f"{plain * scale:.1f} GB", f"{ours * scale:.2f} GB",
                f"{plain / ours:.0f} x", f"largest error {error:.1g} of a picture's maximum", "1 GB",
                bool(ours * scale <= 1))]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
