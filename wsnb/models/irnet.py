"""IRNet (Ahn, Cho, Kwak, CVPR 2019): class boundaries and displacements to the instance's centre, on a backbone's five
feature maps."""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.models.backbone_wrapper import BackboneWrapper
from wsnb.ops.cam import resized


def branch(inputs, outputs, groups, grow=1):
    """Make a 1x1 convolution, GroupNorm, enlargement by GROW, then ReLU; the enlargement has no weights."""
    layers = [nn.Conv2d(inputs, outputs, 1, bias=False), nn.GroupNorm(groups, outputs)]
    if grow != 1:
        layers.append(nn.Upsample(scale_factor=grow, mode="bilinear", align_corners=False))
    return nn.Sequential(*layers, nn.ReLU())


class StoredMean(nn.Module):
    """Subtracts a stored mean displacement at test, nothing in training (IRN)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(2))

    def forward(self, x):
        return x if self.training else x - self.running_mean[None, :, None, None]


class Branches(nn.Module):
    """Boundary logits [B, 1, h, w] and displacements [B, 2, h, w] (pixels of the map, dy and dx) at stride 4.

    channels, strides: of the five taps. centring: "stored mean" (IRN: `mean_shift`, measured after training) or
    "instance norm" (NoPeopleAllowed: each picture's displacements have mean 0 and variance 1 in training).
    Taps of stride 2 are halved first. Maps of odd sizes are cropped to the taps of stride 4 and 8.
    """

    def __init__(self, channels, strides, centring="stored mean"):
        super().__init__()
        if centring not in ("stored mean", "instance norm"):
            raise ValueError(f"centring {centring!r}: use stored mean or instance norm")
        self.halved = [max(1, 4 // stride) for stride in strides]
        strides = [max(4, stride) for stride in strides]
        middle = strides[2]
        for k, (inputs, stride) in enumerate(zip(channels, strides, strict=True), start=1):
            self.add_module(f"fc_edge{k}", branch(inputs, 32, 4, stride // 4))
        self.fc_edge6 = nn.Conv2d(160, 1, 1)
        widths, groups = (64, 128, 256, 256, 256), (8, 16, 16, 16, 16)
        for k in range(5):
            grow = strides[k] // middle if k > 1 else strides[k] // 4
            self.add_module(f"fc_dp{k + 1}", branch(channels[k], widths[k], groups[k], grow))
        self.fc_dp6 = branch(768, 256, 16, middle // 4)
        last = [nn.Conv2d(448, 256, 1, bias=False), nn.GroupNorm(16, 256), nn.ReLU(), nn.Conv2d(256, 2, 1, bias=False)]
        if centring == "instance norm":
            last.append(nn.InstanceNorm2d(2, track_running_stats=True))
        else:
            self.mean_shift = StoredMean()
        self.fc_dp7 = nn.Sequential(*last)

    def forward(self, taps):
        taps = [F.avg_pool2d(tap, half) if half > 1 else tap for tap, half in zip(taps, self.halved, strict=True)]
        return self.boundary(taps), self.displacement(taps)

    def boundary(self, taps):
        parts = [getattr(self, f"fc_edge{k}")(tap) for k, tap in enumerate(taps, start=1)]
        return self.fc_edge6(torch.cat([cropped(part, parts[1]) for part in parts], 1))

    def displacement(self, taps):
        one, two, three, four, five = (getattr(self, f"fc_dp{k}")(tap) for k, tap in enumerate(taps, start=1))
        deep = self.fc_dp6(torch.cat([three, cropped(four, three), cropped(five, three)], 1))
        moved = self.fc_dp7(torch.cat([cropped(one, two), two, cropped(deep, two)], 1))
        return self.mean_shift(moved) if hasattr(self, "mean_shift") else moved


def cropped(x, like):
    """Cut the top left part of X in the size of LIKE; enlarged where a backbone rounds sizes down."""
    height, width = like.shape[-2:]
    if x.shape[-2] < height or x.shape[-1] < width:
        return resized(x, (height, width))
    return x[..., :height, :width]


class IRNet(BackboneWrapper):
    """IRNet on any backbone of the project: x [B, 3, H, W] -> (boundary logits [B, 1, h, w], displacements
    [B, 2, h, w]) at stride 4.

    norms: "fixed" keeps the backbone's BatchNorms as they are (IRN), "batch" runs them on the batch's statistics, as
    NoPeopleAllowed does although it calls the backbone frozen: its weights never learn either way.
    """

    def __init__(self, backbone, centring="stored mean", norms="fixed"):
        if norms not in ("fixed", "batch"):
            raise ValueError(f"norms {norms!r}: use fixed or batch")
        super().__init__(backbone, freeze=True)
        self.batch_norms = norms == "batch"
        self.branches = Branches(backbone.channels, backbone.strides, centring)
        self.new_modules = (self.branches,)
        for parameter in backbone.parameters():
            parameter.requires_grad = False

    def forward(self, x):
        with torch.no_grad():
            taps = self.feature_maps(x)
        return self.branches(taps)

    def train(self, mode=True):
        super().train(mode)
        self._backbone[0].train(mode and self.batch_norms)
        for norm in self.fixed_norms:
            norm.train(mode and self.batch_norms)
        return self

    def groups(self, lr_edge, lr_displacement):
        """Make parameter groups for an optimiser: the boundary's branch, the displacement's."""
        named = list(self.branches.named_parameters())
        return [{"params": [t for name, t in named if name.startswith(start)], "lr": lr}
                for start, lr in (("fc_edge", lr_edge), ("fc_dp", lr_displacement))]


def flipped_edges(network, x, pad=0):
    """Compute `edges_of_pair` of one picture x [1, 3, H, W] and its mirror image."""
    return edges_of_pair(network, torch.cat([x, x.flip(-1)]), pad)


@torch.no_grad()
def edges_of_pair(network, pair, pad=0):
    """Compute (boundary probabilities [h, w], displacements [2, h, w]) of a picture and its mirror image, PAIR [2, 3,
    H, W].

    Their logits are averaged before the sigmoid; displacements are the unflipped ones. Both are padded to PAD pixels at
    the right and bottom (IRN: 512) and to whole strides; what comes out is cropped to a quarter of their size, rounded
    up, and only then mirrored back.
    """
    height, width = pair.shape[-2:]
    tall, wide = (max(pad, -(-side // 16) * 16) for side in (height, width))
    edges, moved = network(F.pad(pair, (0, wide - width, 0, tall - height)))
    edges, moved = (maps[..., : quarter_of(height), : quarter_of(width)] for maps in (edges, moved))
    return (edges[0, 0] / 2 + edges[1, 0].flip(-1) / 2).sigmoid(), moved[0]


def quarter_of(side):
    """Give the size of a side at stride 4."""
    return (side - 1) // 4 + 1
