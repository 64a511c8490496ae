"""The decoder's parts: atrous pyramid, global cue injection, stochastic gate (paper, section 3.4 and figure 3)."""

import torch
import torch.nn.functional as F
from torch import nn


class AtrousBranch(nn.Module):
    """Convolution at one rate, normalised and rectified."""

    def __init__(self, inputs, outputs, rate):
        super().__init__()
        kernel = 1 if rate == 1 else 3
        self.atrous_conv = nn.Conv2d(
            inputs, outputs, kernel, padding=0 if rate == 1 else rate, dilation=rate, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.atrous_conv(x)))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: x [B, inputs, h, w] -> [B, outputs, h, w].

    The rates 1, 12, 24, 36 are those of output stride 8, also for the stride-16 ResNets (as in the original).
    """

    def __init__(self, inputs, outputs=256, rates=(1, 12, 24, 36)):
        super().__init__()
        for i, rate in enumerate(rates, start=1):
            self.add_module(f"aspp{i}", AtrousBranch(inputs, outputs, rate))
        self.branches = len(rates)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.conv1 = nn.Conv2d(outputs * (len(rates) + 1), outputs, 1, bias=False)
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
    """Independent Bernoulli draws, one per element of DEEP, 1 with probability 1 - psi (torch's generator)."""
    return torch.bernoulli(torch.full_like(deep, 1 - psi))


def stochastic_gate(deep, shallow, psi=0.3, keep=None):
    """Mix deep and shallow features (paper, section 3.4, equation 5).

    With KEEP (0/1, the shape of DEEP): training; KEEP picks the rescaled deep feature (deep - psi shallow) / (1 - psi)
    or the shallow one, so that the expectation is DEEP. Without: (1 - psi) deep + psi shallow, the test mixture.
    """
    if keep is None:
        return (1 - psi) * deep + psi * shallow
    rescaled = (deep - psi * shallow) / max(1 - psi, 1e-8)
    return keep * rescaled + (1 - keep) * shallow


def upsample(x, size):
    """Bilinear resize with aligned corners, as everywhere inside this network."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)
