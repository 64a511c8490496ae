"""The book's boundaries against HED's: what they find of the classes' borders, and what labels and regions made of them
are worth. `python -m benchmarks.boundaries VOCdevkit [pictures] [folder]` takes so many pictures of the train list,
drawn with seed 0, on one core. Each picture's counts are kept in the folder: a killed run goes on.

AP: average precision of the boundary strength as a score of the pixels within 2 of a border between classes; the void
pixels of the masks take the nearest class first. mIoU: of labels on the pixels that they label, cut between regions
(`grabcut_plus_nodes: regions`). ASA, achievable segmentation accuracy: the share of pixels that are right when every
region takes its most frequent true class; cut at SPML's height, and to at most so many regions.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from wsnb import metrics
from wsnb.data import read
from wsnb.files import load_npz, save_npz
from wsnb.metrics.segments import shared_pixels
from wsnb.ops import boundaries, hierarchies, parallel
from wsnb.papers.simple_does_it import box_labels
from wsnb.papers.spml import weak_labels

SOURCES, METHODS, CUTS = ("builtin", "hed"), ("grabcut_plus", "m_and_g_plus"), (25, 50, 100)  # at most so many regions
HEIGHT, WITHIN, LEVELS = 0.4, 2, 256  # SPML's cut; pixels; of the boundary strength
SETTINGS = box_labels.Settings(nodes="regions")


def border(truth, n_classes):
    """Pixels within `WITHIN` of a border between classes: bool [H, W]."""
    known = truth < n_classes
    if not known.any():
        return np.zeros(truth.shape, bool)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled = truth[tuple(nearest)]
    inner = cv2.morphologyEx(filled, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return cv2.dilate(inner.astype(np.uint8), np.ones((2 * WITHIN - 1,) * 2, np.uint8)) > 0


def average_precision(counts) -> float:
    """AP of counts [levels, 2] of pixels (beside borders, on them), by their strength."""
    others, hits = np.cumsum(counts[::-1].astype(float), axis=0).T
    precision, recall = hits / np.maximum(others + hits, 1), hits / max(hits[-1], 1)
    return float((np.diff(recall, prepend=0) * precision).sum())


def achievable(regions, truth, n_classes):
    """(pixels that are right if each region takes its most frequent class, pixels with a class, regions)."""
    shared = shared_pixels(regions, np.minimum(truth, n_classes).astype(int))
    pixels = shared.pixels[:, shared.columns < n_classes]
    return [int(pixels.max(axis=1).sum()) if pixels.size else 0, int(pixels.sum()), int(regions.max()) + 1]


def counts_of(item, classes) -> dict:
    """Counts of one picture with every source of boundaries."""
    truth, found = read.mask("voc", item, len(classes)), {}
    on = border(truth, len(classes)).ravel()
    for source in SOURCES:
        inputs, begin = box_labels.Inputs("voc", tuple(classes), source), time.process_time()
        picture = box_labels.picture_of(inputs, item, SETTINGS)
        strength = np.round(picture.boundary * (LEVELS - 1)).astype(int).ravel()
        found[f"{source}__seconds"] = np.float64(time.process_time() - begin)
        found[f"{source}__border"] = np.bincount(2 * strength + on, minlength=2 * LEVELS).reshape(-1, 2)
        for method in METHODS:
            labels = box_labels.label_map(method, picture, *box_labels.boxes_of(inputs, item))
            seen = np.where(labels < len(classes), truth, 255)
            found[f"{source}__{method}"] = metrics.confusion(seen, labels, len(classes)).astype(np.uint32)
            found[f"{source}__{method}__known"] = np.array([(seen < len(classes)).sum(), (truth < len(classes)).sum()])
        cuts = [(HEIGHT, weak_labels.MOST_REGIONS), *((-1, most) for most in CUTS)]
        found[f"{source}__regions"] = np.array([achievable(hierarchies.regions(picture.hierarchy, *cut), truth,
                                                           len(classes)) for cut in cuts])
    return found


def lines(pictures):
    """Describe the sums over PICTURES, a line for each source."""
    for source in SOURCES:
        total = {name: sum(found[name].astype(np.int64 if "seconds" not in name else float) for found in pictures)
                 for name in pictures[0] if name.startswith(f"{source}__")}
        miou = [f"{method} {100 * metrics.mean_iou(total[f'{source}__{method}']):.1f} % of "
                f"{100 * np.divide(*total[f'{source}__{method}__known']):.0f} % of the pixels" for method in METHODS]
        names = [f"height {HEIGHT} ({total[f'{source}__regions'][0, 2] / len(pictures):.0f} regions)", *CUTS]
        asa = [f"{name} {100 * right / known:.1f}" for name, (right, known, _) in
               zip(names, total[f"{source}__regions"], strict=True)]
        seconds = total[f"{source}__seconds"] / len(pictures)
        print(f"{len(pictures)} pictures, {source}: AP {average_precision(total[f'{source}__border']):.3f}; label mIoU "
              f"{', '.join(miou)}; ASA {', '.join(asa)} %; {seconds:.2f} s", flush=True)


def main(root, pictures=600, folder="runs/boundaries", every=10):
    classes, items = read.class_names("voc", root), read.items("voc", root, "train")
    boundaries.need("hed", items)
    done = []
    chosen = np.random.default_rng(0).permutation(len(items))[: int(pictures)]
    with parallel.one_thread():
        for count, k in enumerate(chosen, start=1):
            path = Path(folder) / f"{items[k].id}.npz"
            if not path.exists():
                save_npz(path, **counts_of(items[k], classes))
            done.append(load_npz(path))
            if count % every == 0 or count == len(chosen):
                lines(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
