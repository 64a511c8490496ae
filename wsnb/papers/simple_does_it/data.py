"""The data of the instance system: objects of a picture with their boxes, pair files, network inputs, and 01 prepare.

`prepare` writes, as the original program does: `inst_masks/ID_k.png` (object k of picture ID, 0 or 255; where its true
mask is known), `inst_grabcuts/ID_k.png` (its label from the box), and, for pictures to be tested, `baselines/ID.npz`
(masks that need no training). One picture is one job: resumable, and the same for any number of processes, since each
label has its own seed (the original's depend on earlier labels).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsnb import files
from wsnb.data import read
from wsnb.data.weak import VOID
from wsnb.files import FileError, read_text
from wsnb.ops import parallel
from wsnb.ops.grabcut import filled
from wsnb.papers.simple_does_it import box_labels

LINE = re.compile(r"(.+)###(.+)###(-?\d+)###(-?\d+)###(-?\d+)###(-?\d+)")
BASELINES = ("rectangle", "ellipse", "proposal", "grabcut", "grabcut_plus")
LABELS = ("grabcut", "grabcut_plus")
BGR_MEANS = (104.00699, 116.66877, 122.67892)  # of VGG's training pictures, in the order blue, green, red
SLIM_MEANS = (123.68, 116.78, 103.94)  # red, green, blue, of the training of the TF-slim weights
BOX_MEAN = 128.0
CUT = 162 / 255  # probability from which a pixel is object at test


def faithful(preset) -> bool:
    """Whether PRESET is "faithful" and not "fixed". Raises ValueError for another word."""
    if preset not in ("faithful", "fixed"):
        raise ValueError(f"preset {preset!r}: choose faithful or fixed")
    return preset == "faithful"


def object_ids(instances, drop_first: bool = True, void: bool = False) -> list[int]:
    """The objects' numbers in an instance map int [H, W], ascending.

    DROP_FIRST leaves out the smallest value, whatever it is, as the original program does: it takes for granted that 0
    (no object) occurs, and a picture without background loses its first object. Without it, only 0 is left out. VOID:
    255 is no object (VOC; SBD has no void).
    """
    values = [int(v) for v in np.unique(instances) if not (void and v == VOID)]
    return values[1:] if drop_first else [v for v in values if v != 0]


def tight_box(mask) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), half-open, around the set pixels of a mask [H, W]; four zeros if there are none."""
    rows, columns = np.flatnonzero(np.any(mask, axis=1)), np.flatnonzero(np.any(mask, axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box_map(shape, box) -> np.ndarray:
    """The network's fourth channel: uint8 [H, W], 255 in the box, 0 elsewhere.

    As in the original, a box that begins left of or above the picture gives an empty map (its start counts from the
    end, as Python slices do); boxes around masks never do.
    """
    x0, y0, x1, y1 = box
    drawn = np.zeros(shape, np.uint8)
    drawn[y0:y1, x0:x1] = 255
    return drawn


def pair_line(image: str, mask: str, box) -> str:
    """A line of the original's pair files: picture, mask, and y1, x1, y2, x2 (the ends exclusive)."""
    x0, y0, x1, y1 = box
    return f"{image}###{mask}###{y0}###{x0}###{y1}###{x1}"


def read_pairs(path) -> list[tuple[str, str, tuple[int, int, int, int]]]:
    """(picture, mask, box x0 y0 x1 y1) of every line of a pair file. Raises FileError."""
    pairs = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise FileError(f"{path}, line {number}: {line!r} is not IMAGE###MASK###y1###x1###y2###x2; write it again")
        image, mask, y0, x0, y1, x1 = match.groups()
        pairs.append((image, mask, (int(x0), int(y0), int(x1), int(y1))))
    return pairs


def objects_of(inputs, item, drop_first) -> list[tuple[int, int, np.ndarray]]:
    """(number, class, mask bool [H, W]) of every object of a picture; the class is the one on most of its pixels.

    Without an instance mask: each annotated box that is not difficult, filled.
    Raises FileError without boxes too.
    """
    if item.instances is None and item.boxes is None:
        raise files.FileError(f"{item.id}: neither boxes nor masks of single objects; give boxes of every picture")
    if item.instances is None:
        boxes, labels, difficult = read.boxes(inputs.layout, item, inputs.names)
        shape = read.image(item).shape[:2]
        return [(k + 1, int(labels[k]), filled(shape, boxes[k])) for k in range(len(boxes)) if not difficult[k]]
    instances = read.instances(inputs.layout, item)
    classes = read.mask(inputs.layout, item, len(inputs.names))
    void = inputs.layout == "voc" and instances.dtype == np.uint8
    found = []
    for k in object_ids(instances, drop_first, void):
        mask = instances == k
        votes = np.bincount(classes[mask], minlength=256)[1 : len(inputs.names)]
        found.append((k, int(votes.argmax()) + 1 if votes.any() else 0, mask))
    return found


def need_masks(train_on, items) -> None:
    """Raise FileError if a network is to be trained on true masks (TRAIN_ON has "full") that some ITEMS have not."""
    missing = [item.id for item in items if item.instances is None] if "full" in train_on else []
    if missing:
        raise files.FileError(f"train_on: 'full' wants masks of single objects, and {len(missing)} of {len(items)} "
                              f"pictures have none (the first is {missing[0]}); take train_on=[weak]")


def first_with_objects(inputs, items, drop_first):
    """(item, its objects as of `objects_of`) of the first picture that has some. Raises ValueError if none has."""
    for item in items:
        if found := objects_of(inputs, item, drop_first):
            return item, found
    raise ValueError(f"{len(items)} pictures without an object: take a train_split that has some")


@dataclass(frozen=True)
class Preparation:
    """Which labels are made, and how.

    inputs: layout and other programs' maps; folder: where to; label: "grabcut" (the original program) or "grabcut_plus"
    (the paper); drop_first: see `object_ids`.
    """

    inputs: box_labels.Inputs
    folder: Path
    label: str = "grabcut"
    drop_first: bool = True
    settings: box_labels.Settings = field(default_factory=box_labels.Settings)

    def __post_init__(self):
        if self.label not in LABELS:
            raise ValueError(f"label_kind {self.label!r}: choose {' or '.join(LABELS)}")


def save_grey(path, mask) -> None:
    """Write a mask as grey PNG, 0 and 255, as the original does."""
    with files.write(path) as file:
        Image.fromarray(np.asarray(mask, np.uint8) * 255).save(file, format="PNG")


def prepare_picture(job) -> list[str]:
    """Write the missing files of one picture; returns its lines of the pair file.

    job: (Preparation, item, whether the picture is to be tested).
    """
    preparation, item, with_baselines = job
    lines, boxes, picture = [], [], None
    for k, _, mask in objects_of(preparation.inputs, item, preparation.drop_first):
        name, box = f"{item.id}_{k}.png", tight_box(mask)
        lines.append(pair_line(f"{item.id}.jpg", name, box))
        boxes.append((k, box))
        if item.instances is not None and not (target := preparation.folder / "inst_masks" / name).exists():
            save_grey(target, mask)
        if not (target := preparation.folder / "inst_grabcuts" / name).exists():
            picture = picture or box_labels.picture_of(preparation.inputs, item, preparation.settings)
            save_grey(target, picture.object_mask(preparation.label, box, k))
    target = preparation.folder / "baselines" / f"{item.id}.npz"
    if with_baselines and boxes and not target.exists():
        picture = picture or box_labels.picture_of(preparation.inputs, item, preparation.settings)
        made = {kind: np.packbits(np.stack([picture.object_mask(kind, box, k) for k, box in boxes]), axis=-1)
                for kind in BASELINES}
        files.save_npz(target, ids=np.array([k for k, _ in boxes]), **made)
    return lines


def prepare(preparation, items, with_baselines, workers):
    """Yield the pair lines of each picture, as soon as `prepare_picture` has written its files."""
    return parallel.map_images(prepare_picture, ((preparation, item, with_baselines) for item in items), workers)


def load_baselines(folder, item_id, width) -> dict[str, np.ndarray]:
    """{kind: bool [N, H, WIDTH]} of a picture, in the order of its pair lines."""
    content = files.load_npz(Path(folder) / "baselines" / f"{item_id}.npz")
    return {kind: np.unpackbits(content[kind], axis=-1, count=width).astype(bool) for kind in BASELINES}


def preprocess(pixels, means=BGR_MEANS):
    """uint8 [..., 3 or 4] (red, green, blue, box map) -> float32 minus the means.

    The original takes the means in BGR order from channels in RGB order ("faithful"); SLIM_MEANS are right ("fixed").
    """
    pixels = np.asarray(pixels)
    return pixels.astype(np.float32) - np.array([*means, BOX_MEAN][: pixels.shape[-1]], np.float32)


def binary_label(label):
    """float32 1 where LABEL exceeds half its maximum, taken over the whole batch; an all-zero label stays zero."""
    label = np.asarray(label, np.float32)
    return (label > 0.5 * label.max(initial=0)).astype(np.float32)


def box_input(image, box, means):
    """Network input float32 [4, H, W] of a picture uint8 [H, W, 3] and a box map uint8 [H, W]."""
    stacked = np.concatenate([image, box[..., None]], axis=2)
    return torch.from_numpy(preprocess(stacked, means).transpose(2, 0, 1))


def predicted_mask(probability):
    """uint8 0 or 255 from probabilities float32: object from 162/255 on."""
    return np.where(np.asarray(probability, np.float32) < CUT, 0, 255).astype(np.uint8)


def original_order(count):
    """Endless sample numbers in the original's order: NumPy's legacy generator shuffles 0..COUNT - 1, and the order
    once more in place for each epoch. Raises ValueError without samples."""
    if count < 1:
        raise ValueError(f"{count} samples: give at least one")
    generator = np.random.RandomState(1)
    order = np.arange(count)
    while True:
        generator.shuffle(order)
        yield from order.tolist()
