"""Pseudo labels: from masks to the targets that the network sets itself (paper, section 3.3)."""

import torch
import torch.nn.functional as F

from wsnb.methods.pamr import pamr


def clean(masks, tags):
    """Zero the masks [B, C, H, W] of foreground classes without a tag [B, C - 1] in {0, 1}."""
    keep = torch.cat([torch.ones_like(tags[:, :1]), tags], dim=1)
    return masks * keep[:, :, None, None]


def pseudo_labels(masks, background=0.7, foreground=0.6, floor=0.2):
    """Confident pixels of cleaned masks [B, C, H, W] -> uint8 {0, 1}, same shape.

    A pixel is set where a class exceeds max(floor, factor x its maximum in the image), strictly; the factor is
    BACKGROUND for channel 0, FOREGROUND for the others. Pixels that two classes claim are cleared.
    """
    peak = masks.amax(dim=(2, 3), keepdim=True)
    threshold = peak * foreground
    threshold[:, :1] = peak[:, :1] * background
    chosen = masks > threshold.clamp_min(floor)
    return (chosen & (chosen.sum(dim=1, keepdim=True) < 2)).to(torch.uint8)


@torch.no_grad()
def refined_pseudo_labels(image, logits, tags, size, settings):
    """The self-supervised targets of a training step.

    image [B, 3, H, W] in [0, 1], resized to the logits (bilinear, aligned corners) for PAMR; logits [B, C, h, w];
    settings: see `steps.Settings` -> (refined masks, cleaned by the tags, and pseudo labels uint8), [B, C, *size] both.
    """
    masks = logits.detach().softmax(dim=1)
    small = F.interpolate(image, size=masks.shape[-2:], mode="bilinear", align_corners=True)
    present = torch.cat([torch.ones_like(tags[:, :1]), tags], dim=1).amax(dim=0) > 0  # absent ones are cleared below
    refined = torch.zeros_like(masks)
    refined[:, present] = pamr(small, masks[:, present], settings.dilations, settings.iterations)
    refined = clean(F.interpolate(refined, size=size, mode="bilinear", align_corners=True), tags)
    return refined, pseudo_labels(refined, settings.background, settings.foreground, settings.floor)
