"""The training pipeline of the paper: picture and tags, augmented as the original program does."""

import torch
from PIL import Image

from wsnb.data import transforms, voc


class Samples(torch.utils.data.Dataset):
    """Augmented crops with the tags of the whole picture.

    samples[i] -> {"x": normalised [3, S, S], "image": the same crop in [0, 1], "tags": [C - 1], "id": str}. The crop is
    a function of (seed, epoch, i). Tags come from the full, un-cropped mask, also where the crop loses an object.
    augment=False leaves out crop, flip and jitter and squeezes the picture to S x S.
    """

    def __init__(self, items, size, n_classes=21, seed=0, epoch=0, sampler="old", augment=True):
        self.items, self.size, self.n_classes = items, size, n_classes
        self.seed, self.epoch, self.sampler, self.augment = seed, epoch, sampler, augment

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        image = Image.fromarray(voc.read_image(item))
        tags = voc.read_tags(item, self.n_classes)
        if self.augment:
            rng = transforms.sample_generator(self.seed, self.epoch, index)
            image, _ = transforms.crop_and_flip(image, None, self.size, rng, self.sampler)
            image = transforms.jitter(image, rng)
        else:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        unit = transforms.to_unit(image)
        return {"x": transforms.normalise(unit), "image": unit, "tags": torch.as_tensor(tags), "id": item.id}
