"""GrabCut+ between pixels and between regions: mIoU of the label maps of real pictures, and processor time a box.
`python -m benchmarks.grabcut_plus VOCdevkit [pictures]` takes so many pictures of its train list, drawn with seed 0.
"""

import sys
import time

import numpy as np

from wsnb import metrics
from wsnb.data import read
from wsnb.papers.simple_does_it import box_labels


def main(root, pictures=150, every=10):
    classes, items = read.class_names("voc", root), read.items("voc", root, "train")
    inputs = box_labels.Inputs("voc", tuple(classes))
    chosen = np.random.default_rng(0).permutation(len(items))[:pictures]
    tables, seconds, boxes = dict.fromkeys(box_labels.NODES, 0), dict.fromkeys(box_labels.NODES, 0.0), 0
    for count, k in enumerate(chosen, start=1):
        truth, (places, labels) = read.mask("voc", items[k], len(classes)), box_labels.boxes_of(inputs, items[k])
        boxes += len(places)
        for nodes in box_labels.NODES:
            picture = box_labels.picture_of(inputs, items[k], box_labels.Settings(nodes=nodes))
            begin = time.process_time()
            found = box_labels.label_map("grabcut_plus", picture, places, labels)
            seconds[nodes] += time.process_time() - begin
            tables[nodes] = tables[nodes] + metrics.confusion(truth, found, len(classes))
        if count % every == 0 or count == len(chosen):
            print(f"{count} pictures, {boxes} boxes: " + "; ".join(
                f"{nodes} {100 * metrics.mean_iou(tables[nodes]):.1f} % mIoU, {seconds[nodes] / boxes:.2f} s a box"
                for nodes in box_labels.NODES), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
