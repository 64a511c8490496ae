"""The segmenter's data, network and step, for both ways of training."""

from functools import partial

import torch

from wsnb.files import FileError, load_torch
from wsnb.methods import segmentation, segmenter, training
from wsnb.methods import weights as weights_of
from wsnb.papers.no_people_allowed import replicas, schedules
from wsnb.papers.no_people_allowed.irnet_training import label_in
from wsnb.papers.no_people_allowed.samples import Squashed


def dataset(p, recipe, items, folder, epoch):
    """Pictures with pseudo masks of one epoch."""
    label_of = partial(label_in, folder)
    if recipe.seg_style == "squashed":
        return Squashed(items, p.seg_side, p.seed, epoch, label_of=label_of, scope="strong", pixels=p.bend_pixels)
    if recipe.seg_style != "crops":
        raise ValueError(f"seg_style {recipe.seg_style!r}: use squashed or crops")
    return segmentation.LabelledCrops(items, label_of, p.seg_side, p.seed, epoch, tuple(p.seg_scales), base=p.seg_base)


def loader(p, recipe, items, folder, epoch, first=0):
    """Batches from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(dataset(p, recipe, items, folder, epoch), order, p.seg_batch, first, workers=p.workers)


def build(p, n_classes, classifier_file=None):
    """(segmenter, where its weights came from) by the parameters of 06."""
    own = p.seg_weights == "classifier"
    network, origin = segmenter.build(p.seg_head, p.seg_backbone, n_classes, "random" if own else p.seg_weights,
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
    network, _ = segmenter.build(p.seg_head, p.seg_backbone, n_classes, "random", p.seg_output_stride, p.seg_width,
                                 p.seg_freeze)
    weights_of.fill(network, load_torch(path), str(path))
    return network.to(memory_format=torch.channels_last)


def optimiser(p, network, steps):
    """The head learns SEG_NEW_MULTIPLIER times as fast as the backbone."""
    new = {id(t) for t in network.head.parameters()}
    learning = [t for t in network.parameters() if t.requires_grad]
    groups = [{"params": [t for t in learning if (id(t) in new) == head], "lr": p.seg_lr * factor}
              for head, factor in ((False, 1.0), (True, p.seg_new_multiplier))]
    return schedules.optimiser(p.seg_optimiser, groups, p.seg_lr, p.seg_weight_decay, steps, momentum_quirk=False)


def step_loss(network, batch, p, device):
    """Mean cross-entropy of a batch over the pixels that are not 255."""
    x = batch["x"].to(device, memory_format=torch.channels_last)
    logits = replicas.forward(network, x, p.seg_norm_replicas)
    return segmentation.loss(logits, batch["label"].to(device))
