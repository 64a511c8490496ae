"""PASCAL VOC's XML boxes. Their pixels count from 1, both ends are inside; they are converted here and only here."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsnb.files import FileError, write


def _number(path, element, name: str) -> int:
    text = element.findtext(name)
    try:
        return round(float(text))  # a few official files hold decimals
    except (TypeError, ValueError, OverflowError) as error:
        raise FileError(f"{path}: <{name}> is {text!r}, not a number; fetch the annotation again") from error


def read(path, names) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes of one annotation file.

    NAMES are the class names, background first. Returns boxes int64 [N, 4] (x0, y0, x1, y1 in pixels from 0,
    half-open), labels int64 [N] (1..len(names) - 1) and difficult bool [N], in the file's order. Raises FileError
    for broken XML, unknown names and boxes that are empty or leave the picture.
    """
    try:
        tree = ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise FileError(f"{path}: broken XML ({error}); fetch the annotation again") from error
    size = tree.find("size")
    if size is None:
        raise FileError(f"{path}: no <size>; fetch the annotation again")
    width, height = _number(path, size, "width"), _number(path, size, "height")
    boxes, labels, difficult = [], [], []
    for thing in tree.findall("object"):  # direct children only: <part> boxes of people lie deeper
        name, box = thing.findtext("name", "").strip(), thing.find("bndbox")
        if name not in names[1:]:
            raise FileError(f"{path}: unknown class {name!r}; the classes are {', '.join(names[1:])}")
        if box is None:
            raise FileError(f"{path}: {name} has no <bndbox>; fetch the annotation again")
        x0, y0, x1, y1 = (_number(path, box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
        if not (1 <= x0 <= x1 <= width and 1 <= y0 <= y1 <= height):
            raise FileError(f"{path}: box {x0},{y0},{x1},{y1} of {name} is empty or leaves the "
                            f"{width}x{height} picture; mend its numbers")
        boxes.append((x0 - 1, y0 - 1, x1, y1))
        labels.append(names.index(name))
        difficult.append(thing.findtext("difficult", "0").strip() == "1")
    return np.array(boxes, np.int64).reshape(-1, 4), np.array(labels, np.int64), np.array(difficult, bool)


def save(path, image_name: str, size, boxes, labels, names, difficult=None) -> None:
    """Write one annotation file; the inverse of `read`. SIZE is (height, width), BOXES half-open [N, 4]."""
    root = ElementTree.Element("annotation")

    def add(parent, name, text=None):
        child = ElementTree.SubElement(parent, name)
        child.text = None if text is None else str(text)
        return child

    add(root, "folder", "VOC2012")
    add(root, "filename", image_name)
    shape = add(root, "size")
    for name, value in (("width", size[1]), ("height", size[0]), ("depth", 3)):
        add(shape, name, value)
    add(root, "segmented", 1)
    for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        thing = add(root, "object")
        add(thing, "name", names[int(label)])
        add(thing, "difficult", 0 if difficult is None else int(difficult[k]))
        frame = add(thing, "bndbox")
        for name, value in (("xmin", box[0] + 1), ("ymin", box[1] + 1), ("xmax", box[2]), ("ymax", box[3])):
            add(frame, name, int(value))
    ElementTree.indent(root, "\t")
    with write(Path(path)) as file:
        file.write(ElementTree.tostring(root) + b"\n")
