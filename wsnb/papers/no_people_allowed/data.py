"""The chapter's pictures: their tags, which of them are scored and shown, and the samples that its three networks learn
from (tagged pictures, pictures with confident labels, pictures with pseudo masks)."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wsnb import files, legacy_pickle
from wsnb.data import read, transforms
from wsnb.ops.affinity import quarter_index
from wsnb.papers.no_people_allowed.augmentation import Draws, augmented, crop_box, placed

IGNORE = 255


def tags_of(layout, n_classes, tags_file=""):
    """Make a function item -> image tags float32 [n_classes - 1], remembered.

    tags_file: IRN's `cls_labels.npy` (a dictionary of vectors by the picture's number without underscore) instead of
    the layout's own tags. Raises FileError for a file without the picture.
    """
    table = legacy_pickle.load_legacy_array(tags_file) if tags_file else None
    if isinstance(table, np.ndarray):
        table = table.item() if table.ndim == 0 else None
    if tags_file and not isinstance(table, dict):
        raise files.FileError(f"{tags_file}: holds no dictionary of tags; give IRN's cls_labels.npy")

    @cache
    def tags(item):
        if table is None:
            return read.tags(layout, item, n_classes)
        number = int(digits) if (digits := item.id.replace("_", "")).isdigit() else item.id
        if number not in table or len(table[number]) != n_classes - 1:
            raise files.FileError(f"{tags_file}: no {n_classes - 1} tags for {item.id}; give the list's own file")
        written = np.asarray(table[number])
        if written.dtype.kind not in "biuf" or not np.isin(written, (0, 1)).all():
            raise files.FileError(f"{tags_file}: the tags of {item.id} are not all 0 or 1; give the list's own file")
        return written.astype(np.float32)

    return tags


def truth_of(layout, n_classes):
    """Make a function item -> mask uint8 [H, W]."""
    return lambda item: read.mask(layout, item, n_classes)


def label_in(folder, item):
    """Read the label map uint8 of a picture in a folder of index PNGs."""
    return files.read_index(Path(folder) / f"{item.id}.png")


def with_truth(items):
    """Keep those of the pictures that have a mask."""
    return [item for item in items if item.mask is not None]


def of_split(items, layout, root, split=""):
    """Keep those of the pictures that are in SPLIT too; "" keeps all. Raises ValueError if none is."""
    if not split:
        return items
    wanted = {item.id for item in read.items(layout, root, split)}
    kept = [item for item in items if item.id in wanted]
    if not kept:
        raise ValueError(f"score_split {split!r}: none of its pictures is in train_split; name a part of it")
    return kept


def training_items(params_cam, root):
    """List the training pictures of the stages after 01; params_cam: the parameters of 02."""
    return read.items(params_cam.layout, root, params_cam.train_split, params_cam.limit)


def scored(params_cam, root):
    """List those of the training pictures that `score_split` names, with masks or without."""
    return of_split(training_items(params_cam, root), params_cam.layout, root, params_cam.score_split)


def shown(items, layout, n_classes, count=4):
    """Choose a few pictures spread over the list, with two classes or more where there are."""
    def classes(item):
        return int(read.tags(layout, item, n_classes).sum()) if item.tags or item.mask else 0

    spread = items[:: max(1, len(items) // (6 * count))]
    many = sorted(spread, key=lambda item: -min(2, classes(item)))
    return sorted(many[:count], key=lambda item: item.id)


def followed(params_cam, root, n_classes, count=4):
    """Choose the same few training pictures in every notebook from 02 on; params_cam: the parameters of 02."""
    return shown(scored(params_cam, root), params_cam.layout, n_classes, count)


def sized(image, side=0, scale=1.0):
    """Resize a picture for the chapter's networks: squashed to SIDE x SIDE, or with SIDE 0 scaled by SCALE."""
    if side:
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    if scale == 1:
        return image
    size = tuple(max(16, round(length * scale)) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def network_input(image, side=0, scale=1.0):
    """Make a network's input [1, 3, h, w], ImageNet-normalised, of a picture uint8 [H, W, 3]; side, scale: see
    `sized`."""
    return transforms.normalise(transforms.to_unit(sized(image, side, scale)))[None]


def pil_scaled(image, scale):
    """Resize a picture uint8 [H, W, 3] by PIL's bicubic to round(side x scale), at least 1."""
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])  # half to even, as NumPy
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def pil_fitted(label, shape):
    """Resize a label map uint8 [h, w] to SHAPE (H, W, ...) by PIL's nearest pixel."""
    return np.array(Image.fromarray(label).resize(shape[1::-1], Image.Resampling.NEAREST))


class Squashed(torch.utils.data.Dataset):
    """Pictures as NoPeopleAllowed sees them: augmented at their own size, then squashed to SIDE x SIDE.

    samples[i] -> {"x" [3, S, S] normalised, "id"} with "tags" [C - 1] if TAGS_OF(item) is given, and "label" int64
    [S, S] if LABEL_OF(item) -> uint8 is. A label map of another size than the picture is first enlarged to it (ALIGNED)
    or augmented in its own pixels, as the original does. A sample is a function of (seed, epoch, i). PIXELS, ABOUT: see
    `augmentation.bent`.
    """

    def __init__(self, items, side, seed=0, epoch=0, tags_of=None, label_of=None, scope="strong", pixels=50,
                 aligned=True, about="transposed"):
        self.items, self.side, self.seed, self.epoch = items, side, seed, epoch
        self.tags_of, self.label_of, self.scope = tags_of, label_of, scope
        self.pixels, self.aligned, self.about = pixels, aligned, about

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        rng = transforms.sample_generator(self.seed, self.epoch, index)
        image, label = read.image(item), None
        if self.label_of is not None:
            label = np.asarray(self.label_of(item), np.uint8)
            if self.aligned:
                label = cv2.resize(label, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        image, label = augmented(image, rng, label, self.scope, self.pixels, self.about)
        sample = {"x": network_input(image, self.side)[0], "id": item.id}
        if self.tags_of is not None:
            sample["tags"] = torch.as_tensor(self.tags_of(item))
        if label is not None:
            label = cv2.resize(label, (self.side, self.side), interpolation=cv2.INTER_NEAREST)
            sample["label"] = torch.from_numpy(label.astype(np.int64))
        return sample


class Crops(torch.utils.data.Dataset):
    """Pictures as IRN sees them: scaled, mirrored half the time, cut or padded to SIDE x SIDE.

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
        image = read.image(item)
        label = None if self.label_of is None else np.asarray(self.label_of(item), np.uint8)
        scale = self._scale(image, rng)
        image = pil_scaled(image, scale)
        label = None if label is None else pil_fitted(label, image.shape)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], None if label is None else label[:, ::-1]
        box = crop_box(image.shape[:2], self.side, Draws(rng))
        sample = {"x": placed(network_input(image)[0], box, self.side, 0), "id": item.id}
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
        image = sized(read.image(item), 0, self.scale)[: self.side, : self.side]
        x = network_input(image)[0]
        return {"x": F.pad(x, (0, self.side - x.shape[2], 0, self.side - x.shape[1])), "id": item.id}


def quartered(labels, rule):
    """Bring label maps int64 [B, H, W] at stride 4, by `affinity.quarter`'s RULE, on their device."""
    index = torch.from_numpy(quarter_index(*labels.shape[1:], rule)).to(labels.device)
    return labels.flatten(1)[:, index]
