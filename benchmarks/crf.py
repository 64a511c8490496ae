"""Confident labels of one 375 x 500 picture with two tags: two CRFs over 21 classes, each with its own lattice, against
two CRFs over the present classes that share one. `python -m benchmarks.crf [pictures]`

With a data set: both backends on its pictures, the CRF of each chapter. `python -m benchmarks.crf PICTURES VOCDEVKIT
[split] [device]`
"""

import sys
import time
from dataclasses import replace

import cv2
import numpy as np

from benchmarks import irn_plain
from benchmarks.rows import Row
from wsnb.data import read
from wsnb.ops import cam, crf

CHAPTERS = {"single_stage, simple_does_it": crf.CRF(), "no_people_allowed, of labels": crf.LABEL_CRF,
            "spml": crf.CRF(10, 1, 3, 67, 3, 4), "panoptic": crf.CRF(3, 3, 3, 49, 5, 4)}


def inputs(seed, size=(375, 500)):
    """A picture of soft noise, two maps, the label maps of IRN's two thresholds."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (*size, 3)).astype(np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    maps = np.stack([cv2.GaussianBlur(rng.random(size).astype(np.float32), (0, 0), 30) for _ in range(2)])
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    return image, [cam.thresholded(maps, threshold) for threshold in (0.6, 0.4)]


def scores_of(truth, rng):
    """Scores float32 [21, H, W] as of a network at stride 8 that sees the mask TRUTH uint8 [H, W] dimly."""
    classes = np.arange(21, dtype=np.uint8)
    small = cv2.resize(truth, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_NEAREST)
    seen = [cv2.GaussianBlur((small == k).astype(np.float32), (0, 0), 2) + rng.normal(0, 0.15, small.shape)
            if k in truth else np.full(small.shape, -np.inf) for k in classes]
    powers = np.exp(5 * np.stack(seen).astype(np.float32))
    powers /= powers.sum(0)
    return np.stack([cv2.resize(one, truth.shape[::-1], interpolation=cv2.INTER_LINEAR) for one in powers])


def backends(pictures, root, split="val", device="cpu"):
    rng, items = np.random.default_rng(0), read.items("voc", root, split, int(pictures))
    print(f"{len(items)} pictures of {split}; torch on {device}")
    for name, settings in CHAPTERS.items():
        seconds, agree = np.zeros(2), []
        for item in items:
            image, truth = read.image(item), read.mask("voc", item, 21)
            scores, found = scores_of(truth, rng), []
            for k, backend in enumerate(crf.BACKENDS):
                start = time.perf_counter()
                if "labels" in name:
                    numbers = np.unique(truth[truth < 21])
                    labels = scores[numbers].argmax(0)
                    found.append(crf.refine_labels(image, [labels], len(numbers),
                                                   replace(settings, backend=backend, device=device))[0])
                else:
                    found.append(crf.crf_labels(image, scores, replace(settings, backend=backend, device=device)))
                seconds[k] += time.perf_counter() - start
            agree.append((found[0] == found[1]).mean())
        each = seconds / len(items)
        print(f"{name:30s} pydensecrf {each[0]:5.2f} s, torch {each[1]:5.2f} s a picture; equal labels: mean "
              f"{100 * np.mean(agree):.3f} %, least {100 * min(agree):.3f} %", flush=True)


def main(pictures=3):
    seconds, agree, identical = np.zeros(3), [], True
    for seed in range(pictures):
        image, maps = inputs(seed)
        for k, call in enumerate((
            lambda: irn_plain.crf(image, maps, 21, crf.LABEL_CRF),  # noqa: B023
            lambda: [crf.refine_labels(image, [one], 3)[0] for one in maps],  # noqa: B023
            lambda: crf.refine_labels(image, maps, 3),  # noqa: B023
        )):
            start = time.perf_counter()
            out = call()
            seconds[k] += time.perf_counter() - start
            if k == 0:
                plain = out
            elif k == 1:
                alone = out
            else:
                agree.append(np.mean([(a == b).mean() for a, b in zip(plain, out, strict=True)]))
                identical &= all((a == b).all() for a, b in zip(alone, out, strict=True))
    each = seconds / pictures
    print(f"two label CRFs of a 375x500 picture, 10 iterations, {pictures} pictures")
    print(f"21 classes, a lattice each         {each[0]:6.2f} s")
    print(f"present classes, a lattice each    {each[1]:6.2f} s   ratio {each[0] / each[1]:5.1f} x")
    print(f"present classes, one lattice       {each[2]:6.2f} s   ratio {each[0] / each[2]:5.1f} x")
    print(f"same labels as 21 classes on {100 * np.mean(agree):.2f} % of the pixels; one lattice or two: "
          f"{'identical' if identical else 'DIFFERENT'}")
    one_lattice = "identical" if identical else "DIFFERENT"
    return [Row("two dense CRFs of a picture of 375 x 500 with its tags, 10 iterations", f"{each[0]:.2f} s",
                f"{each[2]:.2f} s", f"{each[0] / each[2]:.1f} x",
                f"same labels on {100 * np.mean(agree):.2f} % of pixels; with one lattice or two {one_lattice}",
                "3 x, one lattice identical", bool(each[0] / each[2] >= 3 and identical))]


if __name__ == "__main__":
    backends(*sys.argv[1:]) if len(sys.argv) > 2 else main(*map(int, sys.argv[1:]))
