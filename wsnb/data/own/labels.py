"""Labels as people write them down: tags in a table, boxes as COCO JSON or VOC XML, strokes and points as PNG or table.

Each reader returns {file name without ending: labels}, class names as they are written, and collects faults instead of
stopping at the first.
"""

import csv
from pathlib import Path
from xml.etree import ElementTree

from wsnb.data.own import names
from wsnb.data.own.numbers import are_shares, is_set, number
from wsnb.files import FileError, read_text

_HEADS = {"image", "file", "filename", "name", "id", "picture"}


def pictures(folder, errors: list) -> dict[str, Path]:
    """List the pictures of a folder by their name without ending."""
    found = names.by_stem(folder, names.PICTURES, errors)
    if not found:
        errors.append(f"{folder}: no pictures ({', '.join(names.PICTURES)}) in it; give the folder that holds them")
    return found


def maps(folder, errors: list) -> dict[str, Path]:
    """List the label maps *.png of a folder by their name without ending; pictures of other kinds and folders in it go
    to ERRORS."""
    others = [path.name for path in names.files(folder, names.PICTURES) if path.suffix.lower() != ".png"]
    others += [f"{path.name}/" for path in sorted(Path(folder).iterdir()) if path.is_dir() and path.name[0] != "."]
    if others:
        errors.append(f"{folder}: label maps are PNG files that lie in it; {', '.join(others[:3])} would be left out, "
                      f"{len(others)} in all: write them as PNG, or move them away")
    return names.by_stem(folder, (".png",), errors)


def tags(path, errors: list) -> dict[str, list[str]]:
    """Read tags from .csv (`NAME,tag,tag` or `NAME,tag;tag`) or .txt (`NAME tag tag`); a bare NAME has no object, and
    the tag "background" says nothing more."""
    found, written = {}, set()
    for line, (name, *fields) in _rows(path, errors):
        stem = names.stem(name)
        if stem in found:
            errors.append(f"{path}: line {line}: {stem} occurs twice; put its tags on one line")
        given = [tag for field in fields for tag in field.split(";") if tag.strip()]
        if any("|" in tag or tag.strip()[:1] in ("[", "{", "(") for tag in given):
            errors.append(f"{path}: line {line}: {';'.join(given)[:60]!r} seems to be several tags; separate them by ;")
        written.update(tag.strip().lower() for tag in given)
        try:
            found[stem] = [tag for tag in map(names.class_name, given) if tag != "background"]
        except FileError as error:
            errors.append(f"{path}: line {line}: {error}")
    if written and written <= {"0", "1", "0.0", "1.0", "true", "false"}:
        errors.append(f"{path}: its tags are 0 and 1, as of a table with a column a class; write NAME,class;class")
    return found


def strokes(path, errors: list) -> dict[str, list[tuple[str, list[tuple[float, float]]]]]:
    """Read (class, corners) of every stroke from .csv: `NAME,class,x,y` is a point, `NAME,class,x,y,x,y,...` a line.

    Pixels count from 0, x to the right, y down. The class "background" is allowed.
    """
    found, every = {}, []
    for line, row in _rows(path, errors):
        try:
            name, label, *numbers = row
            values = [number(value) for value in numbers]
            if not values or len(values) % 2 or None in values:
                raise ValueError
        except ValueError:
            errors.append(f"{path}: line {line}: {','.join(row)[:60]!r} is not NAME,class,x,y[,x,y...]; correct it")
            continue
        try:
            label = names.class_name(label)
        except FileError as error:
            errors.append(f"{path}: line {line}: {error}")
            continue
        every += values
        corners, stem = list(zip(values[::2], values[1::2], strict=True)), names.stem(name)
        other = next((one for one, there in found.get(stem, ()) if there == corners and one != label), None)
        if other is not None:
            errors.append(f"{path}: line {line}: {stem} has a mark of {other} at this very place; remove one of them")
        found.setdefault(stem, []).append((label, corners))
    if every and are_shares(every):
        errors.append(f"{path}: its coordinates seem to be shares of the picture; write pixels")
    return found


def xml(folder, errors: list, sizes: dict, pictures) -> dict[str, list[tuple[str, tuple, bool]]]:
    """Read (class, (x0, y0, x1, y1) half-open, difficult) of every box from a folder of VOC XML files.

    What a file states about its picture's (height, width) goes to SIZES; none may name another of PICTURES.
    """
    found = {}
    for stem, path in names.by_stem(folder, (".xml",), errors).items():
        boxes = found.setdefault(stem, [])
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
            errors.append(f"{path}: no readable VOC annotation ({error}); export it again")
            continue
        if root.tag != "annotation" or len(root.findall("object")) < len(list(root.iter("object"))):
            errors.append(f"{path}: not VOC's <annotation> with its <object>s; export it as VOC XML, or COCO JSON")
            continue
        named = names.stem(root.findtext("filename", "").strip())
        if named != stem and named in pictures:
            errors.append(f"{path}: of the picture {named} by its <filename>; correct it, or the file's name")
        height, width = (number(root.findtext(f"size/{side}")) for side in ("height", "width"))
        if height and width:  # some programs write 0 for unknown
            sizes[stem] = (path, round(height), round(width))
        for k, element in enumerate(root.findall("object"), 1):
            where = f"{path}: object {k}"
            corners = [number(element.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
            label = _class(element.findtext("name"), where, errors)
            if None in corners:
                errors.append(f"{where}: no <bndbox> of four numbers; export upright boxes as VOC XML")
            elif are_shares(corners):
                errors.append(f"{where}: its <bndbox> seems to be in shares of the picture; export pixels")
            elif label is not None:
                x0, y0, x1, y1 = map(round, corners)
                difficult = is_set(element.findtext("difficult"))
                boxes.append((label, (x0 - 1, y0 - 1, x1, y1), difficult))
    return found


def _class(written, where: str, errors: list) -> str | None:
    """Read a class of an object; faults go to ERRORS with WHERE it stands."""
    try:
        label = names.class_name(written)
    except FileError as error:
        errors.append(f"{where}: {error}")
        return None
    if label == "background":
        errors.append(f"{where}: a box of the background; remove it, or correct its class")
        return None
    return label


def _rows(path, errors: list):
    """Read (line number, fields) of a table; a heading line, empty lines and # comments are left out."""
    try:
        text = read_text(path).splitlines()
        lines = list(csv.reader(text, delimiter=";" if _semicolons(text) else ",")) if (
            Path(path).suffix.lower() == ".csv") else [line.split() for line in text]
    except csv.Error as error:
        raise FileError(f"{path}: no readable table ({error}); correct it") from error
    for line, row in enumerate(lines, 1):
        fields = [field.strip() for field in row]
        if not any(fields) or fields[0].startswith("#") or line == 1 and fields[0].lower() in _HEADS:
            continue
        if not fields[0]:
            errors.append(f"{path}: line {line} has no file name; correct it")
            continue
        yield line, fields


def _semicolons(text) -> bool:
    """Tell whether a .csv separates its fields by semicolons, as spreadsheets of half of Europe do."""
    return bool(text) and not any("," in line for line in text)
