"""The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): MATLAB masks of classes and of instances.

`benchmark_RELEASE/dataset` holds img/ID.jpg, cls/ID.mat (struct GTcls), inst/ID.mat (struct GTinst), train.txt and
val.txt. Both structs carry `Segmentation`; GTinst also carries `Categories`, the class of each instance. No void.
"""

import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from wsnb.files import FileError, save_png

# What scipy raises for truncated or foreign files; its reader has no single kind of its own.
_BROKEN = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError,
           OverflowError, MemoryError, MatReadError, zlib.error)


def _field(path, struct: str, name: str) -> np.ndarray:
    """Field NAME of the 1x1 struct STRUCT in a .mat file."""
    try:
        return loadmat(path, variable_names=[struct])[struct][0, 0][name]
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except _BROKEN as error:
        raise FileError(f"{path}: no readable {struct}.{name} ({error}); fetch SBD again") from error


def _indices(path, array) -> np.ndarray:
    """ARRAY as uint8 [H, W]; refuses anything that would change by that."""
    array = np.asarray(array)
    if array.ndim != 2 or array.dtype.kind not in "uif" or not np.array_equal(array, array.astype(np.uint8)):
        raise FileError(f"{path}: Segmentation is {array.dtype} {array.shape}, not [H, W] of 0..255; fetch SBD again")
    return array.astype(np.uint8)


def read_classes(path) -> np.ndarray:
    """Class of every pixel, uint8 [H, W], 0 background, 1..20; from `cls/ID.mat`. Raises FileError."""
    return _indices(path, _field(path, "GTcls", "Segmentation"))


def read_instances(path) -> tuple[np.ndarray, np.ndarray]:
    """Instance of every pixel and the class of each instance, from `inst/ID.mat`.

    Returns uint8 [H, W] with 0 for no instance and 1..N, and uint8 [N]: instance k has class `categories[k - 1]`.
    Raises FileError, also where the mask names an instance that has no category.
    """
    instances = _indices(path, _field(path, "GTinst", "Segmentation"))
    categories = np.asarray(_field(path, "GTinst", "Categories")).ravel().astype(np.uint8)
    if instances.size and instances.max() > len(categories):
        raise FileError(f"{path}: instance {instances.max()} of {len(categories)} categories; fetch SBD again")
    return instances, categories


def to_png(dataset, progress=None) -> int:
    """Write `cls_png/ID.png` beside `cls/ID.mat`, as the lists of the original programs expect; returns how many.

    DATASET is the folder `benchmark_RELEASE/dataset`. Values stay unchanged. PNGs that are there already are kept, so
    that an interrupted call continues. PROGRESS(done, total) is called after each file. Raises FileError.
    """
    dataset = Path(dataset)
    sources = sorted((dataset / "cls").glob("*.mat"))
    if not sources:
        raise FileError(f"{dataset / 'cls'}: no .mat masks; give the folder benchmark_RELEASE/dataset of SBD")
    written = 0
    for done, source in enumerate(sources, 1):
        target = dataset / "cls_png" / f"{source.stem}.png"
        if not target.exists():
            save_png(target, read_classes(source))
            written += 1
        if progress is not None:
            progress(done, len(sources))
    return written
