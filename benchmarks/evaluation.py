"""Evaluation of 1,449 label maps of 500 x 375, as VOC val has: seconds and peak memory beside scikit-learn's matrix.

`python -m benchmarks.evaluation [maps] [maps of the plain way]`; the plain way is timed on fewer maps and scaled up.
A dozen different maps go round, so that what memory grows is the evaluation's. Panoptic scores follow, on fewer maps.
"""

import itertools
import resource
import sys
import time

import cv2
import numpy as np

from benchmarks.rows import Row, size
from wsnb import metrics
from wsnb.metrics import panoptic, panoptic_authors

CLASSES, SIZE = 21, (375, 500)


def blobs(rng, values):
    """A map of smooth regions with the VALUES."""
    small = rng.choice(values, (8, 10)).astype(np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_NEAREST)


def pairs(count=12):
    rng = np.random.default_rng(0)
    labels = [*range(CLASSES), 255]
    truths = [blobs(rng, labels) for _ in range(count)]
    wrong = [blobs(rng, labels[:-1]) for _ in truths]
    mostly = [rng.random(SIZE) < 0.8 for _ in truths]
    return [(t, np.where(m, np.minimum(t, CLASSES - 1), w)) for t, m, w in zip(truths, mostly, wrong, strict=True)]


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(function, maps, count):
    """Seconds for COUNT maps, what the sum of the results is, and the rise of the peak in MiB, after a warm-up."""
    function(*maps[0])
    before, start = peak(), time.perf_counter()
    total = sum(function(t, p.astype(np.uint8)) for t, p in itertools.islice(itertools.cycle(maps), count))
    return time.perf_counter() - start, total, peak() - before


def plain(truth, prediction):
    """The published evaluators' way: all counted pixels to scikit-learn."""
    from sklearn.metrics import confusion_matrix

    counted = truth < CLASSES
    return confusion_matrix(truth[counted], prediction[counted], labels=range(CLASSES))


def ours(truth, prediction):
    return metrics.confusion(truth, prediction, CLASSES)


def panoptic_seconds(maps, count):
    """Seconds a map for the standard and the authors' scores of id maps with about 80 segments."""
    quality, overlaps = panoptic.PanopticQuality(CLASSES), panoptic_authors.Overlaps.of(range(1, CLASSES))
    start = time.perf_counter()
    for truth, prediction in itertools.islice(itertools.cycle(maps), count):
        ids, classes, crowd = panoptic.truth(truth, np.where(truth < CLASSES, truth, 0), range(1, CLASSES), 0)
        own, own_classes, _ = panoptic.truth(prediction, prediction, range(1, CLASSES), 0)
        quality.add(ids, classes, own, own_classes, crowd)
        overlaps.add(ids, truth, own, list(own_classes.values()), [1.0] * len(own_classes))
    return (time.perf_counter() - start) / count


def main(count=1449, plain_count=145):
    maps = pairs()
    seconds, table, rise = timed(ours, maps, count)
    print(f"{count} maps of {SIZE[1]} x {SIZE[0]}, {CLASSES} classes")
    print(f"ours     {seconds:7.2f} s   peak rises by {rise:.1f} MiB   mIoU {100 * metrics.mean_iou(table):.4f} %")
    slow, other, _ = timed(plain, maps, plain_count)
    same, slow = np.array_equal(other, timed(ours, maps, plain_count)[1]), slow * count / plain_count
    print(f"plain    {slow:7.2f} s   (from {plain_count} maps), same matrix: {same}")
    print(f"ratio    {slow / seconds:7.1f} x")
    print(f"panoptic {1000 * panoptic_seconds(maps, 60):7.1f} ms a map, authors' and standard together")
    return [Row(f"evaluation of {count:,} label maps of {SIZE[0]} x {SIZE[1]}", f"{slow:.1f} s, scikit-learn",
                f"{seconds:.2f} s, memory grows by {size(rise * 2**20)}", f"{slow / seconds:.0f} x",
                "same matrix" if same else "another matrix", "2.5 s, constant memory",
                bool(seconds < 2.5 and rise < 16 and same))]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
