"""What stands on the trunk: the embedding heads and the softmax classifier, as in the original program."""

import torch
import torch.nn.functional as F
from torch import nn

RATES = (6, 12, 18, 24)
POOLS = (1, 2, 3, 6)


def upsample(x, size):
    """Bilinear, corners not aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


class DilatedSum(nn.Module):
    """DeepLab's head (VOC): four dilated 3x3 convolutions to the embedding, summed; no normalisation."""

    def __init__(self, inputs, dim):
        super().__init__()
        for i, rate in enumerate(RATES, start=1):
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


def cross_entropy(logits, semantic, n_classes):
    """Mean cross-entropy of LOGITS [B, C, h, w], enlarged to the labels' size, over the labelled pixels (< n_classes)
    of semantic int64 [B, H, W]; 0, with a gradient of zeros, if there is none (the original gives NaN)."""
    target = torch.where(semantic < n_classes, semantic, 255)
    total = F.cross_entropy(upsample(logits, semantic.shape[-2:]), target, ignore_index=255, reduction="sum")
    return total / (target != 255).sum().clamp_min(1)
