"""Boundary maps: the book's own detector, HED, or the maps of another program.

The papers of this book take boundaries of HED or gPb, networks and classifiers that were trained on drawn boundaries.
The book's own map needs no training: it is computed from differences of colour and texture between the two sides of a
pixel, at several scales. HED's weights are those of an installed package (`wsnb.models.hed`).
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from wsnb.data.item import image_shape
from wsnb.files import FileError, loaded_image
from wsnb.models import hed

SCALES = (2.0, 4.0)  # pixels, of the Gaussian derivatives, in a picture of 500 pixels; finer ones only add grain
TEXTURE_WEIGHT = 1.0  # of the texture channels against colour


def boundary_map(image) -> np.ndarray:
    """Measure the boundary strength float32 [H, W] in [0, 1] of a picture uint8 [H, W, 3].

    The largest directional derivative of the channels L, a, b and three texture energies (Di Zenzo's structure tensor),
    at two scales, each divided by what is usual around it, so that the many edges within a texture count for less
    than a lone contour. The sum goes through 1 - exp(-x). A picture of one colour gives zeros.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"boundary_map: picture {image.dtype} {image.shape}; give uint8 [H, W, 3]")
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100  # L in 0..1
    unit = max(image.shape[:2]) / 500
    channels = np.concatenate([lab, TEXTURE_WEIGHT * _texture(lab[..., 0], unit)], axis=2)
    total = np.zeros(image.shape[:2], np.float32)
    for scale in SCALES:
        strength = _derivative(channels, max(scale * unit, 0.5))
        usual = cv2.GaussianBlur(strength, (0, 0), 8 * max(scale * unit, 0.5), borderType=cv2.BORDER_REFLECT)
        total += strength / (usual + 0.05)
    return 1 - np.exp(-0.35 * total)


def _texture(light, unit: float) -> np.ndarray:
    """Local energy [H, W, 3] of band-passed light at three sizes of grain."""
    bands = []
    for sigma in (0.7, 1.4, 2.8):
        fine = cv2.GaussianBlur(light, (0, 0), max(sigma * unit, 0.4), borderType=cv2.BORDER_REFLECT)
        coarse = cv2.GaussianBlur(light, (0, 0), max(1.6 * sigma * unit, 0.6), borderType=cv2.BORDER_REFLECT)
        energy = cv2.GaussianBlur(np.abs(fine - coarse), (0, 0), max(2 * sigma * unit, 1.0),
                                  borderType=cv2.BORDER_REFLECT)
        bands.append(np.sqrt(energy))
    return np.stack(bands, axis=2)


def _derivative(channels, sigma: float) -> np.ndarray:
    """Root of the structure tensor's larger eigenvalue, times sigma: float32 [H, W]."""
    smooth = cv2.GaussianBlur(channels[..., :3], (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    more = cv2.GaussianBlur(channels[..., 3:], (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    xx = xy = yy = 0
    for part in (smooth, more):
        dx = cv2.Sobel(part, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        dy = cv2.Sobel(part, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        xx, xy, yy = xx + (dx * dx).sum(2), xy + (dx * dy).sum(2), yy + (dy * dy).sum(2)
    larger = (xx + yy) / 2 + np.sqrt((xx - yy) ** 2 / 4 + xy * xy)
    return sigma * np.sqrt(larger)


def read_map(path, shape) -> np.ndarray:
    """Read a detector's boundary map, a grey picture of 8 or 16 bits: float32 [H, W] in [0, 1], white is a boundary.

    SHAPE is (height, width) of its picture. Raises FileError for a missing or coloured file and another size.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: no boundary map; write one grey picture per image there, or give no folder of maps")
    picture = loaded_image(path)
    mode, values = picture.mode, np.array(picture)
    if mode not in ("L", "I;16", "I"):
        raise FileError(f"{path}: mode {mode}; write boundary strengths as grey of 8 or 16 bits")
    if values.shape != tuple(shape):
        raise FileError(f"{path}: {values.shape[1]}x{values.shape[0]}, its picture is {shape[1]}x{shape[0]}; "
                        "write the map in the picture's size")
    return values.astype(np.float32) / (255 if mode == "L" else 65535)


def of_folder(folder, item) -> np.ndarray:
    """Read the map FOLDER/ID.png of a picture, as `read_map`, in the size of the picture's file."""
    return read_map(Path(folder) / f"{item.id}.png", image_shape(item))


DETECTORS = {"builtin": boundary_map, "hed": hed.boundary_map}


def need(source, items) -> None:
    """Raise FileError before any long work if the SOURCE of boundaries, "builtin", "hed" or a folder of maps ID.png,
    lacks its weights or the map of one of ITEMS."""
    if source == "hed":
        hed.load(str(hed.installed_weights()))
    elif source not in DETECTORS:
        need_files("boundaries", source, ".png", items, "builtin, hed")


def need_files(name, folder, ending, items, others) -> None:
    """Raise FileError that names the first of ITEMS without a file ID + ENDING in FOLDER, the parameter NAME.

    OTHERS: its values that need no folder.
    """
    there = {path.name for path in Path(folder).glob(f"*{ending}")}
    missing = [f"{item.id}{ending}" for item in items if f"{item.id}{ending}" not in there]
    if missing:
        shown = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
        raise FileError(f"{name} {folder}: {len(missing)} of {len(items)} pictures have no file there: {shown}; "
                        f"write them, or take {name}={others}")


def detector(source, item, shape):
    """Return a function from the picture of ITEM, uint8 [H, W, 3], to its boundary map float32 [H, W] in [0, 1].

    SOURCE as in `need`; SHAPE (height, width) of the picture's file: a map of a folder has that size, and is shrunk
    for a picture that was shrunk.
    """
    return DETECTORS.get(source) or partial(_of_folder, Path(source) / f"{item.id}.png", tuple(shape))


def _of_folder(path, shape, image):
    found = read_map(path, shape)
    return found if image.shape[:2] == shape else cv2.resize(found, image.shape[1::-1], interpolation=cv2.INTER_AREA)
