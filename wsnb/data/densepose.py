"""DensePose-COCO: people in 14 parts. Lists `IMAGE MASK REGIONS` over grey PNGs, which `densepose_json` makes.

ROOT/images/{train2014,val2014}, ROOT/segcls/densepose/gray (masks), ROOT/segcls/densepose_points/gray (points), and
lists ROOT/lists/NAME.txt or any list file. 0 background, 1..14 parts, 255 void.
"""

from pathlib import Path

import numpy as np

from wsnb.data.checked import classes_only, given, of_image_size
from wsnb.data.item import Item
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, read_index, voc_palette

CLASSES = ("background", "torso", "right hand", "left hand", "left foot", "right foot", "right thigh", "left thigh",
           "right leg", "left leg", "left arm", "right arm", "left forearm", "right forearm", "head")
BACKGROUND = 0
PALETTE = voc_palette()
SWAPPED = ((2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))  # right and left change places in a mirrored picture
OFFICIAL = {"train2014_sub": 3000, "minival2014": 1508, "valminusminival2014": 5984}
GREY, POINTS = "segcls/densepose/gray", "segcls/densepose_points/gray"


def class_names(root=None) -> tuple[str, ...]:
    """Background and the fourteen parts."""
    return CLASSES


def mirrored(labels) -> np.ndarray:
    """LABELS uint8 of a picture after it was mirrored: right and left change places, all else stays."""
    table = np.arange(256, dtype=np.uint8)
    for right, left in SWAPPED:
        table[[right, left]] = left, right
    return table[np.asarray(labels)]


def items(root, split: str, limit: int = 0, errors: list | None = None) -> list[Item]:
    """The pictures of the list SPLIT in its order, at most LIMIT of them (0: all).

    SPLIT: a list of ROOT/lists or ROOT ("minival2014", also under its original name with panoptic_ before it), or a
    file. Lines `IMAGE MASK REGIONS`, `IMAGE MASK` or `IMAGE`, relative to ROOT; where a list repeats the mask in the
    third column there are no regions. A MASK below densepose_points is the points, and the full mask is taken where
    it lies in segcls/densepose/gray. Raises FileError for a missing list; for a line that cannot be read or repeats a
    picture, unless there is a list ERRORS: then it is put there and the line left out.
    """
    root = Path(root).expanduser()
    path, found, seen = find_list(root, split), [], set()
    for line in read_list(path)[: limit or None]:
        try:
            item = _item(root, path, line)
            if item.id in seen:
                raise FileError(f"{path}: {item.id} occurs twice; remove one of its lines")
        except FileError as error:
            if errors is None:
                raise
            errors.append(error)
            continue
        seen.add(item.id)
        found.append(item)
    return found


def find_list(root: Path, split: str) -> Path:
    """The list file of SPLIT. Raises FileError with what to do."""
    if "/" in split or split.endswith(".txt"):
        return Path(split).expanduser()
    names = (f"{split}.txt", f"panoptic_{split}.txt")
    path = next((place / name for place in (root / "lists", root) for name in names if (place / name).exists()), None)
    if path is None:
        have = sorted(file.stem for place in (root / "lists", root) for file in place.glob("*.txt"))
        raise FileError(f"{root}: no list lists/{split}.txt; there are {', '.join(have) or 'none'}: write them from "
                        f"annotations/*.json with `wsnb data convert densepose {root}`, or give a file")
    return path


def _item(root: Path, path: Path, line: str) -> Item:
    fields = line.split()
    if len(fields) > 3 or any(Path(f).is_absolute() or ".." in Path(f).parts for f in fields):
        raise FileError(f"{path}: line {line!r} is not `IMAGE MASK REGIONS` below the data folder; mend the list")
    image, mask, regions = (*(root / field for field in fields), None, None)[:3]
    regions = None if regions == mask else regions
    points = root / POINTS / f"{image.stem}.png"
    if mask is not None and "densepose_points" in fields[1]:
        points, mask = mask, root / GREY / f"{image.stem}.png"
        mask = mask if mask.exists() else None
    return Item(image.stem, image, mask, regions=regions, points=points if points.exists() else None)


def read_mask(item: Item, n_classes: int = 15) -> np.ndarray:
    """The part at every pixel, uint8 [H, W]: 0..14, 255 void. Raises FileError."""
    path = given(item, "mask")
    return of_image_size(item, path, classes_only(path, read_index(path), n_classes))
