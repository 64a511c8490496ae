"""Labels as people write them down: tags in a table, boxes as COCO JSON or VOC XML, strokes and points as PNG or table.

Each reader returns {file name without ending: labels}, class names as they are written, and collects what is wrong
instead of stopping at the first fault.

Masks of single objects of your own pictures: the outlines of a COCO JSON, or a class mask that boxes part.

An outline is COCO's `segmentation`: polygons `[[x, y, x, y, ...], ...]`, or a run-length code `{"size", "counts"}`.
"""

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from pycocotools import mask as run_lengths

from wsnb.files import FileError, load_json

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_HEADS = {"image", "file", "filename", "name", "id", "picture"}


def pictures(folder, errors: list) -> dict[str, Path]:
    """The pictures of a folder by their name without ending."""
    found = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() in PICTURES and not path.name.startswith("."):
            if path.stem in found:
                errors.append(f"{path}: {found[path.stem].name} has the same name; rename one of them")
            found[path.stem] = path
    if not found:
        errors.append(f"{folder}: no pictures ({', '.join(PICTURES)}) in it; give the folder that holds them")
    return found


def maps(folder) -> dict[str, Path]:
    """The label maps *.png of a folder by their name without ending."""
    return {path.stem: path for path in sorted(Path(folder).glob("*.png"))}


def tags(path, errors: list) -> dict[str, list[str]]:
    """Tags from .csv (`NAME,tag,tag` or `NAME,tag;tag`) or .txt (`NAME tag tag`); a bare NAME has no object in it."""
    found = {}
    for number, (name, *words) in _rows(path, errors):
        stem = _stem(name)
        if stem in found:
            errors.append(f"{path}: line {number}: {stem} occurs twice; put its tags on one line")
        found[stem] = [tag.strip() for word in words for tag in word.split(";") if tag.strip()]
    return found


def strokes(path, errors: list) -> dict[str, list[tuple[str, list[tuple[float, float]]]]]:
    """(class, corners) of every stroke from .csv: `NAME,class,x,y` is a point, `NAME,class,x,y,x,y,...` a line.

    Pixels count from 0, x to the right, y down. The class "background" is allowed.
    """
    found = {}
    for number, row in _rows(path, errors):
        try:
            name, label, *numbers = row
            values = [float(value) for value in numbers]
            if not values or len(values) % 2:
                raise ValueError
        except ValueError:
            errors.append(f"{path}: line {number}: {','.join(row)[:60]!r} is not NAME,class,x,y[,x,y...]; mend it")
            continue
        corners = list(zip(values[::2], values[1::2], strict=True))
        found.setdefault(_stem(name), []).append((label.strip(), corners))
    return found


def coco_boxes(path, errors: list) -> dict[str, list[tuple[str, tuple, bool]]]:
    """(class, (x0, y0, x1, y1) half-open, difficult) of every box from a COCO JSON; crowds count as difficult.

    Pictures that the file names without a box have no object. Its outlines: `own_outlines.coco`.
    """
    content = load_json(path)
    try:
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        files = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
        found = {stem: [] for stem in files.values()}
        for one in content["annotations"]:
            x, y, width, height = (float(value) for value in one["bbox"])
            box = (round(x), round(y), round(x + width), round(y + height))
            found[files[one["image_id"]]].append((names[one["category_id"]], box, bool(one.get("iscrowd"))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        errors.append(f"{path}: not COCO's categories, images, annotations ({error!r}); export it again as COCO JSON")
        return {}
    return found


def xml(folder, errors: list) -> dict[str, list[tuple[str, tuple, bool]]]:
    """(class, (x0, y0, x1, y1) half-open, difficult) of every box from a folder of VOC XML files."""
    found = {}
    for path in sorted(Path(folder).glob("*.xml")):
        boxes = found.setdefault(path.stem, [])
        try:
            for thing in ElementTree.parse(path).getroot().findall("object"):
                frame = thing.find("bndbox")
                x0, y0, x1, y1 = (round(float(frame.findtext(key))) for key in ("xmin", "ymin", "xmax", "ymax"))
                difficult = thing.findtext("difficult", "0").strip() == "1"
                boxes.append((thing.findtext("name", "").strip(), (x0 - 1, y0 - 1, x1, y1), difficult))
        except (OSError, ElementTree.ParseError, TypeError, ValueError, AttributeError) as error:
            errors.append(f"{path}: no readable VOC annotation ({error}); export it again")
    return found


def _rows(path, errors: list):
    """(line number, fields) of a table; a heading line, empty lines and # comments are left out."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: no readable table ({error}); save it as UTF-8 text") from error
    lines = csv.reader(text, delimiter=";" if _semicolons(text) else ",") if Path(path).suffix == ".csv" else (
        line.split() for line in text)
    for number, row in enumerate(lines, 1):
        fields = [field.strip() for field in row]
        if not any(fields) or fields[0].startswith("#") or number == 1 and fields[0].lower() in _HEADS:
            continue
        if not fields[0]:
            errors.append(f"{path}: line {number} has no file name; mend it")
            continue
        yield number, fields


def _semicolons(text) -> bool:
    """Whether a .csv parts its fields by semicolons, as spreadsheets of half of Europe do."""
    return bool(text) and not any("," in line for line in text)


def _stem(name: str) -> str:
    path = Path(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in PICTURES else path.name


VOID = 255
MOST = 254  # objects of a picture: an 8-bit map numbers no more, since 255 is void


def coco_outlines(path) -> dict[str, list]:
    """{file name without ending: the outline of each of its boxes, in the order of `own_labels.coco`} of a COCO JSON.

    Only pictures whose every box has one. The box's own four corners, as some programs write them, are no outline.
    The file is one that `own_labels.coco` has read without a fault.
    """
    content = load_json(path)
    files = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    found = {stem: [] for stem in files.values()}
    for one in content["annotations"]:
        outline = one.get("segmentation")
        found[files[one["image_id"]]].append(None if _is_box(outline, one["bbox"]) else outline)
    return {stem: outlines for stem, outlines in found.items() if outlines and all(outlines)}


def _is_box(outline, box) -> bool:
    """Whether an outline is nothing but its box's corners."""
    if not isinstance(outline, list) or len(outline) != 1 or not isinstance(outline[0], list) or len(outline[0]) > 10:
        return False
    corners = {(round(x), round(y)) for x, y in zip(outline[0][::2], outline[0][1::2], strict=False)}
    x, y, width, height = (float(value) for value in box)
    sides = [(round(x), round(x + width)), (round(y), round(y + height))]
    return corners == {(across, down) for across in sides[0] for down in sides[1]}


def region(outline, size) -> np.ndarray:
    """The pixels of an outline, bool [H, W], in a picture of SIZE (H, W). Raises ValueError for a broken one."""
    height, width = size
    if isinstance(outline, dict):
        if list(outline.get("size", ())) != [height, width]:
            raise ValueError(f"its run lengths are of {outline.get('size')}, the picture is [{height}, {width}]")
    elif not isinstance(outline, list) or any(
            not isinstance(part, list) or len(part) < 6 or len(part) % 2 for part in outline):
        raise ValueError("a polygon is a list x, y, x, y, ... of three corners or more")
    try:
        whole = isinstance(outline, dict) and not isinstance(outline["counts"], list)
        codes = outline if whole else run_lengths.frPyObjects(outline, height, width)
        found = run_lengths.decode(run_lengths.merge(codes) if isinstance(codes, list) else codes)
    except Exception as error:  # pycocotools raises what it likes for broken codes
        raise ValueError(f"it cannot be read ({error})") from error
    return found.astype(bool)


def drawn(regions, labels, crowds) -> tuple[np.ndarray, np.ndarray]:
    """(class mask, object mask), uint8 [H, W] each, of objects: REGIONS bool [N, H, W], LABELS [N], CROWDS bool [N].

    Outside of all is background; the smaller object lies in front. Object k has the number k + 1; a crowd, many
    objects in one outline, has its class and no number.
    """
    mask, numbers = np.zeros(regions.shape[1:], np.uint8), np.zeros(regions.shape[1:], np.uint8)
    for k in np.argsort(-regions.sum((1, 2)), kind="stable"):
        mask[regions[k]] = labels[k]
        numbers[regions[k]] = 0 if crowds[k] else k + 1
    return mask, numbers


def parted(mask, boxes, labels, difficult) -> np.ndarray:
    """Object mask uint8 [H, W] of a class mask uint8 [H, W] and its boxes [N, 4] (half-open), LABELS, DIFFICULT [N].

    A pixel belongs to the one box of its class that it lies in. Where boxes of a class overlap, and where there is
    none, nobody said whose it is: 255, as where the class is void. Difficult objects and crowds are 255 too.
    """
    claims = np.zeros(mask.shape, np.uint16)
    numbers = np.zeros(mask.shape, np.uint8)
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        own = mask[y0:y1, x0:x1] == labels[k]
        claims[y0:y1, x0:x1] += own
        numbers[y0:y1, x0:x1][own] = VOID if difficult[k] else k + 1
    numbers[(mask > 0) & (claims != 1)] = VOID
    return numbers


def renumbered(path, numbers) -> np.ndarray:
    """An object mask, integers [H, W], of the file PATH as uint8 with 1..N, 255 void. Raises FileError for too many."""
    void = numbers == VOID if numbers.dtype == np.uint8 else np.zeros(numbers.shape, bool)
    values, place = np.unique(np.where(void, 0, numbers), return_inverse=True)
    if len(values) - 1 > MOST:
        raise FileError(f"{path}: {len(values) - 1} objects; take at most {MOST} a picture")
    ranks = np.searchsorted(values[values > 0], values, side="right")
    return np.where(void, VOID, ranks[place].reshape(numbers.shape)).astype(np.uint8)
