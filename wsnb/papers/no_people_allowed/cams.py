"""IRN's class activation maps: CAM with ReLU at every scale, on pictures of their own size.

Class activation maps of a data set: Grad-CAM as NoPeopleAllowed takes it, CAM as IRN does, into the store.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsnb.data import read, transforms
from wsnb.ops import cam, gradcam, threshold_sweep
from wsnb.ops.cam import activation_map, resized
from wsnb.papers.no_people_allowed import pseudo_masks
from wsnb.papers.no_people_allowed.presets import grid_of, sized


@torch.no_grad()
def irn_maps(network, x):
    """CAM of x [1, 3, H, W] and of its mirror image, both rectified, added: [1, C, h, w]. The classifier's bias is left
    out."""
    both = activation_map(network.deep(torch.cat([x, x.flip(-1)])), network.class_weights).relu()
    return both[:1] + both[1:].flip(-1)


def rescaled(image, scale):
    """Picture uint8 [H, W, 3] resized by PIL's bicubic to round(side x scale), at least 1."""
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])  # half to even, as NumPy
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def fitted(label, shape):
    """Label map uint8 [h, w] at SHAPE (H, W, ...) by PIL's nearest pixel."""
    return np.array(Image.fromarray(label).resize(shape[1::-1], Image.Resampling.NEAREST))


def scaled_input(image, scale):
    """Picture uint8 [H, W, 3] resized by PIL's bicubic, normalised: [1, 3, h, w]."""
    return transforms.normalise(transforms.to_unit(image if scale == 1 else rescaled(image, scale)))[None]


def merged(stacks, size):
    """Sum over scales of maps [C, h, w] for a picture of SIZE (H, W): [C, h', w'] at stride 4."""
    return sum(resized(one[None], grid_of(size))[0] for one in stacks)


METHODS = ("gradcam", "gradcam++", "cam", "irn cam")


@dataclass(frozen=True)
class Settings:
    """How maps are made. method: "gradcam", "gradcam++", "cam" (sums over scales, negative parts kept till the end) or
    "irn cam" (ReLU at every scale); side, scale: see `recipes.sized`."""

    method: str = "gradcam"
    side: int = 352
    scale: float = 1.0
    scales: tuple = (1.0, 0.5, 0.75, 2.0)
    inplace_relu: bool = True

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"cam_method {self.method!r}: choose one of {', '.join(METHODS)}")


def keys_of(logits_of, tags, source="image tags"):
    """0-based classes int64 [K] of a picture: those of its TAGS [C], or, where there are none (or SOURCE is
    "predicted"), the classes that the network finds: probability above 0.5, else the most likely one."""
    if source not in ("image tags", "predicted"):
        raise ValueError(f"tags_from {source!r}: use image tags or predicted")
    keys = np.flatnonzero(tags)
    if len(keys) and source == "image tags":
        return keys
    return cam.predicted_tags(logits_of()).cpu().numpy()


def raw(network, image, tags, settings, device="cpu", source="image tags"):
    """(keys int64 [K], maps float32 [K, h, w] at stride 4, size (H, W) that the network saw) of a picture.

    Neither rectified as a whole nor divided by a maximum: that is `pseudo.normalised`'s part.
    """
    picture = sized(image, settings.side, settings.scale)
    x = cam.squashed(picture, 0)[1].to(device)

    def logits_of():
        with torch.no_grad():
            return network(x)[0]

    keys = keys_of(logits_of, tags, source)
    chosen = torch.as_tensor(keys, device=x.device)
    if settings.method == "irn cam":
        stacks = [irn_maps(network, scaled_input(picture, scale).to(device))[0][chosen]
                  for scale in settings.scales]
        maps = merged(stacks, picture.shape)
    else:
        (maps,), _ = cam.multiscale(lambda x: of_batch(network, x, chosen, settings), x, settings.scales,
                                    [grid_of(picture.shape)])
    return keys, maps.cpu().numpy(), picture.shape[:2]


def of_batch(network, x, keys, settings):
    """Maps [B, K, h, w] of the classes KEYS at one scale."""
    if settings.method == "cam":
        with torch.no_grad():
            return cam.activation_map(network.deep(x), network.class_weights[keys])
    return gradcam.gradcam(network, network.cam_layer, x, keys.tolist(), settings.method == "gradcam++",
                           settings.inplace_relu)


def extract(network, items, tags_of, settings, folder, device="cpu", source="image tags"):
    """Write the maps of each picture into the store FOLDER; yields the pictures. Those that are there stay."""
    for item in items:
        if not (Path(folder) / f"{item.id}.npz").exists():
            keys, maps, size = raw(network, read.image(item), tags_of(item), settings, device, source)
            cam.write(folder, item.id, keys, maps, size)
        yield item


def sweeps(folder, items, truth_of, n_classes, rule, tune_every=6):
    """(sweep over every TUNE_EVERY-th picture, sweep over all): all thresholds of stored maps in one pass.

    rule: of `pseudo.normalised`. Maps are enlarged to the ground truth's size. Raises ValueError for a TUNE_EVERY
    below 1.
    """
    if tune_every < 1:
        raise ValueError(f"tune_every {tune_every}: 1 tunes on all pictures, 6 on every sixth")
    tune, rest = threshold_sweep.Sweep(n_classes), threshold_sweep.Sweep(n_classes)
    for k, item in enumerate(items):
        truth = truth_of(item)
        keys, maps = cam.read(folder, item.id, truth.shape)
        (rest if k % tune_every else tune).add(truth, keys + 1, pseudo_masks.normalised(maps, rule))
    rest.counts += tune.counts
    return tune, rest
