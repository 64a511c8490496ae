"""Class activation maps of the tags' classes: from the book's own classifier, or from the original's .npy files.

Pseudo labels of training pictures: seeds spread by the random walk, or votes of segments.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb import files
from wsnb.data import transforms
from wsnb.files import save_png
from wsnb.ops import cam
from wsnb.ops.crf import CRF, crf_labels
from wsnb.ops.segsort import random_walk, retrieval
from wsnb.ops.segsort.segments import prototypes_of, segment, segment_mean
from wsnb.papers.spml import data, inference
from wsnb.papers.spml.data import resize, scaled_size


@torch.no_grad()
def of_picture(network, image, tags, scales=(1.0,), base=1.0, device="cpu"):
    """(classes int64 [K], 0 is the first foreground class; CAMs float32 [K, h, w]) of the TAGS [C - 1] of a picture.

    Sum over SCALES and mirror images of the classifier's activations, negative ones cut, each class divided by its own
    maximum. Pictures are shrunk by BASE first; the maps have an eighth of that size.
    """
    small, _ = resize(image, None, scaled_size(*image.shape[:2], base))
    x = transforms.normalise(transforms.to_unit(small))[None].to(device)
    size = tuple(-(-side // 8) for side in small.shape[:2])
    (summed,), _ = cam.multiscale(network.activations, x, scales, [size])
    keys = np.flatnonzero(tags)
    return keys, cam.over_class_maximum(summed.cpu().numpy()[keys])


def from_file(path, shape):
    """(classes, CAMs) of an official file: a pickled dict {0-based class: [H, W]} in 0..1, read without running it.

    SHAPE (height, width) is the picture's. Raises FileError for anything else.
    """
    content = files.load_legacy_array(path)
    content = content.item() if isinstance(content, np.ndarray) and content.dtype == object else content
    if not isinstance(content, dict) or not all(np.shape(value) == tuple(shape) for value in content.values()):
        raise files.FileError(f"{path}: not a dictionary of maps of its picture's size {shape[1]}x{shape[0]}; take the "
                              "CAM files of this very data set")
    keys = sorted(int(key) for key in content)
    by_key = {int(key): np.asarray(value, np.float32) for key, value in content.items()}
    return np.array(keys, np.int64), np.stack([by_key[key] for key in keys]) if keys else np.zeros((0, *shape))


def write(folder, item, maps_of, image) -> None:
    """Keep the CAMs of one picture, maps_of(image) -> (classes, maps), unless they are there."""
    if not (Path(folder) / f"{item.id}.npz").exists():
        keys, maps = maps_of(image)
        cam.write(folder, item.id, keys, maps, image.shape[:2])


VOID = 255
SEEDS = ("cam", "softmax", "nearest")


def cam_seeds(cams, keys, n_classes, power=6.0):
    """Seeds float32 [n_classes, H, W] from CAMs [K, H, W] of the classes KEYS (1..C-1): their rows as they are, the
    background (1 - max)^POWER."""
    cams = torch.as_tensor(np.asarray(cams, np.float32))
    rows = cams.new_zeros(n_classes, *cams.shape[1:])
    rows[torch.as_tensor(np.asarray(keys), dtype=torch.long)] = cams
    rows[0] = (1 - rows[1:].max(dim=0).values).clamp(0, 1) ** power
    return rows


def eighth(maps):
    """Bilinear reduction of [C, H, W] by exactly 1/8 (torch before 1.6 took the ratio of the sizes)."""
    return F.interpolate(maps[None], scale_factor=1 / 8, mode="bilinear", align_corners=False)[0]


def shrunk(maps, size):
    """Bilinear resize of [C, H, W] to SIZE (h, w), corners not aligned."""
    return F.interpolate(maps[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def halved(canvas, size):
    """Half of a picture of SIZE (h, w) at the upper left of its CANVAS [1, C, H, W]: the padding is cut off after the
    bilinear reduction, as in the original; it differs where a side is odd."""
    small = shrunk(canvas[0], [max(1, side // 2) for side in canvas.shape[2:]])[None]
    return small[..., : max(1, size[0] // 2), : max(1, size[1] // 2)]


def mean_softmax(logits, of_logits=False):
    """Class maps [C, h, w] of the LOGITS [C, h, w] of several variants: the mean of softmax, or softmax of the mean."""
    maps = torch.stack(list(logits))
    return maps.mean(dim=0).softmax(dim=0) if of_logits else maps.softmax(dim=1).mean(dim=0)


def among_present(maps, present):
    """Each class of MAPS [C, h, w] divided by its maximum; those that the weak mask does not hold (PRESENT bool [C]) 0.

    A class that is nowhere stays 0 (the original gives NaN and then that class everywhere)."""
    peak = maps.amax(dim=(1, 2), keepdim=True)
    maps = torch.where(peak > 0, maps / peak.clamp(min=1e-12), maps)
    return maps * torch.as_tensor(present, device=maps.device)[:, None, None]


def nearest_classes(segments, n_classes):
    """0/1 [P, n_classes]: the class of the labelled segment nearest to each pixel of a picture's SEGMENTS."""
    bank = prototypes_of(segments, torch.zeros(1, 1, device=segments.picture.device))
    return retrieval.label_sets(segments.embedding, bank.embedding, bank.semantic, segments.picture, bank.picture,
                                n_classes, top=1, threshold=-1.0)


def nearest_seeds(embedding, semantic, regions, n_classes, clusters):
    """Class maps float32 [n_classes, H, W] of DensePose: each pixel takes the class of the labelled segment nearest to
    it, each segment shares its pixels' classes out.

    embedding raw [1, C, H, W]; semantic (void 255 is taken as unlabelled), regions int64 [1, H, W].
    """
    semantic = torch.where(semantic >= n_classes, n_classes, semantic)
    found = segment(embedding, semantic, regions, clusters)
    share = segment_mean(nearest_classes(found, n_classes).float(), found.index, found.count)
    return share[found.index].T.reshape(n_classes, *semantic.shape[1:])


def normalised(maps, present, floor=0.15):
    """Vote maps [C, H, W] of a training picture: classes of its weak mask (PRESENT bool [C]) divided by their maximum,
    at least FLOOR; absent ones stay as they are and in competition, as in the original."""
    maps = torch.as_tensor(maps)
    peak = maps.amax(dim=(1, 2), keepdim=True).clamp(min=floor)
    return torch.where(torch.as_tensor(present)[:, None, None], maps / peak, maps)


def enlarged(maps, size):
    """Maps float [K, h, w] -> float32 [K, H, W], cv2's bilinear."""
    stacked = np.ascontiguousarray(np.asarray(maps, np.float32).transpose(1, 2, 0))
    large = cv2.resize(stacked, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
    return large.reshape(*size, len(maps)).transpose(2, 0, 1)


def present_in(weak, n_classes) -> np.ndarray:
    """bool [n_classes]: which classes a weak mask holds."""
    return np.bincount(np.asarray(weak).ravel(), minlength=256)[:n_classes] > 0


@dataclass(frozen=True)
class Walk:
    """How pseudo labels are made from a network.

    seeds: one of SEEDS; size: the longer side that pictures are brought to (0: their own); scales, flip: of the
    embeddings; steps: of the walk (64; tag round 2: 1); of_logits: see `mean_softmax`.
    """

    network: object
    head: object
    n_classes: int
    seeds: str = "softmax"
    size: int = 0
    scales: tuple = (1.0,)
    flip: bool = True
    steps: int = 64
    of_logits: bool = False
    power: float = 6.0
    clusters: tuple = (24, 24)
    crop: int = 0
    stride: int = 0
    device: str = "cpu"

    def shape(self, image):
        """(height, width) at which labels are made."""
        return data.longer_side(*image.shape[:2], self.size) if self.size else image.shape[:2]

    @torch.no_grad()
    def __call__(self, image, weak, cams=None, regions=None):
        """Class maps float32 [C, h, w] of a picture uint8 [H, W, 3] with its weak mask uint8 [H, W].

        cams: (keys 1..C-1, maps [K, h, w]) for the seeds "cam"; regions uint8 [H, W] for "nearest".
        """
        shape = self.shape(image)
        small = tuple(max(1, side // 8) for side in shape)
        rows, logits, first = [], [], None
        for scale in self.scales:
            for mirrored in (False, True) if self.flip else (False,):
                x = inference.network_input(image, self.size, scale, mirrored).to(self.device)
                raw = inference.on_canvas(partial(inference.full_size, self.network), x, self.crop, self.stride)
                if first is None and self.seeds == "nearest":
                    first = halved(raw[None], x.shape[2:])
                raw = raw[None, :, : x.shape[2], : x.shape[3]]
                turned = raw.flip(-1) if mirrored else raw
                rows.append(random_walk.embedding_at(turned, small))
                if self.seeds == "softmax":
                    found = self.head(raw)[0]
                    logits.append(shrunk(found.flip(-1) if mirrored else found, small))
        seeds = self._seeds(logits, first, weak, cams, regions, shape, small)
        spread = random_walk.random_walk(seeds, random_walk.affinity(rows), self.steps)
        return enlarged(spread.cpu().numpy(), shape)

    def _seeds(self, logits, half_embedding, weak, cams, regions, shape, small):
        present = present_in(weak, self.n_classes)
        if self.seeds == "cam":
            maps = eighth(cam_seeds(cams[1], cams[0], self.n_classes, self.power).to(self.device))
            return maps if maps.shape[1:] == small else shrunk(maps, small)
        if self.seeds == "softmax":
            return among_present(mean_softmax(logits, self.of_logits), present)
        half = tuple(max(1, side // 2) for side in shape)
        labels = np.stack([weak, regions], axis=2)
        labels = cv2.resize(labels, half[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int64)
        semantic, regions = (torch.from_numpy(labels[None, ..., k]).to(self.device) for k in (0, 1))
        embedding = half_embedding if half_embedding.shape[2:] == half else shrunk(half_embedding[0], half)[None]
        maps = nearest_seeds(embedding, semantic, regions, self.n_classes, self.clusters)
        return among_present(shrunk(maps, small), present)


def finish(job) -> None:
    """Write a picture's labels: (image uint8 [h, w, 3], maps [C, h, w], crf, paths, size, void): the winner, and, where
    there is a second path, the one after the CRF; enlarged to SIZE (H, W) by nearest; 255 where VOID (or None) says."""
    if job is None:
        return
    image, maps, crf, paths, size, void = job
    labels = [maps.argmax(axis=0).astype(np.uint8)]
    labels += [crf_labels(image, maps, crf)] if len(paths) > 1 else []
    for path, found in zip(paths, labels, strict=True):
        found = cv2.resize(found, tuple(size)[::-1], interpolation=cv2.INTER_NEAREST)
        if void is not None:
            found[void] = VOID
        save_png(path, found)


def jobs(maps_of, items, image_of, folders, crf: CRF, void_of=None):
    """For each picture what `finish` needs, None where its files are there. maps_of(item, image) -> float [C, h, w]."""
    for item in items:
        paths = [folder / f"{item.id}.png" for folder in folders]
        if all(path.exists() for path in paths):
            yield None
            continue
        image = image_of(item)
        maps = np.asarray(maps_of(item, image), np.float32)
        void = None if void_of is None else void_of(item) == VOID
        yield inference.crf_image(image, maps.shape[1:]), maps, crf, paths, image.shape[:2], void
