"""Training samples: pictures with a class and a region at every pixel, augmented as the original does."""

from itertools import pairwise

import numpy as np
import torch

from wsnb.data.read import image as image_of
from wsnb.data.transforms import sample_generator
from wsnb.papers.spml import transforms, weak_masks
from wsnb.papers.spml.transforms import VOID

TRIES = 5  # pictures of a part that are looked at for an object


class Samples(torch.utils.data.Dataset):
    """samples[i] -> {"x": float32 [3, S, S], "semantic", "regions": int64 [S, S], "tags": float32 [C - 1], "id"}.

    label_of(item) -> weak mask uint8 [H, W]; regions_of(item) -> uint8 [H, W], or None for a stage without regions.
    base: pictures are first shrunk by this (1: as the original). The augmentation is `transforms.training_sample`, a
    function of (seed, epoch, i). The tags are those of the whole weak mask, or tags_of(item) -> float32 [C - 1] where
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
        rng = sample_generator(self.seed, self.epoch, index)
        image, labels = labelled(item, self.label_of, self.regions_of, self.base)
        x, found = transforms.training_sample(image, labels, self.size, rng, self.ratios, self.pairs, self.colours)
        found = torch.from_numpy(np.ascontiguousarray(found.transpose(2, 0, 1)).astype(np.int64))
        tags = self.tags_of(item) if self.tags_of else weak_masks.tags(labels[..., 0], self.n_classes)
        return {"x": torch.from_numpy(x), "semantic": found[0], "regions": found[1], "tags": torch.from_numpy(tags),
                "id": item.id}


def labelled(item, label_of, regions_of, base=1.0):
    """(picture uint8 [H, W, 3], labels uint8 [H, W, 2]) of an item, shrunk by BASE. Without a function: void."""
    image = image_of(item)
    void = np.full(image.shape[:2], VOID, np.uint8)
    planes = [void if of is None else np.asarray(of(item), np.uint8) for of in (label_of, regions_of)]
    for plane, name in zip(planes, ("weak mask", "regions"), strict=True):
        if plane.shape != image.shape[:2]:
            raise ValueError(f"{item.id}: {name} {plane.shape}, picture {image.shape[:2]}; make them again")
    labels = np.stack(planes, axis=2)
    if base != 1:
        image, labels = transforms.resize(image, labels, transforms.scaled_size(*image.shape[:2], base))
    return image, labels


def book_pictures(items, label_of=None, n_classes=0) -> list:
    """The same few pictures throughout: the first of each of four equal parts of the list; if it holds no object by
    LABEL_OF, the next of that part that does, as far as TRIES go."""
    edges = [k * len(items) // 4 for k in range(5)]
    parts = [items[first:last] for first, last in pairwise(edges) if first < last]
    return [next((item for item in part[:TRIES] if label_of and weak_masks.tags(label_of(item), n_classes).any()),
                 part[0]) for part in parts]
