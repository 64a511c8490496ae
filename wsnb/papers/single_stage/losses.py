"""The losses of the paper: class scores from masks (nGWP and focal penalty), and pseudo labels as targets of masks.

Araslanov and Roth, CVPR 2020, sections 3.2 and 3.3.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from wsnb.ops.pamr import DILATIONS, pamr


@dataclass(frozen=True)
class Settings:
    """Constants of the two losses; the defaults are the paper's."""

    focal_power: float = 3
    focal_floor: float = 0.01
    mask_weight: float = 1.0
    background: float = 0.7
    foreground: float = 0.6
    floor: float = 0.2
    iterations: int = 10
    dilations: tuple = DILATIONS


def settings_from(params) -> Settings:
    """Make the settings of a stage's parameters."""
    return Settings(params.focal_power, params.focal_floor, params.mask_weight, params.pseudo_background,
                    params.pseudo_foreground, params.pseudo_floor, params.pamr_iterations,
                    tuple(params.pamr_dilations))


def ngwp(logits, masks):
    """Pool the logits of every class over its own mask, normalised global weighted pooling (equation 1).

    logits, masks [B, C, h, w] -> [B, C]: sum(x m) / (1 + sum(m)).
    """
    return (logits * masks).sum(dim=(2, 3)) / (1 + masks.sum(dim=(2, 3)))


def focal_penalty(size, power=3, floor=0.01):
    """Punish small masks: (1 - size)^power log(floor + size), in [log floor, 0], for mean masks `size` in [0, 1]
    (equation 3)."""
    return (1 - size) ** power * torch.log(floor + size)


def class_scores(logits, power=3, floor=0.01):
    """Score the foreground classes, [B, C - 1]: nGWP plus focal mask penalty. logits [B, C, h, w], background first."""
    masks = logits.softmax(dim=1)
    size = masks.mean(dim=(2, 3))
    return (ngwp(logits, masks) + focal_penalty(size, power, floor))[:, 1:]


def tag_loss(scores, tags):
    """Multi-label soft margin loss of scores [B, C - 1] over image tags [B, C - 1] in {0, 1}; a scalar."""
    return F.multilabel_soft_margin_loss(scores, tags)


def clean(masks, tags):
    """Zero the masks [B, C, H, W] of foreground classes without a tag [B, C - 1] in {0, 1}."""
    keep = torch.cat([torch.ones_like(tags[:, :1]), tags], dim=1)
    return masks * keep[:, :, None, None]


def pseudo_labels(masks, background=0.7, foreground=0.6, floor=0.2):
    """Choose the confident pixels of cleaned masks [B, C, H, W]: uint8 {0, 1}, same shape (section 3.3).

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
    """Make the targets of a training step from the network's own masks: PAMR, then `clean` and `pseudo_labels`.

    image [B, 3, H, W] in [0, 1], resized to the logits (bilinear, aligned corners) for PAMR; logits [B, C, h, w]
    -> (refined and cleaned masks, pseudo labels uint8), [B, C, *size] both.
    """
    masks = logits.detach().softmax(dim=1)
    small = F.interpolate(image, size=masks.shape[-2:], mode="bilinear", align_corners=True)
    present = torch.cat([torch.ones_like(tags[:, :1]), tags], dim=1).amax(dim=0) > 0  # absent ones are cleared below
    refined = torch.zeros_like(masks)
    refined[:, present] = pamr(small, masks[:, present], settings.dilations, settings.iterations)
    refined = clean(F.interpolate(refined, size=size, mode="bilinear", align_corners=True), tags)
    return refined, pseudo_labels(refined, settings.background, settings.foreground, settings.floor)


def complete(pseudo, tags):
    """Check that the pseudo labels [B, C, H, W] hold the background and as many classes as there are tags: bool [B]."""
    return (tags.sum(dim=1) + 1) == (pseudo.sum(dim=(2, 3)) > 0).sum(dim=1)


def balanced_mask_loss(logits, pseudo, tags):
    """Class-balanced cross-entropy against pseudo labels, per image [B] (equation 8).

    logits [B, C, h, w], resized to the pseudo labels (bilinear, aligned corners); pseudo [B, C, H, W] in {0, 1}, no
    class set = ignored. A class with N_c of N pixels weighs (N - N_c) / (1 + N). The sum is divided by all H W pixels,
    ignored ones included; an image whose pseudo labels miss one of its tags counts as 0, as in the original.
    """
    logits = F.interpolate(logits, size=pseudo.shape[-2:], mode="bilinear", align_corners=True)
    target = pseudo.argmax(dim=1)
    target[pseudo.sum(dim=1) < 1] = 255
    pixels = pseudo.sum(dim=(2, 3), dtype=logits.dtype)  # [B, C]
    total = pixels.sum(dim=1, keepdim=True)
    weight = (total - pixels) / (1 + total)
    loss = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    valid = target != 255
    loss = loss * torch.gather(weight, 1, (target * valid).flatten(1)).view_as(loss) * valid
    return complete(pseudo, tags) * loss.mean(dim=(1, 2))
