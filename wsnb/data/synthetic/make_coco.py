"""Write the synthetic set `shapes` in the layout of COCO 2017: pictures and one file of outlines a split, then PNGs as
from the real ones. Two of COCO's peculiarities are drawn: ids of classes with gaps, and a crowd in every fifth picture.
"""

from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data import coco
from wsnb.data.synthetic import shapes
from wsnb.data.synthetic.writing import claim, each, jpeg
from wsnb.files import save_json

VERSION = 1  # of the drawing; another number means other pictures
COUNTS, SIZE, SEED = {"train2017": 48, "val2017": 16}, (96, 128), 3  # of the built-in set; not VOC's pictures
RECORD, PLACE = "shapes.json", "."
IDS = (1, 3, 18, 44, 90)  # of the five shapes
_CROWD = 5


def identity(size=SIZE, seed: int = SEED) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes coco", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def write(root, counts=None, size=SIZE, seed: int = SEED, progress=None) -> Path:
    """Write the set; returns ROOT. COUNTS is {split: pictures}; pictures that are there are kept.

    Raises FileError if ROOT holds another set.
    """
    root, counts = Path(root), counts or COUNTS
    claim(root / RECORD, identity(size, seed), root)
    each([partial(_picture, root, split, index, size, seed) for split, count in counts.items()
          for index in range(count)], progress)
    for split, count in counts.items():
        _annotations(root, split, count, size, seed)
    coco.to_png(root)
    return root


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root; for lists, what they hold."""
    wanted = {"classes.txt": "".join(f"{name}\n" for name in shapes.CLASSES)}
    for split, count in COUNTS.items():
        wanted.update({f"annotations/instances_{split}.json": None, f"tags/{split}.json": None})
        for name in (_name(split, index) for index in range(count)):
            wanted.update({f"images/{split}/{name}.jpg": None, f"semantic/{split}/{name}.png": None,
                           f"objects/{split}/{name}.png": None, f"boxes/{split}/{name}.xml": None})
    return wanted


def _name(split: str, index: int) -> str:
    return f"{2 * index + (split != 'train2017'):012d}"


def _scene(split: str, index: int, size, seed: int):
    return shapes.scene(index, split.removesuffix("2017"), size, seed, borders=False)


def _picture(root: Path, split: str, index: int, size, seed: int) -> None:
    path = root / "images" / split / f"{_name(split, index)}.jpg"
    if not path.exists():
        jpeg(path, _scene(split, index, size, seed).image)


def _annotations(root: Path, split: str, count: int, size, seed: int) -> None:
    """instances_SPLIT.json with run lengths; the last object of every fifth picture is a crowd."""
    pictures, objects = [], []
    for index in range(count):
        scene, name = _scene(split, index, size, seed), _name(split, index)
        pictures.append({"id": int(name), "file_name": f"{name}.jpg", "height": size[0], "width": size[1]})
        for k, (box, label) in enumerate(zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True), 1):
            x0, y0, x1, y1 = box
            objects.append({
                "id": len(objects) + 1, "image_id": int(name), "category_id": IDS[label - 1],
                "bbox": [x0 + 0.25, y0 + 0.25, x1 - x0 - 0.5, y1 - y0 - 0.5],
                "iscrowd": int(index % _CROWD == 0 and k == len(scene.labels)),
                "segmentation": {"size": list(size), "counts": _run_lengths(scene.instances == k)}})
    save_json(root / "annotations" / f"instances_{split}.json", {
        "images": pictures, "annotations": objects,
        "categories": [{"id": k, "name": name} for k, name in zip(IDS, shapes.CLASSES[1:], strict=True)]})


def _run_lengths(mask) -> list[int]:
    """Run lengths of a mask's columns, beginning with its zeros."""
    flat = np.asarray(mask).T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths
