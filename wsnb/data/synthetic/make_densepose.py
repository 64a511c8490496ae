"""Write jointed figures in the layout of DensePose-COCO: pictures and annotations, then PNGs as from the real ones."""

from functools import partial
from pathlib import Path

import numpy as np
from pycocotools import mask as run_lengths

from wsnb.data import densepose, weak
from wsnb.data.densepose import GREY, POINTS
from wsnb.data.synthetic import people as figures
from wsnb.data.synthetic.writing import claim, each, grey, jpeg, text
from wsnb.files import load_json, save_json

VERSION = 1  # of the drawing; another number means other pictures
COUNTS, SIZE = {"train": 60, "minival": 20}, (128, 160)  # of the built-in set
RECORD, PLACE = "shapes.json", "."
_FOLDERS, _DRAWN = {"train": "train2014", "minival": "val2014"}, {"train": "train", "minival": "val"}
_UNKNOWN = 254  # in the points: not void, but without a label, as the original lists mean it


def identity(size=SIZE, seed: int = 0) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes densepose", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def write(root, counts=None, size=SIZE, seed: int = 0, progress=None) -> Path:
    """Write the set; returns ROOT. COUNTS is {split: pictures}; pictures that are there are kept.

    Gets images, annotations (of every twelfth person nobody marked the parts: void), the grey PNGs and lists
    train2014, minival2014 that `to_png` makes of them, and points (one a part of a person, five of background)
    with the list train2014_points. Raises FileError if ROOT holds another set.
    """
    root, counts = Path(root), counts or COUNTS
    claim(root / RECORD, identity(size, seed), root)
    jobs = [partial(_picture, root, split, index, size, seed) for split, count in counts.items()
            for index in range(count)]
    each(jobs, progress)
    for split, count in counts.items():
        _annotations(root, split, count)
    densepose.to_png(root)
    names = [_name("train", index) for index in range(counts["train"])]
    text(root / "lists/train2014_points.txt",
         [f"images/train2014/{name}.jpg {POINTS}/{name}.png {POINTS}/{name}.png" for name in names])
    return root


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root."""
    wanted = {f"lists/{name}.txt": None for name in ("train2014", "minival2014", "train2014_points")}
    for split, count in COUNTS.items():
        wanted[f"annotations/densepose_coco_2014_{split}.json"] = None
        for name in (_name(split, index) for index in range(count)):
            wanted.update({f"images/{_FOLDERS[split]}/{name}.jpg": None, f"{GREY}/{name}.png": None,
                           f"{POINTS}/{name}.png": None})
    return wanted


def _name(split: str, index: int) -> str:
    return f"COCO_{_FOLDERS[split]}_{index + 1:012d}"


def _people_file(root: Path, split: str, index: int) -> Path:
    return root / "annotations" / "people" / f"{_name(split, index)}.json"


def _picture(root: Path, split: str, index: int, size, seed: int) -> None:
    """The picture, its points, and its people's annotations in a file of their own."""
    image, people = root / "images" / _FOLDERS[split] / f"{_name(split, index)}.jpg", _people_file(root, split, index)
    points = root / POINTS / f"{image.stem}.png"
    if image.exists() and points.exists() and people.exists():
        return
    scene = figures.figures(index, _DRAWN[split], size, seed)
    numbers = [int(person) for person in np.unique(scene.people) if person]
    unmarked = [person for person in numbers if (index + person) % 12 == 0]
    jpeg(image, scene.image)
    grey(points, _points(scene, np.isin(scene.people, unmarked), seed * 10_000 + index))
    found = [{"id": index * 8 + person, **_person(scene, person, person not in unmarked)} for person in numbers]
    save_json(people, {"image": {"id": index + 1, "file_name": image.name, "height": size[0], "width": size[1]},
                       "people": [{**person, "image_id": index + 1} for person in found]})


def _points(scene, void, seed) -> np.ndarray:
    """One point a part of a person and five of the background, unknown elsewhere and void on whom nobody marked."""
    pieces = np.where(void, 0, scene.pieces).astype(np.uint16)
    drawn = weak.points(np.where(void, 255, scene.parts), seed, pieces, n=1, background_points=5, radius=1)
    return np.where((drawn == 255) & ~void, _UNKNOWN, drawn).astype(np.uint8)


def _person(scene, person: int, marked: bool) -> dict:
    mine = scene.people == person
    rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
    x, y, w, h = int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    parts = np.where(mine, scene.parts, 0)[y: y + h, x: x + w]
    square = parts[densepose.nearest(densepose.SIDE, h)[:, None],
                   densepose.nearest(densepose.SIDE, w)]
    codes = [_code(square == part) if (square == part).any() else [] for part in range(1, densepose.PARTS + 1)]
    return {"category_id": 1, "iscrowd": 0, "area": int(mine.sum()), "bbox": [x, y, w, h],
            "segmentation": _code(mine), **({"dp_masks": codes} if marked else {})}


def _code(region) -> dict:
    code = run_lengths.encode(np.asfortranarray(region.astype(np.uint8)))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def _annotations(root: Path, split: str, count: int) -> None:
    pictures = [load_json(_people_file(root, split, index)) for index in range(count)]
    save_json(root / "annotations" / f"densepose_coco_2014_{split}.json",
              {"images": [picture["image"] for picture in pictures],
               "annotations": [person for picture in pictures for person in picture["people"]],
               "categories": [{"id": 1, "name": "person"}]})

