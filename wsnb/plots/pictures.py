"""Rows of pictures beside their label maps: the same few pictures from stage to stage, the best and the worst."""

from functools import partial

import numpy as np

from wsnb import plots
from wsnb.files import read_index


def known_truth(item, truth_of, size):
    """TRUTH_OF(item), or 255 all over SIZE where the set has no mask of the picture, as in VOC's test split."""
    return truth_of(item) if item.mask is not None else np.full(size, 255, np.uint8)


def ladder_figure(items, image_of, truth_of, folders, palette=plots.PALETTE, background=0, width=10.0):
    """A row a picture: the picture, the ground truth (light where there is none), and the label map of each folder.

    folders: {title: folder}.
    """
    overlay = partial(plots.overlay, palette=palette, background=background)
    tiles = []
    for item in items:
        image = image_of(item)
        found = [read_index(folder / f"{item.id}.png") for folder in folders.values()]
        truth = known_truth(item, truth_of, image.shape[:2])
        tiles += [image, *(overlay(image, mask) for mask in (truth, *found))]
    columns = 2 + len(folders)
    names = ["picture", "ground truth", *(name.replace("_", " + ") for name in folders)]
    return plots.grid(tiles, names + [""] * (len(tiles) - columns), columns=columns, width=width)


def good_and_bad_figure(order, items, image_of, truth_of, folder, count=4, palette=plots.PALETTE, background=0):
    """COUNT best, middle and worst pictures of a frame (id, mIoU) sorted by mIoU: picture, ground truth, prediction.

    items: {id: item}; folder: of index PNGs.
    """
    overlay = partial(plots.overlay, palette=palette, background=background)
    middle = max(0, (len(order) - count) // 2)
    rows = [
        *range(min(count, len(order))),
        *range(middle, min(middle + count, len(order))),
        *range(max(0, len(order) - count), len(order)),
    ]
    rows = sorted(dict.fromkeys(rows))
    tiles, titles = [], []
    for row in order.iloc[rows].itertuples():
        item = items[row.id]
        image = image_of(item)
        tiles += [image, overlay(image, truth_of(item)), overlay(image, read_index(folder / f"{item.id}.png"))]
        titles += [item.id, "ground truth", f"mIoU {100 * row.mIoU:.0f} %"]
    if not tiles:
        tiles, titles = [np.full((60, 240, 3), 255, np.uint8)], ["no picture with a defined mIoU"]
    return plots.grid(tiles, titles, columns=6 if len(rows) > 1 else 3, width=12)
