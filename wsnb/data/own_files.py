"""One of your own pictures and its labels, written as VOC's files."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from wsnb.data import own_outlines, voc_xml
from wsnb.data.checked import read_numbers
from wsnb.data.making import jpeg
from wsnb.files import read_index, save_png

UNKNOWN = 255


@dataclass
class Written:
    """What is known of a written picture: its TAGS, whether its class mask is WHOLE, whether its OBJECTS have masks."""

    tags: set[str]
    whole: bool
    objects: bool


def write(place: Path, name: str, path: Path, labels: dict, size, classes) -> Written:
    """Write all files of a picture below PLACE.

    PATH is the picture, LABELS {kind: what its reader gave}, SIZE ((height, width) upright, the same as written),
    CLASSES the names, background first. The class mask holds what is known: a given mask or the outlines of all
    objects, else the ground outside of all boxes, scribbles, points, or nothing but ground where tags say that there
    is no object. A tag without a box may lie anywhere: then nothing outside of the boxes is known.
    """
    (height, width), small = size
    ratio = np.array([small[1] / width, small[0] / height])
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != small[::-1]:
        upright = upright.resize(small[::-1], Image.Resampling.LANCZOS)
    jpeg(place / "JPEGImages" / f"{name}.jpg", np.array(upright))
    boxes = _boxes(place, name, labels, ratio, small, classes)
    drawn = {kind: marks(labels[kind], (height, width), small, ratio, classes, thick)
             for kind, thick in (("scribbles", 3), ("points", 1)) if kind in labels}
    for kind, marked in drawn.items():
        save_png(place / kind.capitalize() / f"{name}.png", marked)
    boxed = {label for label, _, _ in labels.get("boxes", ())}
    tags = boxed | set(labels.get("tags", ())) | _names(drawn.values(), classes)
    known = np.full(small, UNKNOWN, np.uint8)
    if not tags - boxed and (boxed or [] in (labels.get("boxes"), labels.get("tags"))):
        known[:] = 0
        for x0, y0, x1, y1 in boxes:
            known[y0:y1, x0:x1] = UNKNOWN
    for marked in drawn.values():
        known = np.where(marked != UNKNOWN, marked, known)
    mask, numbers = _whole(labels, boxes, (height, width), small, classes)
    if mask is None and not known.any():  # known to be empty: that is a whole mask, and there is no object
        mask, numbers = known, np.zeros(small, np.uint8)
    known = known if mask is None else mask
    save_png(place / "SegmentationClass" / f"{name}.png", known)
    if numbers is not None:
        save_png(place / "SegmentationObject" / f"{name}.png", numbers)
    return Written(tags | _names([known], classes), mask is not None, numbers is not None)


def _names(maps, classes) -> set[str]:
    """Names of the classes but the background in label maps."""
    return {classes[k] for drawn in maps for k in np.unique(drawn) if 0 < k < UNKNOWN}


def _boxes(place, name, labels, ratio, small, classes) -> np.ndarray:
    """Boxes int [N, 4] in the written size, which are written too, if the picture has some."""
    given = labels.get("boxes", ())
    boxes = _scaled([box for _, box, _ in given], ratio, small)
    if "boxes" in labels:
        voc_xml.save(place / "Annotations" / f"{name}.xml", f"{name}.jpg", small, boxes,
                     [classes.index(label) for label, _, _ in given], classes, [hard for _, _, hard in given])
    return boxes


def _whole(labels, boxes, size, small, classes):
    """(class mask, object mask), uint8 of the written size SMALL each; None where the labels do not say.

    Objects: a given map, else outlines, else the class mask as the boxes part it.
    """
    numbers = [classes.index(label) for label, _, _ in labels.get("boxes", ())]
    difficult = [hard for _, _, hard in labels.get("boxes", ())]
    objects, mask, found = labels.get("objects"), None, None
    if isinstance(objects, list):
        regions = np.stack([_shrunk(own_outlines.region(outline, size), small, box)
                            for outline, box in zip(objects, boxes, strict=True)])
        mask, found = own_outlines.drawn(regions, numbers, difficult)
    if "masks" in labels:
        mask = _nearest(read_index(labels["masks"]), small)
        if isinstance(objects, Path):
            found = own_outlines.renumbered(objects, _nearest(read_numbers(objects), small))
        elif found is not None:  # the mask is the surer one
            found = np.where(mask == UNKNOWN, UNKNOWN, np.where(mask > 0, found, 0)).astype(np.uint8)
        elif "boxes" in labels and len(boxes) <= own_outlines.MOST:
            found = own_outlines.parted(mask, boxes, numbers, difficult)
    return mask, found


def _nearest(labels, small) -> np.ndarray:
    """A label map [H, W] in the written size: no label arises that was not there."""
    return cv2.resize(labels, small[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _shrunk(region, small, box) -> np.ndarray:
    """An object's pixels in the written size; one that would vanish keeps the pixel in the middle of its BOX."""
    found = _nearest(region.astype(np.uint8), small) > 0
    if not found.any():
        found[(box[1] + box[3]) // 2, (box[0] + box[2]) // 2] = True
    return found


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
