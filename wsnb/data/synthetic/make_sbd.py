"""Write the synthetic set `shapes` in the layout of SBD: MATLAB masks of classes and of instances, without void."""

import io
from functools import partial
from pathlib import Path

import numpy as np

from wsnb import files
from wsnb.data.synthetic import shapes
from wsnb.data.synthetic.writing import claim, each, jpeg, text

VERSION = 1  # of the drawing; another number means other pictures
COUNTS, SIZE, SEED = {"train": 64, "val": 20}, (96, 128), 2  # of the built-in set; not VOC's pictures
RECORD, PLACE = "shapes.json", "benchmark_RELEASE/dataset"
_YEARS = {"train": 2100, "val": 2101}  # ids of eleven characters, as the original programs cut them
_HEADER = b"MATLAB 5.0 MAT-file, synthetic".ljust(116)  # SciPy's own tells the time of day


def identity(size=SIZE, seed: int = SEED) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes sbd", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def write(root, counts=None, size=SIZE, seed: int = SEED, progress=None) -> Path:
    """Write the set; returns ROOT. COUNTS is {split: pictures}; pictures that are there are kept.

    Raises FileError if ROOT holds another set.
    """
    base, counts = Path(root) / PLACE, counts or COUNTS
    claim(base / RECORD, identity(size, seed), base)
    text(base / "classes.txt", shapes.CLASSES)
    each([partial(_picture, base, split, index, size, seed) for split, count in counts.items()
          for index in range(count)], progress)
    for split, count in counts.items():
        text(base / f"{split}.txt", [_name(split, index) for index in range(count)])
    return Path(root)


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root; for lists, what they hold."""
    wanted = {}
    for split, count in COUNTS.items():
        names = [_name(split, index) for index in range(count)]
        wanted[f"{PLACE}/{split}.txt"] = "".join(f"{name}\n" for name in names)
        for name in names:
            wanted.update({f"{PLACE}/{path}": None for path in (f"img/{name}.jpg", f"cls/{name}.mat",
                                                                f"inst/{name}.mat")})
    return wanted


def _name(split: str, index: int) -> str:
    return f"{_YEARS[split]}_{index:06d}"


def _picture(base: Path, split: str, index: int, size, seed: int) -> None:
    name = _name(split, index)
    image, classes, instances = (base / "img" / f"{name}.jpg", base / "cls" / f"{name}.mat",
                                 base / "inst" / f"{name}.mat")
    if all(path.exists() for path in (image, classes, instances)):
        return
    scene = shapes.scene(index, split, size, seed, borders=False)
    jpeg(image, scene.image)
    present = np.unique(scene.labels).astype(np.uint8)[:, None]
    _mat(classes, "GTcls", Segmentation=scene.mask, CategoriesPresent=present)
    _mat(instances, "GTinst", Segmentation=scene.instances, Categories=scene.labels.astype(np.uint8)[:, None])


def _mat(path: Path, struct: str, **fields) -> None:
    from scipy.io import savemat  # half a second, which the runner spares

    content = io.BytesIO()
    savemat(content, {struct: fields}, do_compression=True)
    with files.write(path) as file:
        file.write(_HEADER + content.getvalue()[len(_HEADER):])
