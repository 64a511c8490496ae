"""What the chapter's three networks learn from: tagged pictures, pictures with confident labels, with pseudo masks."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb.data import transforms
from wsnb.data.read import image as read_image
from wsnb.methods.affinity import quarter
from wsnb.methods.cam import squashed
from wsnb.papers.no_people_allowed.augment import augmented
from wsnb.papers.no_people_allowed.crops import crop_box
from wsnb.papers.no_people_allowed.irn_cam import fitted, rescaled
from wsnb.papers.no_people_allowed.recipes import sized

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
