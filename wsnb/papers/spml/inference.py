"""A trained network on whole pictures: windows, scales, mirror images, label maps with their CRF, and their
protocol."""

from functools import partial

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb import metrics
from wsnb.data import read
from wsnb.files import read_index
from wsnb.ops import label_maps
from wsnb.ops.crf import CRF
from wsnb.papers.spml import data


def window_starts(length, crop, stride) -> list[int]:
    """Place windows of CROP over LENGTH (at least CROP) pixels: their starts, spread evenly, at most STRIDE apart.

    The original writes their ends: linspace from the crop to the length, rounded down.
    """
    count = -(-(length - crop) // stride) + 1
    return [int(end) - crop for end in np.linspace(crop, length, count)]


def over_windows(function, x, crop=0, stride=0, average=True):
    """Put FUNCTION on windows of x [1, 3, H, W] together: float32 [C, H', W'] of the padded picture.

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
    """Enlarge the raw embedding of x [1, 3, H, W] bilinearly to the input's size: [1, C, H, W]."""
    return F.interpolate(network(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def embedding(network, x, crop=0, stride=0, device="cpu", cropped=False):
    """Compute unit embeddings float32 [C, H, W] at the input's size; windows are normalised first and then averaged.

    The picture is padded to CROP; CROPPED cuts the padding off.
    """
    found = over_windows(lambda part: F.normalize(full_size(network, part), dim=1), x.to(device), crop, stride)
    return found[:, : x.shape[2], : x.shape[3]] if cropped else found


@torch.no_grad()
def logits(network, head, x, crop=0, stride=0, device="cpu", average=False):
    """Compute logits float32 [C, H, W] of a softmax head at the input's size: the embedding is enlarged first and the
    head's 3x3 window then covers a quarter of what it covered in training, as in the original."""
    found = over_windows(lambda part: head(full_size(network, part)), x.to(device), crop, stride, average)
    return found[:, : x.shape[2], : x.shape[3]]


@torch.no_grad()
def softmax_maps(network, head, image, size=0, scales=(1.0,), flip=False, crop=0, stride=0, device="cpu"):
    """Compute class probabilities float32 [C, h, w]: the mean over scales and mirror images.

    One variant stays at the network's size (the original's single-scale scripts work there) and sums the logits of
    overlapping windows; several average them and are brought to the picture's size as logits. Mirrored ones come first,
    as in the original.
    """
    shape, total, count, several = None, 0, 0, len(scales) > 1 or flip
    for scale in scales:
        for mirrored in (True, False) if flip else (False,):
            x = data.network_input(image, size, scale, mirrored)
            found = logits(network, head, x, crop, stride, device, average=several)[None]
            if several:
                shape = shape or (image.shape[:2] if not size else data.longer_side(*image.shape[:2], size))
                found = F.interpolate(found, size=shape, mode="bilinear", align_corners=False)
            maps = found.softmax(1)[0]
            total, count = total + (maps.flip(-1) if mirrored else maps), count + 1
    return (total / count).cpu().numpy()


def crf_image(image, shape):
    """Return the picture uint8 [H, W, 3] that the CRF sees at SHAPE (height, width): resized, normalised and back,
    truncated as in the original."""
    small, _ = data.resize(np.float32(image) / 255, None, shape)
    return data.denormalise(data.normalise(small))


def full_size_labels(image, maps, size, void, crf) -> list:
    """Label a picture: the winners of its class maps [C, h, w], and after the CRF if it has iterations: uint8 [H, W].

    image: uint8 [h, w, 3], as the CRF sees it. Labels are enlarged to SIZE (H, W) by nearest; 255 where VOID bool
    [H, W] (or None) says.
    """
    labels = [cv2.resize(found, tuple(size)[::-1], interpolation=cv2.INTER_NEAREST)
              for found in label_maps.winners(image, maps, crf if crf.iterations else None)]
    return labels if void is None else [np.where(void, np.uint8(255), found) for found in labels]


def write_labels(maps_of, items, folders, crf: CRF, workers, void_of=None):
    """Write the label maps of ITEMS into FOLDERS by `full_size_labels`, and yield once for each; files there are kept.

    maps_of(item, image) -> class maps [C, h, w], computed here; the CRF runs in WORKERS processes. void_of(item) ->
    mask whose void pixels (255) stay void.
    """
    def prepare(item):
        image = read.image(item)
        maps = np.asarray(maps_of(item, image), np.float32)
        void = None if void_of is None else void_of(item) == 255
        return crf_image(image, maps.shape[1:]), maps, image.shape[:2], void

    return label_maps.write_labels(partial(full_size_labels, crf=crf), items, folders, workers, prepare)


def value_of_round(values, number):
    """Return the value of a round: the last one serves all later rounds too. Raises ValueError for an empty list."""
    if not values:
        raise ValueError("a list with a value for each round is empty; give at least one")
    return values[min(number, len(values)) - 1]


def label_quality(items, truth_of, weak_of, folders, n_classes) -> dict:
    """Count the confusion of the training pictures' labels with their true masks, {name: int64 [C, C]}: the weak masks,
    whose unlabelled pixels count as background, and each folder's."""
    tables = {name: np.zeros((n_classes, n_classes), np.int64) for name in ("weak", *(f.name for f in folders))}
    for item in items:
        truth, weak = truth_of(item), weak_of(item)
        found = {"weak": np.where(weak < n_classes, weak, 0)}
        found |= {f.name: read_index(f / f"{item.id}.png") for f in folders}
        for name, labels in found.items():
            counted = labels < n_classes
            tables[name] += metrics.confusion(np.where(counted, truth, 255).astype(np.uint8),
                                              np.where(counted, labels, 0).astype(np.uint8), n_classes)
    return tables


STEPS = {"weak": "weak masks", "walk": "random walk", "walk_crf": "random walk, CRF", "labels_votes": "retrieval",
         "labels": "retrieval, CRF"}


def ladder(tables, number, skip=()) -> list[dict]:
    """Make rows of results of the labels' quality {name: confusion} in a round, as steps of the chain."""
    return [{"name": "mIoU of the labels", "value": 100 * metrics.mean_iou(table), "unit": "%", "role": "ladder",
             "step": f"{STEPS[name]}{f', round {number}' if number > 1 else ''}"}
            for name, table in tables.items() if name not in skip]


def prototype_protocol(labels, retrieve_labels) -> dict:
    """Return protocol fields of retrieval by prototypes with these LABELS (06): the truth is no weak supervision.
    Raises ValueError if the truth would come back as labels to train on."""
    if labels != "ground truth":
        return {}
    if retrieve_labels:
        raise ValueError("prototype_labels 'ground truth': 08 would be trained on labels that were retrieved from the "
                         "true masks; take pseudo or weak, or set retrieve_labels: false")
    return {"label_source": "full"}


def conditions(params_embedding, p, scales, with_crf, threshold="") -> dict:
    """Return protocol fields of predictions made with the parameters P of a stage and those of the embedding."""
    several = len(scales) > 1
    size = f"longer side {p.image_size}" if p.image_size else "picture's size"
    return {"scales": list(scales), "flip": bool(p.flip and several), "ignore_label": 255,
            "crf": label_maps.crf_text(label_maps.crf_from(p)) if with_crf else "", "resolution": size,
            "threshold": threshold, "preset": params_embedding.preset,
            "backbone": label_maps.BACKBONES.get(params_embedding.backbone, "ResNet101")}
