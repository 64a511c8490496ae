"""Rows of pictures beside their label maps: the same few pictures from stage to stage, the best and the worst.

Also segments and boxes drawn into a picture: each instance in a shade of its class's colour, with a light border.
"""

from functools import partial

import cv2
import numpy as np

from wsnb import viz
from wsnb.data import read
from wsnb.files import read_index

YELLOW = (255, 255, 0)
SHADES = (0.0, 0.35, -0.3, 0.55, -0.5, 0.18, -0.15)  # towards white (above 0) or black, one instance after another


def known_truth(item, truth_of, size):
    """Read TRUTH_OF(item), or 255 all over SIZE where the set has no mask of the picture, as in VOC's test split."""
    return truth_of(item) if item.mask is not None else np.full(size, 255, np.uint8)


def known_tags(item, layout, n_classes):
    """The picture's tags [C - 1]; none where nothing is known of it, as in VOC's test split."""
    known = item.mask is not None or item.tags is not None
    return read.tags(layout, item, n_classes) if known else np.zeros(n_classes - 1, np.float32)


def book_pictures(items, layout, n_classes, count=4):
    """Choose the COUNT pictures that all stages show: spread over the split, with an object if possible."""
    spread = items[:: max(1, len(items) // (4 * count))]
    with_objects = [item for item in spread if known_tags(item, layout, n_classes).any()]
    return (with_objects or items[:: max(1, len(items) // count)])[:count]


def overlaid(item, image_of, labels_of, palette=viz.PALETTE, background=0):
    """IMAGE_OF(item) under the label map LABELS_OF(item)."""
    return viz.overlay(image_of(item), labels_of(item), palette=palette, background=background)


def saved(folder):
    """A function of an item: its label map in FOLDER."""
    return lambda item: read_index(folder / f"{item.id}.png")


def ladder_figure(items, image_of, truth_of, folders, palette=viz.PALETTE, background=0, width=10.0):
    """A row a picture: the picture, the ground truth (light where there is none), and the label map of each folder.

    folders: {title: folder}.
    """
    maps = {"ground truth": lambda item: known_truth(item, truth_of, image_of(item).shape[:2])}
    maps |= {title.replace("_", " + "): saved(folder) for title, folder in folders.items()}
    columns = {title: partial(overlaid, image_of=image_of, labels_of=labels_of, palette=palette, background=background)
               for title, labels_of in maps.items()}
    return viz.rows(items, {"picture": image_of, **columns}, width)


def good_and_bad_figure(order, items, image_of, truth_of, folder, count=4, palette=viz.PALETTE, background=0):
    """COUNT best, middle and worst pictures of a frame (id, mIoU) sorted by mIoU: picture, ground truth, prediction.

    items: {id: item}; folder: of index PNGs.
    """
    overlay = partial(overlaid, image_of=image_of, palette=palette, background=background)
    miou = dict(zip(order["id"], order["mIoU"], strict=True))
    chosen = [items[name] for name in order["id"].iloc[best_and_worst(len(order), count)]]
    return viz.rows(chosen, {
        "picture": lambda item: (image_of(item), item.id),
        "ground truth": lambda item: (overlay(item, labels_of=truth_of), "ground truth"),
        "prediction": lambda item: (overlay(item, labels_of=saved(folder)), f"mIoU {100 * miou[item.id]:.0f} %"),
    }, width=12, across=2)


def best_and_worst(count, each=3) -> list[int]:
    """Places of the EACH first, middle and last of COUNT sorted objects, each once, ascending."""
    middle = max(0, (count - each) // 2)
    places = [*range(min(each, count)), *range(middle, min(middle + each, count)), *range(max(0, count - each), count)]
    return sorted(set(places))


def segments_overlay(image, ids, classes, palette=viz.PALETTE, things=(), hidden=(), alpha=0.6) -> np.ndarray:
    """Draw IMAGE uint8 [H, W, 3] under its segments, ids [H, W] with {id: class}, each with a light border.

    Thing classes get a shade an instance; segments of HIDDEN classes and the id 0 are left bare; 255 is void.
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


def boxes_overlay(image, boxes, classes=None, palette=viz.PALETTE) -> np.ndarray:
    """IMAGE uint8 [H, W, 3] with boxes [N, 4], half-open, in the colours of their classes [N], yellow without."""
    shown = np.ascontiguousarray(image).copy()
    width = max(1, round(max(shown.shape[:2]) / 240))
    boxes = np.asarray(boxes, int).reshape(-1, 4).tolist()
    colours = [YELLOW] * len(boxes) if classes is None else [tuple(int(v) for v in palette[k]) for k in classes]
    for (x0, y0, x1, y1), colour in zip(boxes, colours, strict=True):
        cv2.rectangle(shown, (x0, y0), (x1 - 1, y1 - 1), (255, 255, 255), 2 * width)
        cv2.rectangle(shown, (x0, y0), (x1 - 1, y1 - 1), colour, width)
    return shown
