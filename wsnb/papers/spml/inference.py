"""A trained network on whole pictures: canvas, windows, scales and mirror images."""

import numpy as np
import torch
import torch.nn.functional as F

from wsnb.papers.spml import transforms


def window_starts(length, crop, stride) -> list[int]:
    """Starts of the windows of CROP over LENGTH (at least CROP) pixels: spread evenly, at most STRIDE apart.

    The original writes their ends: linspace from the crop to the length, rounded down.
    """
    count = -(-(length - crop) // stride) + 1
    return [int(end) - crop for end in np.linspace(crop, length, count)]


def network_input(image, size=0, scale=1.0, mirrored=False):
    """x float32 [1, 3, H, W] of a picture uint8: its longer side brought to SIZE (0: its own), times SCALE."""
    shape = image.shape[:2]
    shape = transforms.longer_side(*shape, size) if size else shape
    shape = transforms.scaled_size(*shape, scale) if scale != 1 else shape
    image = image[:, ::-1] if mirrored else image
    small, _ = transforms.resize(np.ascontiguousarray(image, np.float32) / 255, None, shape)
    return torch.from_numpy(transforms.normalise(small))[None]


def on_canvas(function, x, crop=0, stride=0, average=True):
    """FUNCTION on windows of x [1, 3, H, W] put together: float32 [C, H', W'] of the padded canvas.

    CROP is the side of the windows, to which the picture is padded with zeros (the mean colour) at the right and the
    bottom; 0: one window, the picture itself. function(x [1, 3, h, w]) -> [1, C, h, w]. Where windows overlap the
    values are averaged, or (AVERAGE False) summed, as the original's softmax scripts of a single scale do.
    """
    if not crop:
        return function(x)[0]
    x = F.pad(x, (0, max(0, crop - x.shape[3]), 0, max(0, crop - x.shape[2])))
    height, width = x.shape[2:]
    total, count = None, x.new_zeros(height, width)
    for top in window_starts(height, crop, stride or crop):
        for left in window_starts(width, crop, stride or crop):
            window = np.s_[top : top + crop, left : left + crop]
            part = function(x[..., window[0], window[1]])[0]
            total = part.new_zeros(len(part), height, width) if total is None else total
            total[:, window[0], window[1]] += part
            count[window] += 1
    return total / count if average else total


def full_size(network, x):
    """The raw embedding [1, C, H, W] of x [1, 3, H, W], enlarged bilinearly to the input's size."""
    return F.interpolate(network(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def embedding(network, x, crop=0, stride=0, device="cpu", cropped=False):
    """Unit embeddings float32 [C, H, W] at the input's size; the windows' are normalised first and then averaged.

    The canvas is padded to CROP unless CROPPED, which cuts the padding off.
    """
    found = on_canvas(lambda part: F.normalize(full_size(network, part), dim=1), x.to(device), crop, stride)
    return found[:, : x.shape[2], : x.shape[3]] if cropped else found


@torch.no_grad()
def logits(network, head, x, crop=0, stride=0, device="cpu", average=False):
    """Logits float32 [C, H, W] of a softmax head at the input's size: the embedding is enlarged first and the head's
    3x3 window then covers a quarter of what it covered in training, as in the original."""
    found = on_canvas(lambda part: head(full_size(network, part)), x.to(device), crop, stride, average)
    return found[:, : x.shape[2], : x.shape[3]]


@torch.no_grad()
def softmax_maps(network, head, image, size=0, scales=(1.0,), flip=False, crop=0, stride=0, device="cpu"):
    """Class probabilities float32 [C, h, w]: the mean over scales and mirror images.

    One variant stays at the network's size (the original's single-scale scripts work there) and sums the logits of
    overlapping windows; several average them and are brought to the picture's size as logits. Mirrored ones come first,
    as in the original.
    """
    shape, total, count, several = None, 0, 0, len(scales) > 1 or flip
    for scale in scales:
        for mirrored in (True, False) if flip else (False,):
            x = network_input(image, size, scale, mirrored)
            found = logits(network, head, x, crop, stride, device, average=several)[None]
            if several:
                shape = shape or (image.shape[:2] if not size else transforms.longer_side(*image.shape[:2], size))
                found = F.interpolate(found, size=shape, mode="bilinear", align_corners=False)
            maps = found.softmax(1)[0]
            total, count = total + (maps.flip(-1) if mirrored else maps), count + 1
    return (total / count).cpu().numpy()


def crf_image(image, shape):
    """The picture uint8 [H, W, 3] that the CRF sees at SHAPE (height, width): resized, normalised and back, truncated
    as in the original."""
    small, _ = transforms.resize(np.float32(image) / 255, None, shape)
    return transforms.denormalise(transforms.normalise(small))
