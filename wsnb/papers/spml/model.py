"""The embedding network, a trunk at output stride 8, a head, and bilinear enlargement to stride 4; the softmax
classifier that reads it; snapshots as the original program writes them."""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import FileError, load_torch
from wsnb.models import backbone_wrapper, backbones
from wsnb.models.distributed import mean_over_processes, synchronised
from wsnb.models.resnet import ResNet

RATES = (6, 12, 18, 24)
POOLS = (1, 2, 3, 6)


def upsample(x, size):
    """Resize bilinearly, corners not aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


class DilatedSum(nn.Module):
    """DeepLab's head (VOC): 3x3 convolutions, dilated by RATES, to the embedding, summed; no normalisation."""

    def __init__(self, inputs, dim, rates=RATES):
        super().__init__()
        for i, rate in enumerate(rates, start=1):
            self.add_module(f"aspp_{i}", nn.Sequential(nn.Conv2d(inputs, dim, 3, padding=rate, dilation=rate)))

    def forward(self, x):
        return sum(branch(x) for branch in self.children())


class PyramidPooling(nn.Module):
    """PSPNet's head (DensePose): x beside its means over 1, 4, 9 and 36 cells, and a 3x3 convolution over all."""

    def __init__(self, inputs, width=512):
        super().__init__()
        for i, cells in enumerate(POOLS, start=1):
            layers = (nn.AdaptiveAvgPool2d(cells), nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
            self.add_module(f"pspp_{i}", nn.Sequential(*layers, nn.ReLU()))
        joined = nn.Conv2d(inputs + 4 * width, width, 3, padding=1, bias=False)
        self.conv = nn.Sequential(joined, nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x):
        pooled = [upsample(getattr(self, f"pspp_{i}")(x), x.shape[-2:]) for i in range(1, 1 + len(POOLS))]
        return self.conv(torch.cat([x, *pooled], dim=1))


class SoftmaxHead(nn.Module):
    """Class logits [B, n_classes, h, w] of a raw embedding [B, dim, h, w], whose pixels are brought to unit length.

    dropout: 0.75 beside the embedding (its gradient does not reach the embedding), 0.65 as a classifier of its own.
    """

    def __init__(self, dim, n_classes, dropout=0.75):
        super().__init__()
        self.semantic_classifier = nn.Sequential(
            nn.Conv2d(dim, 2 * dim, 3, padding=1, bias=False), nn.BatchNorm2d(2 * dim), nn.ReLU(),
            nn.Dropout(dropout), nn.Conv2d(2 * dim, n_classes, 1),
        )

    def forward(self, embedding):
        return self.semantic_classifier(F.normalize(embedding, dim=1))


def cross_entropy(logits, semantic, n_classes, over_processes=False):
    """Average the cross-entropy of LOGITS [B, C, h, w], enlarged to the labels' size, over the labelled pixels (<
    n_classes) of semantic int64 [B, H, W]; 0, with a gradient of zeros, if there is none (the original gives NaN).
    OVER_PROCESSES: over those of all processes that train together, not of each by itself."""
    target = torch.where(semantic < n_classes, semantic, 255)
    total = F.cross_entropy(upsample(logits, semantic.shape[-2:]), target, ignore_index=255, reduction="sum")
    count = (target != 255).sum()
    return total / (mean_over_processes(count) if over_processes else count).clamp_min(1)


DEEP_STEM = "resnet101_deep"
HEADS = ("deeplab", "pspnet")
NORMS = ("batch", "sync", "frozen")
IMAGENET_EXTRAS = ("fc.", "linear1000.")


class Embedding(backbone_wrapper.BackboneWrapper):
    """x [B, 3, H, W] (ImageNet-normalised) -> raw embedding [B, dim, H / 4, W / 4]; lengths are not 1.

    The backbone's first layers (`backbone.frozen`) never learn, though their BatchNorms move their statistics unless
    norms are "frozen" (the paper trains with batch statistics throughout).
    """

    def __init__(self, backbone, head, dim, norms="batch", width=512, rates=RATES):
        super().__init__(backbone, freeze=norms == "frozen")
        for name in backbone.frozen:
            for parameter in backbone.get_submodule(name).parameters():
                parameter.requires_grad = False
        inputs = backbone.channels[-1]
        if head == "deeplab":
            self.aspp = DilatedSum(inputs, dim, rates)
        else:
            self.pspp = nn.Sequential(PyramidPooling(inputs, width), nn.Conv2d(width, dim, 1))
        self.new_modules, self.dim = (self.aspp if head == "deeplab" else self.pspp,), dim

    def forward(self, x):
        small = self.new_modules[0](self.feature_maps(x)[-1])
        return upsample(small, [2 * side for side in small.shape[-2:]])


def build(backbone, head="deeplab", dim=64, weights="random", norms="batch", norm_momentum=0.1, output_stride=0,
          width=512, checkpoint="", rates=RATES):
    """Build (network, where its weights came from).

    backbone: "resnet101_deep" (the paper's; weights: the path of resnet-101-cuhk.pth or "random") or one of
    `backbones.NAMES`. head: "deeplab" (dilated by RATES) or "pspnet" (of WIDTH channels). norms: "batch", "sync" (over
    all devices) or "frozen" (pretrained statistics, never learned). norm_momentum: of the trunk; paper 3e-4.
    checkpoint: a snapshot of this book or a released one; it overrides weights. Raises ValueError or FileError naming
    what does not fit.
    """
    for value, known, name in ((head, HEADS, "head"), (norms, NORMS, "norms")):
        if value not in known:
            raise ValueError(f"{name} {value!r}: choose one of {', '.join(known)}")
    body, origin = trunk(backbone, "random" if checkpoint else weights, output_stride)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = norm_momentum
    if norms == "sync":
        synchronised(body)
    network = Embedding(body, head, dim, norms, width, rates)
    if norms == "sync":
        synchronised(network)  # the head's: the trunk's are already
    if checkpoint:
        origin = load_snapshot(checkpoint, network)
    return network, origin


def joint_head(dim, n_classes, norms="batch"):
    """Build the softmax head beside the embedding; its BatchNorm too is over all devices where NORMS are "sync"."""
    head = SoftmaxHead(dim, n_classes)
    return synchronised(head) if norms == "sync" else head


def trunk(backbone, weights, output_stride=0):
    """Build (backbone, origin of its weights); "resnet101_deep" is this paper's, with output stride 8."""
    if backbone != DEEP_STEM:
        body = backbones.build(backbone, output_stride)
        return body, backbones.load_imagenet(body, backbone, weights)
    body = ResNet(101, (1, 2, 1, 1), (1, 1, 2, 4), gradual=True, deep_stem=True)
    if weights == "random":
        return body, "random"
    if not Path(weights).is_file():
        raise FileError(f"weights {weights!r} for {backbone}: no such file; give the path of resnet-101-cuhk.pth, or "
                        "'random'")
    backbones.fill(body, load_torch(weights), Path(weights).name, IMAGENET_EXTRAS, counters=False)
    return body, Path(weights).name


def snapshot(network, head=None) -> dict:
    """Return a snapshot file's content: {"embedding_model", "prediction_model"}, state dicts."""
    return {"embedding_model": network.state_dict(), "prediction_model": head.state_dict() if head else {}}


def load_snapshot(path, network=None, head=None) -> str:
    """Fill NETWORK and HEAD, where given, strictly from a snapshot of this book or a released one; say its origin."""
    state, origin = load_torch(path), Path(path).name
    if not isinstance(state, dict) or not {"embedding_model", "prediction_model"} <= set(state):
        raise FileError(f"{origin}: not a snapshot with embedding_model and prediction_model; give one, or use weights")
    if network is not None:
        backbones.fill(network, _own_names(state["embedding_model"]), f"{origin}, embedding_model", ("lfn.",),
                        counters=False)
    if head is not None:
        backbones.fill(head, _without_module(state["prediction_model"]), f"{origin}, prediction_model", (),
                        counters=False)
    return f"checkpoint {origin}"


def _without_module(state):
    return {key.removeprefix("module."): value for key, value in state.items()}


def _own_names(state) -> dict:
    """Rename a released snapshot's tensors as those of the ImageNet file: resnet_backbone.res2.0.* -> layer1.0.* and so
    on."""
    named = {}
    for key, value in _without_module(state).items():
        key = re.sub(r"^resnet_backbone\.res(\d)\.(layers\.)?", lambda m: f"layer{int(m[1]) - 1}.", key)
        named[re.sub(r"^resnet_backbone\.conv1\.", "", key)] = value
    return named
