"""What is clustered beside the embedding: places and colours of pixels; unit length; labels at another size."""

import torch
import torch.nn.functional as F

FLAT = 1e-5  # a channel that varies less is of one value, but for rounding


def unit(x, dim=-1):
    """x over its length along DIM; lengths below 1e-12 count as 1e-12, so that zero stays zero."""
    return F.normalize(x, dim=dim, eps=1e-12)


def location(height, width, device="cpu") -> torch.Tensor:
    """(y, x) of every pixel, float32 [H, W, 2], from -0.5 to 0.5 with both ends; a single row or column is -0.5."""
    y, x = (torch.linspace(0, 1, n, device=device) - 0.5 for n in (height, width))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def smoothing_kernel() -> torch.Tensor:
    """[5, 5]: a pixel's distance to the centre over the sum of all. So the centre counts nothing, as in SPML."""
    offsets = torch.arange(-2.0, 3.0)
    distance = torch.hypot(offsets[:, None], offsets[None])
    return distance / distance.sum()


def colour(x, size) -> torch.Tensor:
    """Smoothed colours of normalised pictures x [N, C, H, W]: [N, h, w, C] in -1..1 (SIZE is h, w).

    Each channel is weighed by `smoothing_kernel` without padding (4 pixels less a side), resized bilinearly, freed of
    its mean and divided by its largest magnitude. A channel of one value gives 0 (the original gives NaN).
    """
    channels = x.shape[1]
    kernel = smoothing_kernel().to(x).expand(channels, 1, -1, -1)
    smooth = F.conv2d(x, kernel, groups=channels)
    smooth = F.interpolate(smooth, size=tuple(size), mode="bilinear", align_corners=False)
    smooth = smooth - smooth.mean(dim=(2, 3), keepdim=True)
    largest = smooth.abs().amax(dim=(2, 3), keepdim=True)
    return torch.where(largest > FLAT, smooth / largest, 0.0).permute(0, 2, 3, 1)


def local_features(x, size, with_colour=False) -> torch.Tensor:
    """Features [N, h, w, 2 or 5] of pictures x [N, 3, H, W] at SIZE (h, w): location, and WITH_COLOUR (DensePose) the
    smoothed colours. No gradient."""
    with torch.no_grad():
        places = location(*size, device=x.device).to(x.dtype)[None].expand(len(x), -1, -1, -1)
        return torch.cat([places, colour(x, size)], dim=-1) if with_colour else places


def resize_labels(labels, size) -> torch.Tensor:
    """Labels int64 [N, H, W] at SIZE (h, w), each the label of the top-left pixel of its cell, as in SPML."""
    return F.interpolate(labels[:, None].double(), size=tuple(size), mode="nearest")[:, 0].long()
