"""Segmentation of a picture over mirror images and scales, as the original's submission does it, and as one should."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb.data import read
from wsnb.files import FileError, read_index, write
from wsnb.ops.cam import resized
from wsnb.ops.label_maps import write_labels
from wsnb.ops.segmentation import predict
from wsnb.papers.no_people_allowed.data import network_input

STYLES = ("nearest", "smooth", "own shape")


@torch.no_grad()
def mean_logits(network, x, scales=(0.5, 1.0, 2.0)):
    """Average the logits over mirror image and scales: x [1, 3, H, W] -> [1, C, H, W].

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


@torch.no_grad()
def mean_probabilities(network, image, side, scales, device):
    """Average the probabilities of the same variants with bilinear scaling, at the picture's own size: [1, C, H, W]."""
    total = 0
    for scale in scales:
        size = max(16, round(side * scale))
        interpolation = cv2.INTER_AREA if size < min(image.shape[:2]) else cv2.INTER_LINEAR
        x = network_input(cv2.resize(image, (size, size), interpolation=interpolation)).to(device)
        maps = network(torch.cat([x, x.flip(-1)])).softmax(1)
        maps = (maps[:1] + maps[1:].flip(-1)) / 2
        total = total + resized(maps, image.shape[:2])
    return total / len(scales)


def scores_of(network, image, style, side, base, scales, device="cpu"):
    """Compute class scores [1, C, h, w] of a picture uint8 [H, W, 3], the mean over mirror image and SCALES.

    style: "nearest" (faithful: logits of the picture squashed to SIDE), "smooth" (squashed, probabilities) or
    "own shape" (BASE times its size, probabilities); the last two at the picture's own size. Raises ValueError for
    another.
    """
    if style == "nearest":
        return mean_logits(network, network_input(image, side).to(device), scales)
    if style == "smooth":
        return mean_probabilities(network, image, side, scales, device)
    if style != "own shape":
        raise ValueError(f"test_style {style!r}: use one of {', '.join(STYLES)}")
    return torch.from_numpy(predict(network, image, scales, True, device, base=base))[None]


def winners(scores, size) -> np.ndarray:
    """Choose the class with the highest score [1, C, h, w], brought to SIZE (H, W) by the nearest pixel: uint8 [H,
    W]."""
    label = scores.argmax(1, keepdim=True).float()
    return F.interpolate(label, size=tuple(size), mode="nearest")[0, 0].byte().cpu().numpy()


def label_picture(network, image, style, side, base, scales, device="cpu") -> np.ndarray:
    """Label a picture, uint8 [H, W]; see `scores_of`."""
    return winners(scores_of(network, image, style, side, base, scales, device), image.shape[:2])


def write_segmentations(network, items, folder, style, side, base, scales, device="cpu"):
    """Yield once a picture, as soon as its label map stands in FOLDER as ID.png; those that are there stay."""
    def scores_and_size(item):
        image = read.image(item)
        return scores_of(network, image, style, side, base, scales, device), image.shape[:2]

    return write_labels(winners, items, [folder], workers=0, prepare=scores_and_size)


def submission(folder, ids, path) -> Path:
    """Write a flat zip of the label maps of IDS, 8-bit grey PNGs of the class numbers; the same bytes every time."""
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
