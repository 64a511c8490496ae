"""IRN's class activation maps: CAM with ReLU at every scale, on pictures of their own size."""

import numpy as np
import torch
from PIL import Image

from wsnb.data import transforms
from wsnb.methods.cam import activation_map, resized
from wsnb.papers.no_people_allowed.recipes import grid_of


@torch.no_grad()
def maps(network, x):
    """CAM of x [1, 3, H, W] and of its mirror image, both rectified, added: [1, C, h, w]. The classifier's bias is left
    out."""
    both = activation_map(network.deep(torch.cat([x, x.flip(-1)])), network.class_weights).relu()
    return both[:1] + both[1:].flip(-1)


def rescaled(image, scale):
    """Picture uint8 [H, W, 3] resized by PIL's bicubic to round(side x scale), at least 1."""
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])  # half to even, as NumPy
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def fitted(label, shape):
    """Label map uint8 [h, w] at SHAPE (H, W, ...) by PIL's nearest pixel."""
    return np.array(Image.fromarray(label).resize(shape[1::-1], Image.Resampling.NEAREST))


def scaled_input(image, scale):
    """Picture uint8 [H, W, 3] resized by PIL's bicubic, normalised: [1, 3, h, w]."""
    return transforms.normalise(transforms.to_unit(image if scale == 1 else rescaled(image, scale)))[None]


def merged(stacks, size):
    """Sum over scales of maps [C, h, w] for a picture of SIZE (H, W): [C, h', w'] at stride 4."""
    return sum(resized(one[None], grid_of(size))[0] for one in stacks)
