"""Pseudo labels of training pictures: class activation maps, seeds spread by the random walk, votes of segments."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb import files, legacy_pickle
from wsnb.data import read
from wsnb.data.item import image_shape
from wsnb.ops import cam
from wsnb.ops.segsort import random_walk, retrieval
from wsnb.ops.segsort.segments import VOID, prototypes_of, segment, segment_mean
from wsnb.papers.spml import data, inference, weak_labels

TOLERANCE = 0.01  # of maps from 0 to 1, which may have been rounded


@torch.no_grad()
def compute_cams(network, image, tags, scales=(1.0,), base=1.0, device="cpu"):
    """Compute (classes int64 [K], 0 is the first foreground class; CAMs float32 [K, h, w]) of a picture's TAGS [C - 1].

    Sum over SCALES and mirror images of the classifier's activations, negative ones cut, each class divided by its own
    maximum. Pictures are shrunk by BASE first; the maps have an eighth of that size.
    """
    small, _ = data.resize(image, None, data.scaled_size(*image.shape[:2], base))
    x = data.network_input(small).to(device)
    size = tuple(-(-side // 8) for side in small.shape[:2])
    summed = cam.summed(cam.multiscale(network.activations, x, scales), size)
    keys = np.flatnonzero(tags)
    return keys, cam.over_class_maximum(summed.cpu().numpy()[keys])


def official_cams_of(folder, n_tags, item):
    """Read (classes, CAMs) of a picture of the authors' FOLDER/ID.npy: a pickled dict {0-based class: [H, W]} in 0..1,
    read without running it. Raises FileError for anything else, and for a class that is none of N_TAGS."""
    path, shape = Path(folder) / f"{item.id}.npy", image_shape(item)
    maps = legacy_pickle.load_legacy_array(path)
    if not isinstance(maps, dict) or not all(
            isinstance(one, np.ndarray) and one.shape == shape and one.dtype.kind in "uif"
            and ((one >= -TOLERANCE) & (one <= 1 + TOLERANCE)).all() for one in maps.values()):
        raise files.FileError(f"{path}: not a dictionary of maps from 0 to 1 of its picture's size "
                              f"{shape[1]}x{shape[0]}; take the CAM files of this very data set")
    wrong = [key for key in maps if not isinstance(key, int | np.integer) or isinstance(key, bool)
             or not 0 <= key < n_tags]
    if wrong:
        raise files.FileError(f"{path}: a map of the class {wrong[0]!r}; give maps of some classes 0 to {n_tags - 1}, "
                              "without the background")
    keys = sorted(maps)
    made = np.stack([maps[key] for key in keys]) if keys else np.zeros((0, *shape))
    return np.array(keys, np.int64), made.astype(np.float32)


def write_cams(maps_of, items, folder):
    """Write the CAMs of ITEMS into FOLDER, maps_of(item, image) -> (classes, maps), and yield once for each; files
    there are kept."""
    for item in items:
        if not (Path(folder) / f"{item.id}.npz").exists():
            image = read.image(item)
            cam.write(folder, item.id, *maps_of(item, image), image.shape[:2])
        yield


SEEDS = ("cam", "softmax", "nearest")


def cam_seeds(cams, keys, n_classes, power=6.0):
    """Make seeds float32 [n_classes, H, W] from CAMs [K, H, W] of the classes KEYS (1..C-1): their rows as they are,
    and the background's score with its exponent POWER."""
    cams = np.asarray(cams, np.float32)
    rows = torch.zeros(n_classes, *cams.shape[1:])
    rows[torch.as_tensor(np.asarray(keys), dtype=torch.long)] = torch.from_numpy(cams)
    rows[0] = torch.from_numpy(weak_labels.background_score(cams, power))
    return rows


def eighth(maps):
    """Reduce [C, H, W] bilinearly by exactly 1/8 (torch before 1.6 took the ratio of the sizes); sides under 8 become
    1."""
    if min(maps.shape[1:]) < 8:
        return resized(maps, [max(1, side // 8) for side in maps.shape[1:]])
    return F.interpolate(maps[None], scale_factor=1 / 8, mode="bilinear", align_corners=False)[0]


def resized(maps, size):
    """Resize [C, H, W] bilinearly to SIZE (h, w), corners not aligned."""
    return F.interpolate(maps[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def halved(padded, size):
    """Halve a picture of SIZE (h, w) at the upper left of PADDED [1, C, H, W]: the padding is cut off after the
    bilinear reduction, as in the original; it differs where a side is odd."""
    small = resized(padded[0], [max(1, side // 2) for side in padded.shape[2:]])[None]
    return small[..., : max(1, size[0] // 2), : max(1, size[1] // 2)]


def mean_softmax(logits, of_logits=False):
    """Average to class maps [C, h, w] the LOGITS [C, h, w] of several variants: the mean of softmax, or (OF_LOGITS)
    softmax of the mean."""
    maps = torch.stack(list(logits))
    return maps.mean(dim=0).softmax(dim=0) if of_logits else maps.softmax(dim=1).mean(dim=0)


def among_present(maps, present):
    """Divide each class of MAPS [C, h, w] by its maximum; those absent from the weak mask (PRESENT bool [C]) become 0.

    A class that is nowhere stays 0 (the original gives NaN and then that class everywhere)."""
    peak = maps.amax(dim=(1, 2), keepdim=True)
    maps = torch.where(peak > 0, maps / peak.clamp(min=1e-12), maps)
    return maps * torch.as_tensor(present, device=maps.device)[:, None, None]


def nearest_classes(segments, n_classes):
    """Find the class of the labelled segment nearest to each pixel of a picture's SEGMENTS: 0/1 [P, n_classes]."""
    candidates = prototypes_of(segments, torch.zeros(1, 1, device=segments.picture.device))
    return retrieval.label_sets(segments.embedding, candidates.embedding, candidates.semantic, segments.picture,
                                candidates.picture, n_classes, top=1, threshold=-1.0)


def nearest_seeds(embedding, semantic, regions, n_classes, clusters):
    """Make class maps float32 [n_classes, H, W] of DensePose: each pixel takes the class of the labelled segment
    nearest to it, each segment shares its pixels' classes out.

    embedding raw [1, C, H, W]; semantic (void 255 is taken as unlabelled), regions int64 [1, H, W].
    """
    semantic = torch.where(semantic == VOID, n_classes, semantic)
    found = segment(embedding, semantic, regions, clusters)
    share = segment_mean(nearest_classes(found, n_classes).float(), found.index, found.count)
    return share[found.index].T.reshape(n_classes, *semantic.shape[1:])


def normalised_votes(maps, present, floor=0.15):
    """Divide vote maps [C, H, W] of a training picture, for classes of its weak mask (PRESENT bool [C]), by their
    maximum, at least FLOOR; absent ones stay as they are and in competition, as in the original."""
    maps = torch.as_tensor(maps)
    peak = maps.amax(dim=(1, 2), keepdim=True).clamp(min=floor)
    return torch.where(torch.as_tensor(present)[:, None, None], maps / peak, maps)


def enlarged(maps, size):
    """Enlarge maps float [K, h, w] to float32 [K, H, W] by cv2's bilinear."""
    stacked = np.ascontiguousarray(np.asarray(maps, np.float32).transpose(1, 2, 0))
    large = cv2.resize(stacked, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
    return large.reshape(*size, len(maps)).transpose(2, 0, 1)


def present_in(weak, n_classes) -> np.ndarray:
    """Say which classes a weak mask holds: bool [n_classes]."""
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
        """Return (height, width) at which labels are made."""
        return data.longer_side(*image.shape[:2], self.size) if self.size else image.shape[:2]

    @torch.no_grad()
    def __call__(self, image, weak, cams=None, regions=None):
        """Compute class maps float32 [C, h, w] of a picture uint8 [H, W, 3] with its weak mask uint8 [H, W].

        cams: (keys 1..C-1, maps [K, h, w]) for the seeds "cam"; regions uint8 [H, W] for "nearest".
        """
        shape = self.shape(image)
        small = tuple(max(1, side // 8) for side in shape)
        rows, logits, first = [], [], None
        for scale in self.scales:
            for mirrored in (False, True) if self.flip else (False,):
                x = data.network_input(image, self.size, scale, mirrored).to(self.device)
                raw = inference.over_windows(partial(inference.full_size, self.network), x, self.crop, self.stride)
                nearest = self.seeds == "nearest"  # whose embedding is halved first, for seeds and affinity alike
                raw = halved(raw[None], x.shape[2:]) if nearest else raw[None, :, : x.shape[2], : x.shape[3]]
                first = raw if first is None else first
                turned = raw.flip(-1) if mirrored else raw
                rows.append(random_walk.embedding_at(turned, small))
                if self.seeds == "softmax":
                    found = self.head(raw)[0]
                    logits.append(resized(found.flip(-1) if mirrored else found, small))
        seeds = self._seeds(logits, first, weak, cams, regions, shape, small)
        spread = random_walk.random_walk(seeds, random_walk.affinity(rows), self.steps)
        return enlarged(spread.cpu().numpy(), shape)

    def _seeds(self, logits, half_embedding, weak, cams, regions, shape, small):
        present = present_in(weak, self.n_classes)
        if self.seeds == "cam":
            maps = eighth(cam_seeds(cams[1], cams[0], self.n_classes, self.power).to(self.device))
            return maps if maps.shape[1:] == small else resized(maps, small)
        if self.seeds == "softmax":
            return among_present(mean_softmax(logits, self.of_logits), present)
        half = tuple(max(1, side // 2) for side in shape)
        labels = np.stack([weak, regions], axis=2)
        labels = cv2.resize(labels, half[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int64)
        semantic, regions = (torch.from_numpy(labels[None, ..., k]).to(self.device) for k in (0, 1))
        embedding = half_embedding if half_embedding.shape[2:] == half else resized(half_embedding[0], half)[None]
        maps = nearest_seeds(embedding, semantic, regions, self.n_classes, self.clusters)
        return among_present(resized(maps, small), present)
