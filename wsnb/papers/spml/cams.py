"""Class activation maps of the tags' classes: from the book's own classifier, or from the original's .npy files."""

from pathlib import Path

import numpy as np
import torch

from wsnb import files
from wsnb.data import transforms
from wsnb.methods import cam, cam_store
from wsnb.papers.spml.transforms import resize, scaled_size


@torch.no_grad()
def of_picture(network, image, tags, scales=(1.0,), base=1.0, device="cpu"):
    """(classes int64 [K], 0 is the first foreground class; CAMs float32 [K, h, w]) of the TAGS [C - 1] of a picture.

    Sum over SCALES and mirror images of the classifier's activations, negative ones cut, each class divided by its own
    maximum. Pictures are shrunk by BASE first; the maps have an eighth of that size.
    """
    small, _ = resize(image, None, scaled_size(*image.shape[:2], base))
    x = transforms.normalise(transforms.to_unit(small))[None].to(device)
    size = tuple(-(-side // 8) for side in small.shape[:2])
    (summed,), _ = cam.multiscale(network.activations, x, scales, [size])
    keys = np.flatnonzero(tags)
    return keys, cam.over_class_maximum(summed.cpu().numpy()[keys])


def from_folder(folder, name, shape):
    """(classes, CAMs) of a picture in a folder of official files ID.npy, or of another run's maps ID.npz."""
    if (Path(folder) / f"{name}.npz").is_file():
        return cam_store.read(folder, name, "stored")
    return from_file(Path(folder) / f"{name}.npy", shape)


def from_file(path, shape):
    """(classes, CAMs) of an official file: a pickled dict {0-based class: [H, W]} in 0..1, read without running it.

    SHAPE (height, width) is the picture's. Raises FileError for anything else.
    """
    content = files.load_legacy_array(path)
    content = content.item() if isinstance(content, np.ndarray) and content.dtype == object else content
    if not isinstance(content, dict) or not all(np.shape(value) == tuple(shape) for value in content.values()):
        raise files.FileError(f"{path}: not a dictionary of maps of its picture's size {shape[1]}x{shape[0]}; take the "
                              "CAM files of this very data set")
    keys = sorted(int(key) for key in content)
    by_key = {int(key): np.asarray(value, np.float32) for key, value in content.items()}
    return np.array(keys, np.int64), np.stack([by_key[key] for key in keys]) if keys else np.zeros((0, *shape))


def write(folder, item, maps_of, image) -> None:
    """Keep the CAMs of one picture, maps_of(image) -> (classes, maps), unless they are there."""
    if not (Path(folder) / f"{item.id}.npz").exists():
        keys, maps = maps_of(image)
        cam_store.write(folder, item.id, keys, maps, image.shape[:2])
