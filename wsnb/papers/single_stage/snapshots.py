"""Masks of a few pictures while the network learns."""

import cv2
import numpy as np
import torch

from wsnb.data import transforms, voc
from wsnb.files import save_npz
from wsnb.papers.single_stage import inference


def book_pictures(items, n_classes=21, count=4):
    """The same few pictures throughout: spread over the split, with at least one object if possible."""
    spread = items[:: max(1, len(items) // (4 * count))]
    with_objects = [item for item in spread if known_tags(item, n_classes).any()]
    return (with_objects or items[:: max(1, len(items) // count)])[:count]


def known_tags(item, n_classes=21):
    """The picture's tags [C - 1]; none where nothing is known of it, as in VOC's test split."""
    known = item.mask is not None or item.tags is not None
    return voc.read_tags(item, n_classes) if known else np.zeros(n_classes - 1, np.float32)


def network_input(item, size):
    """(picture uint8 [H, W, 3] squeezed to SIZE x SIZE, x [1, 3, SIZE, SIZE])."""
    image = cv2.resize(voc.read_image(item), (size, size), interpolation=cv2.INTER_AREA)
    return image, transforms.normalise(transforms.to_unit(image))[None]


@torch.no_grad()
def snapshot(network, items, size, path, settings):
    """Write the masks of a few pictures as float16 [N, C, h, w] at network stride, with the tags' scores."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    x = torch.cat([network_input(item, size)[1] for item in items]).to(device)
    scores, maps = inference.predict(network, x, settings)
    save_npz(path, masks=maps.cpu().numpy().astype(np.float16), scores=scores.cpu().numpy())
    network.train(was_training)
