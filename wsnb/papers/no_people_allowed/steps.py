"""A batch on several GPUs, on one: each part goes through the network by itself.

Learning rates and the optimiser, with the originals' quirks as arguments.

Training IRNet on confident labels, in NoPeopleAllowed's way and in IRN's.

The segmenter's data, network and step, for both ways of training.
"""

import contextlib
from functools import partial
from pathlib import Path

import torch
from torch import nn

from wsnb.files import FileError, load_torch, read_index
from wsnb.models import backbones, heads, training
from wsnb.ops import affinity, segmentation
from wsnb.papers.no_people_allowed.data import Crops, Squashed, TopLeft, quartered


def forward(network, x, replicas=1):
    """NETWORK of x [B, ...] in REPLICAS parts, whose BatchNorms use each its own statistics: a tensor or a tuple.

    The running statistics are those of the first part, as torch's DataParallel keeps them.
    """
    first, *rest = x.tensor_split(min(replicas, len(x)))
    found = [network(first)]
    with remembering_nothing(network):
        found += [network(part) for part in rest]
    if isinstance(found[0], tuple):
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
    return torch.cat(found)


@contextlib.contextmanager
def remembering_nothing(network):
    """Inside, no BatchNorm of NETWORK changes its running statistics."""
    modules = network.modules() if isinstance(network, nn.Module) else ()
    norms = [module for module in modules if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class PolySGD(torch.optim.SGD):
    """IRN's optimiser: SGD whose learning rates fall as (1 - step / steps)^0.9 at every step, then stay.

    The original passes the weight decay where the momentum belongs, so that the momentum is WEIGHT_DECAY (1e-4); the
    groups decay as they should. The step count is kept in the state dict.
    """

    def __init__(self, groups, lr, weight_decay, steps):
        super().__init__(groups, lr, momentum=weight_decay, weight_decay=weight_decay)
        self.steps = steps
        for group in self.param_groups:
            group["first_lr"], group["count"] = group["lr"], 0

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if group["count"] < self.steps:
                group["lr"] = group["first_lr"] * (1 - group["count"] / self.steps) ** 0.9
            group["count"] += 1
        return super().step(closure)


def rate(kind, epochs, steps_an_epoch, every=3):
    """A function (step, steps) -> factor of the first learning rates, for `segmentation.fit`.

    "step": a fifth every EVERY epochs (the classifier), "poly epochs": power 0.9 once an epoch, 1e-6 at least (IRNet
    and segmenter of the paper), "poly": power 0.9 at every step (IRN). Raises ValueError for another.
    """
    kinds = {
        "step": lambda step, steps: 0.2 ** (step // steps_an_epoch // every),
        "poly epochs": lambda step, steps: max((1 - step // steps_an_epoch / epochs) ** 0.9, 1e-6),
        "poly": lambda step, steps: max(0.0, 1 - step / max(steps, 1)) ** 0.9,
    }
    if kind not in kinds:
        raise ValueError(f"schedule {kind!r}: use one of {', '.join(kinds)}")
    return kinds[kind]


def optimiser(kind, groups, lr, weight_decay, steps, momentum_quirk=True):
    """"adam", "adamw" or "sgd" over GROUPS; sgd is IRN's with MOMENTUM_QUIRK, else it has momentum 0.9.

    Raises ValueError for another.
    """
    if kind == "adam":
        return torch.optim.Adam(groups, lr, weight_decay=weight_decay)
    if kind == "adamw":
        return torch.optim.AdamW(groups, lr, weight_decay=weight_decay)
    if kind != "sgd":
        raise ValueError(f"optimiser {kind!r}: use adam, adamw or sgd")
    if momentum_quirk:
        return PolySGD(groups, lr, weight_decay, max(1, steps))
    return torch.optim.SGD(groups, lr, momentum=0.9, weight_decay=weight_decay)


STYLES = ("squashed", "crops")


def label_in(folder, item):
    """The label map of a picture in a folder of index PNGs."""
    return read_index(Path(folder) / f"{item.id}.png")


def irnet_samples(p, recipe, items, folder, epoch):
    """Pictures with labels of one epoch; p: the stage's parameters, recipe: those of the preset."""
    label_of = partial(label_in, folder)
    if recipe.irnet_style == "squashed":
        return Squashed(items, p.irnet_side, p.seed, epoch, label_of=label_of, scope="irnet", pixels=p.bend_pixels,
                        aligned=recipe.label_pixels == "picture")
    if recipe.irnet_style != "crops":
        raise ValueError(f"irnet_style {recipe.irnet_style!r}: use one of {', '.join(STYLES)}")
    return Crops(items, p.irnet_side, p.seed, epoch, label_of=label_of, scales=p.irnet_scales)


def steps(count, p) -> int:
    """Batches of an epoch of COUNT pictures; at least one, also where too few pictures fill it."""
    whole, rest = divmod(count, p.irnet_batch)
    return max(1, whole if p.irnet_drop_last else whole + (rest > 0))


def irnet_loader(p, recipe, items, folder, epoch, first=0):
    """Batches from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(irnet_samples(p, recipe, items, folder, epoch), order, p.irnet_batch, first,
                            drop_last=p.irnet_drop_last, workers=p.workers)


def irnet_loss(network, batch, p, recipe, n_classes, device):
    """The loss of a batch; labels are brought to stride 4 by the preset's rule."""
    x = batch["x"].to(device, memory_format=torch.channels_last)
    edge, moved = forward(network, x, recipe.norm_replicas)
    labels = quartered(batch["label"], recipe.label_grid)[:, : edge.shape[-2], : edge.shape[-1]]
    return affinity.loss(edge, moved, labels, p.irnet_radius, n_classes, recipe.replicas)


def mean_batches(p, recipe, items, scale):
    """Batches of the pictures as inference will see them, for `measure_mean`: squashed, or the top left window of
    pictures in their own shape times SCALE."""
    squashed = recipe.irnet_style == "squashed"
    plain = Squashed(items, p.irnet_side, scope="none") if squashed else TopLeft(items, p.irnet_side, scale)
    return training.batches(plain, range(len(items)), p.irnet_batch, drop_last=p.irnet_drop_last, workers=p.workers)


@torch.no_grad()
def measure_mean(network, batches, device):
    """IRN's last step: the mean displacement over BATCHES becomes the stored mean that is subtracted at test.

    Nothing to do for a network with instance norm.
    """
    if not hasattr(network.branches, "mean_shift"):
        return network
    network.train()
    means = [network(batch["x"].to(device, memory_format=torch.channels_last))[1].mean((0, 2, 3)) for batch in batches]
    if means:
        network.branches.mean_shift.running_mean.copy_(torch.stack(means).mean(0))
    return network.eval()


def load_backbone(network, state) -> str:
    """Give an IRNet's backbone the weights that the classifier's STATE holds for it; says where they came from.

    Raises FileError if the classifier stands on another backbone.
    """
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("branches.")}
    missing = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if missing:
        raise FileError(f"irnet_weights: the classifier has another backbone ({missing[:3]}); use the same, or a file")
    network.load_state_dict({**network.state_dict(), **{key: state[key] for key in own}})
    return "backbone of the classifier"


def segmenter_samples(p, recipe, items, folder, epoch):
    """Pictures with pseudo masks of one epoch."""
    label_of = partial(label_in, folder)
    if recipe.seg_style == "squashed":
        return Squashed(items, p.seg_side, p.seed, epoch, label_of=label_of, scope="strong", pixels=p.bend_pixels)
    if recipe.seg_style != "crops":
        raise ValueError(f"seg_style {recipe.seg_style!r}: use squashed or crops")
    return segmentation.LabelledCrops(items, label_of, p.seg_side, p.seed, epoch, tuple(p.seg_scales), base=p.seg_base)


def segmenter_loader(p, recipe, items, folder, epoch, first=0):
    """Batches from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(
        segmenter_samples(p, recipe, items, folder, epoch), order, p.seg_batch, first, workers=p.workers
    )


def build(p, n_classes, classifier_file=None):
    """(segmenter, where its weights came from) by the parameters of 06."""
    own = p.seg_weights == "classifier"
    network, origin = heads.build(p.seg_head, p.seg_backbone, n_classes, "random" if own else p.seg_weights,
                                      p.seg_output_stride, p.seg_width, p.seg_freeze, p.seg_checkpoint)
    if own and not p.seg_checkpoint:
        state, mine = load_torch(classifier_file), network.state_dict()
        shared = {k: v for k, v in state.items() if k in mine and v.shape == mine[k].shape}
        missing = [k for k in mine if not k.startswith("head.") and k not in shared]
        if missing:
            raise FileError(f"seg_weights: the classifier has another backbone ({missing[:3]}); use the same")
        network.load_state_dict({**mine, **shared})
        origin = "backbone of the classifier"
    return network.to(memory_format=torch.channels_last), origin


def load(p, n_classes, path):
    """The segmenter that 06 wrote, with the parameters P of 06."""
    network, _ = heads.build(p.seg_head, p.seg_backbone, n_classes, "random", p.seg_output_stride, p.seg_width,
                                 p.seg_freeze)
    backbones.fill(network, load_torch(path), str(path))
    return network.to(memory_format=torch.channels_last)


def segmenter_optimiser(p, network, steps):
    """The head learns SEG_NEW_MULTIPLIER times as fast as the backbone."""
    new = {id(t) for t in network.head.parameters()}
    learning = [t for t in network.parameters() if t.requires_grad]
    groups = [{"params": [t for t in learning if (id(t) in new) == head], "lr": p.seg_lr * factor}
              for head, factor in ((False, 1.0), (True, p.seg_new_multiplier))]
    return optimiser(p.seg_optimiser, groups, p.seg_lr, p.seg_weight_decay, steps, momentum_quirk=False)


def segmenter_loss(network, batch, p, device):
    """Mean cross-entropy of a batch over the pixels that are not 255."""
    x = batch["x"].to(device, memory_format=torch.channels_last)
    logits = forward(network, x, p.seg_norm_replicas)
    return segmentation.loss(logits, batch["label"].to(device))
