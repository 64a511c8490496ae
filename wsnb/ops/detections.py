"""Detections of objects: made from label maps, read from files of any detector, and cleaned; and instance files.

Boxes are the library's: x0, y0, x1, y1 in pixels, half-open.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wsnb.data import mat
from wsnb.data.own import numbers
from wsnb.files import FileError, load_json, loaded_image, read_text, save_text, write

SUFFIXES = (".json", ".txt", ".mat")  # of files of detections
NONE, VOID = 0, 255


@dataclass(frozen=True)
class Detections:
    """Detections of a picture: classes int64 [N]; boxes float64 [N, 4]; scores float64 [N] in [0, 1]."""

    classes: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self):
        return len(self.classes)

    @classmethod
    def of(cls, classes=(), boxes=(), scores=None) -> "Detections":
        """Make Detections of sequences; without SCORES all are certain.

        Raises ValueError for unequal lengths or scores outside [0, 1].
        """
        classes, boxes = np.asarray(classes, np.int64).reshape(-1), np.asarray(boxes, float).reshape(-1, 4)
        scores = np.ones(len(classes)) if scores is None else np.asarray(scores, float).reshape(-1)
        if not len(classes) == len(boxes) == len(scores):
            raise ValueError(f"{len(classes)} classes, {len(boxes)} boxes, {len(scores)} scores; give one of each")
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(f"scores {scores.min()} to {scores.max()}: they are probabilities, 0 to 1")
        return cls(classes, boxes, scores)

    def take(self, which) -> "Detections":
        """Select those at the indices or mask WHICH."""
        return Detections(self.classes[which], self.boxes[which], self.scores[which])

    def scaled(self, down: float, across: float) -> "Detections":
        """Scale the boxes with their picture by the factors of its height and width, rounded outwards to pixels."""
        boxes = self.boxes * [across, down, across, down]
        whole = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], 1)
        return Detections(self.classes, whole, self.scores)


def joined(*parts) -> Detections:
    """Concatenate the detections of PARTS."""
    return Detections(*(np.concatenate([getattr(part, name) for part in parts])
                        for name in ("classes", "boxes", "scores")))


def clean(found, size, min_score=0.5, max_iou=0.3) -> Detections:
    """Cut boxes to the picture's SIZE (H, W) and to whole pixels, and suppress; the best-scored come first.

    Empty boxes and scores below MIN_SCORE go; of boxes of one class that overlap by more than MAX_IOU the best-scored
    stays (non-maximum suppression; the authors' demo: 0.5, 0.3).
    """
    height, width = size
    boxes = np.clip(np.rint(found.boxes), 0, [width, height, width, height])
    good = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (found.scores >= min_score)
    cut = Detections(found.classes, boxes, found.scores).take(good)
    kept: list[int] = []
    for k in np.argsort(-cut.scores, kind="stable"):
        rivals = [j for j in kept if cut.classes[j] == cut.classes[k]]
        if not rivals or box_ious(cut.boxes[k], cut.boxes[rivals]).max() <= max_iou:
            kept.append(int(k))
    return cut.take(np.array(kept, np.int64))


def box_ious(box, boxes) -> np.ndarray:
    """Compute the IoU [N] of a box [4] with BOXES [N, 4]."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.clip(sides, 0, None).prod(1)
    areas = [np.prod(np.asarray(b)[..., 2:] - np.asarray(b)[..., :2], axis=-1) for b in (box, boxes)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-12)


def whole_picture(classes, size) -> Detections:
    """Make one certain detection over the whole picture for each of CLASSES.

    This is how stuff and the background enter the instance network.
    """
    return Detections.of(classes, [[0, 0, size[1], size[0]]] * len(classes))


def from_segmentation(labels, things, min_pixels=50) -> Detections:
    """Box the connected components of each of the classes THINGS in a label map [H, W]: detections without a detector.

    Their score is 1, since the unary term takes the segmentation's certainty from the segmentation itself. Objects that
    touch become one, an object behind a pole two.
    """
    classes, boxes = [], []
    for label in things:
        own = (labels == label).astype(np.uint8)
        if own.any():
            for x, y, width, height, pixels in cv2.connectedComponentsWithStats(own, connectivity=8)[2][1:]:
                if pixels >= min_pixels:
                    classes.append(label)
                    boxes.append([x, y, x + width, y + height])
    return Detections.of(classes, boxes)


def from_truth(mask, instances) -> Detections:
    """Box the true instances tightly, all certain: an upper bound, to be marked as ground truth in tables.

    mask uint8 [H, W], 255 void; instances integers [H, W], 0 none. An instance has the class of most of its pixels;
    one that lies wholly in void is left out.
    """
    classes, boxes = [], []
    for number in np.unique(instances[instances > 0]):
        pixels = instances == number
        labels = mask[pixels & (mask != VOID)]
        if labels.size:
            rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
            classes.append(int(np.bincount(labels).argmax()))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return Detections.of(classes, boxes)


# files of detections


def of_picture(folder, name, class_names) -> Detections:
    """Read the detections of the picture NAME in FOLDER: NAME.json, NAME.txt or NAME.mat, whichever is there.

    Raises FileError if there is none: a detector writes an empty file for a picture without objects.
    """
    for suffix in SUFFIXES:
        path = Path(folder) / f"{name}{suffix}"
        if path.is_file():
            return read(path, class_names)
    raise FileError(f"{Path(folder) / name}: no .json, .txt or .mat of detections; an empty .txt means none found")


def read(path, class_names) -> Detections:
    """Read a file of detections, by its suffix. A class is a name of CLASS_NAMES or its number.

    .json  list of {"class", "box": [x0, y0, x1, y1], "score"}, half-open as everywhere in the library
    .txt   a line "class x0 y0 x1 y1 score" an object, the corner x1, y1 inclusive; a name may hold spaces
    .mat   the first variable, N x 6 numbers in the order of .txt (the authors' rows class, x1, y1, x2, y2, score)
    Raises FileError naming the file and the entry.
    """
    path = Path(path)
    rows, last = {".json": _json, ".txt": _txt, ".mat": _mat}.get(path.suffix, _unknown)(path)
    try:
        classes = [_class(row[0], class_names) for row in rows]
        values = [[_number(value) for value in row[1:]] for row in rows]
        found = Detections.of(classes, [row[:4] for row in values], [row[4] for row in values])
        turned = [row for row in values if row[2] < row[0] or row[3] < row[1]]
        if turned:
            raise ValueError(f"a box from {turned[0][:2]} to {turned[0][2:4]}")
    except ValueError as error:
        raise FileError(f"{path}: {error}; write class, x0, y0, x1, y1, and a score of 0 to 1, of each "
                        "object") from error
    return Detections(found.classes, found.boxes + np.array([0, 0, last, last]), found.scores)


def _class(value, class_names):
    if isinstance(value, str) and value in class_names:
        return list(class_names).index(value)
    found = numbers.number(value)
    if found is None or found != int(found) or not 0 <= found < len(class_names):
        raise ValueError(f"{str(value)[:40]!r} is no class of {len(class_names)}")
    return int(found)


def _number(value) -> float:
    found = numbers.number(value)
    if found is None:
        raise ValueError(f"{str(value)[:40]!r} is no number of pixels, nor a score")
    return found


def _json(path):
    entries = load_json(path)
    if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and {"class", "box", "score"} <= set(entry) and isinstance(entry["box"], list)
            for entry in entries):
        raise FileError(f"{path}: not a list of objects with class, box and score; a box is a list of four corners")
    rows = [(entry["class"], *entry["box"], entry["score"]) for entry in entries]
    wrong = [row for row in rows if len(row) != 6]
    if wrong:
        raise FileError(f"{path}: a box of {len(wrong[0]) - 2} numbers; write its four corners")
    return rows, 0


def _txt(path):
    rows = [line.rsplit(maxsplit=5) for line in read_text(path).splitlines() if line.strip()]
    wrong = [row for row in rows if len(row) != 6]
    if wrong:
        raise FileError(f"{path}: line {' '.join(wrong[0])!r} has {len(wrong[0])} of 6 parts; write class x0 y0 x1 y1 "
                        "score")
    return rows, 1


def _mat(path):
    content = mat.load(path)
    table = np.asarray(next(iter(content.values()), None))
    if table.size == 0:
        return [], 1
    if table.dtype.kind not in "uif" or table.ndim != 2 or table.shape[1] != 6:
        raise FileError(f"{path}: no N x 6 numbers in it; write class, x0, y0, x1, y1, score")
    return table.tolist(), 1


def _unknown(path):
    raise FileError(f"{path}: detections are {', '.join(SUFFIXES)} files; convert it")


# files of instances


def save_instances(folder, name, ids, classes, scores) -> None:
    """Write NAME.txt, then NAME.png: a line "class score" for each id ascending, and the id map as a 16-bit grey PNG.

    ids uint16 [H, W], 0 none, 255 not scored. Raises ValueError if the lines do not fit the ids.
    """
    listed = [int(k) for k in np.unique(ids) if k not in (NONE, VOID)]
    if not len(listed) == len(classes) == len(scores):
        raise ValueError(f"{name}: {len(listed)} ids, {len(classes)} classes, {len(scores)} scores; give one of each")
    lines = (f"{int(c)} {float(s):.6f}\n" for c, s in zip(classes, scores, strict=True))
    save_text(Path(folder) / f"{name}.txt", "".join(lines))
    image = Image.fromarray(np.ascontiguousarray(ids, np.uint16))
    with write(Path(folder) / f"{name}.png") as file:  # last: the picture is done when it is there
        image.save(file, format="PNG")


def load_instances(folder, name):
    """Read files of `save_instances`: (ids int32 [H, W], classes [N], scores [N] by id ascending). Raises FileError."""
    path = Path(folder) / f"{name}.png"
    if not path.is_file():
        raise FileError(f"{path}: missing; run the stage again that writes it")
    ids = np.array(loaded_image(path))
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise FileError(f"{path}: a colour picture, but ids are 8-bit or 16-bit numbers; write it again")
    lines = Path(folder) / f"{name}.txt"
    try:
        rows = [line.split() for line in read_text(lines).splitlines() if line.strip()]
        classes, scores = [int(c) for c, _ in rows], [float(s) for _, s in rows]
    except ValueError as error:
        raise FileError(f'{lines}: not lines "class score" ({error}); delete it and run the stage again') from error
    listed = [k for k in np.unique(ids) if k not in (NONE, VOID)]
    if len(listed) != len(rows):
        raise FileError(f"{lines}: {len(rows)} lines for {len(listed)} ids of the map; run the stage again")
    return ids.astype(np.int32), classes, scores
