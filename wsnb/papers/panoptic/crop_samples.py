"""Crops of pictures with their tags, as the classifier sees them."""

import cv2
import numpy as np
import torch

from wsnb.data import transforms
from wsnb.data.read import image as read_image


def network_input(image, place, size):
    """The window PLACE (y0, x0, y1, x1) of an RGB picture at SIZE (h, w), the same for all crops of a data set:
    normalised [3, h, w]."""
    y0, x0, y1, x1 = place
    crop = cv2.resize(np.ascontiguousarray(image[y0:y1, x0:x1]), tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
    return transforms.normalise(transforms.to_unit(crop))


class TaggedCrops(torch.utils.data.Dataset):
    """The crops of all pictures: sample k -> {"x": [3, h, w], "tags": float32 [C], "id": str}.

    items: pictures; places: {id: windows [N, 4]}; tags: {id: bool [N, C]}. Crops without a tag teach nothing and are
    left out. Each is resized to SIZE (h, w). In training (AUGMENT) a crop is mirrored half the time and its contrast
    and brightness are jittered; a sample is a function of (seed, epoch, k).
    """

    def __init__(self, items, places, tags, size, seed=0, epoch=0, augment=True):
        self.items, self.places, self.tags, self.size = items, places, tags, size
        self.seed, self.epoch, self.augment = seed, epoch, augment
        self.index = [(i, k) for i, item in enumerate(items) for k in np.flatnonzero(tags[item.id].any(axis=1))]
        self._last = (None, None)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, number):
        i, k = self.index[number]
        item = self.items[i]
        if self._last[0] != i:
            self._last = (i, read_image(item))
        x = network_input(self._last[1], self.places[item.id][k], self.size)
        if self.augment:
            rng = transforms.sample_generator(self.seed, self.epoch, number)
            x = x.flip(-1) if rng.random() < 0.5 else x
            x = x * float(rng.uniform(0.8, 1.2)) + float(rng.uniform(-0.2, 0.2))
        return {"x": x, "tags": torch.from_numpy(self.tags[item.id][k].astype(np.float32)), "id": f"{item.id} crop {k}"}
