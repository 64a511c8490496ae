"""The segmenter on the chapter's data: its samples, network, optimiser and loss, for both ways of training."""

from functools import partial

import torch

from wsnb.files import load_torch
from wsnb.models import backbones, heads, replicas, training
from wsnb.ops import segmentation
from wsnb.papers.no_people_allowed import optimisation
from wsnb.papers.no_people_allowed.data import Squashed, label_in
from wsnb.papers.no_people_allowed.model import load_backbone


def samples(p, items, folder, epoch):
    """Make samples of pictures with the pseudo masks in FOLDER, of one epoch; p: parameters of 06. Raises ValueError
    for a style."""
    label_of = partial(label_in, folder)
    if p.seg_style == "squashed":
        return Squashed(items, p.seg_side, p.seed, epoch, label_of=label_of, scope="strong", pixels=p.bend_pixels,
                        about=p.bend_about)
    if p.seg_style != "crops":
        raise ValueError(f"seg_style {p.seg_style!r}: use squashed or crops")
    return segmentation.LabelledCrops(items, label_of, p.seg_side, p.seed, epoch, tuple(p.seg_scales), base=p.seg_base)


def loader(p, items, folder, epoch, first=0):
    """Load batches of `samples` from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(samples(p, items, folder, epoch), order, p.seg_batch, first, workers=p.workers)


def build_untrained(p, n_classes, classifier_file=None):
    """Build (segmenter by the parameters P of 06, where its weights came from). classifier_file: of 01's network,
    whose backbone serves where `seg_weights` is "classifier"."""
    own = p.seg_weights == "classifier"
    network, origin = heads.build(p.seg_head, p.seg_backbone, n_classes, "random" if own else p.seg_weights,
                                  p.seg_output_stride, p.seg_width, p.seg_freeze, p.seg_checkpoint)
    if own and not p.seg_checkpoint:
        origin = load_backbone(network, classifier_file, "head.", "seg_weights")
    return network.to(memory_format=torch.channels_last), origin


def load(p, n_classes, path):
    """Load the segmenter that 06 wrote to PATH, with the parameters P of 06, in evaluation mode."""
    network, _ = heads.build(p.seg_head, p.seg_backbone, n_classes, "random", p.seg_output_stride, p.seg_width,
                             p.seg_freeze)
    backbones.fill(network, load_torch(path), str(path))
    return network.to(memory_format=torch.channels_last).eval()


def optimiser(p, network, steps):
    """Make the optimiser; the head learns `seg_new_multiplier` times as fast as the backbone."""
    new = {id(t) for t in network.head.parameters()}
    learning = [t for t in network.parameters() if t.requires_grad]
    groups = [{"params": [t for t in learning if (id(t) in new) == head], "lr": p.seg_lr * factor}
              for head, factor in ((False, 1.0), (True, p.seg_new_multiplier))]
    return optimisation.optimiser(p.seg_optimiser, groups, p.seg_lr, p.seg_weight_decay, steps, momentum_quirk=False)


def batch_loss(network, batch, p):
    """Compute the mean cross-entropy of a batch over the pixels that are not 255."""
    x = batch["x"].to(memory_format=torch.channels_last)
    logits = replicas.forward(network, x, p.seg_norm_replicas)
    return segmentation.loss(logits, batch["label"])
