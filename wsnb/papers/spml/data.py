"""Training samples: pictures with a class and a region at every pixel, augmented as the original does.

A picture is float32 [H, W, 3] in 0..1; its labels are uint8 [H, W, 2], a class and a region at every pixel. Draws come
in the original's order (mirror, ratio, row, column, then grey, blur, sigma): NumPy's RandomState with the original's
seed gives the original's sample.
"""

from itertools import pairwise

import cv2
import numpy as np
import torch

from wsnb.data import transforms
from wsnb.data.read import image as image_of
from wsnb.data.transforms import MEAN, STD
from wsnb.papers.spml import weak_labels

VOID = 255
GREY = (0.3, 0.59, 0.11)  # weights of red, green, blue


def mirror(image, labels):
    """Exchange left and right."""
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])


def scaled_size(height, width, ratio) -> tuple[int, int]:
    """Multiply (height, width) by RATIO and round down."""
    return max(1, int(np.floor(ratio * height))), max(1, int(np.floor(ratio * width)))


def longer_side(height, width, size) -> tuple[int, int]:
    """Bring the longer side of (height, width) to SIZE. Rounded down: some sizes (499 to 512) come out one pixel short,
    as in the original."""
    return scaled_size(height, width, size / max(height, width))


def resize(image, labels, size):
    """Resize to SIZE (height, width): bilinear for the picture, nearest for the labels (either may be None)."""
    to = size[::-1]
    image = None if image is None else cv2.resize(image, to, interpolation=cv2.INTER_LINEAR)
    return image, None if labels is None else cv2.resize(labels, to, interpolation=cv2.INTER_NEAREST)


def pad(image, labels, size):
    """Pad to at least SIZE (height, width) at the bottom and the right: the mean colour, which normalisation makes 0,
    and void labels."""
    height, width = (max(side, least) for side, least in zip(image.shape[:2], size, strict=True))
    padded = np.tile(np.float32(MEAN), (height, width, 1))
    padded[: image.shape[0], : image.shape[1]] = image
    if labels is not None:
        wide = np.full((height, width, *labels.shape[2:]), VOID, labels.dtype)
        wide[: labels.shape[0], : labels.shape[1]] = labels
        labels = wide
    return padded, labels


def crop_place(height, width, size, rng) -> tuple[int, int]:
    """Draw (top, left) of a crop of SIZE (height, width); the row is drawn first. The last place is drawn only where
    it is the only one."""
    return tuple(int(np.floor(rng.uniform(0, side - crop))) for side, crop in zip((height, width), size, strict=True))


def crop(image, labels, size, rng):
    """Crop to SIZE (height, width) at random, after padding to it."""
    image, labels = pad(image, labels, size)
    top, left = crop_place(*image.shape[:2], size, rng)
    window = np.s_[top : top + size[0], left : left + size[1]]
    return image[window], labels[window]


def grey(image):
    """Put the luminance into all three channels."""
    return np.repeat((image @ np.float32(GREY))[..., None], 3, axis=2)


def blur_kernel(sigma) -> np.ndarray:
    """Return the kernel 5x5, exp(-(x^2 + y^2) / sigma^2) (the original has no factor 2), summing to 1, float32."""
    square = np.arange(-2, 3) ** 2
    kernel = np.exp(-(square[:, None] + square) / sigma**2)
    return (kernel / kernel.sum()).astype(np.float32)


def blur(image, sigma):
    """Filter with `blur_kernel`; the border is mirrored."""
    return cv2.filter2D(image, -1, blur_kernel(sigma))


def normalise(image) -> torch.Tensor:
    """Normalise a picture float32 [H, W, 3] in 0..1, channels first: float32 [3, H, W]."""
    return transforms.normalise(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))


def network_input(image, size=0, scale=1.0, mirrored=False) -> torch.Tensor:
    """Prepare a picture uint8 for a network: x float32 [1, 3, H, W], its longer side brought to SIZE (0: its own),
    times SCALE."""
    shape = image.shape[:2]
    shape = longer_side(*shape, size) if size else shape
    shape = scaled_size(*shape, scale) if scale != 1 else shape
    image = image[:, ::-1] if mirrored else image
    return normalise(resize(np.ascontiguousarray(image, np.float32) / 255, None, shape)[0])[None]


def denormalise(x) -> np.ndarray:
    """Return the picture uint8 [H, W, 3] of x float32 [3, H, W], truncated as in the original: some levels come back
    one lower, and the CRF sees them in this form."""
    unit = np.array(x, np.float32).transpose(1, 2, 0)
    unit *= STD  # in place: products in float64, kept in float32, which decides over the level
    unit += MEAN
    return (unit * 255).astype(np.uint8)


def exchange_sides(classes, pairs) -> np.ndarray:
    """Exchange classes uint8 [H, W] of a mirrored picture: each two of PAIRS [(right, left), ...] change places, all
    others (void, unlabelled) stay."""
    table = np.arange(256, dtype=np.uint8)
    for one, other in pairs:
        table[[one, other]] = other, one
    return table[classes]


def training_sample(image, labels, size, rng, ratios=(0.5, 1.5), pairs=(), colours=False):
    """Augment a training picture: (x float32 [3, S, S], labels uint8 [S, S, 2]).

    image uint8 [H, W, 3]; labels uint8 [H, W, 2]. Mirrored half the time (PAIRS: `exchange_sides`), scaled by a ratio
    uniform in RATIOS, cropped to SIZE. COLOURS (classifier stage): grey with probability 0.3, then blurred with 0.5.
    Grey comes after padding, so that the padding is not 0 any more in such crops, as in the original.
    """
    image = np.asarray(image, np.float32) / 255
    if rng.uniform(0, 1) >= 0.5:
        image, labels = mirror(image, labels)
        if pairs:
            labels = np.stack([exchange_sides(labels[..., 0], pairs), labels[..., 1]], axis=2)
    image, labels = resize(image, labels, scaled_size(*image.shape[:2], rng.uniform(*ratios)))
    image, labels = crop(image, labels, (size, size), rng)
    if colours:
        image = grey(image) if rng.uniform(0, 1) < 0.3 else image
        image = blur(image, rng.uniform(0.1, 5.0)) if rng.uniform(0, 1) < 0.5 else image
    return normalise(image), labels


TRIES = 5  # pictures of a part that are looked at for an object


class Samples(torch.utils.data.Dataset):
    """samples[i] -> {"x": float32 [3, S, S], "semantic", "regions": int64 [S, S], "tags": float32 [C - 1], "id"}.

    label_of(item) -> weak mask uint8 [H, W]; regions_of(item) -> uint8 [H, W], or None for a stage without regions.
    base: pictures are first shrunk by this (1: as the original). The augmentation is `training_sample`, a function
    of (seed, epoch, i). The tags are those of the whole weak mask, or tags_of(item) -> float32 [C - 1] where
    a mask does not say them all: a crop does not change them.
    """

    def __init__(self, items, label_of, regions_of, n_classes, size, seed=0, epoch=0, ratios=(0.5, 1.5), base=1.0,
                 pairs=(), colours=False, tags_of=None):
        self.items, self.label_of, self.regions_of, self.n_classes = items, label_of, regions_of, n_classes
        self.size, self.seed, self.epoch, self.ratios, self.base = size, seed, epoch, ratios, base
        self.pairs, self.colours, self.tags_of = pairs, colours, tags_of

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        rng = transforms.sample_generator(self.seed, self.epoch, index)
        image, labels = labelled(item, self.label_of, self.regions_of, self.base)
        x, found = training_sample(image, labels, self.size, rng, self.ratios, self.pairs, self.colours)
        found = torch.from_numpy(np.ascontiguousarray(found.transpose(2, 0, 1)).astype(np.int64))
        tags = self.tags_of(item) if self.tags_of else weak_labels.tags(labels[..., 0], self.n_classes)
        return {"x": x, "semantic": found[0], "regions": found[1], "tags": torch.from_numpy(tags),
                "id": item.id}


def labelled(item, label_of, regions_of, base=1.0):
    """Read (picture uint8 [H, W, 3], labels uint8 [H, W, 2]) of an item, shrunk by BASE. Without a function: void."""
    image = image_of(item)
    void = np.full(image.shape[:2], VOID, np.uint8)
    planes = [void if of is None else np.asarray(of(item), np.uint8) for of in (label_of, regions_of)]
    for plane, name in zip(planes, ("weak mask", "regions"), strict=True):
        if plane.shape != image.shape[:2]:
            raise ValueError(f"{item.id}: {name} {plane.shape}, picture {image.shape[:2]}; make them again")
    labels = np.stack(planes, axis=2)
    if base != 1:
        image, labels = resize(image, labels, scaled_size(*image.shape[:2], base))
    return image, labels


def example_pictures(items, label_of=None, n_classes=0) -> list:
    """Choose the pictures that all stages show: the first of each of four equal parts of the list; if it holds no
    object by LABEL_OF, the next of that part that does, as far as TRIES go."""
    edges = [k * len(items) // 4 for k in range(5)]
    parts = [items[first:last] for first, last in pairwise(edges) if first < last]
    return [next((item for item in part[:TRIES] if label_of and weak_labels.tags(label_of(item), n_classes).any()),
                 part[0]) for part in parts]
