"""IRN's random crop: a window of the picture, or the picture somewhere on a larger canvas.

The augmentation of the original ("strong", and "irnet", its geometric half), written with OpenCV's functions.

Neither albumentations nor torchvision v2 is used: the first no longer has what the original ran in release 0.4.5
(and keeps its random numbers to itself), the second has neither CLAHE nor the bent affine map; and here a sample is to
be a function of (seed, epoch, index). The names are those of albumentations. All functions take uint8 pictures.

What the chapter's three networks learn from: tagged pictures, pictures with confident labels, with pseudo masks.
"""

import random

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb.data import transforms
from wsnb.data.read import image as read_image
from wsnb.ops.affinity import quarter
from wsnb.ops.cam import squashed
from wsnb.papers.no_people_allowed.cams import fitted, rescaled
from wsnb.papers.no_people_allowed.presets import sized


def crop_box(size, side, rng=random) -> tuple[int, ...]:
    """Where a picture of SIZE (h, w) lies in a SIDE x SIDE crop, and which part of it is taken.

    Returns canvas top, bottom, left, right, picture top, bottom, left, right. rng.randrange is drawn for the width
    first, then for the height.
    """
    drawn = []
    for length in (size[1], size[0]):
        kept, space = min(side, length), length - side
        start = rng.randrange(abs(space) + 1)
        drawn.append((0, kept, start, start + kept) if space > 0 else (start, start + kept, 0, kept))
    (left, right, from_left, to_right), (top, bottom, from_top, to_bottom) = drawn
    return top, bottom, left, right, from_top, to_bottom, from_left, to_right


def flipped(arrays, rng):
    """HorizontalFlip, half the time."""
    return [array[:, ::-1] for array in arrays] if rng.random() < 0.5 else arrays


def shifted_scaled_rotated(arrays, rng):
    """ShiftScaleRotate, p 0.4: scale 1 -+ 0.2, angle -+ 30 degrees about each array's centre, no shift."""
    if rng.random() >= 0.4:
        return arrays
    angle, scale = rng.uniform(-30, 30), 1 + rng.uniform(-0.2, 0.2)
    return [warped(array, cv2.getRotationMatrix2D((array.shape[1] / 2, array.shape[0] / 2), angle, scale))
            for array in arrays]


def bent(arrays, rng, pixels=50):
    """ElasticTransform, p 0.5: an affine map that moves three control points by up to PIXELS in each direction.

    The elastic field itself (alpha 1, sigma 50) stays under a hundredth of a pixel and is left out. Arrays of different
    sizes are moved by the same pixels of their own, as in the original: that misaligns a picture and its labels.
    """
    if rng.random() >= 0.5:
        return arrays
    moves = rng.uniform(-pixels, pixels, (3, 2)).astype(np.float32)
    result = []
    for array in arrays:
        centre, side = np.array(array.shape[1::-1], np.float32) // 2, min(array.shape[:2]) // 3
        points = np.array([centre + side, [centre[0] + side, centre[1] - side], centre - side], np.float32)
        result.append(warped(array, cv2.getAffineTransform(points, points + moves)))
    return result


def warped(array, matrix):
    """Affine map with mirrored borders; label maps ([H, W]) by the nearest pixel."""
    method = cv2.INTER_LINEAR if array.ndim == 3 else cv2.INTER_NEAREST
    return cv2.warpAffine(np.ascontiguousarray(array), matrix, array.shape[1::-1], flags=method,
                          borderMode=cv2.BORDER_REFLECT_101)


def noisy(image, rng):
    """GaussNoise, p 0.5: variance 10 to 50 (colour levels squared)."""
    if rng.random() >= 0.5:
        return image
    noise = rng.normal(0, np.sqrt(rng.uniform(10, 50)), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def equalised(image, rng):
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(rng.uniform(1, 2), (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def sharpened(image, rng):
    alpha, lightness = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1)
    kernel = np.full((3, 3), -alpha, np.float32)
    kernel[1, 1] = (1 - alpha) + alpha * (8 + lightness)
    return cv2.filter2D(image, -1, kernel)


def brightened(image, rng):
    contrast, brightness = 1 + rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
    return np.clip(image * np.float32(contrast) + 255 * brightness, 0, 255).astype(np.uint8)


def gamma(image, rng):
    table = (np.linspace(0, 1, 256) ** rng.uniform(0.8, 1.2) * 255).astype(np.uint8)
    return table[image]


def blurred(image, rng):
    return cv2.medianBlur(np.ascontiguousarray(image), int(rng.choice([3, 5, 7])))


def rgb_shifted(image, rng):
    return np.clip(image + rng.uniform(-20, 20, 3), 0, 255).astype(np.uint8)


def hsv_shifted(image, rng):
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    shift = rng.uniform((-20, -30, -20), (20, 30, 20))
    hsv[..., 0] = (hsv[..., 0] + shift[0]) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + shift[1:], 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


LOOKS = ((equalised, sharpened, brightened, gamma, blurred), (rgb_shifted, hsv_shifted))


def one_of(image, rng, functions):
    """OneOf, p 0.5: one of FUNCTIONS, all alike likely."""
    if rng.random() >= 0.5:
        return image
    return functions[rng.integers(len(functions))](np.ascontiguousarray(image), rng)


def augmented(image, rng, labels=None, scope="strong", pixels=50):
    """Picture uint8 [H, W, 3] and its label map [h, w] (or None), augmented alike: (picture, labels).

    scope: "strong", "irnet" (flip, rotation, bend, noise) or "none". Raises ValueError for another.
    """
    if scope not in ("strong", "irnet", "none"):
        raise ValueError(f"augmentation {scope!r}: use strong, irnet or none")
    arrays = [image] if labels is None else [image, labels]
    if scope != "none":
        arrays = bent(shifted_scaled_rotated(flipped(arrays, rng), rng), rng, pixels)
        arrays[0] = noisy(arrays[0], rng)
        for functions in LOOKS if scope == "strong" else ():
            arrays[0] = one_of(arrays[0], rng, functions)
    return arrays[0], None if labels is None else arrays[1]


IGNORE = 255


class Squashed(torch.utils.data.Dataset):
    """Pictures as NoPeopleAllowed sees them: augmented at their own size, then squashed to SIDE x SIDE.

    samples[i] -> {"x" [3, S, S] normalised, "id"} with "tags" [C - 1] if TAGS_OF(item) is given, and "label" int64
    [S, S] if LABEL_OF(item) -> uint8 is. A label map of another size than the picture is first enlarged to it (ALIGNED)
    or augmented in its own pixels, as the original does. A sample is a function of (seed, epoch, i).
    """

    def __init__(self, items, side, seed=0, epoch=0, tags_of=None, label_of=None, scope="strong", pixels=50,
                 aligned=True):
        self.items, self.side, self.seed, self.epoch = items, side, seed, epoch
        self.tags_of, self.label_of, self.scope = tags_of, label_of, scope
        self.pixels, self.aligned = pixels, aligned

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        rng = transforms.sample_generator(self.seed, self.epoch, index)
        image, label = read_image(item), None
        if self.label_of is not None:
            label = np.asarray(self.label_of(item), np.uint8)
            if self.aligned:
                label = cv2.resize(label, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        image, label = augmented(image, rng, label, self.scope, self.pixels)
        sample = {"x": squashed(image, self.side)[1][0], "id": item.id}
        if self.tags_of is not None:
            sample["tags"] = torch.as_tensor(self.tags_of(item))
        if label is not None:
            label = cv2.resize(label, (self.side, self.side), interpolation=cv2.INTER_NEAREST)
            sample["label"] = torch.from_numpy(label.astype(np.int64))
        return sample


class Crops(torch.utils.data.Dataset):
    """Pictures as IRN sees them: scaled, mirrored half the time, a SIDE x SIDE window or canvas.

    long_side (low, high): the longer side is brought to a random length in pixels (the classifier), else scales
    (low, high): a random factor (IRNet). Outside of the picture x is 0 and the label 255. "label" and "tags" as above.
    """

    def __init__(self, items, side, seed=0, epoch=0, tags_of=None, label_of=None, long_side=(), scales=()):
        self.items, self.side, self.seed, self.epoch = items, side, seed, epoch
        self.tags_of, self.label_of, self.long_side, self.scales = tags_of, label_of, long_side, scales

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        rng = transforms.sample_generator(self.seed, self.epoch, index)
        image = read_image(item)
        label = None if self.label_of is None else np.asarray(self.label_of(item), np.uint8)
        scale = self._scale(image, rng)
        image = rescaled(image, scale)
        label = None if label is None else fitted(label, image.shape)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], None if label is None else label[:, ::-1]
        box = crop_box(image.shape[:2], self.side, Draws(rng))
        x = transforms.normalise(transforms.to_unit(image))
        sample = {"x": placed(x, box, self.side, 0), "id": item.id}
        if self.tags_of is not None:
            sample["tags"] = torch.as_tensor(self.tags_of(item))
        if label is not None:
            sample["label"] = placed(torch.from_numpy(label.astype(np.int64)), box, self.side, IGNORE)
        return sample

    def _scale(self, image, rng):
        if len(self.long_side):
            return rng.integers(self.long_side[0], self.long_side[1] + 1) / max(image.shape[:2])
        return rng.uniform(*self.scales) if len(self.scales) else 1.0


class TopLeft(torch.utils.data.Dataset):
    """Pictures in their own shape times SCALE, their top left SIDE x SIDE window: samples[i] -> {"x", "id"}, outside of
    the picture 0. IRN measures its mean displacement on these."""

    def __init__(self, items, side, scale=1.0):
        self.items, self.side, self.scale = items, side, scale

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        image = sized(read_image(item), 0, self.scale)[: self.side, : self.side]
        x = transforms.normalise(transforms.to_unit(image))
        return {"x": F.pad(x, (0, self.side - x.shape[2], 0, self.side - x.shape[1])), "id": item.id}


class Draws:
    """`randrange` of a NumPy generator, for `crop_box`."""

    def __init__(self, rng):
        self.rng = rng

    def randrange(self, stop):
        return int(self.rng.integers(stop))


def placed(x, box, side, fill):
    """The window of a tensor [..., H, W] on a SIDE x SIDE canvas of FILL; box: see `crop_box`."""
    top, bottom, left, right, from_top, to_bottom, from_left, to_right = box
    window = x[..., from_top:to_bottom, from_left:to_right]
    return F.pad(window, (left, side - right, top, side - bottom), value=fill)


def quartered(labels, rule):
    """Label maps int64 [B, H, W] at stride 4, by `affinity.quarter`'s RULE."""
    return torch.from_numpy(np.stack([quarter(one.astype(np.uint8), rule) for one in labels.numpy()]).astype(np.int64))
