"""Write the synthetic set `shapes` in the layout of ImageNet DET with the LID challenge's lists.

The five shapes carry five of the 200 ids, so that every step handles wide label ranges and classes that never occur.
Unlike the real set, the training pictures have masks, in a folder beside their list: the quality of labels can be
measured on them.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np

from wsnb import files
from wsnb.data.synthetic import shapes
from wsnb.data.synthetic.writing import claim, each, grey, jpeg

VERSION = 1  # of the drawing; another number means other pictures
COUNTS, SIZE, SEED = {"train": 120, "val": 24}, (96, 128), 1  # of the built-in set; not VOC's pictures
RECORD, PLACE = "shapes.json", "."
IDS = (0, 17, 58, 104, 151, 189)  # of background and the five shapes
_UNLABELLED = 4  # pictures of the list `unlabelled`: their tags are unknown
_FOLDERS = {"train": "ILSVRC/Data/DET/train", "val": "LID_track1/val"}
_BELOW = {"train": "ILSVRC2013_train/shapes/", "val": ""}


def identity(size=SIZE, seed: int = SEED) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes imagenet_det", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def names() -> dict[str, str]:
    """idx_to_name.json: 200 names, of which five have pictures."""
    known = dict(zip(IDS[1:], shapes.CLASSES[1:], strict=True))
    return {str(k): known.get(k, f"unused {k}") for k in range(1, 201)}


def write(root, counts=None, size=SIZE, seed: int = SEED, progress=None) -> Path:
    """Write the set; returns ROOT. COUNTS is {split: pictures}; pictures that are there are kept.

    Every fourth picture stands upright. Raises FileError if ROOT holds another set.
    """
    root, counts = Path(root), counts or COUNTS
    claim(root / RECORD, identity(size, seed), root)
    each([partial(_picture, root, split, index, size, seed) for split, count in counts.items()
          for index in range(count)], progress)
    for split, count in counts.items():
        entries = [[_BELOW[split] + _name(split, index), _tags(root, split, index)] for index in range(count)]
        folder = root / _FOLDERS[split]
        files.save_text(folder / "idx_to_name.json", json.dumps(names(), indent=1) + "\n")
        _list(folder / f"{split}.json", entries)
        if split == "train":
            _list(folder / "unlabelled.json", [[name, []] for name, _ in entries[:_UNLABELLED]])
        else:
            files.save_text(folder / f"{split}.txt", "".join(f"{name}\n" for name, _ in entries))
    return root


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root; for lists, what they hold."""
    wanted = {}
    for split, count in COUNTS.items():
        made = [_name(split, index) for index in range(count)]
        for name in made:
            wanted.update({str(path): None for path in _paths(Path(), split, name)})
        for name in (f"{split}.json", "idx_to_name.json"):
            wanted[f"{_FOLDERS[split]}/{name}"] = None
        if split == "val":
            wanted[f"{_FOLDERS[split]}/val.txt"] = "".join(f"{name}\n" for name in made)
    return wanted


def _name(split: str, index: int) -> str:
    return f"{split}_{index:06d}"


def _paths(root: Path, split: str, name: str) -> tuple[Path, Path]:
    folder = root / _FOLDERS[split]
    return folder / _BELOW[split] / f"{name}.JPEG", folder / "masks" / f"{name}.png"


def _picture(root: Path, split: str, index: int, size, seed: int) -> None:
    image, mask = _paths(root, split, _name(split, index))
    if image.exists() and mask.exists():
        return
    scene = shapes.scene(index, split, size[::-1] if index % 4 == 3 else size, seed)
    table = np.full(256, 255, np.uint8)
    table[: len(IDS)] = IDS
    jpeg(image, scene.image)
    grey(mask, table[scene.mask])


def _tags(root: Path, split: str, index: int) -> list[int]:
    present = np.unique(files.read_index(_paths(root, split, _name(split, index))[1]))
    return [int(k) for k in present if k not in (0, 255)]


def _list(path: Path, entries) -> None:
    files.save_text(path, "[\n" + ",\n".join(f" {json.dumps(entry)}" for entry in entries) + "\n]\n")
