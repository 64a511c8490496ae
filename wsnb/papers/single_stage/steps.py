"""What happens to one batch: the losses of a training step, and validation."""

from dataclasses import dataclass

import numpy as np
import torch

from wsnb import metrics
from wsnb.methods.pamr import DILATIONS
from wsnb.papers.single_stage import labels, losses
from wsnb.papers.single_stage.network import CAMBaseline


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
    """Settings from a stage's parameters."""
    return Settings(
        params.focal_power,
        params.focal_floor,
        params.mask_weight,
        params.pseudo_background,
        params.pseudo_foreground,
        params.pseudo_floor,
        params.pamr_iterations,
        tuple(params.pamr_dilations),
    )


def check_select(word) -> None:
    """Raise ValueError unless WORD names a rule that chooses the weights to keep."""
    if word not in ("best", "last"):
        raise ValueError(f"select {word!r}: choose best or last")


def batch_losses(network, x, image, tags, settings=Settings(), with_masks=True):
    """Forward pass and losses of a batch.

    x [B, 3, S, S] normalised, image the same in [0, 1], tags [B, C - 1] -> dict: scores [B, C - 1], tag_loss (scalar),
    mask_loss (scalar, 0 for the baseline or without masks), complete (share of pictures whose pseudo labels hold all
    tags). The loss of the paper is tag_loss + mask_weight mask_loss once the masks take part (section 3.3).
    """
    if isinstance(network, CAMBaseline):
        scores, _ = network(x)
        return {
            "scores": scores,
            "tag_loss": losses.tag_loss(scores, tags),
            "mask_loss": x.new_zeros(()),
            "complete": 0.0,
        }
    logits = network(x)
    scores = losses.class_scores(logits, settings.focal_power, settings.focal_floor)
    result = {
        "scores": scores,
        "tag_loss": losses.tag_loss(scores, tags),
        "mask_loss": x.new_zeros(()),
        "complete": 0.0,
    }
    if with_masks:
        _, pseudo = labels.refined_pseudo_labels(image, logits, tags, x.shape[-2:], settings)
        each = losses.balanced_mask_loss(logits, pseudo, tags)
        result |= {"mask_loss": each.mean(), "complete": float(losses.complete(pseudo, tags).float().mean())}
    return result


@torch.no_grad()
def validate(network, loader, device="cpu", settings=Settings(), with_masks=True):
    """Mean losses over a loader in evaluation mode, and average precision of the tags (NaN without positives).

    Returns {"tag_loss", "mask_loss", "loss", "mAP", "AP": [C - 1]}; `loss` is the total that the checkpoint rule uses.
    """
    was_training = network.training
    network.eval()
    sums, count, tags, scores = np.zeros(2), 0, [], []
    for batch in loader:
        x, image, y = (batch[k].to(device) for k in ("x", "image", "tags"))
        out = batch_losses(network, x, image, y, settings, with_masks)
        sums += [float(out["tag_loss"]) * len(x), float(out["mask_loss"]) * len(x)]
        count += len(x)
        tags.append(y.cpu().numpy())
        scores.append(out["scores"].sigmoid().cpu().numpy())
    network.train(was_training)
    precision = metrics.average_precision(np.concatenate(tags), np.concatenate(scores))
    tag, mask = (sums / count).tolist()
    return {
        "tag_loss": tag,
        "mask_loss": mask,
        "loss": tag + settings.mask_weight * mask * with_masks,
        "mAP": float(np.nanmean(precision)) if np.isfinite(precision).any() else float("nan"),
        "AP": precision.tolist(),
    }
