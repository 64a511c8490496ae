"""Training IRNet on confident labels, in NoPeopleAllowed's way and in IRN's."""

from functools import partial
from pathlib import Path

import torch

from wsnb.files import FileError, read_index
from wsnb.methods import affinity, training
from wsnb.papers.no_people_allowed import replicas
from wsnb.papers.no_people_allowed.samples import Crops, Squashed, TopLeft, quartered

STYLES = ("squashed", "crops")


def label_in(folder, item):
    """The label map of a picture in a folder of index PNGs."""
    return read_index(Path(folder) / f"{item.id}.png")


def dataset(p, recipe, items, folder, epoch):
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


def loader(p, recipe, items, folder, epoch, first=0):
    """Batches from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(dataset(p, recipe, items, folder, epoch), order, p.irnet_batch, first,
                            drop_last=p.irnet_drop_last, workers=p.workers)


def step_loss(network, batch, p, recipe, n_classes, device):
    """The loss of a batch; labels are brought to stride 4 by the preset's rule."""
    x = batch["x"].to(device, memory_format=torch.channels_last)
    edge, moved = replicas.forward(network, x, recipe.norm_replicas)
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


def adopt(network, state) -> str:
    """Give an IRNet's backbone the weights that the classifier's STATE holds for it; says where they came from.

    Raises FileError if the classifier stands on another backbone.
    """
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("branches.")}
    missing = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if missing:
        raise FileError(f"irnet_weights: the classifier has another backbone ({missing[:3]}); use the same, or a file")
    network.load_state_dict({**network.state_dict(), **{key: state[key] for key in own}})
    return "backbone of the classifier"
