"""Boxes in the released .mat format: `dets.annotation.object(k)` with fields of characters."""

import io

import numpy as np
import scipy.io

from wsnb.files import FileError, write
from wsnb.papers.panoptic.boxes import Objects, objects

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def save_boxes(path, found: Objects, names) -> None:
    """Write objects as a MAT file, whole: corners 0-based with INCLUSIVE maxima, all values as text."""
    box_type = [(name, object) for name in CORNERS]
    fields = [("name", object), ("bndbox", object), ("is_grp", object), ("is_stuff", object)]
    rows = np.empty((1, len(found)), fields)
    for k, (x0, y0, x1, y1) in enumerate(found.boxes.tolist()):
        box = np.array([[tuple(map(str, (x0, y0, x1 - 1, y1 - 1)))]], box_type)
        flags = (str(int(found.groups[k])), str(int(found.stuff[k])))
        rows[0, k] = (names[found.labels[k]], box, *flags)
    annotation = {"object": rows} if len(found) else np.zeros((0, 0))
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"dets": {"annotation": annotation}}, do_compression=True)
    with write(path) as file:
        file.write(_dateless(buffer.getvalue()))


def _dateless(data: bytes) -> bytes:
    """The file without the date that its header holds: the same objects give the same bytes."""
    return b"MATLAB 5.0 MAT-file".ljust(116) + data[116:]


def load_boxes(path, names) -> Objects:
    """Read such a file; classes are found by their names. Raises FileError for another format or an unknown name."""
    try:
        with open(path, "rb") as file:
            annotation = scipy.io.loadmat(file, struct_as_record=True)["dets"]["annotation"][0, 0]
        if not annotation.size:
            return objects([])
        found = [
            (_text(row["name"]), [int(_text(row["bndbox"][0, 0][corner])) for corner in CORNERS],
             int(_text(row["is_grp"])), int(_text(row["is_stuff"])))
            for row in annotation["object"][0, 0].ravel()
        ]
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run the stage that extracts boxes, or check the folder") from error
    except Exception as error:  # of scipy and zlib for damaged files, KeyError and IndexError for other structures
        raise FileError(f"{path}: not a file of boxes (dets.annotation.object) ({error}); make it again") from error
    rows = []
    for name, (x0, y0, x1, y1), group, stuff in found:
        if name not in names:
            raise FileError(f"{path}: class {name!r} is unknown; the classes are {', '.join(names)}")
        rows.append((list(names).index(name), x0, y0, x1 + 1, y1 + 1, group, stuff))
    return objects(rows)


def _text(value) -> str:
    return str(np.asarray(value).ravel()[0])
