"""Multi-scale, flipped inference on padded pictures, and how masks are merged: the original's `infer_val`.

From a trained network to the label maps of a split: masks of all scales and mirror images, their mean, the class gate
of the image tags, and the dense CRF.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wsnb.data import voc
from wsnb.data.transforms import normalise, to_unit
from wsnb.files import FileError
from wsnb.ops import label_maps
from wsnb.papers.single_stage import losses
from wsnb.papers.single_stage.model import CAMBaseline, cam_masks, upsample

TAGS = {"predicted": "", "ground truth": "_clean"}  # image tags at test, and the suffix of their folders


def scaled_variants(image, scales, padded, flip=True):
    """Make the inputs of one picture: uint8 [H, W, 3] -> (float32 [V, 3, *padded], pads int [V, 4]).

    For each scale the picture is resized (bicubic, Python's half-to-even rounding), and with FLIP followed by its
    mirror image; each is centred in a frame of PADDED (height, width), whose margin is 0 after normalisation. A row of
    pads is (top, left, height, width) of the picture in it. Raises ValueError if a scaled picture does not fit.
    """
    height, width = image.shape[:2]
    variants, pads = [], []
    for scale in scales:
        h, w = round(height * scale), round(width * scale)
        if h > padded[0] or w > padded[1] or min(h, w) < 1:
            raise ValueError(f"picture {height}x{width} at scale {scale:g} does not fit {padded[0]}x{padded[1]}: "
                             "raise `padded_side` or lower `scales`")
        unit = to_unit(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC))
        top, left = (padded[0] - h) // 2, (padded[1] - w) // 2
        for mirrored in (False, True) if flip else (False,):
            x = torch.zeros(3, *padded)
            x[:, top : top + h, left : left + w] = normalise(unit.flip(-1) if mirrored else unit)
            variants.append(x)
            pads.append((top, left, h, w))
    return torch.stack(variants), np.array(pads)


@torch.no_grad()
def predict(network, x, settings=losses.Settings()):
    """Apply a network in evaluation mode: x [V, 3, H, W] -> (tag scores in [0, 1] [V, C - 1], maps [V, C, h, w]).

    The maps, at network stride, are softmax masks, or the baseline's activations behind an empty background;
    `enlarged_masks` brings them to the input's size.
    """
    if network.training:
        raise ValueError("predict wants network.eval()")
    if isinstance(network, CAMBaseline):
        scores, activation = network(x)
        return scores.sigmoid(), torch.cat([torch.zeros_like(activation[:, :1]), activation], dim=1)
    logits = network(x)
    return losses.class_scores(logits, settings.focal_power, settings.focal_floor).sigmoid(), logits.softmax(dim=1)


def enlarged_masks(network, maps, size, classes=None, background=0.1):
    """Enlarge the maps of `predict`: masks [V, len(classes), *size] of the CLASSES (all by default; 0 must come first).

    BACKGROUND is the baseline's constant. Enlarging only the classes that can win saves most of the time and memory.
    """
    maps = maps if classes is None else maps[:, classes]
    if isinstance(network, CAMBaseline):
        return cam_masks(maps[:, 1:], size, background)
    return upsample(maps, size)


def merge_scales(masks, pads, size, flip=True):
    """Average the masks of all variants [V, C, *padded]: float32 [C, H, W], for a picture of SIZE (H, W).

    Padding is cut off, the rest resized (bilinear, corners not aligned), odd entries mirrored back if FLIP.
    """

    def parts():
        for i, (mask, (top, left, h, w)) in enumerate(zip(masks, np.asarray(pads).astype(int).tolist(), strict=True)):
            part = mask[None, :, top : top + h, left : left + w]
            part = F.interpolate(part, size=tuple(size), mode="bilinear", align_corners=False)[0]
            yield (part.flip(-1) if flip and i % 2 else part), 0, 0

    return averaged(parts(), size)


def averaged(parts, size):
    """Average PARTS (mask [C, h, w], top, left) of a map of SIZE (H, W): float32 [C, H, W], each pixel divided by the
    number of parts that cover it, which is one at least."""
    total, visits = None, None
    for mask, top, left in parts:
        if total is None:
            total, visits = mask.new_zeros(len(mask), *size), mask.new_zeros(*size)
        total[:, top : top + mask.shape[1], left : left + mask.shape[2]] += mask
        visits[top : top + mask.shape[1], left : left + mask.shape[2]] += 1
    return total / visits


def with_power(scores, background_power):
    """Raise the background of scores [C, H, W] to BACKGROUND_POWER; nothing is normalised again."""
    return torch.cat([scores[:1] ** background_power, scores[1:]])


def gate(scores, tags) -> np.ndarray:
    """Multiply the foreground of scores float32 [C, H, W] by tags [C - 1] in {0, 1}, the class gate.

    Nothing is normalised again: the CRF gets these scores as they are, as in the original.
    """
    return scores * np.concatenate([[1], tags]).astype(np.float32)[:, None, None]


@dataclass(frozen=True)
class Inference:
    """A network and how it is applied to a picture.

    inference(image, tags) -> (tag scores [C - 1], class scores float32 [C, H, W]), NumPy arrays, of a picture uint8
    [H, W, 3]. A class may win pixels if its tag score exceeds CUT in any variant, or, with TAGS [C - 1] given, if
    either holds: `gate` picks afterwards. The background is already raised to its power; classes that may not win
    are 0.
    """

    network: object
    scales: list
    padded_side: int
    flip: bool = True
    device: str = "cpu"
    settings: losses.Settings = field(default_factory=losses.Settings)
    cut: float = 0.1
    background_power: float = 3.0
    cam_background: float = 0.1

    def __call__(self, image, tags=None):
        size, padded = image.shape[:2], (self.padded_side, self.padded_side)
        x, pads = scaled_variants(image, self.scales, padded, self.flip)
        found, maps = predict(self.network, x.to(self.device), self.settings)
        best = found.amax(dim=0).cpu().numpy()
        chosen = best > self.cut if tags is None else (best > self.cut) | (np.asarray(tags) > 0)
        classes = [0, *(np.flatnonzero(chosen) + 1).tolist()]
        masks = (enlarged_masks(self.network, one[None], padded, classes, self.cam_background)[0]
                 for one in maps)  # one at a time
        mean = merge_scales(masks, pads, size, self.flip)
        scores = np.zeros((maps.shape[1], *size), np.float32)
        scores[classes] = with_power(mean, self.background_power).cpu().numpy()
        return best, scores


def inference_from(params, network, settings, device) -> Inference:
    """Make the inference of the masks' stage from its parameters."""
    return Inference(network, params.scales, params.padded_side, params.flip, device, settings, params.tag_cut,
                     params.background_power, params.cam_background)


def folders(tag_sources, crf_iterations) -> list[str]:
    """Name the mask folders: masks, masks_crf, masks_clean, masks_clean_crf, as asked for.

    Raises ValueError for unknown tags.
    """
    if not tag_sources or not set(tag_sources) <= set(TAGS):
        raise ValueError(f"tag_sources {list(tag_sources)}: use one or both of {', '.join(map(repr, TAGS))}")
    return [f"masks{TAGS[tags]}{end}" for tags in tag_sources for end in (("", "_crf") if crf_iterations else ("",))]


def need_tags(items, tag_sources, split) -> None:
    """Raise FileError if TEST_TAGS ask for true tags that some pictures of SPLIT have not."""
    missing = [item.id for item in items if item.mask is None and item.tags is None]
    if missing and "ground truth" in tag_sources:
        raise FileError(f"split {split!r}: {len(missing)} of {len(items)} pictures have neither tags nor a mask (the "
                        f"first is {missing[0]}); take tag_sources=[predicted]")


def gated_labels(image, scores, tags, crf) -> list:
    """Label a picture for each row of TAGS [K, C - 1]: the winners of the gated scores [C, H, W], and with a CRF the
    labels after it."""
    crf = crf if crf.iterations else None
    return [labels for one in tags for labels in label_maps.winners(image, gate(scores, one), crf)]


def write_labels(infer, items, n_classes, tag_sources, crf, folder, workers):
    """Write the label maps of all pictures into the `folders` below FOLDER; yield once a picture.

    The network runs here, CRFs in WORKERS processes. Ground-truth tags are read only if TEST_TAGS ask for them.
    """

    def prepare(item):
        image = voc.read_image(item)
        true = voc.read_tags(item, n_classes) if "ground truth" in tag_sources else None
        found, scores = infer(image, true)
        label_maps.need_finite(found, f"image tags of {item.id}")
        return image, scores, np.array([found > infer.cut if tags == "predicted" else true for tags in tag_sources])

    places = [Path(folder) / name for name in folders(tag_sources, crf.iterations)]
    return label_maps.write_labels(partial(gated_labels, crf=crf), items, places, workers, prepare)
