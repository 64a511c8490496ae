"""The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): MATLAB masks of classes and of instances.

`benchmark_RELEASE/dataset` holds img/ID.jpg, cls/ID.mat (struct GTcls), inst/ID.mat (struct GTinst), train.txt and
val.txt. Both structs carry `Segmentation`; GTinst also carries `Categories`, the class of each instance. No void.
"""

from pathlib import Path

import numpy as np

from wsnb.data import mat, weak
from wsnb.data.item import Item, classes_only, given, of_image_size
from wsnb.data.own.names import only_classes
from wsnb.data.voc_lists import CLASSES, read_list
from wsnb.files import FileError, save_png, voc_palette

PALETTE = voc_palette()
BACKGROUND = 0
OFFICIAL = {"train": 8498, "val": 2857}


def dataset(root) -> Path:
    """The folder with img, cls and inst; ROOT is it, benchmark_RELEASE, or the folder of that. Raises FileError."""
    root = Path(root).expanduser()
    for folder in (root, root / "dataset", root / "benchmark_RELEASE/dataset", root / "sbd/benchmark_RELEASE/dataset"):
        if (folder / "cls").is_dir():
            return folder
    raise FileError(f"{root}: no SBD in it; give the folder that holds benchmark_RELEASE, or `wsnb data fetch voc12`")


def class_names(root) -> tuple[str, ...]:
    """Background and VOC's twenty, or the lines of dataset/classes.txt if it is there."""
    path = dataset(root) / "classes.txt"
    if not path.exists():
        return CLASSES
    listed = read_list(path)
    only_classes(path, listed)
    return tuple(listed)


def items(root, split: str, limit: int = 0) -> list[Item]:
    """The pictures of SBD's own list SPLIT (train or val), at most LIMIT (0: all).

    SPLIT may be a list file. Raises FileError for a missing list and a repeated picture.
    """
    folder = dataset(root)
    path = Path(split) if "/" in split or split.endswith(".txt") else folder / f"{split}.txt"
    names = read_list(path)[: limit or None]
    for name in names:
        if "/" in name or ".." in name or len(name.split()) != 1:
            raise FileError(f"{path}: line {name!r} is not an id; mend the list")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FileError(f"{path}: {twice} occurs twice; remove one of its lines")
    return [Item(name, folder / "img" / f"{name}.jpg", folder / "cls" / f"{name}.mat", folder / "inst" / f"{name}.mat")
            for name in names]


def read_mask(item: Item, n_classes: int = 21) -> np.ndarray:
    """The class mask, uint8 [H, W]: 0..n_classes - 1; SBD has no void. Raises FileError."""
    path = given(item, "mask")
    return of_image_size(item, path, classes_only(path, classes_of(path), n_classes))


def read_instances(item: Item) -> np.ndarray:
    """The instance mask, uint8 or uint16 [H, W]: 0 none, 1..N. Raises FileError."""
    path = given(item, "instances")
    return of_image_size(item, path, instances_of(path)[0])


def read_boxes(item: Item, names=CLASSES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tight box of each instance, int64 [N, 4] half-open, its class [N] and False [N]: SBD marks none as difficult.

    Ordered by the instance's number. Raises FileError, also for a category above NAMES.
    """
    path = given(item, "instances")
    instances, categories = instances_of(path)
    if categories.size and categories.max() >= len(names):
        raise FileError(f"{path}: category {categories.max()}, but there are {len(names)} classes; fetch SBD again")
    classes = np.concatenate([[0], categories]).astype(np.uint8)[instances]
    boxes, labels = weak.boxes(classes, instances.astype(np.uint16))  # as uint8, 255 would be void
    return boxes, labels, np.zeros(len(labels), bool)


def _field(path, struct: str, name: str) -> np.ndarray:
    """Field NAME of the 1x1 struct STRUCT in a .mat file."""
    content = mat.load(path, [struct])
    try:
        return content[struct][0, 0][name]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise FileError(f"{path}: no readable {struct}.{name}; fetch SBD again") from error


def _indices(path, array, name="Segmentation", dtype=np.uint8) -> np.ndarray:
    """ARRAY as unsigned integers [H, W]; refuses anything that would change by that."""
    array = np.asarray(array)
    if array.ndim != 2 or array.dtype.kind not in "uif" or not np.array_equal(array, array.astype(dtype)):
        raise FileError(f"{path}: {name} is {array.dtype} {array.shape}, not [H, W] of "
                        f"0..{np.iinfo(dtype).max}; fetch SBD again")
    return array.astype(dtype)


def classes_of(path) -> np.ndarray:
    """Class of every pixel, uint8 [H, W], 0 background, 1..20; from `cls/ID.mat`. Raises FileError."""
    return _indices(path, _field(path, "GTcls", "Segmentation"))


def instances_of(path) -> tuple[np.ndarray, np.ndarray]:
    """Instance of every pixel and the class of each instance, from `inst/ID.mat`.

    Returns uint8 [H, W] (uint16 where there are more than 255) with 0 for no instance and 1..N, and uint8 [N]:
    instance k has class `categories[k - 1]`.
    Raises FileError, also where the mask names an instance that has no category.
    """
    instances = _indices(path, _field(path, "GTinst", "Segmentation"), dtype=np.uint16)
    if instances.size and instances.max() < 256:
        instances = instances.astype(np.uint8)
    categories = _indices(path, np.atleast_2d(_field(path, "GTinst", "Categories")), "Categories").ravel()
    if instances.size and instances.max() > len(categories):
        raise FileError(f"{path}: instance {instances.max()} of {len(categories)} categories; fetch SBD again")
    return instances, categories


def to_png(root, progress=None) -> int:
    """Write `cls_png/ID.png` beside `cls/ID.mat`, as the lists of the original programs expect; returns how many.

    Values stay unchanged. PNGs that are there already are kept, so that an interrupted call continues.
    PROGRESS(done, total) is called after each file. Raises FileError.
    """
    folder = dataset(root)
    sources = sorted((folder / "cls").glob("[!.]*.mat"))
    if not sources:
        raise FileError(f"{folder / 'cls'}: no .mat masks; fetch SBD again")
    written = 0
    for done, source in enumerate(sources, 1):
        target = folder / "cls_png" / f"{source.stem}.png"
        if not target.exists():
            save_png(target, classes_of(source))
            written += 1
        if progress is not None:
            progress(done, len(sources))
    return written
