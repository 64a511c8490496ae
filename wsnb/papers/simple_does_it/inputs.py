"""Samples of the instance system: picture and box map in, label out; the original's order of samples."""

import numpy as np
import torch

BGR_MEANS = (104.00699, 116.66877, 122.67892)  # of VGG's training pictures, in the order blue, green, red
SLIM_MEANS = (123.68, 116.78, 103.94)  # red, green, blue: what the TF-slim weights were trained with
BOX_MEAN = 128.0
CUT = 162 / 255  # probability from which a pixel is object at test


def faithful(preset) -> bool:
    """Whether PRESET is "faithful" and not "fixed". Raises ValueError for another word."""
    if preset not in ("faithful", "fixed"):
        raise ValueError(f"preset {preset!r}: choose faithful or fixed")
    return preset == "faithful"


def preprocess(pixels, means=BGR_MEANS):
    """uint8 [..., 3 or 4] (red, green, blue, box map) -> float32 minus the means.

    The original takes the means in BGR order from channels in RGB order ("faithful"); SLIM_MEANS mends that ("fixed").
    """
    pixels = np.asarray(pixels)
    return pixels.astype(np.float32) - np.array([*means, BOX_MEAN][: pixels.shape[-1]], np.float32)


def binary_label(label):
    """float32 1 where LABEL exceeds half its maximum, taken over the whole batch; an all-zero label stays zero."""
    label = np.asarray(label, np.float32)
    return (label > 0.5 * label.max(initial=0)).astype(np.float32)


def box_input(image, box, means):
    """Network input float32 [4, H, W] of a picture uint8 [H, W, 3] and a box map uint8 [H, W]."""
    stacked = np.concatenate([image, box[..., None]], axis=2)
    return torch.from_numpy(preprocess(stacked, means).transpose(2, 0, 1))


def predicted_mask(probability):
    """uint8 0 or 255 from probabilities float32: object from 162/255 on."""
    return np.where(np.asarray(probability, np.float32) < CUT, 0, 255).astype(np.uint8)


def original_order(count):
    """Endless sample numbers in the original's order: NumPy's legacy generator shuffles 0..COUNT - 1, and the order
    once more in place for each epoch. Raises ValueError without samples."""
    if count < 1:
        raise ValueError(f"{count} samples: give at least one")
    generator = np.random.RandomState(1)
    order = np.arange(count)
    while True:
        generator.shuffle(order)
        yield from order.tolist()
