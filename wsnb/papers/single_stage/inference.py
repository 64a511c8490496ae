"""Multi-scale, flipped inference on a padded canvas, and how its masks are merged: the original's `infer_val`.

From a network to label maps on disk: one picture after another, resumable, CRFs in worker processes.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wsnb.data import voc
from wsnb.data.transforms import normalise, to_unit
from wsnb.files import FileError, save_png
from wsnb.ops.crf import crf_labels
from wsnb.papers.single_stage import losses
from wsnb.papers.single_stage.model import CAMBaseline, cam_masks, upsample
from wsnb.papers.single_stage.steps import Settings


def scaled_variants(image, scales, canvas, flip=True):
    """The inputs of one picture: uint8 [H, W, 3] -> (float32 [V, 3, *canvas], pads int [V, 4]).

    For each scale the picture is resized (bicubic, Python's half-to-even rounding), and with FLIP followed by its
    mirror image; each is centred on the canvas, whose margin is 0 after normalisation. A row of pads is (top, left,
    height, width) of the picture on the canvas. Raises ValueError if a scaled picture does not fit the canvas.
    """
    height, width = image.shape[:2]
    variants, pads = [], []
    for scale in scales:
        h, w = round(height * scale), round(width * scale)
        if h > canvas[0] or w > canvas[1] or min(h, w) < 1:
            raise ValueError(
                f"picture {height}x{width} at scale {scale:g} does not fit the canvas {canvas[0]}x{canvas[1]}: "
                "raise `canvas` or lower `scales`"
            )
        unit = to_unit(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC))
        top, left = (canvas[0] - h) // 2, (canvas[1] - w) // 2
        for mirrored in (False, True) if flip else (False,):
            x = torch.zeros(3, *canvas)
            x[:, top : top + h, left : left + w] = normalise(unit.flip(-1) if mirrored else unit)
            variants.append(x)
            pads.append((top, left, h, w))
    return torch.stack(variants), np.array(pads)


@torch.no_grad()
def predict(network, x, settings=Settings()):
    """x [V, 3, H, W] -> (tag scores in [0, 1] [V, C - 1], maps [V, C, h, w] at network stride), in evaluation mode.

    The maps are softmax masks, or the baseline's activations behind an empty background; `canvas_masks` enlarges them.
    """
    if network.training:
        raise ValueError("predict wants network.eval()")
    if isinstance(network, CAMBaseline):
        scores, activation = network(x)
        return scores.sigmoid(), torch.cat([torch.zeros_like(activation[:, :1]), activation], dim=1)
    logits = network(x)
    return losses.class_scores(logits, settings.focal_power, settings.focal_floor).sigmoid(), logits.softmax(dim=1)


def canvas_masks(network, maps, size, classes=None, background=0.1):
    """Maps of `predict` -> masks [V, len(classes), *size] of the chosen CLASSES (all by default; 0 must come first).

    BACKGROUND is the baseline's constant. Enlarging only the classes that can win saves most of the time and memory.
    """
    maps = maps if classes is None else maps[:, classes]
    if isinstance(network, CAMBaseline):
        return cam_masks(maps[:, 1:], size, background)
    return upsample(maps, size)


def merge_scales(masks, pads, size, flip=True):
    """Mean mask of all variants: masks [V, C, *canvas] -> float32 [C, H, W], for a picture of SIZE (H, W).

    Padding is cut off, the rest resized (bilinear, corners not aligned), odd entries mirrored back if FLIP.
    """

    def parts():
        for i, (mask, (top, left, h, w)) in enumerate(zip(masks, np.asarray(pads).astype(int).tolist(), strict=True)):
            part = mask[None, :, top : top + h, left : left + w]
            part = F.interpolate(part, size=tuple(size), mode="bilinear", align_corners=False)[0]
            yield (part.flip(-1) if flip and i % 2 else part), 0, 0

    return averaged(parts(), size)


def averaged(parts, size):
    """Mean of PARTS (mask [C, h, w], top, left) laid on a map of SIZE (H, W): float32 [C, H, W], each pixel divided by
    the number of parts that cover it, which is one at least."""
    total, visits = None, None
    for mask, top, left in parts:
        if total is None:
            total, visits = mask.new_zeros(len(mask), *size), mask.new_zeros(*size)
        total[:, top : top + mask.shape[1], left : left + mask.shape[2]] += mask
        visits[top : top + mask.shape[1], left : left + mask.shape[2]] += 1
    return total / visits


def with_power(scores, background_power):
    """scores [C, H, W] whose background is raised to BACKGROUND_POWER; nothing is normalised again."""
    return torch.cat([scores[:1] ** background_power, scores[1:]])


def gate(scores, tags) -> np.ndarray:
    """scores float32 [C, H, W] with the foreground multiplied by tags [C - 1] in {0, 1}.

    Nothing is normalised again: the CRF gets these scores as they are, as in the original.
    """
    return scores * np.concatenate([[1], tags]).astype(np.float32)[:, None, None]


def picture_scores(
    network,
    image,
    scales,
    canvas,
    flip=True,
    device="cpu",
    tags=None,
    cut=0.1,
    settings=Settings(),
    background_power=3.0,
    background=0.1,
):
    """Class scores of one picture: uint8 [H, W, 3] -> (tag scores [C - 1], scores float32 [C, H, W]), as NumPy arrays.

    A class may win pixels if its tag score exceeds CUT in any variant, or, with TAGS [C - 1] given, if either holds:
    `gate` picks afterwards. The background is already raised to its power; classes that may not win are 0.
    """
    x, pads = scaled_variants(image, scales, (canvas, canvas), flip)
    found, maps = predict(network, x.to(device), settings)
    best = found.amax(dim=0).cpu().numpy()
    chosen = best > cut if tags is None else (best > cut) | (np.asarray(tags) > 0)
    classes = [0, *(np.flatnonzero(chosen) + 1).tolist()]
    size = image.shape[:2]
    masks = (
        canvas_masks(network, one[None], (canvas, canvas), classes, background)[0] for one in maps
    )  # one at a time
    mean = merge_scales(masks, pads, size, flip)
    whole = np.zeros((maps.shape[1], *size), np.float32)
    whole[classes] = with_power(mean, background_power).cpu().numpy()
    return best, whole


SOURCES = {"predicted": "", "ground truth": "_clean"}  # where image tags come from, and the folder's suffix


@dataclass(frozen=True)
class Inference:
    """A network and how it is applied; called with a picture and its true tags, it gives `picture_scores`."""

    network: object
    scales: list
    canvas: int
    flip: bool = True
    device: str = "cpu"
    settings: Settings = field(default_factory=Settings)
    cut: float = 0.1
    background_power: float = 3.0
    cam_background: float = 0.1

    def __call__(self, image, tags=None):
        return picture_scores(
            self.network,
            image,
            self.scales,
            self.canvas,
            self.flip,
            self.device,
            tags,
            self.cut,
            self.settings,
            self.background_power,
            self.cam_background,
        )


def folders(sources, crf_iterations) -> list[str]:
    """Names of the mask folders: masks, masks_crf, masks_clean, masks_clean_crf, as asked for.

    Raises ValueError for an unknown source.
    """
    unknown = [source for source in sources if source not in SOURCES]
    if unknown or not sources:
        raise ValueError(f"tag_sources {list(sources)}: use one or both of {', '.join(map(repr, SOURCES))}")
    return [f"masks{SOURCES[source]}{end}" for source in sources for end in (("", "_crf") if crf_iterations else ("",))]


def need_tags(items, sources, split) -> None:
    """Raise FileError if SOURCES ask for true tags that some pictures of SPLIT have not."""
    missing = [item.id for item in items if item.mask is None and item.tags is None]
    if missing and "ground truth" in sources:
        raise FileError(f"split {split!r}: {len(missing)} of {len(items)} pictures have neither tags nor a mask (the "
                        f"first is {missing[0]}); take tag_sources=[predicted]")


def jobs(infer, items, n_classes, sources, crf, folder):
    """Run the network on each picture and yield what `finish` needs; pictures whose files are all there give None.

    Ground-truth tags are read only if SOURCES ask for them.
    """
    for item in items:
        paths = [Path(folder) / name / f"{item.id}.png" for name in folders(sources, crf.iterations)]
        if all(path.exists() for path in paths):  # names only ever show whole files
            yield None
            continue
        image = voc.read_image(item)
        truth = voc.read_tags(item, n_classes) if "ground truth" in sources else None
        found, scores = infer(image, truth)
        tags = [found > infer.cut if source == "predicted" else truth for source in sources]
        yield image, scores.astype(np.float32), np.array(tags), crf, paths


def finish(job) -> None:
    """Gate the scores by each kind of tags, take the winner, refine with the CRF, write the label maps."""
    if job is None:
        return
    image, scores, tags, crf, paths = job
    paths = iter(paths)
    for one in tags:
        gated = gate(scores, one)
        save_png(next(paths), gated.argmax(axis=0).astype(np.uint8))
        if crf.iterations:
            save_png(next(paths), crf_labels(image, gated, crf))
