"""Class activation maps of a data set, on disk: Grad-CAM as NoPeopleAllowed takes it, CAM as IRN does (ReLU at every
scale, pictures of their own size)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsnb.data import read
from wsnb.models.irnet import quarter_of
from wsnb.ops import cam, gradcam, threshold_sweep
from wsnb.papers.no_people_allowed.data import network_input, pil_scaled, sized

METHODS = ("gradcam", "gradcam++", "cam", "irn cam")


@dataclass(frozen=True)
class Settings:
    """How maps are made. method: "gradcam", "gradcam++", "cam" (sums over scales, negative parts kept till the end) or
    "irn cam" (ReLU at every scale); side, scale: see `data.sized`."""

    method: str = "gradcam"
    side: int = 352
    scale: float = 1.0
    scales: tuple = (1.0, 0.5, 0.75, 2.0)
    inplace_relu: bool = True

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"cam_method {self.method!r}: choose one of {', '.join(METHODS)}")


def settings_of(p) -> Settings:
    """Read the settings from the parameters of 02."""
    return Settings(p.cam_method, p.picture_side, p.picture_scale, tuple(p.cam_scales), p.inplace_relu)


@torch.no_grad()
def irn_maps(network, x):
    """Add the CAMs of x [1, 3, H, W] and of its mirror image, both rectified: [1, C, h, w]. The classifier's bias is
    left out."""
    both = cam.activation_map(network.deep(torch.cat([x, x.flip(-1)])), network.class_weights).relu()
    return both[:1] + both[1:].flip(-1)


def irn_cover(shape):
    """Say how far IRN lets the maps of every scale reach beyond a picture of SHAPE (H, W, ...), see `cam.covering`: to
    the next multiples of 16, the network's stride."""
    return tuple(16 * -(-side // 16) / side for side in shape[:2])


def stride_4(shape):
    """Give the size (h, w) at stride 4 of a picture of SHAPE (H, W, ...)."""
    return quarter_of(shape[0]), quarter_of(shape[1])


def classes_of(logits_of, tags, tags_from="image tags"):
    """Choose the 0-based classes int64 [K] of a picture: those of its TAGS [C], or, where there are none (or TAGS_FROM
    is "predicted"), the classes that the network finds: probability above 0.5, else the most likely one."""
    if tags_from not in ("image tags", "predicted"):
        raise ValueError(f"tags_from {tags_from!r}: use image tags or predicted")
    keys = np.flatnonzero(tags)
    if len(keys) and tags_from == "image tags":
        return keys
    return cam.predicted_tags(logits_of()).cpu().numpy()


def class_maps(network, image, tags, settings, device="cpu", tags_from="image tags"):
    """Compute what `cam.write` keeps of a picture: (classes int64 [K], list of maps float32 [K, h, w], one for each
    scale, size (H, W) that the network saw, cover, grid at stride 4).

    Confident labels and scores take the sum of the maps at the picture's size, the walk that at stride 4, as both
    papers do. Neither rectified as a whole nor divided by a maximum: see `cam.normalised`.
    """
    picture = sized(image, settings.side, settings.scale)
    x = network_input(picture).to(device)

    def logits_of():
        with torch.no_grad():
            return network(x)[0]

    keys = classes_of(logits_of, tags, tags_from)
    chosen = torch.as_tensor(keys, device=x.device)
    if settings.method == "irn cam":
        inputs = (x if scale == 1 else network_input(pil_scaled(picture, scale)).to(device)
                  for scale in settings.scales)
        each, cover = [irn_maps(network, scaled)[0][chosen] for scaled in inputs], irn_cover(picture.shape)
    else:
        each = cam.multiscale(lambda x: maps_at_one_scale(network, x, chosen, settings), x, settings.scales)
        cover = (1.0, 1.0)
    return keys, [one.cpu().numpy() for one in each], picture.shape[:2], cover, stride_4(picture.shape)


def maps_at_one_scale(network, x, keys, settings):
    """Compute maps [B, K, h, w] of the classes KEYS for x [B, 3, H, W]."""
    if settings.method == "cam":
        with torch.no_grad():
            return cam.activation_map(network.deep(x), network.class_weights[keys])
    return gradcam.gradcam(network, network.cam_layer, x, keys.tolist(), settings.method == "gradcam++",
                           settings.inplace_relu)


def write_class_maps(network, items, tags_of, settings, folder, device="cpu", tags_from="image tags"):
    """Yield each picture as soon as its maps stand in FOLDER as ID.npz; those that are there stay."""
    for item in items:
        if not (Path(folder) / f"{item.id}.npz").exists():
            cam.write(folder, item.id, *class_maps(network, read.image(item), tags_of(item), settings, device,
                                                   tags_from))
        yield item


def sweeps(folder, items, truth_of, n_classes, rule, tune_every=6, fixed=0.0):
    """Count all thresholds of stored maps in one pass: (sweep over every TUNE_EVERY-th picture, sweep over all).

    rule: of `cam.normalised`; fixed: see `Sweep`. Maps are enlarged to the ground truth's size. Raises ValueError for a
    TUNE_EVERY below 1.
    """
    if tune_every < 1:
        raise ValueError(f"tune_every {tune_every}: 1 tunes on all pictures, 6 on every sixth")
    tune, rest = (threshold_sweep.Sweep(n_classes, fixed) for _ in range(2))
    for k, item in enumerate(items):
        truth = truth_of(item)
        keys, maps = cam.read(folder, item.id, truth.shape)
        (rest if k % tune_every else tune).add(truth, keys + 1, cam.normalised(maps, rule))
    rest.counts += tune.counts
    rest.fixed_table += tune.fixed_table
    return tune, rest
