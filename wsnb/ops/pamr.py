"""Pixel-adaptive mask refinement (PAMR): local propagation of masks along the colours of the picture.

Araslanov and Roth, CVPR 2020, section 3.3. The published formulation gathers all neighbours of all masks at once
(48 copies of the masks). Here shifted masks are accumulated one neighbour at a time, in bands of rows, and the
affinities of a band are computed when they are needed: memory stays near that of the masks, results are the same.
"""

import torch
import torch.nn.functional as F

DILATIONS = (1, 2, 4, 8, 12, 24)
EPSILON = 1e-8


def offsets(dilations=DILATIONS) -> list[tuple[int, int]]:
    """(dy, dx) of the neighbours: the 3x3 ring row by row for each dilation in turn; 8 per dilation."""
    ring = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    return [(d * dy, d * dx) for d in dilations for dy, dx in ring]


def _pad(x, reach):
    """x [B, C, H, W] with REACH replicated pixels on every side, also where H or W are smaller than that."""
    height, width = x.shape[-2:]
    row = torch.arange(-reach, height + reach, device=x.device).clamp_(0, height - 1)
    column = torch.arange(-reach, width + reach, device=x.device).clamp_(0, width - 1)
    return x[:, :, row[:, None], column]


def _view(padded, dy, dx, top, rows, reach):
    """The rows top .. top+rows of the unpadded tensor, shifted by (dy, dx)."""
    width = padded.shape[-1] - 2 * reach
    return padded[..., reach + top + dy : reach + top + dy + rows, reach + dx : reach + dx + width]


def local_std(image, dilations=DILATIONS):
    """Standard deviation of each colour over a pixel and its neighbours.

    image [B, K, H, W] in [0, 1] -> [B, K, H, W]. Unbiased, over 9 samples per dilation: the centre counts once per
    dilation, as in the original program.
    """
    reach, rows = max(dilations), image.shape[-2]
    padded = _pad(image, reach)
    samples = 9 * len(dilations)
    mean = image * len(dilations)
    for dy, dx in offsets(dilations):
        mean += _view(padded, dy, dx, 0, rows, reach)
    mean /= samples
    squares = (image - mean).square_().mul_(len(dilations))
    for dy, dx in offsets(dilations):
        squares += (_view(padded, dy, dx, 0, rows, reach) - mean).square_()
    return squares.div_(samples - 1).sqrt_()


def affinity(padded, scale, top, rows, dilations=DILATIONS):
    """How much each neighbour counts: softmax over the neighbours of the negative scaled colour distance.

    padded, scale: of `prepared` -> [B, 8 * len(dilations), ROWS, W] of the rows from TOP on, neighbours in the order of
    `offsets`, sums to 1. Distance: mean over colours of |I(p) - I(q)| / (1e-8 + 0.1 std(p)) (equation 6 of the paper).
    """
    reach = max(dilations)
    centre = _view(padded, 0, 0, top, rows, reach)
    scale = scale[:, :, top : top + rows]
    distance = torch.empty(
        len(padded), 8 * len(dilations), *centre.shape[-2:], dtype=padded.dtype, device=padded.device
    )
    for p, (dy, dx) in enumerate(offsets(dilations)):
        torch.mean((centre - _view(padded, dy, dx, top, rows, reach)).abs_().mul_(scale), dim=1, out=distance[:, p])
    distance.sub_(distance.amin(dim=1, keepdim=True)).neg_().exp_()  # a softmax in place
    return distance.div_(distance.sum(dim=1, keepdim=True))


def prepared(image, dilations=DILATIONS):
    """(IMAGE [B, K, H, W] in [0, 1] padded for all neighbours, the factor of its colour distances [B, K, H, W])."""
    return _pad(image, max(dilations)), local_std(image, dilations).mul_(0.1).add_(EPSILON).reciprocal_()


@torch.no_grad()
def pamr(image, masks, dilations=DILATIONS, iterations=10, band=None):
    """Refine masks along the colours of the picture; no gradient.

    image [B, K, H, W] in [0, 1]; masks [B, C, h, w], resized to the picture first (bilinear, aligned corners) if they
    differ -> [B, C, H, W]. Each iteration replaces a mask's value by the affinity-weighted mean of its neighbours.
    BAND is the number of rows worked on at a time (default: about 2 MB of affinities a picture; all rows on a GPU);
    with several bands affinities are computed anew in each iteration, which costs less than keeping them.
    Only the classes passed are refined: pass those that are present.
    """
    dilations = tuple(dilations)
    if masks.shape[-2:] != image.shape[-2:]:
        masks = F.interpolate(masks, size=image.shape[-2:], mode="bilinear", align_corners=True)
    masks = masks.clone(memory_format=torch.contiguous_format)
    height, width = masks.shape[-2:]
    if band is None:
        band = height if image.is_cuda else max(8, 2**19 // (8 * len(dilations) * width))
    bands = [(top, min(band, height - top)) for top in range(0, height, band)]
    padded, scale = prepared(image, dilations)
    kept = affinity(padded, scale, 0, height, dilations) if len(bands) == 1 else None
    for _ in range(iterations):
        above = masks[:, :, :1].expand(-1, -1, max(dilations), -1)
        for top, rows in bands:
            weights = affinity(padded, scale, top, rows, dilations) if kept is None else kept
            above = _propagate(masks, above, weights, top, rows, dilations)
    return masks


def _propagate(masks, above, weights, top, rows, dilations):
    """One step on the rows top .. top+rows of MASKS, in place. ABOVE holds the rows before them as they were; returned
    are the rows that the next band will want."""
    reach, (height, width) = max(dilations), masks.shape[-2:]
    below = torch.arange(top + rows, top + rows + reach, device=masks.device).clamp_(max=height - 1)
    around = masks.new_empty(*masks.shape[:2], rows + 2 * reach, width + 2 * reach)
    inner = around[..., reach : reach + width]
    inner[:, :, :reach], inner[:, :, reach : reach + rows] = above, masks[:, :, top : top + rows]
    inner[:, :, reach + rows :] = masks[:, :, below]
    around[..., :reach], around[..., reach + width :] = inner[..., :1], inner[..., -1:]
    above = inner[:, :, rows : rows + reach].clone()
    total = masks[:, :, top : top + rows].zero_()
    for p, (dy, dx) in enumerate(offsets(dilations)):
        total.addcmul_(_view(around, dy, dx, 0, rows, reach), weights[:, p : p + 1])
    return above
