"""Heads on any backbone: plain segmenters, one logit a class and pixel, whatever their labels are, and a classifier of
image tags, whose class activation maps show where it looks (Zhou et al., CVPR 2016)."""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import load_torch
from wsnb.models import backbones, deeplabv3plus
from wsnb.models.backbone_wrapper import BackboneWrapper

HEADS = ("largefov", "aspp", "deeplabv3plus")


def rates_of(head, stride, rates=()) -> tuple[int, ...]:
    """Return the rates of a head's dilated 3x3 convolutions: RATES, or without any those that were published.

    These are 12 for "largefov", 6, 12, 18, 24 for "aspp", and for "deeplabv3plus" 12, 24, 36 at STRIDE 8, half of that
    at 16. Raises ValueError if the head has another number of them.
    """
    pyramid = tuple(96 // stride * k for k in (1, 2, 3))
    published = {"largefov": (12,), "aspp": (6, 12, 18, 24), "deeplabv3plus": pyramid}
    if rates and head != "aspp" and len(rates) != len(published[head]) or any(rate < 1 for rate in rates):
        raise ValueError(f"head_rates {list(rates)}: the head {head} has {len(published[head])}, each 1 or more; give "
                         "so many, or [] for those that were published")
    return tuple(rates) or published[head]


def dead_taps(rates, crop, stride) -> tuple[int, int]:
    """Count (taps that never learn, all taps) of 3x3 convolutions dilated by RATES on crops of CROP pixels at STRIDE:
    those that lie outside the map wherever the kernel stands. They keep their first values, and larger pictures at
    test reach them."""
    side = -(-crop // stride)
    return sum(8 for rate in rates if rate >= side), 9 * len(rates)


def warn_of_dead_taps(rates, crop, stride, log) -> None:
    """Log a warning if some of a head's taps never learn on such crops (`dead_taps`)."""
    dead, taps = dead_taps(rates, crop, stride)
    if dead:
        log(f"warning: {dead} of {taps} taps of head_rates {list(rates)} never learn: crops of {crop} pixels are too "
            f"small for them at stride {stride}; take rates below {-(-crop // stride)} or larger crops")


def upsample(logits, size):
    """Resize to SIZE (H, W): bilinear, corners not aligned."""
    return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


class LargeFOV(nn.Module):
    """DeepLab-LargeFOV (Chen et al., ICLR 2015): a 3x3 convolution dilated by RATE, a 1x1 convolution, the classes.

    VGG16 brings fc6 and fc7 itself; there WIDTH is 0, and only drop7 and the classes remain.
    """

    def __init__(self, inputs, n_classes, width=1024, rate=12):
        super().__init__()
        layers = [nn.Dropout(0.5)]
        if width:
            layers = [nn.Conv2d(inputs, width, 3, padding=rate, dilation=rate), nn.ReLU(), nn.Dropout(0.5),
                      nn.Conv2d(width, width, 1), nn.ReLU(), nn.Dropout(0.5)]
            for layer in layers[::3]:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(*layers)
        self.fc8 = nn.Conv2d(width or inputs, n_classes, 1)
        nn.init.normal_(self.fc8.weight, std=0.01)
        nn.init.zeros_(self.fc8.bias)

    def forward(self, features):
        return self.fc8(self.layers(features[-1]))


class DilatedSum(nn.Module):
    """The head of DeepLab v2: 3x3 convolutions of several rates straight to the classes, summed."""

    def __init__(self, inputs, n_classes, rates=(6, 12, 18, 24)):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(inputs, n_classes, 3, padding=r, dilation=r) for r in rates)
        for branch in self.branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(branch.bias)

    def forward(self, features):
        return sum(branch(features[-1]) for branch in self.branches)


class Segmenter(BackboneWrapper):
    """x [B, 3, H, W] (ImageNet-normalised) -> logits [B, n_classes, h, w] at the head's stride."""

    def __init__(self, backbone, head, freeze=True):
        super().__init__(backbone, freeze)
        self.head = head
        self.new_modules = (head,)

    def forward(self, x):
        return self.head(self.feature_maps(x))


def build(head, backbone, n_classes, weights="random", output_stride=0, width=256, freeze=True, checkpoint="",
          rates=()):
    """Build a segmenter; returns (segmenter, where its weights came from).

    head: "largefov" (WIDTH channels; on vgg16 the backbone's own fc6 and fc7), "aspp" (DeepLab v2) or
    "deeplabv3plus"; rates: see `rates_of`. backbone, weights, output_stride: see `backbones`. freeze: never train the
    backbone's first layers and BatchNorms. checkpoint: a file of a whole segmenter, this book's or NoPeopleAllowed's
    DeepLabV3+, loaded strictly; it overrides weights.
    Raises ValueError for an unknown head or largefov without a width, FileError for a file that does not fit.
    """
    if head not in HEADS:
        raise ValueError(f"head {head!r}: choose one of {', '.join(HEADS)}")
    if head == "largefov" and backbone != "vgg16" and width < 1:
        raise ValueError(f"{width=}: largefov brings its own layers where the backbone {backbone} has no fc6; "
                         "take width=1024 (the paper's)")
    body = backbones.build(backbone, output_stride, gradual=head == "deeplabv3plus")
    origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    rates = rates_of(head, body.strides[-1], rates)
    if head == "largefov":
        if backbone == "vgg16":
            body.as_large_fov(*rates)
        top = LargeFOV(body.channels[-1], n_classes, 0 if backbone == "vgg16" else width, *rates)
    elif head == "aspp":
        top = DilatedSum(body.channels[-1], n_classes, rates)
    else:
        top = deeplabv3plus.Head(body.channels, body.strides, n_classes, rates, width)
    network = Segmenter(body, top, freeze)
    if checkpoint:
        backbones.fill(network, deeplabv3plus.own_names(load_torch(checkpoint)), str(checkpoint))
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin


class Classifier(BackboneWrapper):
    """Global average pooling and a 1x1 convolution without bias, on the backbone's last features.

    forward: x [B, 3, H, W] -> logits [B, n_tags]; `activations`: [B, n_tags, h, w] at the deep stride, whose spatial
    mean is the logit.
    """

    def __init__(self, backbone, n_tags, freeze=True, dropout=0.5):
        super().__init__(backbone, freeze)
        self.fc8 = nn.Conv2d(backbone.channels[-1], n_tags, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)
        self.dropout = nn.Dropout2d(dropout)
        self.new_modules = (self.fc8,)

    def scores_and_activations(self, x):
        """x -> logits [B, n_tags], activations [B, n_tags, h, w]."""
        deep = self.feature_maps(x)[-1]
        pooled = self.dropout(deep).mean(dim=(2, 3), keepdim=True)
        return self.fc8(pooled)[..., 0, 0], self.fc8(deep)

    def forward(self, x):
        return self.fc8(self.dropout(self.feature_maps(x)[-1]).mean(dim=(2, 3), keepdim=True))[..., 0, 0]

    def activations(self, x):
        return self.fc8(self.feature_maps(x)[-1])


def multilabel_loss(logits, tags):
    """Multi-label soft margin loss: mean over pictures and classes of the binary cross-entropy of LOGITS [B, C]."""
    return F.multilabel_soft_margin_loss(logits, tags)


@torch.no_grad()
def tag_scores(network, batches, device="cpu"):
    """Score the tags of batches of {"x", "tags"} in evaluation mode: (tags [N, C], scores in [0, 1] [N, C])."""
    was, tags, scores = network.training, [], []
    network.eval()
    for batch in batches:
        out = network(batch["x"].to(device))
        scores.append((out[0] if isinstance(out, tuple) else out).sigmoid().cpu())
        tags.append(batch["tags"])
    network.train(was)
    return torch.cat(tags).numpy(), torch.cat(scores).numpy()
