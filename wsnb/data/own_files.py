"""One of your own pictures and its labels, written as VOC's files."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from wsnb.data import voc_xml
from wsnb.data.making import jpeg
from wsnb.files import read_index, save_png

UNKNOWN = 255


def write(place: Path, name: str, path: Path, labels: dict, size, classes) -> set[str]:
    """Write all files of a picture below PLACE; returns its tags.

    PATH is the picture, LABELS {kind: what its reader gave}, SIZE ((height, width) upright, the same as written),
    CLASSES the names, background first. The class mask holds what is known: a given mask, else the ground outside of
    all boxes, scribbles, points, or nothing but ground where tags say that there is no object.
    """
    (height, width), small = size
    ratio = np.array([small[1] / width, small[0] / height])
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != small[::-1]:
        upright = upright.resize(small[::-1], Image.Resampling.LANCZOS)
    jpeg(place / "JPEGImages" / f"{name}.jpg", np.array(upright))
    known, tags = np.full(small, UNKNOWN, np.uint8), set(labels.get("tags", ()))
    if labels.get("tags") == []:
        known[:] = 0
    if "boxes" in labels:
        boxes = _scaled([box for _, box, _ in labels["boxes"]], ratio, small)
        voc_xml.save(place / "Annotations" / f"{name}.xml", f"{name}.jpg", small, boxes,
                     [classes.index(label) for label, _, _ in labels["boxes"]], classes,
                     [difficult for _, _, difficult in labels["boxes"]])
        known[:] = 0
        for x0, y0, x1, y1 in boxes:
            known[y0:y1, x0:x1] = UNKNOWN
        tags |= {label for label, _, _ in labels["boxes"]}
    for kind, thick in (("scribbles", 3), ("points", 1)):
        if kind in labels:
            drawn = marks(labels[kind], (height, width), small, ratio, classes, thick)
            save_png(place / kind.capitalize() / f"{name}.png", drawn)
            known = np.where(drawn != UNKNOWN, drawn, known)
    if "masks" in labels:
        known = cv2.resize(read_index(labels["masks"]), small[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    save_png(place / "SegmentationClass" / f"{name}.png", known)
    return tags | {classes[k] for k in np.unique(known) if 0 < k < UNKNOWN}


def _scaled(boxes, ratio, small) -> np.ndarray:
    """Boxes int [N, 4] in the written size: never smaller than a pixel, never outside."""
    boxes = np.array(boxes, float).reshape(-1, 4) * np.tile(ratio, 2)
    low = np.clip(np.floor(boxes[:, :2]), 0, np.array(small[::-1]) - 1)
    high = np.clip(np.ceil(boxes[:, 2:]), low + 1, small[::-1])
    return np.concatenate([low, high], 1).astype(int)


def marks(given, size, small, ratio, classes, thick: int) -> np.ndarray:
    """Scribbles or points as a label map uint8 of the written size SMALL, 255 where nothing is known.

    GIVEN is a PNG, or (class, corners) of every stroke. THICK is the width of a drawn line in pixels.
    """
    drawn = np.full(small, UNKNOWN, np.uint8)
    if isinstance(given, Path):  # every marked pixel finds its new place: thin strokes survive
        labels = read_index(given)
        rows, columns = np.nonzero(labels != UNKNOWN)
        drawn[rows * small[0] // size[0], columns * small[1] // size[1]] = labels[rows, columns]
        return drawn
    for label, corners in given:
        line = np.minimum((np.array(corners) * ratio).astype(np.int32), (small[1] - 1, small[0] - 1))
        if len(line) == 1:
            drawn[line[0, 1], line[0, 0]] = classes.index(label)
        else:
            cv2.polylines(drawn, [line.reshape(-1, 1, 2)], False, classes.index(label), thick)
    return drawn
