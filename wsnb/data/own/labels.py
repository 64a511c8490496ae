"""Labels as people write them down: tags in a table, boxes as COCO JSON or VOC XML, strokes and points as PNG or table.

Each reader returns {file name without ending: labels}, class names as they are written, and collects faults instead of
stopping at the first.
"""

import csv
from pathlib import Path
from xml.etree import ElementTree

from wsnb.files import FileError, load_json

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_HEADS = {"image", "file", "filename", "name", "id", "picture"}


def pictures(folder, errors: list) -> dict[str, Path]:
    """List the pictures of a folder by their name without ending."""
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
    """List the label maps *.png of a folder by their name without ending."""
    return {path.stem: path for path in sorted(Path(folder).glob("*.png"))}


def tags(path, errors: list) -> dict[str, list[str]]:
    """Read tags from .csv (`NAME,tag,tag` or `NAME,tag;tag`) or .txt (`NAME tag tag`); a bare NAME has no object."""
    found = {}
    for number, (name, *fields) in _rows(path, errors):
        stem = _stem(name)
        if stem in found:
            errors.append(f"{path}: line {number}: {stem} occurs twice; put its tags on one line")
        found[stem] = [tag.strip() for field in fields for tag in field.split(";") if tag.strip()]
    return found


def strokes(path, errors: list) -> dict[str, list[tuple[str, list[tuple[float, float]]]]]:
    """Read (class, corners) of every stroke from .csv: `NAME,class,x,y` is a point, `NAME,class,x,y,x,y,...` a line.

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
            errors.append(f"{path}: line {number}: {','.join(row)[:60]!r} is not NAME,class,x,y[,x,y...]; correct it")
            continue
        corners = list(zip(values[::2], values[1::2], strict=True))
        found.setdefault(_stem(name), []).append((label.strip(), corners))
    return found


def coco_boxes(path, errors: list) -> dict[str, list[tuple[str, tuple, bool]]]:
    """Read (class, (x0, y0, x1, y1) half-open, difficult) of every box from a COCO JSON; crowds count as difficult.

    Pictures that the file names without a box have no object. Its outlines: `outlines.coco_outlines`.
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
    """Read (class, (x0, y0, x1, y1) half-open, difficult) of every box from a folder of VOC XML files."""
    found = {}
    for path in sorted(Path(folder).glob("*.xml")):
        boxes = found.setdefault(path.stem, [])
        try:
            for element in ElementTree.parse(path).getroot().findall("object"):
                frame = element.find("bndbox")
                x0, y0, x1, y1 = (round(float(frame.findtext(key))) for key in ("xmin", "ymin", "xmax", "ymax"))
                difficult = element.findtext("difficult", "0").strip() == "1"
                boxes.append((element.findtext("name", "").strip(), (x0 - 1, y0 - 1, x1, y1), difficult))
        except (OSError, ElementTree.ParseError, TypeError, ValueError, AttributeError) as error:
            errors.append(f"{path}: no readable VOC annotation ({error}); export it again")
    return found


def _rows(path, errors: list):
    """Read (line number, fields) of a table; a heading line, empty lines and # comments are left out."""
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
            errors.append(f"{path}: line {number} has no file name; correct it")
            continue
        yield number, fields


def _semicolons(text) -> bool:
    """Tell whether a .csv separates its fields by semicolons, as spreadsheets of half of Europe do."""
    return bool(text) and not any("," in line for line in text)


def _stem(name: str) -> str:
    path = Path(name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in PICTURES else path.name
