"""One of your own pictures and its labels: checked before anything is written, then written as VOC's files."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wsnb.data import coco_masks, voc
from wsnb.data.item import read_numbers
from wsnb.data.own import names, outlines
from wsnb.data.synthetic.writing import jpeg
from wsnb.files import ON_ITS_SIDE, FileError, loaded_colour, open_image, orientation, read_index, read_rgb, save_png

UNKNOWN = 255


# checking


def size(path: Path, longest: int, errors: list) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Read (height, width) of the upright picture, as it is and as it is written, its longer side LONGEST at most.

    None for a picture that cannot be read, which goes to ERRORS.
    """
    try:
        image = loaded_colour(path)  # with its pixels: a picture that ends early is named here, with all other faults
    except FileError as error:
        errors.append(f"{error}, remove it, or save it again")
        return None
    width, height = image.size
    if orientation(image) in ON_ITS_SIDE:
        width, height = height, width
    scale = min(1.0, longest / max(height, width)) if longest else 1.0
    return (height, width), (max(1, round(height * scale)), max(1, round(width * scale)))


def turned(path: Path) -> bool:
    """Tell whether a picture is stored in another way than it is shown."""
    with open_image(path) as image:
        return orientation(image) not in (None, 0, 1)


def check(found: dict, stem: str, shape, classes, errors: list) -> set[int]:
    """Check that a picture's labels are inside it and of the classes; faults go to ERRORS. Returns its mask's labels.
    """
    height, width = shape
    source, *stated = found["sizes"].get(stem, ("", height, width))
    if stated != [height, width]:
        errors.append(f"{source}: {stem} is {stated[1]}x{stated[0]} there, but the picture (turned upright) is "
                      f"{width}x{height}; mark the upright picture in this size, or correct the stated size")
    seen = set()
    for label, (x0, y0, x1, y1), _ in found["boxes"].get(stem, ()):
        if not (-1 <= x0 < x1 <= width + 1 and -1 <= y0 < y1 <= height + 1):  # rounding may cost a pixel
            errors.append(f"{names.place(found, 'boxes')}: {stem}: box {x0},{y0},{x1},{y1} of {label} is empty or "
                          f"leaves the {width}x{height} picture (turned upright); correct it")
    _objects_fit(found, stem, (height, width), errors)
    for kind in ("scribbles", "points", "masks"):
        labels = found[kind].get(stem)
        if isinstance(labels, Path):
            try:
                drawn = read_index(labels)
            except FileError as error:
                errors.append(str(error))
                continue
            if drawn.shape != (height, width):
                errors.append(f"{labels}: {drawn.shape[1]}x{drawn.shape[0]}, but its picture is {width}x{height}; give "
                              "it in the picture's size")
            elif found["classes"] is not None and ((drawn >= len(classes)) & (drawn != 255)).any():
                errors.append(f"{labels}: label {drawn[drawn != 255].max()}, but classes.txt has {len(classes)} with "
                              "background; 255 means unknown")
            elif kind == "masks":
                seen = set(np.unique(drawn).tolist())
        for label, corners in labels if isinstance(labels, list) else ():
            if any(not (0 <= x < width and 0 <= y < height) for x, y in corners):
                errors.append(f"{names.place(found, kind)}: {stem}: a mark of {label} leaves the {width}x{height} "
                              "picture; correct it")
    return seen


def _objects_fit(found: dict, stem: str, size, errors: list) -> None:
    """Check that masks of a picture's single objects, outlines or a map, can be read and are of its SIZE (H, W)."""
    objects = found["objects"].get(stem)
    if isinstance(objects, Path):
        if stem not in found["masks"]:
            errors.append(f"{objects}: numbers objects, but {stem} has no full mask that tells their classes; add it")
            return
        try:
            numbers = read_numbers(objects)
            outlines.renumbered(objects, numbers)
        except FileError as error:
            errors.append(str(error))
            return
        if numbers.shape != size:
            errors.append(f"{objects}: {numbers.shape[1]}x{numbers.shape[0]}, but its picture is {size[1]}x{size[0]}; "
                          "give it in the picture's size")
    elif objects is not None and len(objects) > outlines.MOST:
        errors.append(f"{names.place(found, 'boxes')}: {stem}: {len(objects)} outlined objects; take at most "
                      f"{outlines.MOST} a picture")
    for k, outline in enumerate(objects if isinstance(objects, list) else ()):
        try:
            coco_masks.region(outline, size)
        except ValueError as error:
            errors.append(f"{names.place(found, 'boxes')}: {stem}: the outline of object {k + 1} "
                          f"({found['boxes'][stem][k][0]}): {error}; correct it, or remove its segmentation")


# writing


@dataclass
class Written:
    """A written picture: its tags, whether its class mask is whole, whether its objects have masks."""

    tags: set[str]
    whole: bool
    objects: bool


def write(place: Path, name: str, path: Path, labels: dict, size, classes) -> Written:
    """Write all files of a picture below PLACE.

    PATH is the picture, LABELS {kind: its reader's result}, SIZE ((height, width) upright, the same as written),
    CLASSES the names, background first. The class mask holds the known pixels: a given mask or the outlines of all
    objects, else the background outside of all boxes, scribbles, points, or nothing but background where tags say that
    there is no object. A tag without a box may lie anywhere: then nothing outside of the boxes is known.
    """
    (height, width), small = size
    ratio = np.array([small[1] / width, small[0] / height])
    photograph(place, name, path, small)
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


def photograph(place: Path, name: str, path: Path, small) -> None:
    """Write the picture PATH alone below PLACE, upright and of the size SMALL (height, width)."""
    upright = Image.fromarray(read_rgb(path, by_exif=True))
    if upright.size != small[::-1]:
        upright = upright.resize(small[::-1], Image.Resampling.LANCZOS)
    jpeg(place / "JPEGImages" / f"{name}.jpg", np.array(upright))


def _names(maps, classes) -> set[str]:
    """List the names of the classes but the background in label maps."""
    return {classes[k] for drawn in maps for k in np.unique(drawn) if 0 < k < UNKNOWN}


def _boxes(place, name, labels, ratio, small, classes) -> np.ndarray:
    """Write the picture's boxes, if it has some; returns them in the written size, int [N, 4]."""
    given = labels.get("boxes", ())
    boxes = _scaled([box for _, box, _ in given], ratio, small)
    if "boxes" in labels:
        voc.save_xml(place / "Annotations" / f"{name}.xml", f"{name}.jpg", small, boxes,
                     [classes.index(label) for label, _, _ in given], classes, [hard for _, _, hard in given])
    return boxes


def _whole(labels, boxes, size, small, classes):
    """Draw (class mask, object mask), uint8 of the written size SMALL each; None where the labels do not say.

    Objects: a given map, else outlines, else the class mask separated by the boxes.
    """
    numbers = [classes.index(label) for label, _, _ in labels.get("boxes", ())]
    difficult = [hard for _, _, hard in labels.get("boxes", ())]
    objects, mask, found = labels.get("objects"), None, None
    if isinstance(objects, list):
        regions = np.stack([_shrunk(coco_masks.region(outline, size), small, box)
                            for outline, box in zip(objects, boxes, strict=True)])
        mask, found = outlines.drawn(regions, numbers, difficult)
    if "masks" in labels:
        mask = _nearest(read_index(labels["masks"]), small)
        if isinstance(objects, Path):
            found = outlines.renumbered(objects, _nearest(read_numbers(objects), small))
        elif found is not None:  # the mask is the surer one
            found = np.where(mask == UNKNOWN, UNKNOWN, np.where(mask > 0, found, 0)).astype(np.uint8)
        elif "boxes" in labels and len(boxes) <= outlines.MOST:
            found = outlines.separated(mask, boxes, numbers, difficult)
    return mask, found


def _nearest(labels, small) -> np.ndarray:
    """Resize a label map [H, W] to the written size without new labels."""
    return cv2.resize(labels, small[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _shrunk(region, small, box) -> np.ndarray:
    """Resize an object's pixels to the written size; one that would vanish keeps the pixel in the middle of its BOX."""
    found = _nearest(region.astype(np.uint8), small) > 0
    if not found.any():
        found[(box[1] + box[3]) // 2, (box[0] + box[2]) // 2] = True
    return found


def _scaled(boxes, ratio, small) -> np.ndarray:
    """Scale boxes to the written size, int [N, 4]: never smaller than a pixel, never outside."""
    boxes = np.array(boxes, float).reshape(-1, 4) * np.tile(ratio, 2)
    low = np.clip(np.floor(boxes[:, :2]), 0, np.array(small[::-1]) - 1)
    high = np.clip(np.ceil(boxes[:, 2:]), low + 1, small[::-1])
    return np.concatenate([low, high], 1).astype(int)


def marks(given, size, small, ratio, classes, thick: int) -> np.ndarray:
    """Draw scribbles or points: a label map uint8 of the written size SMALL, 255 where nothing is known.

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
