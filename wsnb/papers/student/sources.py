"""Training labels of any origin as label maps: index PNGs, class activation maps, COCO's run lengths and polygons.

A folder of labels holds, for every picture, one of

- ID.png   a label map: 0 background, 1.. the classes, 255 not known;
- ID.npz   class activation maps of this book (`wsnb.ops.cam.write`), or `keys` [K] and `cam` or `high_res` [K, h, w];
- ID.npy   a dictionary of these (IRN), a dictionary {class: map [h, w]} (AffinityNet, SEAM), classes counted from 0
           without background, or one array [C - 1, h, w] of all classes but the background;

or a single file *.json for all: a COCO data set, whose categories are named as the classes, or a COCO list of results,
whose `image_id` is the picture's id and whose `category_id` is the class, 1... Crowds become 255.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from wsnb.data import coco_masks, read
from wsnb.data.item import classes_only, of_image_size
from wsnb.data.own.names import stem
from wsnb.data.own.numbers import is_set, number
from wsnb.files import FileError, inside, load_json, load_npz, read_index
from wsnb.legacy_pickle import load_legacy_array
from wsnb.ops import cam

ENDINGS = (".png", ".npz", ".npy")
COMPLETE = ""  # among the pictures of a data set, none of which has this name
MAPS = ("high_res", "cam", "maps")  # names under which programs keep the maps, the largest first


@dataclass(frozen=True)
class Source:
    """Where labels come from, and how class activation maps become labels.

    folder: see the module, None for the masks of the set itself; layout: of the set; names: its classes, background
    first; background: score of the background beside maps of 0..1; normalise: see `wsnb.ops.cam.normalised`.
    """

    folder: Path | None
    layout: str
    names: tuple[str, ...]
    background: float = 0.3
    normalise: str = "per class"


def folder_of(labels_stage, labels_dir, upstream) -> Path | None:
    """Find the folder of labels: LABELS_STAGE "STAGE/FOLDER" below UPSTREAM(stage), or LABELS_DIR; None without either.

    Raises ValueError if both are given, or if the stage has no such folder.
    """
    if labels_stage and labels_dir:
        raise ValueError(f"labels_stage {labels_stage!r} and labels_dir {labels_dir!r}: give one of them")
    if not labels_stage:
        return Path(labels_dir) if labels_dir else None
    name, _, below = labels_stage.partition("/")
    stage = upstream(name)
    if not below or not inside(stage, below).is_dir():
        found = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_dir())
        raise ValueError(f"labels_stage {labels_stage!r}: {name} has no such folder; give {name}/FOLDER, of "
                         f"{', '.join(found) or 'none'}")
    return inside(stage, below)


def sampled(items, count, seed) -> list:
    """Draw COUNT of the ITEMS at random by SEED, in their order. Raises ValueError if there are fewer."""
    if count > len(items):
        raise ValueError(f"price_of: the labels cost {count} full masks, but there are {len(items)} pictures; leave it "
                         "empty, to take all")
    return [items[k] for k in sorted(np.random.default_rng([seed, 2**30]).permutation(len(items))[:count])]


def of_maps(source, items) -> bool:
    """Tell whether the source holds class activation maps, whose labels depend on the background's score."""
    return bool(source.folder and items) and place(source.folder, items[0]).suffix in (".npz", ".npy")


def label_map(item, source) -> np.ndarray:
    """Make the label map uint8 [H, W] of a picture from SOURCE. Raises FileError."""
    if source.folder is None:
        return read.mask(source.layout, item, len(source.names))
    path = place(source.folder, item)
    if path.suffix == ".png":
        return classes_only(path, of_image_size(item, path, read_index(path)), len(source.names))
    size = read.image(item).shape[:2]
    if path.suffix == ".json":
        found, sizes = outlines(path, source.names)
        if sizes.get(item.id, size) != size:
            height, width = sizes[item.id]
            raise FileError(f"{path}: of {item.id} with {width:g}x{height:g} pixels, but the picture has "
                            f"{size[1]}x{size[0]}; export it for this picture")
        if item.id not in found and COMPLETE in found:
            raise FileError(f"{path}: names no image {item.id}; add it to its images, without an annotation if it is "
                            "empty")
        return coco_masks.drawn(path, found.get(item.id, ()), size)
    keys, maps = class_maps(path, len(source.names) - 1)
    maps = cam.normalised(cam.resized(torch.from_numpy(maps)[None], size)[0].numpy(), source.normalise)
    return cam.labels(maps, keys + 1, source.background)


def place(folder, item) -> Path:
    """Find the file that holds the labels of a picture. Raises FileError naming what was looked for."""
    found = [path for path in (Path(folder) / f"{item.id}{ending}" for ending in ENDINGS) if path.is_file()]
    found = found or sorted(Path(folder).glob("[!.]*.json"))
    if len(found) != 1:
        what = "no labels" if not found else f"several files of labels ({', '.join(path.name for path in found)})"
        raise FileError(f"{folder}: {what} of {item.id}; give one of {item.id}{{{','.join(ENDINGS)}}} for each "
                        "picture, or a single .json for all")
    return found[0]


def need_all(items, source) -> None:
    """Raise FileError, before any label is made, if a picture has none in the source's folder."""
    for item in items if source.folder else ():
        place(source.folder, item)
    need_results(items, source)


def need_results(items, source) -> None:
    """Raise FileError if the source is a list of results that has none of any picture: all would be background."""
    files = sorted(Path(source.folder).glob("[!.]*.json")) if source.folder and items else []
    if len(files) == 1 and place(source.folder, items[0]) == files[0]:
        found, _ = outlines(files[0], source.names)
        if COMPLETE not in found and not any(item.id in found for item in items):
            raise FileError(f"{files[0]}: no result is of one of the {len(items)} pictures, the first is "
                            f"{items[0].id}; write their ids as image_id")


def class_maps(path, n_tags) -> tuple[np.ndarray, np.ndarray]:
    """Read class activation maps of any program: (classes from 0 int64 [K], maps float32 [K, h, w]). Raises FileError.
    """
    kept = load_npz(path) if path.suffix == ".npz" else load_legacy_array(path)
    if isinstance(kept, dict) and {"maps", "peak", "cover"} <= set(kept):
        keys, maps = cam.read(path.parent, path.stem)
    elif isinstance(kept, dict):
        name = next((name for name in MAPS if name in kept), None)
        keys = kept.get("keys") if name else list(kept)
        maps = kept[name] if name else list(kept.values())
    else:
        keys, maps = None, kept
    try:
        maps = np.asarray(maps)
        keys = np.asarray(keys) if isinstance(kept, dict) else np.arange(maps.shape[0] if maps.ndim else 0)
        if maps.size and maps.dtype.kind not in "uif" or keys.size and keys.dtype.kind not in "ui" or keys.ndim != 1:
            raise ValueError
    except ValueError as error:  # NumPy's, too, for maps of several sizes
        raise FileError(f"{path}: neither maps of numbers, nor classes and their maps; see "
                        "wsnb/papers/student/sources.py for the forms that can be read") from error
    if not len(keys) and maps.size == 0:
        return np.zeros(0, np.int64), np.zeros((0, 1, 1), np.float32)
    keys, maps = keys.astype(np.int64), maps.astype(np.float32)
    if maps.ndim != 3 or not maps.size or not len(set(keys.tolist())) == len(keys) == len(maps) or keys.min() < 0 or (
            keys.max() >= n_tags):
        raise FileError(f"{path}: maps {maps.shape} of the classes {keys.tolist()[:9]}; give a map [h, w] for each of "
                        f"some classes 0 to {n_tags - 1}, without the background")
    if not np.isfinite(maps).all():
        raise FileError(f"{path}: its maps hold NaN or Inf; make them again")
    return keys, maps


def outlines(path, names) -> tuple[dict[str, list], dict]:
    """Read ({picture id: [(class, outline, crowd)]}, {picture id: (height, width) as stated}) of a COCO data set or
    list of results. Raises FileError.

    A data set names all of its pictures, and has the key COMPLETE; a list of results only those with a result.
    """
    return _outlines(path, names, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=2)
def _outlines(path, names, written, bytes_) -> tuple[dict[str, list], dict]:
    """Read the file, anew where it was WRITTEN at another time or has other BYTES_."""
    content = load_json(path)
    of_set = isinstance(content, dict)
    stems, sizes, classes = {}, {}, {str(k): k for k in range(1, len(names))}
    if of_set:
        images, categories = _listed(path, content, "images"), _listed(path, content, "categories")
        stems = {str(one.get("id")): stem(str(one.get("file_name"))) for one in images}
        if len(set(stems.values())) < len(images):
            raise FileError(f"{path}: an image occurs twice, by its id or its name without folder; rename one")
        stated = {stem(str(one.get("file_name"))): (number(one.get("height")), number(one.get("width")))
                  for one in images}
        sizes = {name: size for name, size in stated.items() if all(size)}
        classes = {str(one.get("id")): names.index(one["name"]) for one in categories if one.get("name") in names}
        if len({str(one.get("id")) for one in categories}) < len(categories):
            raise FileError(f"{path}: two categories have one id; correct one of them")
    found = {name: [] for name in (*stems.values(), COMPLETE)} if of_set else {}
    for one in _listed(path, content, "annotations") if of_set else _listed(path, {"results": content}, "results"):
        key, label = str(one.get("image_id")), classes.get(str(one.get("category_id")))
        if label is None:
            raise FileError(f"{path}: category_id {one.get('category_id')} of the picture {key} is no class of this "
                            f"set ({', '.join(names[1:6])}, ...); correct it, or its category's name")
        if of_set and key not in stems:
            raise FileError(f"{path}: no image has the id {key} of an annotation; add the image, or remove it")
        found.setdefault(stems[key] if of_set else key, []).append(
            (label, one.get("segmentation"), is_set(one.get("iscrowd"))))
    return found, sizes


def _listed(path, content, name) -> list:
    """The list of objects NAME of a file's CONTENT. Raises FileError."""
    listed = content.get(name)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise FileError(f"{path}: not COCO's lists images, annotations and categories, nor a list of results: {name} "
                        "is no list of objects; export it again")
    return listed
