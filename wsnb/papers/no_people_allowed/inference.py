"""Segmentation of a picture over mirror images and scales, as the original's submission does it, and as one should."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb.data.read import image as read_image
from wsnb.files import FileError, read_index, save_png, write
from wsnb.ops.cam import resized, squashed
from wsnb.ops.segmentation import predict


@torch.no_grad()
def mean_logits(network, x, scales=(0.5, 1.0, 2.0)):
    """Mean of the logits over mirror image and scales: x [1, 3, H, W] -> [1, C, H, W].

    Inputs and logits are scaled by the nearest pixel, as the original's library does by default: the mirror image is
    scaled, and its logits scaled back before they are mirrored back, since the nearest pixel of a mirror image is
    another one. A picture and its mirror image go through the network together.
    """
    total, pair = 0, torch.cat([x, x.flip(-1)])
    for scale in scales:
        scaled = pair if scale == 1 else F.interpolate(pair, scale_factor=scale, mode="nearest")
        logits = F.interpolate(resized(network(scaled), scaled.shape[-2:]), size=x.shape[-2:], mode="nearest")
        total = total + (logits[:1] + logits[1:].flip(-1)) / 2
    return total / len(scales)


def nearest_labels(logits, size) -> np.ndarray:
    """The winners of logits [1, C, h, w], brought to SIZE (H, W) by the nearest pixel: uint8 [H, W]."""
    return F.interpolate(logits, size=tuple(size), mode="nearest")[0].argmax(0).cpu().numpy().astype(np.uint8)


def faithful(network, image, side, scales, device) -> np.ndarray:
    """The original's labels uint8 [H, W] of a picture, squashed to SIDE x SIDE for the network."""
    x = squashed(image, side)[1].to(device)
    return nearest_labels(mean_logits(network, x, scales), image.shape[:2])


@torch.no_grad()
def smooth(network, image, side, scales, device) -> np.ndarray:
    """Labels of the same variants with bilinear scaling, probabilities averaged at the picture's own size."""
    total = 0
    for scale in scales:
        size = max(16, round(side * scale))
        interpolation = cv2.INTER_AREA if size < min(image.shape[:2]) else cv2.INTER_LINEAR
        picture = cv2.resize(image, (size, size), interpolation=interpolation)
        x = squashed(picture, 0)[1].to(device)
        maps = network(torch.cat([x, x.flip(-1)])).softmax(1)
        maps = (maps[:1] + maps[1:].flip(-1)) / 2
        total = total + resized(maps, image.shape[:2])
    return total[0].argmax(0).cpu().numpy().astype(np.uint8)

STYLES = ("nearest", "smooth", "own shape")


def label_picture(network, image, style, side, base, scales, device="cpu"):
    """Labels uint8 [H, W] of a picture: style "nearest" (faithful), "smooth" or "own shape" (BASE times its size)."""
    if style == "nearest":
        return faithful(network, image, side, scales, device)
    if style == "smooth":
        return smooth(network, image, side, scales, device)
    if style != "own shape":
        raise ValueError(f"test_style {style!r}: use one of {', '.join(STYLES)}")
    return predict(network, image, scales, True, device, base=base).argmax(0).astype(np.uint8)


def label_all(network, items, folder, style, side, base, scales, device="cpu"):
    """Write ID.png of each picture; yields the pictures. Those that are there stay."""
    for item in items:
        path = Path(folder) / f"{item.id}.png"
        if not path.exists():
            save_png(path, label_picture(network, read_image(item), style, side, base, scales, device))
        yield item


def submission(folder, ids, path) -> Path:
    """A flat zip of the label maps of IDS, 8-bit grey PNGs of the class numbers; the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in ids:
            ok, data = cv2.imencode(".png", read_index(Path(folder) / f"{name}.png"))
            if not ok:
                raise FileError(f"{folder}/{name}.png: cannot be encoded; make it again")
            archive.writestr(zipfile.ZipInfo(f"{name}.png", (1980, 1, 1, 0, 0, 0)), data.tobytes())
    with write(path) as file:
        file.write(buffer.getvalue())
    return Path(path)
