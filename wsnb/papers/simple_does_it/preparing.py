"""Preparation of an instance data set as in the original program: masks, boxes, labels from boxes, pair files.

Into a folder go `inst_masks/ID_k.png` (object k of picture ID, 0 or 255; where its true mask is known),
`inst_grabcuts/ID_k.png` (its label from the box), `baselines/ID.npz` (what needs no training, for pictures to be
tested), and the pair files. One picture is one job: resumable, and the same for any number of processes, since each
label has its own seed (the original's depend on what was computed before).
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from wsnb import files
from wsnb.data import read
from wsnb.methods.grabcut import filled
from wsnb.papers.simple_does_it import labelling, objects, recipes

BASELINES = ("rectangle", "ellipse", "proposal", "grabcut", "grabcut_plus")
LABELS = ("grabcut", "grabcut_plus")


@dataclass(frozen=True)
class Preparation:
    """What is prepared and how.

    source: layout and other programs' maps; label: "grabcut" (the original program) or "grabcut_plus" (the paper);
    drop_first: the original's slip with pictures without background; folder: where to.
    """

    source: labelling.Source
    folder: Path
    label: str = "grabcut"
    drop_first: bool = True
    settings: recipes.Settings = field(default_factory=recipes.Settings)

    def __post_init__(self):
        if self.label not in LABELS:
            raise ValueError(f"label_kind {self.label!r}: choose {' or '.join(LABELS)}")


def objects_of(source, item, drop_first) -> list[tuple[int, int, np.ndarray]]:
    """(number, class, mask bool [H, W]) of every object of a picture; the class is the one on most of its pixels.

    Without an instance mask, each annotated box that is not difficult, filled: nothing more is known of the object.
    Raises FileError without boxes too.
    """
    if item.instances is None and item.boxes is None:
        raise files.FileError(f"{item.id}: neither boxes nor masks of single objects; give boxes of every picture")
    if item.instances is None:
        boxes, labels, difficult = read.boxes(source.layout, item, source.names)
        shape = read.image(item).shape[:2]
        return [(k + 1, int(labels[k]), filled(shape, boxes[k])) for k in range(len(boxes)) if not difficult[k]]
    instances = read.instances(source.layout, item)
    classes = read.mask(source.layout, item, len(source.names))
    void = source.layout == "voc" and instances.dtype == np.uint8
    found = []
    for k in objects.object_ids(instances, drop_first, void):
        mask = instances == k
        votes = np.bincount(classes[mask], minlength=256)[1 : len(source.names)]
        found.append((k, int(votes.argmax()) + 1 if votes.any() else 0, mask))
    return found


def need_masks(train_on, items) -> None:
    """Raise FileError if a network is to be trained on true masks (TRAIN_ON has "full") that some ITEMS have not."""
    missing = [item.id for item in items if item.instances is None] if "full" in train_on else []
    if missing:
        raise files.FileError(f"train_on: 'full' wants masks of single objects, and {len(missing)} of {len(items)} "
                              f"pictures have none (the first is {missing[0]}); take train_on=[weak]")


def first_with_objects(source, items, drop_first):
    """(item, its objects as of `objects_of`) of the first picture that has some. Raises ValueError if none has."""
    for item in items:
        if found := objects_of(source, item, drop_first):
            return item, found
    raise ValueError(f"{len(items)} pictures without an object: take a train_split that has some")


def save_grey(path, mask) -> None:
    """A mask as grey PNG, 0 and 255, as the original writes them."""
    with files.write(path) as file:
        Image.fromarray(np.asarray(mask, np.uint8) * 255).save(file, format="PNG")


def prepare(job) -> list[str]:
    """Write what is missing of one picture; returns its lines of the pair file."""
    preparation, item, with_baselines = job
    lines, boxes, picture = [], [], None
    for k, _, mask in objects_of(preparation.source, item, preparation.drop_first):
        name, box = f"{item.id}_{k}.png", objects.tight_box(mask)
        lines.append(objects.pair_line(f"{item.id}.jpg", name, box))
        boxes.append((k, box))
        if item.instances is not None and not (target := preparation.folder / "inst_masks" / name).exists():
            save_grey(target, mask)
        if not (target := preparation.folder / "inst_grabcuts" / name).exists():
            picture = picture or labelling.picture_of(preparation.source, item, preparation.settings)
            save_grey(target, picture.object_mask(preparation.label, box, k))
    target = preparation.folder / "baselines" / f"{item.id}.npz"
    if with_baselines and boxes and not target.exists():
        picture = picture or labelling.picture_of(preparation.source, item, preparation.settings)
        made = {kind: np.packbits(np.stack([picture.object_mask(kind, box, k) for k, box in boxes]), axis=-1)
                for kind in BASELINES}
        files.save_npz(target, ids=np.array([k for k, _ in boxes]), **made)
    return lines


def load_baselines(folder, item_id, width) -> dict[str, np.ndarray]:
    """{kind: bool [N, H, WIDTH]} of a picture, in the order of its pair lines."""
    content = files.load_npz(Path(folder) / "baselines" / f"{item_id}.npz")
    return {kind: np.unpackbits(content[kind], axis=-1, count=width).astype(bool) for kind in BASELINES}
