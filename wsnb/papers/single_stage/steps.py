"""The training pipeline of the paper: picture and tags, augmented as the original program does.

What happens to one batch: the losses of a training step, and validation.

Masks of a few pictures while the network learns.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image

from wsnb import metrics
from wsnb.data import transforms, voc
from wsnb.files import save_npz
from wsnb.ops.pamr import DILATIONS
from wsnb.papers.single_stage import inference, losses
from wsnb.papers.single_stage.model import CAMBaseline


class Samples(torch.utils.data.Dataset):
    """Augmented crops with the tags of the whole picture.

    samples[i] -> {"x": normalised [3, S, S], "image": the same crop in [0, 1], "tags": [C - 1], "id": str}. The crop is
    a function of (seed, epoch, i). Tags come from the full, un-cropped mask, also where the crop loses an object.
    augment=False leaves out crop, flip and jitter and squeezes the picture to S x S.
    """

    def __init__(self, items, size, n_classes=21, seed=0, epoch=0, sampler="old", augment=True):
        self.items, self.size, self.n_classes = items, size, n_classes
        self.seed, self.epoch, self.sampler, self.augment = seed, epoch, sampler, augment

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        image = Image.fromarray(voc.read_image(item))
        tags = voc.read_tags(item, self.n_classes)
        if self.augment:
            rng = transforms.sample_generator(self.seed, self.epoch, index)
            image, _ = transforms.crop_and_flip(image, None, self.size, rng, self.sampler)
            image = transforms.jitter(image, rng)
        else:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        unit = transforms.to_unit(image)
        return {"x": transforms.normalise(unit), "image": unit, "tags": torch.as_tensor(tags), "id": item.id}


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
        _, pseudo = losses.refined_pseudo_labels(image, logits, tags, x.shape[-2:], settings)
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


def book_pictures(items, n_classes=21, count=4):
    """The same few pictures throughout: spread over the split, with at least one object if possible."""
    spread = items[:: max(1, len(items) // (4 * count))]
    with_objects = [item for item in spread if known_tags(item, n_classes).any()]
    return (with_objects or items[:: max(1, len(items) // count)])[:count]


def known_tags(item, n_classes=21):
    """The picture's tags [C - 1]; none where nothing is known of it, as in VOC's test split."""
    known = item.mask is not None or item.tags is not None
    return voc.read_tags(item, n_classes) if known else np.zeros(n_classes - 1, np.float32)


def network_input(item, size):
    """(picture uint8 [H, W, 3] squeezed to SIZE x SIZE, x [1, 3, SIZE, SIZE])."""
    image = cv2.resize(voc.read_image(item), (size, size), interpolation=cv2.INTER_AREA)
    return image, transforms.normalise(transforms.to_unit(image))[None]


@torch.no_grad()
def snapshot(network, items, size, path, settings):
    """Write the masks of a few pictures as float16 [N, C, h, w] at network stride, with the tags' scores."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    x = torch.cat([network_input(item, size)[1] for item in items]).to(device)
    scores, maps = inference.predict(network, x, settings)
    save_npz(path, masks=maps.cpu().numpy().astype(np.float16), scores=scores.cpu().numpy())
    network.train(was_training)
