"""YOLO's boxes: a .txt a picture, its lines `class x y width height` of centres and sizes in shares of the picture."""

from pathlib import Path

import yaml
from PIL import ImageOps

from wsnb.data.own import names
from wsnb.data.own.numbers import number
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, open_image, read_text

FOLDER, LISTS, YAML = "labels", ("classes.txt", "labels/classes.txt", "obj.names"), ("data.yaml", "dataset.yaml")


def label_files(folder: Path) -> dict[str, Path]:
    """List the files of labels of a folder as YOLO lays it out, by their pictures' names; {} where there are none."""
    place = folder / FOLDER
    found = names.files(place, (".txt",)) if place.is_dir() else []
    return {names.stem(path.stem): path for path in found if path.name != "classes.txt"}


def class_names(folder: Path) -> list[str] | None:
    """Read the names of the classes 0, 1, ...: of a list, or of `names` in the YAML; None without. Raises FileError."""
    for name in LISTS:
        if (folder / name).is_file():
            listed = read_list(folder / name)
            names.only_classes(folder / name, listed)
            if names.is_background(listed[0]):
                raise FileError(f"{folder / name}: YOLO's 0 is its first line; take {listed[0]} out if 0 is the next")
            return listed
    for path in (folder / name for name in YAML if (folder / name).is_file()):
        text = read_text(path)
        try:
            content = yaml.safe_load(text)
            listed, count = content.get("names"), content.get("nc")
        except (ValueError, AttributeError, yaml.YAMLError) as error:
            raise FileError(f"{path}: no readable YAML ({error}); write `names: [cat, dog]` into it") from error
        if isinstance(listed, dict) and set(listed) == set(range(len(listed))):
            listed = [listed[k] for k in range(len(listed))]
        if not isinstance(listed, list) or count not in (None, len(listed)):
            raise FileError(f"{path}: `names` are not the classes 0, 1, ... without a gap, as many as `nc` says; write "
                            "`names: [cat, dog]` into it")
        names.only_classes(path, listed)
        return listed
    return None


def read(folder: Path, pictures: dict, errors: list) -> dict[str, list[tuple[str, tuple, bool]]]:
    """Read (class, (x0, y0, x1, y1) half-open, difficult) of every box; PICTURES {name: file}, faults go to ERRORS.

    A line of a polygon, `class x y x y ...`, gives its box. An empty file says that there is no object.
    """
    classes, found = class_names(folder), {}
    if classes is None:
        errors.append(f"{folder / FOLDER}: YOLO's boxes hold numbers; name the classes in {folder / LISTS[0]}, 0 first")
        return found
    for stem, path in label_files(folder).items():
        size = _upright_size(pictures[stem]) if stem in pictures else None
        found[stem] = []
        for k, line in enumerate(read_text(path).splitlines(), 1):
            if not line.strip():
                continue
            try:
                label, *values = (number(value) for value in line.split())
                box = _box(values)
                name = names.class_name(classes[int(label)]) if label == int(label) >= 0 else None
            except (TypeError, ValueError, IndexError):
                box = name = None
            if box is None or name is None:
                errors.append(f"{path}: line {k}: {line[:60]!r} is not `class x y width height`, a class below "
                              f"{len(classes)} and shares of 0 to 1; correct it")
            elif size is not None:
                width, height = size
                sides = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
                found[stem].append((name, tuple(map(round, sides)), False))
    return found


def _upright_size(path) -> tuple[int, int] | None:
    """(width, height) of a picture as it is shown; None for one that cannot be read, which is named with the others."""
    try:
        with open_image(path) as image:
            return ImageOps.exif_transpose(image).size
    except (FileError, OSError):
        return None


def _box(values) -> tuple | None:
    """(x0, y0, x1, y1) in shares of the picture: of a centre and a size, or around a polygon; None for neither."""
    if len(values) < 4 or len(values) % 2 or not all(-0.01 <= value <= 1.01 for value in values):
        return None
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
