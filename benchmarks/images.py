"""Cost in the number of pictures: masks and evaluation of 10, 100 and 1,000 small pictures, seconds and peak memory.

`python -m benchmarks.images [workers]`; a picture's cost and the peak must not grow with their number.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from wsnb import metrics
from wsnb.data import voc
from wsnb.data.synthetic import make_voc
from wsnb.files import read_index
from wsnb.ops.crf import CRF
from wsnb.papers.single_stage import inference, model

COUNTS = (10, 100, 1000)


def label(items, folder, workers):
    """The label stage of the chapter: network, CRF, index PNGs."""
    torch.manual_seed(0)
    network, _ = model.build("single_stage", "mobilenet_v2", n_classes=6, width=16)
    infer = inference.Inference(network.eval(), [1.0], 96, cut=0.0)
    for _ in inference.write_labels(infer, items, 6, ["predicted"], CRF(iterations=2), folder, workers):
        pass


def evaluate(items, folder):
    """The evaluation stage: one confusion matrix."""
    table = np.zeros((6, 6), np.int64)
    for item in items:
        table += metrics.confusion(voc.read_mask(item, 6), read_index(folder / "masks_crf" / f"{item.id}.png"), 6)
    return metrics.mean_iou(table)


def main(workers=2):
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        root = make_voc.shapes(Path(place) / "VOCdevkit", train=max(COUNTS), val=1, size=(48, 64))
        print("pictures  label s  a picture ms  evaluate s  peak MiB (parent)")
        for count in COUNTS:
            items, folder = voc.items(root, "train", count), Path(place) / str(count)
            start = time.perf_counter()
            label(items, folder, workers)
            middle = time.perf_counter()
            evaluate(items, folder)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{count:8d} {middle - start:8.1f} {1000 * (middle - start) / count:13.1f} "
                f"{time.perf_counter() - middle:11.2f} {peak:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
