"""Class maps of VOC training pictures on disk: float32 at full size against float16 at stride 4, present classes only.

Writes a few made-up pictures both ways and scales to 10,582. `python -m benchmarks.cam_store [pictures]`
"""

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from wsnb.ops import cam

VOC = 10582


def maps_of(rng, size=(94, 125)):
    """One to three smooth maps at stride 4, as on VOC: 1.5 classes a picture."""
    count = rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])
    return np.stack([cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), 4) for _ in range(count)])


def main(pictures=40):
    rng, plain, seconds, error = np.random.default_rng(0), 0, np.zeros(3), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for k in range(pictures):
            maps = maps_of(rng)
            start = time.perf_counter()
            high = np.stack([cv2.resize(one, (500, 375), interpolation=cv2.INTER_LINEAR) for one in maps])
            np.save(Path(folder) / f"{k}.npy", {"keys": np.arange(len(maps)), "cam": maps, "high_res": high})
            seconds[0] += time.perf_counter() - start
            plain += (Path(folder) / f"{k}.npy").stat().st_size
            start = time.perf_counter()
            cam.write(folder, str(k), np.arange(len(maps)), maps, (375, 500))
            seconds[1] += time.perf_counter() - start
            start = time.perf_counter()
            found = cam.read(folder, str(k), "stored")[1]
            cam.read(folder, str(k))
            seconds[2] += time.perf_counter() - start
            error = max(error, float(np.abs(found - maps).max() / np.abs(maps).max()))
        ours = sum(path.stat().st_size for path in Path(folder).glob("*.npz"))
    scale = VOC / pictures / 1e9
    print(f"class maps of {VOC:,} pictures, from {pictures}")
    print(f"plain  {plain * scale:6.2f} GB   {1000 * seconds[0] / pictures:6.1f} ms to write")
    print(f"ours   {ours * scale:6.2f} GB   {1000 * seconds[1] / pictures:6.1f} ms to write, "
          f"{1000 * seconds[2] / pictures:.1f} ms to read at full size")
    print(f"ratio  {plain / ours:6.1f} x   largest error {error:.2g} of a picture's maximum")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
