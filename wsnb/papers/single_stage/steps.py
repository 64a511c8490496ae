"""Training: augmented crops as the original program makes them, the losses of a batch, validation, and the masks of a
few pictures while the network learns."""

import cv2
import numpy as np
import torch
from PIL import Image

from wsnb import metrics
from wsnb.data import read, transforms, voc
from wsnb.files import save_npz
from wsnb.models import replicas
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


def check_select(p) -> None:
    """Raise ValueError unless the parameters P name a way to choose the weights to keep, on pictures that may choose.

    The original takes the lowest loss on `val`, which needs the tags of these pictures: the faithful preset alone may
    do so, and its protocol says it.
    """
    if p.select not in ("best", "last"):
        raise ValueError(f"select {p.select!r}: choose best or last")
    if p.select == "best" and not faithful(p):
        read.need_tuning_split("val_split", p.val_split, "the epoch whose weights are kept (select 'best')")


def faithful(p) -> bool:
    """Whether training by the parameters P keeps the original's quirks of crops, validation and choice of weights."""
    return p.crop_sampler == "old" and p.validate_crops and p.select == "best"


def batch_losses(network, x, image, tags, settings=losses.Settings(), with_masks=True, parts=1):
    """Compute the losses of a batch, with gradients. Its PARTS go through the network apart (`replicas.forward`).

    x [B, 3, S, S] normalised, image the same in [0, 1], tags [B, C - 1] -> dict: scores [B, C - 1], tag_loss (scalar),
    mask_loss (scalar, 0 for the baseline or without masks), complete (scalar, share of pictures whose pseudo labels
    hold all tags). The loss of the paper is tag_loss + mask_weight mask_loss once the masks take part (section 3.3).
    """
    if isinstance(network, CAMBaseline):
        scores, _ = replicas.forward(network, x, parts)
        with_masks = False
    else:
        logits = replicas.forward(network, x, parts)
        scores = losses.class_scores(logits, settings.focal_power, settings.focal_floor)
    result = {"scores": scores, "tag_loss": losses.tag_loss(scores, tags), "mask_loss": x.new_zeros(()),
              "complete": x.new_zeros(())}
    if with_masks:
        _, pseudo = losses.refined_pseudo_labels(image, logits, tags, x.shape[-2:], settings)
        each = losses.balanced_mask_loss(logits, pseudo, tags)
        result |= {"mask_loss": each.mean(), "complete": losses.complete(pseudo, tags).float().mean()}
    return result


@torch.no_grad()
def validate(network, loader, settings=losses.Settings(), with_masks=True, of_batches=True):
    """Mean losses over the batches of a loader in evaluation mode, and average precision of the tags (NaN without
    positives). OF_BATCHES: a smaller last batch counts as much as the others, as in the original; else by its pictures.

    Returns {"tag_loss", "mask_loss", "loss", "mAP", "AP": [C - 1]}; `loss` is the total that the checkpoint rule uses.
    """
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    sums, count, tags, scores = np.zeros(2), 0, [], []
    for batch in loader:
        x, image, y = (batch[k].to(device) for k in ("x", "image", "tags"))
        out = batch_losses(network, x, image, y, settings, with_masks)
        weight = 1 if of_batches else len(x)
        sums += [weight * float(out["tag_loss"]), weight * float(out["mask_loss"])]
        count += weight
        tags.append(y.cpu().numpy())
        scores.append(out["scores"].sigmoid().cpu().numpy())
    network.train(was_training)
    precision = metrics.average_precision(np.concatenate(tags), np.concatenate(scores))
    tag, mask = (sums / count).tolist()
    return {"tag_loss": tag, "mask_loss": mask, "loss": tag + settings.mask_weight * mask * with_masks,
            "mAP": float(np.nanmean(precision)) if np.isfinite(precision).any() else float("nan"),
            "AP": precision.tolist()}


def network_input(item, size):
    """Squeeze a picture to SIZE x SIZE: (uint8 [SIZE, SIZE, 3], the same normalised [1, 3, SIZE, SIZE])."""
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
