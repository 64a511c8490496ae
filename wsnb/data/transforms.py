"""Augmentation on PIL pictures. Each draw comes from the generator passed in, so that a sample is a function of
(seed, epoch, index) whatever the number of workers.

Not so in the original programs that draw from NumPy's global generator (SPML): they do not seed it in their worker
processes, and with torch below 1.9 all workers make the same draws, and the same again in every epoch.
"""

import numpy as np
import torch
from PIL import Image

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def sample_generator(seed, epoch, index) -> np.random.Generator:
    """The random numbers of one sample."""
    return np.random.default_rng([seed, epoch, index])


def old_crop_box(width, height, rng, area=(0.9, 1.0), aspect=(3 / 4, 4 / 3)) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a random crop, as torchvision 0.2.1 sampled it.

    Aspect ratios are uniform (not log-uniform), width and height are swapped half of the time, and after 10 misses the
    central square of the short side is taken: for 500x375 pictures that is a third of all crops.
    """
    for _ in range(10):
        target, ratio = rng.uniform(*area) * width * height, rng.uniform(*aspect)
        w, h = round((target * ratio) ** 0.5), round((target / ratio) ** 0.5)
        if rng.random() < 0.5:
            w, h = h, w
        if w <= width and h <= height:
            return int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def new_crop_box(width, height, rng, area=(0.9, 1.0), aspect=(3 / 4, 4 / 3)) -> tuple[int, int, int, int]:
    """(left, top, width, height) as today's torchvision samples it: log-uniform aspect, fallback to the whole picture
    with its ratio clamped."""
    for _ in range(10):
        target, ratio = rng.uniform(*area) * width * height, np.exp(rng.uniform(*np.log(aspect)))
        w, h = round((target * ratio) ** 0.5), round((target / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
    ratio = min(max(width / height, aspect[0]), aspect[1])
    w, h = (width, round(width / ratio)) if width / height < ratio else (round(height * ratio), height)
    w, h = min(w, width), min(h, height)
    return (width - w) // 2, (height - h) // 2, w, h


CROPS = {"old": old_crop_box, "new": new_crop_box}


def crop_and_flip(image, mask, size, rng, sampler="old"):
    """PIL picture and mask (or None) -> random crop of SIZE x SIZE (bicubic, nearest), flipped half the time."""
    left, top, w, h = CROPS[sampler](*image.size, rng)
    box = (left, top, left + w, top + h)
    flip = rng.random() < 0.5
    image = image.crop(box).resize((size, size), Image.Resampling.BICUBIC)
    mask = None if mask is None else mask.crop(box).resize((size, size), Image.Resampling.NEAREST)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mask = None if mask is None else mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image, mask


def jitter(image, rng, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1):
    """PIL picture with factors drawn from 1 -+ each value (hue: -+ itself), applied in random order."""
    from torchvision.transforms import functional as tv

    changes = [
        (tv.adjust_brightness, 1 + rng.uniform(-brightness, brightness)),
        (tv.adjust_contrast, 1 + rng.uniform(-contrast, contrast)),
        (tv.adjust_saturation, 1 + rng.uniform(-saturation, saturation)),
        (tv.adjust_hue, rng.uniform(-hue, hue)),
    ]
    for i in rng.permutation(len(changes)):
        change, factor = changes[i]
        image = change(image, factor)
    return image


def to_unit(image) -> torch.Tensor:
    """PIL picture or uint8 [H, W, 3] -> float32 [3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).float().div_(255)


def normalise(unit) -> torch.Tensor:
    """[..., 3, H, W] in [0, 1] -> ImageNet-normalised."""
    mean, std = unit.new_tensor(MEAN)[:, None, None], unit.new_tensor(STD)[:, None, None]
    return (unit - mean) / std


def denormalise(x) -> torch.Tensor:
    """The inverse of `normalise`."""
    mean, std = x.new_tensor(MEAN)[:, None, None], x.new_tensor(STD)[:, None, None]
    return x * std + mean
