"""Rows of pictures beside their label maps, the best and the worst among them, and pictures of instances and boxes."""

from functools import partial

import cv2
import numpy as np

from wsnb import viz
from wsnb.files import read_index


def known_truth(item, truth_of, size):
    """Read TRUTH_OF(item), or 255 all over SIZE where the set has no mask of the picture, as in VOC's test split."""
    return truth_of(item) if item.mask is not None else np.full(size, 255, np.uint8)


def ladder_figure(items, image_of, truth_of, folders, palette=viz.PALETTE, background=0, width=10.0):
    """A row a picture: the picture, the ground truth (light where there is none), and the label map of each folder.

    folders: {title: folder}.
    """
    overlay = partial(viz.overlay, palette=palette, background=background)
    tiles = []
    for item in items:
        image = image_of(item)
        found = [read_index(folder / f"{item.id}.png") for folder in folders.values()]
        truth = known_truth(item, truth_of, image.shape[:2])
        tiles += [image, *(overlay(image, mask) for mask in (truth, *found))]
    columns = 2 + len(folders)
    names = ["picture", "ground truth", *(name.replace("_", " + ") for name in folders)]
    return viz.grid(tiles, names + [""] * (len(tiles) - columns), columns=columns, width=width)


def good_and_bad_figure(order, items, image_of, truth_of, folder, count=4, palette=viz.PALETTE, background=0):
    """COUNT best, middle and worst pictures of a frame (id, mIoU) sorted by mIoU: picture, ground truth, prediction.

    items: {id: item}; folder: of index PNGs.
    """
    overlay = partial(viz.overlay, palette=palette, background=background)
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
    return viz.grid(tiles, titles, columns=6 if len(rows) > 1 else 3, width=12)


SHADES = (0.0, 0.35, -0.3, 0.55, -0.5, 0.18, -0.15)  # towards white (above 0) or black, one instance after another


def segments_overlay(image, ids, classes, palette=viz.PALETTE, things=(), hidden=(), alpha=0.6) -> np.ndarray:
    """Draw IMAGE uint8 [H, W, 3] under its segments, ids [H, W] with {id: class}, each with a light border.

    The classes THINGS get a shade an instance; segments of HIDDEN classes and the id 0 are left bare; 255 is void.
    """
    image, ids = np.asarray(image), np.asarray(ids)
    if image.shape[:2] != ids.shape:
        raise ValueError(f"image {image.shape[:2]}, ids {ids.shape}: give a map of the image's size")
    numbers, place = np.unique(ids, return_inverse=True)
    colours, tinted, seen = np.zeros((len(numbers), 3)), np.ones(len(numbers), bool), {}
    for k, number in enumerate(numbers.tolist()):
        label = classes.get(number)
        if label is None or label in hidden:
            tinted[k] = number == viz.VOID
            colours[k] = viz.VOID_COLOUR
            continue
        colours[k] = palette[label]
        if label in things:
            shade = SHADES[seen.setdefault(label, 0) % len(SHADES)]
            seen[label] += 1
            colours[k] += ((255 if shade > 0 else 0) - colours[k]) * abs(shade)
    place = place.reshape(ids.shape)
    shown = np.where(tinted[place][..., None], image * (1 - alpha) + colours[place] * alpha, image)
    shown[_borders(place)] = 255
    return (shown + 0.5).astype(np.uint8)


def _borders(ids):
    line = np.zeros(ids.shape, bool)
    line[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    line[1:] |= ids[1:] != ids[:-1]
    return line


def boxes_overlay(image, boxes, classes, palette=viz.PALETTE) -> np.ndarray:
    """Draw boxes [N, 4], half-open, on IMAGE uint8 [H, W, 3] in the colours of their classes [N]."""
    shown = np.ascontiguousarray(image).copy()
    width = max(1, round(max(shown.shape[:2]) / 240))
    for (x0, y0, x1, y1), label in zip(np.asarray(boxes, int).reshape(-1, 4).tolist(), classes, strict=True):
        for colour, line in (((255, 255, 255), 2 * width), (tuple(int(v) for v in palette[label]), width)):
            cv2.rectangle(shown, (x0, y0), (x1 - 1, y1 - 1), colour, line)
    return shown


def best_and_worst(count, each=3) -> list[int]:
    """List the places of the EACH first, middle and last of COUNT sorted pictures, each once, ascending."""
    middle = max(0, (count - each) // 2)
    places = [*range(min(each, count)), *range(middle, min(middle + each, count)), *range(max(0, count - each), count)]
    return sorted(set(places))
