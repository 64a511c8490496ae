"""Multi-scale, flipped inference on a padded canvas, and how its masks are merged (spec of the original `infer_val`)."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wsnb.data.transforms import normalise, to_unit


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
            raise ValueError(f"picture {height}x{width} at scale {scale:g} does not fit the canvas {canvas[0]}x{canvas[1]}: "
                             "raise `canvas` or lower `scales`")
        unit = to_unit(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC))
        top, left = (canvas[0] - h) // 2, (canvas[1] - w) // 2
        for mirrored in ((False, True) if flip else (False,)):
            x = torch.zeros(3, *canvas)
            x[:, top:top + h, left:left + w] = normalise(unit.flip(-1) if mirrored else unit)
            variants.append(x)
            pads.append((top, left, h, w))
    return torch.stack(variants), np.array(pads)


def merge_scales(masks, pads, size, tags, flip=True, background_power=3.0):
    """Mean mask of all variants: masks [V, C, *canvas] -> float32 [C, H, W], for a picture of SIZE (H, W).

    Padding is cut off, the rest resized (bilinear, corners not aligned), odd entries mirrored back if FLIP, foreground
    multiplied by tags [C - 1]; after averaging the background is raised to BACKGROUND_POWER, without normalising again.
    """
    total = 0
    for i, (mask, (top, left, h, w)) in enumerate(zip(masks, np.asarray(pads).astype(int).tolist(), strict=True)):
        part = mask[None, :, top:top + h, left:left + w]
        part = F.interpolate(part, size=tuple(size), mode="bilinear", align_corners=False)[0]
        total = total + (part.flip(-1) if flip and i % 2 else part)
    mean = _gate(total / len(masks), tags)
    mean[0] = mean[0] ** background_power
    return mean


def merge_crops(masks, coords, size, tags):
    """The original's other mode: masks [V, C, h, w] of overlapping crops, averaged by how often a pixel was visited.

    A row of coords is (y0, y1, x0, x1, top, left): where the crop lies on the padded picture, and where the picture
    of SIZE (H, W) begins on it. EVEN entries are mirrored; there is no background power.
    """
    coords = np.asarray(coords).astype(int)
    total = masks.new_zeros(masks.shape[1], coords[:, 1].max(), coords[:, 3].max())
    visits = torch.zeros_like(total[:1])
    for i, (mask, (y0, y1, x0, x1)) in enumerate(zip(masks, coords[:, :4].tolist(), strict=True)):
        total[:, y0:y1, x0:x1] += mask if i % 2 else mask.flip(-1)
        visits[:, y0:y1, x0:x1] += 1
    top, left = coords[0, 4:]
    return _gate((total / visits)[:, top:top + size[0], left:left + size[1]], tags)


def _gate(scores, tags):
    gate = torch.as_tensor(np.asarray(tags, np.float32), device=scores.device)
    return torch.cat([scores[:1], scores[1:] * gate[:, None, None]])
