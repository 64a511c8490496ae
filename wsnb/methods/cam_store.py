"""Class activation maps of many pictures on disk: float16 at network stride, only the classes that are there."""

from pathlib import Path

import numpy as np
import torch

from wsnb.files import FileError, load_npz, save_npz
from wsnb.methods.cam import covering


def write(folder, name, keys, maps, size, cover=(1.0, 1.0)) -> None:
    """Keep the maps of a picture: keys int [K] (0-based classes, ascending), maps float [K, h, w], size (H, W) that
    they are to be read at, cover: see `cam.covering`. float16 costs 0.001 of the map's maximum at most.

    Raises FileError for maps that are not finite: they would poison all that comes after.
    """
    maps = np.asarray(maps, np.float32)
    if not np.isfinite(maps).all():
        raise FileError(f"{name}: its maps hold NaN or Inf; look at the network and the picture")
    peak = float(np.abs(maps).max(initial=0)) or 1.0  # small values keep their digits
    save_npz(Path(folder) / f"{name}.npz", keys=np.asarray(keys, np.int64), maps=(maps / peak).astype(np.float16),
             peak=np.float32(peak), size=np.asarray(size, np.int64), cover=np.asarray(cover, np.float64))


def read(folder, name, size=None):
    """(keys int64 [K], maps float32 [K, H, W]) of a picture, enlarged bilinearly to SIZE (H, W).

    size None: as it was written for; "stored": as it lies on disk. Raises FileError for a missing or damaged file.
    """
    path = Path(folder) / f"{name}.npz"
    kept = load_npz(path)
    if not {"keys", "maps", "peak", "size", "cover"} <= set(kept) or len(kept["keys"]) != len(kept["maps"]):
        raise FileError(f"{path}: not a file of class activation maps; remove it and run the CAM stage again")
    maps = kept["maps"].astype(np.float32) * kept["peak"]
    if isinstance(size, str) or not len(maps):
        if size == "stored":
            return kept["keys"], maps
        return kept["keys"], np.zeros((0, *(kept["size"] if size is None else size)), np.float32)
    size = tuple(int(side) for side in (kept["size"] if size is None else size))
    return kept["keys"], covering(torch.from_numpy(maps)[None], size, kept["cover"])[0].numpy()
