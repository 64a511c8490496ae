"""The instance network: a picture and a box go in, the mask of the object in the box comes out.

An OSVOS-like network (Caelles et al., CVPR 2017): side outputs of four stages of a backbone, brought to the picture's
size by fixed bilinear kernels, and fused. VGG-16 as in the original program, or another backbone with a fourth input.
"""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.methods import backbones

VGG_STAGES = {1: (2, 64), 2: (2, 128), 3: (3, 256), 4: (3, 512), 5: (3, 512)}  # convolutions, channels
SIDE = 16  # channels of a side output


class VGGStages(nn.Module):
    """x [B, inputs, H, W] -> the last features of stages 2 to 5 at strides 2, 4, 8, 16 (before the next pooling).

    3x3 convolutions with bias and ReLU; 2x2 max pooling after stages 1 to 4 rounds odd sides up.
    """

    channels = (128, 256, 512, 512)
    strides = (2, 4, 8, 16)

    def __init__(self, inputs=4):
        super().__init__()
        self.inputs = inputs
        for stage, (count, outputs) in VGG_STAGES.items():
            for k in range(1, count + 1):
                self.add_module(f"conv{stage}_{k}", nn.Conv2d(inputs, outputs, 3, padding=1))
                inputs = outputs

    def forward(self, x):
        features = []
        for stage, (count, _) in VGG_STAGES.items():
            if stage > 1:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            for k in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{stage}_{k}")(x))
            features.append(x)
        return tuple(features[1:])


class Shared(nn.Module):
    """A backbone of the book as stages 2 to 5, its first convolution widened for the box map. FREEZE_NORMS keeps the
    BatchNorms as they are: samples come one by one, and ImageNet knows better than one picture."""

    def __init__(self, name, inputs=4, output_stride=0, freeze_norms=False):
        super().__init__()
        self.body, self.freeze_norms = backbones.build(name, output_stride), freeze_norms
        self.channels, self.strides, self.inputs = self.body.channels[1:], self.body.strides[1:], inputs
        if inputs > 3:
            widen(self.body, inputs - 3, std=0.0)

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            if self.freeze_norms and isinstance(module, nn.BatchNorm2d):
                module.eval()
                for parameter in module.parameters():
                    parameter.requires_grad = False
        return self

    def forward(self, x):
        return self.body(x)[1:]


def first_convolution(module) -> tuple[str, nn.Conv2d]:
    """Name and module of the first convolution on three channels. Raises ValueError without one."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == 3:
            return name, part
    raise ValueError(f"{type(module).__name__} has no convolution on 3 channels to widen")


def extra_channels(weight, count=1, std=0.001, seed=0):
    """Net surgery: a kernel [O, 3, h, w] with COUNT more input channels, drawn from a normal of mean 0 and STD (not
    truncated) -> [O, 3 + COUNT, h, w]. The original is unseeded."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(weight.shape[0], count, *weight.shape[2:], generator=generator, dtype=weight.dtype) * std
    return torch.cat([weight, drawn], dim=1)


def widen(module, count=1, std=0.001, seed=0) -> None:
    """Give MODULE's first convolution COUNT more input channels; everything else stays."""
    _, old = first_convolution(module)
    old.weight = nn.Parameter(extra_channels(old.weight.detach(), count, std, seed))
    old.in_channels += count


class BoxNetwork(nn.Module):
    """x [B, 3 + 1, H, W] -> main logits [B, 1, H, W] and the side logits of four stages, [B, 1, H, W] each.

    body: gives four feature maps, with `channels` and `strides`. A stage: a 3x3 convolution to 16 channels without
    activation; a 1x1 convolution of it to the side logit (deep supervision); both enlarged by transposed convolution
    with a fixed bilinear kernel and cut to the picture. The main logit fuses the four enlarged maps.
    """

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.side = nn.ModuleList(nn.Conv2d(c, SIDE, 3, padding=1) for c in body.channels)
        self.score = nn.ModuleList(nn.Conv2d(SIDE, 1, 1) for _ in body.channels)
        self.fuse = nn.Conv2d(SIDE * len(body.channels), 1, 1)
        for conv in (*self.side, *self.score, self.fuse):
            nn.init.normal_(conv.weight, std=0.001)
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        """Each stage is summed by its part of `fuse` over its channels before it is enlarged: both are linear, so one
        channel is enlarged instead of sixteen."""
        size = x.shape[-2:]
        main, logits = self.fuse.bias.view(1, 1, 1, 1), []
        weights = self.fuse.weight.split(SIDE, dim=1)
        parts = zip(self.body.strides, self.side, self.score, weights, self.body(x), strict=True)
        for stride, side, score, weight, feature in parts:
            one = side(feature)
            main = main + enlarge(F.conv2d(one, weight), stride, size)
            logits.append(enlarge(score(one), stride, size))
        return main, logits

    def frozen_decay(self, weight_decay) -> float:
        """What the fixed bilinear kernels add to the decay term: a constant of the loss, without a gradient."""
        total = 0.0
        for stride in self.body.strides:
            square = float((bilinear_kernel(2 * stride) ** 2).sum())
            total += square * (1 + SIDE)  # of the score, and of the diagonal of 16 x 16 channels
        return weight_decay * total / 2


def bilinear_kernel(size, dtype=torch.float64):
    """A kernel [size, size] that enlarges by linear interpolation: (1 - |i - c| / f) (1 - |j - c| / f), f half the
    size rounded up, c its centre."""
    f = (size + 1) // 2
    centre = f - 0.5 if size % 2 == 0 else f - 1.0
    line = 1 - (torch.arange(size, dtype=dtype) - centre).abs() / f
    return line[:, None] * line[None, :]


def enlarge(x, stride, size):
    """x [B, C, h, w] -> [B, C, *size]: transposed convolution with the bilinear kernel of 2 STRIDE (length (h + 1)
    STRIDE), cut to the centre."""
    channels = x.shape[1]
    kernel = bilinear_kernel(2 * stride).to(x).expand(channels, 1, -1, -1)
    large = F.conv_transpose2d(x, kernel, stride=stride, groups=channels)
    top, left = ((have - want) // 2 for have, want in zip(large.shape[-2:], size, strict=True))
    return large[..., top : top + size[0], left : left + size[1]]
