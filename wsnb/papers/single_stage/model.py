"""The single-stage network and its CAM baseline, assembled from a backbone (paper, section 3.4 and figure 3).

The decoder's parts: atrous pyramid, global cue injection, stochastic gate. All parameters are top level, named as in
the released checkpoints (309 keys for WideResNet-38), which load strictly.
"""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import load_torch
from wsnb.models import backbones
from wsnb.models.backbone_wrapper import BackboneWrapper

RATES = (12, 24, 36)


class AtrousBranch(nn.Module):
    """Convolution at one rate, normalised and rectified."""

    def __init__(self, inputs, outputs, rate):
        super().__init__()
        kernel = 1 if rate == 1 else 3
        self.atrous_conv = nn.Conv2d(inputs, outputs, kernel, padding=0 if rate == 1 else rate, dilation=rate,
                                     bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.atrous_conv(x)))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: x [B, inputs, h, w] -> [B, outputs, h, w].

    A 1x1 convolution, three dilated ones of RATES and the mean. RATES are those of output stride 8, also for the
    stride-16 ResNets (as in the original).
    """

    def __init__(self, inputs, outputs=256, rates=RATES):
        super().__init__()
        for i, rate in enumerate((1, *rates), start=1):
            self.add_module(f"aspp{i}", AtrousBranch(inputs, outputs, rate))
        self.branches = 1 + len(rates)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.conv1 = nn.Conv2d(outputs * (len(rates) + 2), outputs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        pooled = upsample(self.global_avg_pool(x), x.shape[-2:])
        parts = [getattr(self, f"aspp{i}")(x) for i in range(1, self.branches + 1)]
        return self.dropout(F.relu(self.bn1(self.conv1(torch.cat([*parts, pooled], dim=1)))))


class GlobalCueInjection(nn.Module):
    """Deep features, pooled to a global cue, modulate shallow ones: ReLU(S (gamma + 1) + beta) (equation 4).

    shallow [B, shallow_channels, H, W], deep [B, channels, H, W] -> [B, channels, H, W].
    """

    def __init__(self, shallow_channels, channels=256):
        super().__init__()
        self.fc_deep = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.BatchNorm2d(2 * channels), nn.ReLU()
        )
        self.fc_skip = nn.Sequential(
            nn.Conv2d(shallow_channels, channels, 1, bias=False), nn.BatchNorm2d(channels, affine=False)
        )
        self.fc_cls = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, shallow, deep):
        cue = self.fc_deep(deep).amax(dim=(2, 3), keepdim=True)  # [B, 2 C, 1, 1]
        gamma, beta = cue.chunk(2, dim=1)
        return self.fc_cls(F.relu(self.fc_skip(shallow) * (gamma + 1) + beta))


def keep_mask(deep, psi):
    """Draw independent Bernoulli numbers, one per element of DEEP, 1 with probability 1 - psi (torch's generator)."""
    return torch.bernoulli(torch.full_like(deep, 1 - psi))


def stochastic_gate(deep, shallow, psi=0.3, keep=None):
    """Mix deep and shallow features (paper, section 3.4, equation 5).

    With KEEP (0/1, the shape of DEEP): training; KEEP picks the rescaled deep feature (deep - psi shallow) / (1 - psi)
    or the shallow one, with the expectation DEEP. Without: (1 - psi) deep + psi shallow, the test mixture.
    """
    if keep is None:
        return (1 - psi) * deep + psi * shallow
    rescaled = (deep - psi * shallow) / max(1 - psi, 1e-8)
    return keep * rescaled + (1 - keep) * shallow


def upsample(x, size):
    """Resize (bilinear, aligned corners), as everywhere inside this network."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


class SingleStage(BackboneWrapper):
    """Masks and class scores from one network (paper, figure 3).

    forward: x [B, 3, H, W] (ImageNet-normalised) -> logits [B, n_classes, h, w] at stride 4; channel 0 is the
    background's constant logit 1. psi: see `stochastic_gate`. width: channels of the decoder.
    """

    def __init__(self, backbone, n_classes=21, width=256, psi=0.3, freeze=True, rates=RATES):
        super().__init__(backbone, freeze)
        shallow = backbone.channels[backbone.strides.index(4)]
        self.psi = psi
        self.aspp = ASPP(backbone.channels[-1], width, rates)
        self._aff = _pamr_kernels()
        self.shallow_mask = GlobalCueInjection(shallow, width)
        skip = width * 48 // 256
        self.fc8_skip = nn.Sequential(nn.Conv2d(shallow, skip, 1, bias=False), nn.BatchNorm2d(skip), nn.ReLU())
        self.fc8_x = nn.Sequential(
            nn.Conv2d(width + skip, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.last_conv = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(width, n_classes - 1, 1),
        )
        self.new_modules = (self.aspp, self.shallow_mask, self.fc8_skip, self.fc8_x, self.last_conv)
        _initialise(self.new_modules)
        self.fixed_norms += [m for m in self.aspp.modules() if isinstance(m, nn.BatchNorm2d)]

    def forward(self, x):
        shallow, deep = self.shallow_and_deep(x)
        context = upsample(self.aspp(deep), shallow.shape[-2:])
        deep = self.fc8_x(torch.cat([context, self.fc8_skip(shallow)], dim=1))
        cue = self.shallow_mask(shallow, deep)
        keep = keep_mask(deep, self.psi) if self.training else None
        logits = self.last_conv(stochastic_gate(deep, cue, self.psi, keep))
        return torch.cat([torch.ones_like(logits[:, :1]), logits], dim=1)


class CAMBaseline(BackboneWrapper):
    """Class activation maps of a global-average-pooling classifier on the same backbone.

    forward: x -> scores [B, n_classes - 1], activation logits [B, n_classes - 1, h, w] at the deep stride.
    """

    def __init__(self, backbone, n_classes=21, freeze=True):
        super().__init__(backbone, freeze)
        self.fc8 = nn.Conv2d(backbone.channels[-1], n_classes - 1, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)
        self.dropout = nn.Dropout2d(0.5)
        self.new_modules = (self.fc8,)

    def forward(self, x):
        _, deep = self.shallow_and_deep(x)
        pooled = self.dropout(deep).mean(dim=(2, 3), keepdim=True)
        return self.fc8(pooled)[..., 0, 0], self.fc8(deep)


def cam_masks(activation, size, background=0.1):
    """Turn activation maps [B, C, h, w] into masks [B, 1 + C, H, W] in [0, 1].

    They are resized, rectified, and divided by their spatial maximum + 1e-5; a constant background comes first.
    """
    maps = F.relu(upsample(activation, size))
    maps = maps / (1e-5 + maps.amax(dim=(2, 3), keepdim=True))
    return torch.cat([torch.full_like(maps[:, :1], background), maps], dim=1)


def _initialise(modules):
    for module in modules:
        for m in module.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)


def _pamr_kernels():
    """Make the constant kernels that the released files carry; refinement itself is `wsnb.ops.pamr`."""
    ring = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    difference, copy = torch.zeros(8, 1, 3, 3), torch.zeros(8, 1, 3, 3)
    for i, (y, x) in enumerate(ring):
        difference[i, 0, y, x], copy[i, 0, y, x] = -1, 1
    difference[:, 0, 1, 1] = 1
    holder = nn.Module()
    for name, kernel in (("aff_x", difference), ("aff_m", copy), ("aff_std", torch.eye(9).view(9, 1, 3, 3))):
        part = nn.Module()
        part.register_buffer("kernel", kernel)
        holder.add_module(name, part)
    return holder


MODELS = ("single_stage", "cam_baseline")


def build(model, backbone, weights="random", n_classes=21, width=256, psi=0.3, output_stride=0, checkpoint="",
          freeze=True, rates=RATES):
    """Build a network; returns (network, where its weights came from).

    model: "single_stage" or "cam_baseline". weights: the backbone's, see `backbones.load_imagenet`. checkpoint: a whole
    network's file (the authors' `model_enc_e020Xs0.928.pth`, or one of ours), loaded strictly; it overrides weights.
    freeze: never train the backbone's first layers and BatchNorms. rates: of single_stage's pyramid.
    Raises ValueError for an unknown model and FileError for a file that does not fit, key for key.
    """
    if model not in MODELS:
        raise ValueError(f"model {model!r}: choose one of {', '.join(MODELS)}")
    body = backbones.build(backbone, output_stride)
    origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    network = (SingleStage(body, n_classes, width, psi, freeze, rates) if model == "single_stage"
               else CAMBaseline(body, n_classes, freeze))
    if checkpoint:
        load_network(network, checkpoint)
        origin = f"checkpoint {checkpoint.rsplit('/', 1)[-1]}"
    return network, origin


def load_network(network, path) -> None:
    """Load a bare state dict strictly. Raises FileError naming the first keys that do not fit."""
    backbones.fill(network, load_torch(path), str(path))
