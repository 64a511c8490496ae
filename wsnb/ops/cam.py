"""Class activation maps (Zhou et al., CVPR 2016) and the parts that all kinds of them share: scales, mirror, maximum.

Grad-CAM is in `gradcam`. `write` and `read` keep the maps of many pictures on disk: float16 at network stride, each
scale by itself, only the classes that are there.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from wsnb.files import FileError, load_npz, save_npz


def activation_map(features, weight):
    """Compute CAM: features [B, K, h, w], weight of a linear or 1x1 classifier [C, K(, 1, 1)] -> [B, C, h, w]."""
    return torch.einsum("bkhw,ck->bchw", features, weight.reshape(len(weight), -1))


def multiscale(maps_of, x, scales) -> list:
    """Compute the class maps of a picture at several scales, those of its mirror image added: [[K, h', w'] of each].

    maps_of(x [B, 3, h, w]) -> [B, K, h', w']; x [1, 3, H, W] is scaled bilinearly (corners not aligned). A picture and
    its mirror image go through MAPS_OF together. No ReLU, no maximum; `summed` adds the scales.
    """
    each = []
    for scale in scales:
        scaled = resized(x, tuple(max(1, round(side * scale)) for side in x.shape[-2:]))
        maps = maps_of(torch.cat([scaled, scaled.flip(-1)]))
        each.append(maps[0] + maps[1].flip(-1))
    return each


def summed(each, size, cover=(1.0, 1.0)):
    """Add the class maps of all scales, EACH a list of [K, h, w], after bringing them to SIZE: [K, H, W].

    cover: see `covering`. The sum at one size, enlarged, is not the sum at a larger size.
    """
    return sum(covering(maps[None], size, cover)[0] for maps in each)


def resized(x, size):
    """Resize [B, C, h, w] bilinearly to SIZE (H, W), corners not aligned; itself where the size is right."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def covering(x, size, cover=(1.0, 1.0)):
    """Enlarge maps [B, C, h, w] that reach COVER (>= 1, height and width) times as far as a picture of SIZE (H, W):
    the enlargement is bilinear, and the surplus at the right and bottom is cut off."""
    whole = tuple(max(side, round(side * reach)) for side, reach in zip(size, cover, strict=True))
    return resized(x, whole)[..., : size[0], : size[1]]


def over_joint_maximum(maps):
    """Rectify class maps [K, h, w] and divide them by the one maximum over all classes and pixels (NoPeopleAllowed).

    Weaker classes stay below 1. Where nothing is positive the original divides by 0; here the maps are 0.
    """
    maps = maps.clip(0)
    return maps / max(float(maps.max()), 1e-12) if maps.shape[0] and maps.max() > 0 else maps


def over_class_maximum(maps, epsilon=1e-5):
    """Rectify class maps [K, h, w] and divide each class by its own maximum + EPSILON (IRN): every class reaches 1."""
    maps = maps.clip(0)
    peak = maps.max(axis=(1, 2), keepdims=True) if isinstance(maps, np.ndarray) else maps.amax((1, 2), keepdim=True)
    return maps / (peak + epsilon)


NORMALISE = {"joint": over_joint_maximum, "per class": over_class_maximum}


def normalised(maps, rule):
    """Bring class maps [K, H, W] to [0, 1], divided by their "joint" maximum (NoPeopleAllowed) or "per class" (IRN).

    Raises ValueError for another rule.
    """
    if rule not in NORMALISE:
        raise ValueError(f"normalise {rule!r}: use joint or per class")
    return NORMALISE[rule](maps)


def thresholded(maps, threshold) -> np.ndarray:
    """Find which class map [K, H, W] exceeds all others and THRESHOLD: int64 [H, W], 1..K, 0 where none does; ties to
    the lower number."""
    maps = np.asarray(maps, np.float32)
    return np.concatenate([np.full((1, *maps.shape[1:]), threshold, np.float32), maps]).argmax(0)


def labels(maps, classes, threshold) -> np.ndarray:
    """Label by `thresholded` with the class numbers CLASSES (1..) of the maps: uint8 [H, W]."""
    return np.concatenate([[0], np.asarray(classes, np.int64)])[thresholded(maps, threshold)].astype(np.uint8)


def predicted_tags(logits, threshold=0.5):
    """Choose the classes of one picture's LOGITS [C] whose probability exceeds THRESHOLD, else the most likely one:
    int64 [K]."""
    found = torch.nonzero(logits.sigmoid() > threshold).flatten()
    return found if len(found) else logits.argmax()[None]


def write(folder, name, keys, maps, size, cover=(1.0, 1.0), grid=None) -> None:
    """Keep the maps of a picture: keys int [K] (0-based classes, ascending), maps float [K, h, w], or a list of them,
    one for each scale, whose sum is read.

    size (H, W) is the one that they are to be read at; cover: see `covering`; grid (h, w): their size as "stored", by
    default their own. float16 costs 0.001 of the largest value at most.
    Raises FileError for maps that are not finite: they would poison all that comes after.
    """
    each = [np.asarray(one, np.float32) for one in (maps if isinstance(maps, list) else [maps])]
    shapes = np.array([one.shape[1:] for one in each], np.int64)
    flat = np.concatenate([one.reshape(len(keys), int(np.prod(one.shape[1:]))) for one in each], 1)
    if not np.isfinite(flat).all():
        raise FileError(f"{name}: its maps hold NaN or Inf; look at the network and the picture")
    peak = float(np.abs(flat).max(initial=0)) or 1.0  # small values keep their digits
    save_npz(Path(folder) / f"{name}.npz", keys=np.asarray(keys, np.int64), maps=(flat / peak).astype(np.float16),
             shapes=shapes, peak=np.float32(peak), size=np.asarray(size, np.int64), cover=np.asarray(cover, np.float64),
             grid=np.asarray(shapes[0] if grid is None else grid, np.int64))


def _is_placed(kept) -> bool:
    """Whether the sizes and the cover of a file of `write` can be: a picture, which the maps reach at least."""
    size, cover, grid, shapes = (kept[name] for name in ("size", "cover", "grid", "shapes"))
    sizes = (size, grid, *shapes) if shapes.ndim == 2 else ()
    return (len(sizes) > 2 and kept["maps"].ndim == 2 and kept["peak"].shape == () and cover.shape == (2,)
            and all(one.shape == (2,) and one.dtype.kind == "i" and (one > 0).all()
                    and math.prod(one.tolist()) < 10**9 for one in sizes)
            and (1 <= cover).all() and (cover < 1e4).all())


def read(folder, name, size=None):
    """Read (keys int64 [K], maps float32 [K, H, W]) of a picture, each scale enlarged bilinearly to SIZE (H, W), then
    `summed`.

    size None: as it was written for; "stored": their sum on the grid (h, w) that they were written with. Raises
    FileError for a missing or damaged file.
    """
    path = Path(folder) / f"{name}.npz"
    kept = load_npz(path)
    fields = {"keys", "maps", "shapes", "peak", "size", "cover", "grid"}
    if not fields <= set(kept):
        raise FileError(f"{path}: not a file of class activation maps; remove it and run the CAM stage again")
    areas = kept["shapes"].prod(1) if _is_placed(kept) else []
    if not len(areas) or kept["maps"].shape != (len(kept["keys"]), sum(areas)):
        raise FileError(f"{path}: the sizes of its maps are damaged; remove it and run the CAM stage again")
    cover = kept["cover"]
    if isinstance(size, str):
        size, cover = kept["grid"], (1.0, 1.0)
    size = tuple(int(side) for side in (kept["size"] if size is None else size))
    if not len(kept["keys"]):
        return kept["keys"], np.zeros((0, *size), np.float32)
    flat = torch.from_numpy(kept["maps"].astype(np.float32) * kept["peak"]).split(areas.tolist(), dim=1)
    each = [one.reshape(-1, *shape) for one, shape in zip(flat, kept["shapes"].tolist(), strict=True)]
    return kept["keys"], summed(each, size, cover).numpy()
