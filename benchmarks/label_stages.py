"""Labels of 10,582 small pictures in one process: memory stays flat, time grows with the number of pictures.

`python -m benchmarks.label_stages [pictures]` draws pictures of 32 x 40, takes the labels of each stage below of the
first quarter of them, then of the others, and prints memory and time a picture after both. Labels are computed and
written by the functions that the notebooks call.
"""

import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data import voc, weak
from wsnb.data.item import Item
from wsnb.data.synthetic import shapes
from wsnb.data.synthetic.writing import jpeg
from wsnb.files import save_png
from wsnb.ops import label_maps
from wsnb.ops.threshold_sweep import Sweep

SIZE, N_CLASSES, DRAWN = (32, 40), 6, 64  # pixels; classes; pictures that differ


def draw(folder, count) -> list:
    """Items of COUNT pictures with masks; after DRAWN of them they repeat."""
    for index in range(DRAWN):
        scene = shapes.scene(index, "train", SIZE)
        jpeg(folder / f"{index}.jpg", scene.image)
        save_png(folder / f"{index}.png", scene.mask)
    return [Item(f"{k:06d}", folder / f"{k % DRAWN}.jpg", folder / f"{k % DRAWN}.png") for k in range(count)]


def boxes(item):
    """Rectangles, the plainest labels from boxes."""
    mask = voc.read_mask(item, N_CLASSES)
    return weak.draw_boxes(mask.shape, *weak.boxes(mask))


def strokes(item):
    """Scribbles of every object and of the background."""
    return weak.scribbles(voc.read_mask(item, N_CLASSES), int(item.id))


def scores(item):
    """(picture, class scores) as a network would give them, for winners and thresholds."""
    mask = voc.read_mask(item, N_CLASSES)
    found = np.eye(N_CLASSES, dtype=np.float32)[np.where(mask < N_CLASSES, mask, 0)].transpose(2, 0, 1)
    return voc.read_image(item), 0.6 * found + 0.05


def written(function, items, folder, prepare=None) -> None:
    """Label maps of ITEMS, written as the stages write them."""
    for _ in label_maps.write_labels(function, items, [folder], 0, prepare):
        pass


def scored(items, folder) -> None:
    """Confusion matrices of the label maps in FOLDER, and a threshold sweep."""
    label_maps.confusions(items, partial(voc.read_mask, n_classes=N_CLASSES), {"labels": folder}, N_CLASSES)
    sweep = Sweep(N_CLASSES)
    for item in items:
        sweep.add(voc.read_mask(item, N_CLASSES), np.arange(1, N_CLASSES), scores(item)[1][1:])


def main(count=10_582):
    with tempfile.TemporaryDirectory() as place:
        items = draw(Path(place, "data"), count)
        stages = {"rectangles": lambda part: written(boxes, part, Path(place, "boxes")),
                  "scribbles": lambda part: written(strokes, part, Path(place, "scribbles")),
                  "winners of scores": lambda part: written(label_maps.winners, part, Path(place, "winners"), scores),
                  "scoring": lambda part: scored(part, Path(place, "boxes"))}  # fmt: skip
        for name, stage in stages.items():
            seen = []
            for part in (items[: count // 4], items[count // 4 :]):
                start = time.process_time()
                stage(part)
                used = time.process_time() - start
                seen += [1000 * used / len(part), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
            print("{:20} {:5d} pictures {:6.2f} ms each, {:.0f} MiB; {:5d} more {:6.2f} ms each, {:.0f} MiB".format(
                name, count // 4, *seen[:2], count - count // 4, *seen[2:]), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
