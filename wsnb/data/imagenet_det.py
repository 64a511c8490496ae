"""ImageNet DET with the lists of the LID challenge, track 1: image tags to train on, raw index masks to measure by.

ROOT/ILSVRC/Data/DET/train holds the pictures, the lists `*.json` ([[path without .JPEG, [class ids]], ...]) and
idx_to_name.json; ROOT/LID_track1/{val,test} hold *.JPEG, a list val.json or val.txt (first column: the path without
.JPEG) and masks/*.png with the ids themselves as grey values. Classes 1..200, 0 background, 255 void. The
lists of the original's second classifier, person or not ([path, 0 or 1]), are only read: the chain has no person.
Pictures are turned as their EXIF data say, as by the `cv2.imread` of NoPeopleAllowed.
"""

from pathlib import Path

import numpy as np

from wsnb.data import weak
from wsnb.data.item import Item, classes_only, given, of_image_size
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json, read_index, voc_palette

BACKGROUND = 0
PALETTE = voc_palette()
OFFICIAL = {"train": 456567, "val": 4690, "test": 10000}
N_CLASSES = 201
NAMES = "idx_to_name.json"
_MASKS = ("masks", "track1_val_annotations_raw")
_ENDINGS = (".JPEG", ".jpg", ".jpeg", ".png")


def _folders(root) -> list[Path]:
    root = Path(root).expanduser()
    below = ("ILSVRC/Data/DET/train", "Data/DET/train", "LID_track1/val", "LID_track1/test", ".")
    return [root / place for place in below if (root / place).is_dir()]


def names_file(root) -> Path:
    """Find idx_to_name.json. Raises FileError."""
    path = next((folder / NAMES for folder in _folders(root) if (folder / NAMES).exists()), None)
    if path is None:
        raise FileError(f"{root}: no {NAMES} in ILSVRC/Data/DET/train; see `wsnb data fetch imagenet_det`, or make a "
                        "set: `wsnb data make shapes --layout imagenet_det`")
    return path


def class_names(root) -> tuple[str, ...]:
    """Background and the names of the ids 1, 2, ... from idx_to_name.json. Raises FileError."""
    path = names_file(root)
    names = load_json(path)
    if not isinstance(names, dict) or set(names) != {str(k) for k in range(1, len(names) + 1)}:
        raise FileError(f'{path}: not an object with the keys "1" to "{len(names)}"; fetch the lists again')
    return ("background", *(str(names[str(k)]) for k in range(1, len(names) + 1)))


def items(root, split: str, limit: int = 0, errors: list | None = None) -> list[Item]:
    """The pictures of the list SPLIT in its order, at most LIMIT of them (0: all).

    SPLIT: the name of a list in ILSVRC/Data/DET/train ("train", "train_balanced", ...), "val" or "test" of LID_track1,
    or a list file, .json or .txt. The id is the last part of the path: it names all files that are made of the picture.
    Raises FileError for a missing or broken list; for an entry whose ids are not classes, or that names a second
    picture of one id, unless there is a list ERRORS: then it is put there and the entry left out.
    """
    path, found, seen = find_list(root, split), [], set()
    for name, tags in read_entries(path, len(class_names(root)), errors)[: limit or None]:
        item = _item(path.parent, name, tags)
        if item.id in seen:
            error = FileError(f"{path}: {item.id} names two pictures, and would name one file; rename one of them")
            if errors is None:
                raise error
            errors.append(error)
        else:
            seen.add(item.id)
            found.append(item)
    return found


def find_list(root, split: str) -> Path:
    """The list file of SPLIT. Raises FileError."""
    if "/" in split or split.endswith((".json", ".txt")):
        return Path(split).expanduser()
    tried = [folder / f"{split}{ending}" for folder in _folders(root) for ending in (".json", ".txt")]
    path = next((path for path in tried if path.exists()), None)
    if path is None:
        files = [file for folder in _folders(root) for ending in ("json", "txt") for file in folder.glob(f"*.{ending}")]
        have = sorted({file.stem for file in files} - {Path(NAMES).stem})
        raise FileError(f"{root}: no list {split}.json or {split}.txt; there are {', '.join(have) or 'none'}, "
                        "or give a file")
    return path


def read_entries(path, n_classes: int = N_CLASSES, errors: list | None = None) -> list:
    """(path without ending, class ids or None) of each line of a list. Raises FileError; ERRORS as in `items`."""
    if Path(path).suffix != ".json":
        lines, entry = read_list(path), lambda line: (_below(path, line.split()[0]), None)
    else:
        lines, entry = load_json(path), lambda line: _entry(path, line, n_classes)
        if not isinstance(lines, list):
            raise FileError(f"{path}: not a JSON list of [path, [ids]]; make it again")
    entries = []
    for line in lines:
        try:
            entries.append(entry(line))
        except FileError as error:
            if errors is None:
                raise
            errors.append(error)
    return entries


def _entry(path, line, n_classes: int) -> tuple[str, tuple[int, ...]]:
    if not (isinstance(line, list) and len(line) == 2 and isinstance(line[0], str)):
        raise FileError(f"{path}: entry {str(line)[:80]} is not [path, [ids]]; make the list again")
    name, ids = line[0], line[1] if isinstance(line[1], list) else [line[1]]  # the person lists: [path, 0 or 1]
    wrong = [k for k in ids if type(k) is not int or not 0 <= k < n_classes]
    if wrong:
        raise FileError(f"{path}: {name} has the class {wrong[0]!r}, but they are 1 to {n_classes - 1}; mend it")
    return _below(path, name), tuple(sorted({k for k in ids if k}))


def _below(path, name: str) -> str:
    name = name.replace("\\", "/")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileError(f"{path}: {name!r} leaves the list's folder; use paths below it")
    return name


def _item(folder: Path, name: str, tags) -> Item:
    known = name.endswith(_ENDINGS)
    image = folder / name if known else folder / f"{name}.JPEG"
    identity = image.stem if known else Path(name).name
    places = (*(folder / name for name in _MASKS), folder.parent / _MASKS[1])
    masks = next((place for place in places if place.is_dir()), None)
    return Item(identity, image, masks / f"{identity}.png" if masks else None, tags=tags, by_exif=True)


def read_mask(item: Item, n_classes: int = N_CLASSES) -> np.ndarray:
    """The class mask, uint8 [H, W]: 0..n_classes - 1, 255 void. Raises FileError."""
    path = given(item, "mask")
    return of_image_size(item, path, classes_only(path, read_index(path), n_classes))


def read_tags(item: Item, n_classes: int = N_CLASSES) -> np.ndarray:
    """Tags float32 [n_classes - 1] of the list, or of the mask where the list has none. All 0: nobody knows any."""
    if item.tags is None and item.mask is not None:
        return weak.tags(read_mask(item, n_classes), n_classes)
    tags = np.zeros(n_classes - 1, np.float32)
    tags[np.array(item.tags or (), np.int64) - 1] = 1
    return tags
