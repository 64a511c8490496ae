"""Cityscapes as it lies on disk: leftImg8bit, gtFine, gtCoarse; train ids and instance train ids from label ids.

Train ids 0..18, 255 void. There is no background: 0 is road. Instance train ids are those of the official tools:
train id * 1000 + k for the k-th thing of a class in a picture, the bare train id for stuff and for groups, else 255.
Pictures of any size.
"""

from pathlib import Path

import numpy as np

from wsnb.data import weak
from wsnb.data.item import VOID, Item, classes_only, given, of_image_size, read_numbers
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, read_index, voc_palette

CLASSES = ("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
           "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
STUFF, THINGS = tuple(range(11)), tuple(range(11, 19))
BACKGROUND = None
OFFICIAL = {"train": 2975, "val": 500, "test": 1525, "train_extra": 19998}
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # of the classes, in order
_KNOWN = 34  # label ids 0..33; a few files hold 255 for what has none
_COLOURS = ((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
            (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
            (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32))
_COARSE = {"train_extra": "train_extra", "train_coarse": "train", "val_coarse": "val"}


def _tables() -> tuple[np.ndarray, np.ndarray]:
    trains, palette = np.full(256, VOID, np.uint8), voc_palette()
    trains[list(LABEL_IDS)] = range(len(CLASSES))
    palette[: len(_COLOURS)], palette[VOID] = _COLOURS, 0
    return trains, palette


TRAIN_IDS, PALETTE = _tables()  # uint8 [256] label id -> train id; uint8 [256, 3], black for void


def class_names(root=None) -> tuple[str, ...]:
    """The nineteen classes; there is no background among them."""
    return CLASSES


def items(root, split: str, limit: int = 0) -> list[Item]:
    """The pictures of SPLIT, by city and name, at most LIMIT of them (0: all).

    SPLIT: train, val, test (fine labels), train_extra, train_coarse, val_coarse (coarse ones), or SPLIT:LIST.txt for
    the ids of a list file (CITY_SEQUENCE_FRAME a line), in its order. Files *TrainIds.png are taken where they are,
    else the label ids. Raises FileError for a missing folder or list, and for a listed picture that is not there.
    """
    root = Path(root).expanduser()
    split, _, listed = split.partition(":")
    folder, kind = _COARSE.get(split, split), "gtCoarse" if split in _COARSE else "gtFine"
    images = root / "leftImg8bit" / folder
    if not images.is_dir():
        have = sorted(path.name for path in (root / "leftImg8bit").glob("*") if path.is_dir())
        raise FileError(f"{images}: no such folder; there are {', '.join(have) or 'none'}: see `wsnb data fetch "
                        "cityscapes`, or make one: `wsnb data make shapes --layout cityscapes`")
    found = {path.stem.removesuffix("_leftImg8bit"): path  # endings in any case; macOS puts ._NAME beside a file
             for path in sorted(images.glob("[!.]*/[!.]*_leftImg8bit.[pP][nN][gG]"))}
    names = read_list(listed) if listed else list(found)
    missing = [name for name in names if name not in found]
    if missing:
        raise FileError(f"{listed}: {missing[0]} and {len(missing) - 1} more are not in {images}; mend the list")
    if not names:
        raise FileError(f"{images}: no CITY/*_leftImg8bit.png in it; unpack leftImg8bit again")
    labels = root / kind / folder
    if not labels.is_dir() and split != "test":  # the test pictures may come without
        raise FileError(f"{labels}: no such folder; unpack {kind} into {root}")
    return [_item(found[name], name, labels, kind) for name in names[: limit or None]]


def _item(image: Path, name: str, labels: Path, kind: str) -> Item:
    base = labels / image.parent.name / f"{name}_{kind}_"
    if not labels.is_dir():
        return Item(name, image, None)
    mask, instances = (_first(Path(f"{base}{what}TrainIds.png"), Path(f"{base}{what}Ids.png"))
                       for what in ("label", "instance"))
    return Item(name, image, mask, instances)


def _first(official: Path, raw: Path) -> Path:
    tried = [path.with_suffix(ending) for path in (official, raw) for ending in (".png", ".PNG")]
    return next((path for path in tried if path.exists()), raw)


def read_mask(item: Item, n_classes: int = 19) -> np.ndarray:
    """Train ids, uint8 [H, W]: 0..18, 255 void. Raises FileError for other values and another size."""
    path = given(item, "mask")
    mask = read_index(path)
    if path.stem.endswith("_labelIds"):
        mask = train_ids(path, mask)
    return of_image_size(item, path, classes_only(path, mask, n_classes))


def train_ids(path, label_ids) -> np.ndarray:
    """Label ids uint8 [H, W] -> train ids. Raises FileError, naming PATH, for an id that Cityscapes does not have."""
    wrong = label_ids[(label_ids >= _KNOWN) & (label_ids != VOID)]
    if wrong.size:
        raise FileError(f"{path}: label id {wrong.max()} on {wrong.size} pixels, but they end at {_KNOWN - 1}; "
                        "unpack the labels again")
    return TRAIN_IDS[label_ids]


def read_instance_train_ids(item: Item) -> np.ndarray:
    """Instance train ids, uint16 [H, W]; see the module. Raises FileError."""
    path = given(item, "instances")
    ids = read_numbers(path).astype(np.uint16)
    if path.stem.endswith("_instanceIds"):
        ids = instance_train_ids(path, ids)
    kinds = np.unique(np.where(ids >= 1000, ids // 1000, ids))
    wrong = [int(k) for k in kinds if k >= len(CLASSES) and k != VOID]
    if wrong:
        raise FileError(f"{path}: instance class {wrong[-1]}, but train ids end at 18; make the file again")
    return of_image_size(item, path, ids)


def instance_train_ids(path, ids) -> np.ndarray:
    """Instance ids uint16 [H, W] (label id * 1000 + k, or a bare label id) -> instance train ids."""
    values, place = np.unique(ids, return_inverse=True)
    labels = np.where(values >= 1000, values // 1000, values)
    if labels.max() >= 256:
        raise FileError(f"{path}: instance {values.max()} of no label id; unpack the labels again")
    trains = train_ids(path, labels.astype(np.uint8)).astype(np.int64)
    numbered = np.where((values >= 1000) & (trains != VOID), trains * 1000 + values % 1000, trains)
    return numbered.astype(np.uint16)[place].reshape(ids.shape)


def read_instances(item: Item) -> np.ndarray:
    """The instance mask, int32 [H, W]: 1..N for the things, by class and number; 0 for stuff, groups and void."""
    ids = read_instance_train_ids(item)
    values, place = np.unique(ids, return_inverse=True)
    thing = values >= 1000
    return np.where(thing, np.cumsum(thing), 0).astype(np.int32)[place].reshape(ids.shape)


def read_boxes(item: Item, names=CLASSES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes int64 [N, 4] half-open of the things, their train ids [N] and difficult bool [N], groups last.

    A class's group pixels get one box together, marked difficult, as VOC marks what no method is judged by.
    """
    ids = read_instance_train_ids(item)
    classes = np.where(ids >= 1000, ids // 1000, VOID).astype(np.uint8)
    single = weak.boxes(classes, read_instances(item), background=None)
    grouped = np.where(np.isin(ids, THINGS), ids, 0).astype(np.int32)
    groups = weak.boxes(np.where(grouped > 0, grouped, VOID).astype(np.uint8), grouped, background=None)
    boxes, labels = (np.concatenate(pair) for pair in zip(single, groups, strict=True))
    return boxes, labels, np.arange(len(labels)) >= len(single[1])
