"""Whether the labels of your own pictures fit them: looked at before anything is written, every fault told."""

from pathlib import Path

from PIL import Image

from wsnb.data import own_outlines
from wsnb.data.checked import read_numbers
from wsnb.files import FileError, read_index


def size(path: Path, longest: int, errors: list) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of the upright picture, as it is and as it is written."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.getexif().get(0x0112) in (5, 6, 7, 8):  # lies on its side
                width, height = height, width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        errors.append(f"{path}: not a readable picture ({error}); remove it, or save it again")
        return (1, 1), (1, 1)
    scale = min(1.0, longest / max(height, width)) if longest else 1.0
    return (height, width), (max(1, round(height * scale)), max(1, round(width * scale)))


def fits(found: dict, stem: str, shape, classes, errors: list) -> None:
    """Whether a picture's labels lie inside it and are of the classes."""
    height, width = shape
    for label, (x0, y0, x1, y1), _ in found["boxes"].get(stem, ()):
        if not (-1 <= x0 < x1 <= width + 1 and -1 <= y0 < y1 <= height + 1):  # rounding may cost a pixel
            errors.append(f"boxes: {stem}: box {x0},{y0},{x1},{y1} of {label} is empty or leaves the {width}x{height} "
                          "picture (turned upright); mend it")
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
            elif ((drawn >= len(classes)) & (drawn != 255)).any():
                errors.append(f"{labels}: label {drawn[drawn != 255].max()}, but classes.txt has {len(classes)} with "
                              "background; 255 means unknown")
        for label, corners in labels if isinstance(labels, list) else ():
            if any(not (0 <= x < width and 0 <= y < height) for x, y in corners):
                errors.append(f"{kind}: {stem}: a mark of {label} leaves the {width}x{height} picture; mend it")


def _objects_fit(found: dict, stem: str, size, errors: list) -> None:
    """Whether masks of a picture's single objects, outlines or a map, can be read and are of its SIZE (H, W)."""
    objects = found["objects"].get(stem)
    if isinstance(objects, Path):
        if stem not in found["masks"]:
            errors.append(f"{objects}: numbers objects, but {stem} has no full mask that tells their classes; add it")
            return
        try:
            numbers = read_numbers(objects)
            own_outlines.renumbered(objects, numbers)
        except FileError as error:
            errors.append(str(error))
            return
        if numbers.shape != size:
            errors.append(f"{objects}: {numbers.shape[1]}x{numbers.shape[0]}, but its picture is {size[1]}x{size[0]}; "
                          "give it in the picture's size")
    elif objects is not None and len(objects) > own_outlines.MOST:
        errors.append(f"boxes: {stem}: {len(objects)} outlined objects; take at most {own_outlines.MOST} a picture")
    for k, outline in enumerate(objects if isinstance(objects, list) else ()):
        try:
            own_outlines.region(outline, size)
        except ValueError as error:
            errors.append(f"boxes: {stem}: the outline of object {k + 1} ({found['boxes'][stem][k][0]}): {error}; "
                          "mend it, or remove its segmentation")
