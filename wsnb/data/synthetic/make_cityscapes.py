"""Write synthetic street scenes in the layout of Cityscapes: fine labels for train and val, coarse for train_extra."""

from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data.synthetic import streets
from wsnb.data.synthetic.writing import claim, each, grey, text
from wsnb.files import save_png

VERSION = 1  # of the drawing; another number means other pictures
COUNTS, SIZE = {"train": 48, "val": 16, "train_extra": 8}, (96, 192)  # of the built-in set
RECORD, PLACE, CITY = "shapes.json", ".", "shapes"


def identity(size=SIZE, seed: int = 0) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes cityscapes", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def write(root, counts=None, size=SIZE, seed: int = 0, progress=None) -> Path:
    """Write the set; returns ROOT. COUNTS is {split: pictures}; pictures that are there are kept.

    Raises FileError if ROOT holds another set.
    """
    root, counts = Path(root), counts or COUNTS
    claim(root / RECORD, identity(size, seed), root)
    each([partial(_picture, root, split, index, size, seed) for split, count in counts.items()
          for index in range(count)], progress)
    for split, count in counts.items():
        text(root / "lists" / f"{split}_id.txt", [_name(split, index) for index in range(count)])
    return root


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root; for lists, what they hold."""
    files = {}
    for split, count in COUNTS.items():
        names = [_name(split, index) for index in range(count)]
        files[f"lists/{split}_id.txt"] = "".join(f"{name}\n" for name in names)
        for name in names:
            files.update({str(path): None for path in _paths(Path(), split, name)})
    return files


def _name(split: str, index: int) -> str:
    return f"{CITY}_{list(COUNTS).index(split):06d}_{index:06d}"


def _paths(root: Path, split: str, name: str) -> tuple[Path, Path, Path]:
    kind = "gtCoarse" if split == "train_extra" else "gtFine"
    labels = root / kind / split / CITY
    return (root / "leftImg8bit" / split / CITY / f"{name}_leftImg8bit.png", labels / f"{name}_{kind}_labelIds.png",
            labels / f"{name}_{kind}_instanceIds.png")


def _picture(root: Path, split: str, index: int, size, seed: int) -> None:
    image, labels, instances = _paths(root, split, _name(split, index))
    if all(path.exists() for path in (image, labels, instances)):
        return
    scene = streets.street(index, split, size, seed)
    if split == "train_extra":
        scene = streets.coarse(scene, np.random.default_rng([seed, index]))
    save_png(image, scene.image)
    grey(labels, scene.labels)
    grey(instances, scene.instances)
