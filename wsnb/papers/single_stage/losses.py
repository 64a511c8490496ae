"""Pseudo labels: from masks to the targets that the network sets itself (paper, section 3.3).

Class scores from masks, and the two losses of the paper.
"""

import torch
import torch.nn.functional as F

from wsnb.ops.pamr import pamr


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


def class_terms(logits, power=3, floor=0.01):
    """Normalised global weighted pooling and focal mask penalty of every class (equations 1 and 3).

    logits [B, C, h, w] with the background's -> (mean masks, nGWP, penalty), each [B, C].
    nGWP = sum(x m) / (1 + sum(m)); penalty = (1 - mean m)^power log(floor + mean m), in [log floor, 0].
    """
    masks = logits.softmax(dim=1)
    size = masks.mean(dim=(2, 3))
    pooled = (logits * masks).sum(dim=(2, 3)) / (1 + masks.sum(dim=(2, 3)))
    return size, pooled, focal_penalty(size, power, floor)


def focal_penalty(size, power=3, floor=0.01):
    """(1 - size)^power log(floor + size) for mean masks `size` in [0, 1]."""
    return (1 - size) ** power * torch.log(floor + size)


def class_scores(logits, power=3, floor=0.01):
    """Scores of the foreground classes, [B, C - 1]: nGWP plus focal mask penalty."""
    _, pooled, penalty = class_terms(logits, power, floor)
    return (pooled + penalty)[:, 1:]


def tag_loss(scores, tags):
    """Multi-label soft margin over image tags [B, C - 1] in {0, 1}; a scalar."""
    return F.multilabel_soft_margin_loss(scores, tags)


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


def complete(pseudo, tags):
    """Whether the pseudo labels [B, C, H, W] hold the background and as many classes as there are tags: bool [B]."""
    return (tags.sum(dim=1) + 1) == (pseudo.sum(dim=(2, 3)) > 0).sum(dim=1)
