"""IRNet on the chapter's data: built, trained on confident labels as NoPeopleAllowed or IRN does, run on a picture."""

from functools import partial

import torch

from wsnb.files import FileError, load_torch
from wsnb.models import backbones, training
from wsnb.models.irnet import IRNet, flipped_edges
from wsnb.models.replicas import forward
from wsnb.models.resnet import ResNet
from wsnb.papers.no_people_allowed import losses
from wsnb.papers.no_people_allowed.data import Crops, Squashed, TopLeft, label_in, network_input, quartered, scored
from wsnb.papers.no_people_allowed.model import load_backbone
from wsnb.papers.no_people_allowed.original_names import irn_state, npa_state

STYLES = ("squashed", "crops")


def build(backbone, centring, norms, weights="random", output_stride=0, checkpoint=""):
    """Build (IRNet, where its weights came from). A checkpoint is this book's own, `res50_irn.pth` or
    NoPeopleAllowed's.

    The papers' ResNet-50 keeps stride 1 in layer4, which NoPeopleAllowed (CENTRING "instance norm") dilates too.
    """
    dilations = (1, 1, 1, 2) if centring == "instance norm" else (1, 1, 1, 1)
    body = (ResNet(50, dilations=dilations, gradual=True, pooled=True) if backbone == "resnet50"
            else backbones.build(backbone, output_stride))
    origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    network = IRNet(body, centring, norms)
    if checkpoint:
        state = load_torch(checkpoint)
        if not isinstance(state, dict):
            raise FileError(f"{checkpoint}: not named tensors; give weights of an IRNet")
        state = state.get("model", state)
        if "fc_edge1.0.weight" in state:  # this book's own files have it below `branches`
            state = irn_state(state) if "resnet50.conv1.weight" in state else npa_state(state)
        backbones.fill(network, state, str(checkpoint), counters=False)
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin


def build_untrained(p, classifier_file):
    """Build (IRNet by the parameters P of 04, where its weights came from). classifier_file: of 01's network, whose
    backbone serves where `irnet_weights` is "classifier"."""
    own = p.irnet_weights == "classifier"
    network, origin = build(p.irnet_backbone, p.centring, p.norms, "random" if own else p.irnet_weights,
                            p.irnet_output_stride, p.irnet_checkpoint)
    if own and not p.irnet_checkpoint:
        origin = load_backbone(network, classifier_file, "branches.", "irnet_weights")
    return network, origin


def load(p, path):
    """Load the IRNet that 04 wrote to PATH, with the parameters P of 04, in evaluation mode."""
    return build(p.irnet_backbone, p.centring, p.norms, "random", p.irnet_output_stride, path)[0].eval()


def samples(p, items, folder, epoch):
    """Make samples of pictures with the label maps in FOLDER, of one epoch; p: parameters of 04. Raises ValueError for
    a style that is none of STYLES."""
    label_of = partial(label_in, folder)
    if p.irnet_style == "squashed":
        return Squashed(items, p.irnet_side, p.seed, epoch, label_of=label_of, scope="irnet", pixels=p.bend_pixels,
                        aligned=p.label_pixels == "picture", about=p.bend_about)
    if p.irnet_style != "crops":
        raise ValueError(f"irnet_style {p.irnet_style!r}: use one of {', '.join(STYLES)}")
    return Crops(items, p.irnet_side, p.seed, epoch, label_of=label_of, scales=p.irnet_scales)


def loader(p, items, folder, epoch, first=0):
    """Load batches of `samples` from number FIRST on."""
    order = training.epoch_order(len(items), p.seed, epoch)
    return training.batches(samples(p, items, folder, epoch), order, p.irnet_batch, first,
                            drop_last=p.irnet_drop_last, workers=p.workers)


def batch_loss(network, batch, p, n_classes):
    """Compute the loss of a batch (`losses.irnet_loss`); labels are brought to stride 4 by `label_grid`."""
    x = batch["x"].to(memory_format=torch.channels_last)
    edge, moved = forward(network, x, p.norm_replicas)
    labels = quartered(batch["label"], p.label_grid)[:, : edge.shape[-2], : edge.shape[-1]]
    return losses.irnet_loss(edge, moved, labels, p.irnet_radius, n_classes, p.replicas)


def mean_batches(p, params_cam, root):
    """Load batches of the scored training pictures (IRN's infer list) as inference sees them, for `measure_mean`:
    squashed, or the top left window of pictures in their own shape times `picture_scale`. params_cam: of 02."""
    items, scale = scored(params_cam, root), params_cam.picture_scale
    squashed = p.irnet_style == "squashed"
    plain = Squashed(items, p.irnet_side, scope="none") if squashed else TopLeft(items, p.irnet_side, scale)
    return training.batches(plain, range(len(items)), p.irnet_batch, drop_last=p.irnet_drop_last, workers=p.workers)


@torch.no_grad()
def measure_mean(network, batches, device):
    """Store the mean displacement over BATCHES, which is subtracted at test: IRN's last step.

    Nothing to do for a network with instance norm. Returns the network in evaluation mode.
    """
    if not hasattr(network.branches, "mean_shift"):
        return network.eval()
    network.train()
    means = [network(batch["x"].to(device, memory_format=torch.channels_last))[1].mean((0, 2, 3)) for batch in batches]
    if means:
        network.branches.mean_shift.running_mean.copy_(torch.stack(means).mean(0))
    return network.eval()


def boundaries(network, image, side=0, scale=1.0, pad=0):
    """Compute (boundaries [h, w], displacements [2, h, w], cover) of a picture uint8 [H, W, 3]; see
    `models.irnet.flipped_edges`. The network stays where it is; the arrays are NumPy's.

    cover: how far the two reach beyond the picture, see `cam.covering`. Pictures in their own shape (SIDE 0) are
    enlarged fourfold and cropped, as IRN does, squashed ones resized as a whole.
    """
    x = network_input(image, side, scale).to(next(network.parameters()).device)
    edge, moved = flipped_edges(network, x, pad)
    cover = (1.0, 1.0) if side else reach(edge.shape, x.shape[-2:])
    return edge.cpu().numpy(), moved.cpu().numpy(), cover


def reach(shape, size) -> tuple:
    """Say how far maps of SHAPE (h, w), enlarged 4 times, cover a picture of SIZE (H, W): see `cam.covering`.

    Raises ValueError for maps that do not cover it.
    """
    if any(4 * short < side for short, side in zip(shape, size, strict=True)):
        raise ValueError(f"maps {tuple(shape)} are too small for a picture {tuple(size)} at stride 4")
    return tuple(4 * short / side for short, side in zip(shape, size, strict=True))
