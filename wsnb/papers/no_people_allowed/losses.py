"""The losses of the classifier (cross-entropy of tags) and of IRNet (affinities and displacements of pixel pairs)."""

import numpy as np
import torch
import torch.nn.functional as F

from wsnb.models.heads import multilabel_loss
from wsnb.models.replicas import a_process
from wsnb.ops import affinity


def bce(logits, tags):
    """Compute the binary cross-entropy, summed over classes, mean over pictures. (The original's own form cannot
    run.)"""
    return F.binary_cross_entropy_with_logits(logits, tags, reduction="none").sum(1).mean()


def classification_loss(name):
    """Choose the loss called NAME: "bce" (summed over classes) or "soft margin" (IRN). Raises ValueError."""
    losses = {"bce": bce, "soft margin": multilabel_loss}
    if name not in losses:
        raise ValueError(f"loss {name!r}: choose bce or soft margin")
    return losses[name]


def irnet_loss_parts(edge_logits, displacement, pairs, radius):
    """Compute the five parts of IRNet's loss (paper, equations 4 to 9), means over all pictures of the batch.

    edge_logits [B, 1, H, W]; displacement [B, 2, H, W] in pixels of the map (dy, dx); pairs: see
    `affinity.pair_labels`, [B, n_dirs, n_src] each -> dict of scalars bg_pos, fg_pos, neg, dp_fg, dp_bg.
    """
    background, foreground, different = pairs
    a = affinity.edge_to_affinity(edge_logits.sigmoid(), radius)
    index = affinity.path_tensors(radius, *displacement.shape[-2:], displacement.device)
    flat, ends = displacement.flatten(2), index.ends
    moved = flat[..., index.starts][:, :, None]
    moved = moved - flat.index_select(2, ends.flatten()).view(*flat.shape[:2], *ends.shape)
    wanted = torch.from_numpy(affinity.displacements(radius).T.astype(np.float32)).to(flat.device)[None, :, :, None]
    joined, parted = -torch.log(a + 1e-5), -torch.log(1 + 1e-5 - a)

    def mean(values, mask, channels=1):
        return (values * mask).sum() / (channels * mask.sum() + 1e-5)

    return {
        "bg_pos": mean(joined, background),
        "fg_pos": mean(joined, foreground),
        "neg": mean(parted, different),
        "dp_fg": mean((moved - wanted).abs(), foreground[:, None], 2),
        "dp_bg": mean(moved.abs(), background[:, None], 2),
    }


def irnet_total(parts):
    """Weigh the parts of the loss: positive and negative pairs alike, background and foreground, boundary and
    displacement."""
    return (parts["bg_pos"] / 2 + parts["fg_pos"] / 2 + parts["neg"]) / 2 + (parts["dp_fg"] + parts["dp_bg"]) / 2


def irnet_loss(edge_logits, displacement, labels, radius, n_classes=21, replicas=1):
    """Compute IRNet's loss of a batch with LABELS [B, H, W]; a scalar.

    REPLICAS > 1 splits the batch, normalises each part by itself and takes the mean, as the original of
    NoPeopleAllowed does on that many GPUs; processes that train together share the parts.
    """
    pairs = affinity.pair_labels(labels, radius, n_classes)
    count = min(a_process(replicas), len(labels))
    chunks = zip(*(part.tensor_split(count) for part in (edge_logits, displacement, *pairs)), strict=True)
    totals = [irnet_total(irnet_loss_parts(edge, move, rest, radius)) for edge, move, *rest in chunks]
    return sum(totals) / len(totals)
