"""The originals' augmentation: NoPeopleAllowed's "strong" and "irnet" (its geometric half), IRN's random crop.

Neither albumentations nor torchvision v2 is used: the first no longer has the transforms that the original ran in
release 0.4.5 (and keeps its random numbers to itself), the second has neither CLAHE nor the bent affine map; and here a
sample is a function of (seed, epoch, index). Pictures are uint8; docstrings name the transforms of albumentations.
"""

import random

import cv2
import numpy as np
import torch.nn.functional as F


def crop_box(size, side, rng=random) -> tuple[int, ...]:
    """Find where a picture of SIZE (h, w) lies in a SIDE x SIDE crop, and which part of it is taken.

    Returns top, bottom, left, right in the crop, then top, bottom, left, right in the picture.
    rng.randrange is drawn for the width first, then for the height.
    """
    drawn = []
    for length in (size[1], size[0]):
        kept, space = min(side, length), length - side
        start = rng.randrange(abs(space) + 1)
        drawn.append((0, kept, start, start + kept) if space > 0 else (start, start + kept, 0, kept))
    (left, right, from_left, to_right), (top, bottom, from_top, to_bottom) = drawn
    return top, bottom, left, right, from_top, to_bottom, from_left, to_right


def flipped(arrays, rng):
    """Apply HorizontalFlip, half the time."""
    return [array[:, ::-1] for array in arrays] if rng.random() < 0.5 else arrays


def shifted_scaled_rotated(arrays, rng):
    """Apply ShiftScaleRotate, p 0.4: scale 1 -+ 0.2, angle -+ 30 degrees about each array's centre, no shift."""
    if rng.random() >= 0.4:
        return arrays
    angle, scale = rng.uniform(-30, 30), 1 + rng.uniform(-0.2, 0.2)
    return [warped(array, cv2.getRotationMatrix2D((array.shape[1] / 2, array.shape[0] / 2), angle, scale))
            for array in arrays]


def bent(arrays, rng, pixels=50, about="transposed"):
    """Apply ElasticTransform, p 0.5: an affine map that moves three control points by up to PIXELS in each direction.

    The elastic field itself (alpha 1, sigma 50) stays under a hundredth of a pixel and is left out. Arrays of different
    sizes are moved by the same pixels of their own, as in the original: that misaligns a picture and its labels. The
    original takes (height, width) // 2 for the centre (x, y) (ABOUT "transposed"): the points lie aside where a picture
    is not square; "centre" puts them about its centre. Raises ValueError for another.
    """
    if about not in ("transposed", "centre"):
        raise ValueError(f"bend_about {about!r}: use transposed or centre")
    if rng.random() >= 0.5:
        return arrays
    moves = rng.uniform(-pixels, pixels, (3, 2)).astype(np.float32)
    result = []
    for array in arrays:
        size = array.shape[:2] if about == "transposed" else array.shape[1::-1]
        centre, side = np.array(size, np.float32) // 2, min(size) // 3
        points = np.array([centre + side, [centre[0] + side, centre[1] - side], centre - side], np.float32)
        result.append(warped(array, cv2.getAffineTransform(points, points + moves)))
    return result


def warped(array, matrix):
    """Apply an affine map with mirrored borders; label maps ([H, W]) by the nearest pixel."""
    method = cv2.INTER_LINEAR if array.ndim == 3 else cv2.INTER_NEAREST
    return cv2.warpAffine(np.ascontiguousarray(array), matrix, array.shape[1::-1], flags=method,
                          borderMode=cv2.BORDER_REFLECT_101)


def noisy(image, rng):
    """Apply GaussNoise, p 0.5: variance 10 to 50 (colour levels squared)."""
    if rng.random() >= 0.5:
        return image
    noise = rng.normal(0, np.sqrt(rng.uniform(10, 50)), image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def equalised(image, rng):
    """Apply CLAHE, clip limit 1 to 2, to the lightness."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(rng.uniform(1, 2), (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def sharpened(image, rng):
    """Apply IAASharpen, alpha 0.2 to 0.5, lightness 0.5 to 1."""
    alpha, lightness = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1)
    kernel = np.full((3, 3), -alpha, np.float32)
    kernel[1, 1] = (1 - alpha) + alpha * (8 + lightness)
    return cv2.filter2D(image, -1, kernel)


def brightened(image, rng):
    """Apply RandomBrightnessContrast, both by up to 0.2."""
    contrast, brightness = 1 + rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
    return np.clip(image * np.float32(contrast) + 255 * brightness, 0, 255).astype(np.uint8)


def gamma(image, rng):
    """Apply RandomGamma, 0.80, 0.81, ... or 1.20."""
    table = (np.linspace(0, 1, 256) ** (rng.integers(80, 121) / 100) * 255).astype(np.uint8)
    return table[image]


def blurred(image, rng):
    """Apply MedianBlur over 3, 5 or 7 pixels."""
    return cv2.medianBlur(np.ascontiguousarray(image), int(rng.choice([3, 5, 7])))


def rgb_shifted(image, rng):
    """Apply RGBShift, by up to 20 a channel."""
    return np.clip(image + rng.uniform(-20, 20, 3), 0, 255).astype(np.uint8)


def hsv_shifted(image, rng):
    """Apply HueSaturationValue, by up to 20, 30 and 20."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    shift = rng.uniform((-20, -30, -20), (20, 30, 20))
    hsv[..., 0] = (hsv[..., 0] + shift[0]) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + shift[1:], 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


LOOKS = ((equalised, sharpened, brightened, gamma, blurred), (rgb_shifted, hsv_shifted))


def one_of(image, rng, functions):
    """Apply OneOf, p 0.5: one of FUNCTIONS, all alike likely."""
    if rng.random() >= 0.5:
        return image
    return functions[rng.integers(len(functions))](np.ascontiguousarray(image), rng)


def augmented(image, rng, labels=None, scope="strong", pixels=50, about="transposed"):
    """Augment a picture uint8 [H, W, 3] and its label map [h, w] (or None) alike: (picture, labels).

    scope: "strong", "irnet" (flip, rotation, bend, noise) or "none"; pixels, about: of `bent`. Raises ValueError for
    another.
    """
    if scope not in ("strong", "irnet", "none"):
        raise ValueError(f"augmentation {scope!r}: use strong, irnet or none")
    arrays = [image] if labels is None else [image, labels]
    if scope != "none":
        arrays = bent(shifted_scaled_rotated(flipped(arrays, rng), rng), rng, pixels, about)
        arrays[0] = noisy(arrays[0], rng)
        for functions in LOOKS if scope == "strong" else ():
            arrays[0] = one_of(arrays[0], rng, functions)
    return arrays[0], None if labels is None else arrays[1]


class Draws:
    """`randrange` of a NumPy generator, for `crop_box`."""

    def __init__(self, rng):
        self.rng = rng

    def randrange(self, stop):
        return int(self.rng.integers(stop))


def placed(x, box, side, fill):
    """Cut the window of a tensor [..., H, W] in a SIDE x SIDE crop filled up with FILL; box: see `crop_box`."""
    top, bottom, left, right, from_top, to_bottom, from_left, to_right = box
    window = x[..., from_top:to_bottom, from_left:to_right]
    return F.pad(window, (left, side - right, top, side - bottom), value=fill)
