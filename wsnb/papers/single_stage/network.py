"""The single-stage network and its CAM baseline, assembled from a backbone.

All parameters are top level, named as in the released checkpoints (309 keys for WideResNet-38).
"""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.methods.adopt import Adopted
from wsnb.papers.single_stage.decoder import ASPP, GlobalCueInjection, keep_mask, stochastic_gate, upsample


class SingleStage(Adopted):
    """Masks and class scores from one network (paper, figure 3).

    forward: x [B, 3, H, W] (ImageNet-normalised) -> logits [B, n_classes, h, w] at stride 4; channel 0 is the
    background's constant logit 1. psi: see `stochastic_gate`. width: channels of the decoder.
    """

    def __init__(self, backbone, n_classes=21, width=256, psi=0.3, freeze=True):
        super().__init__(backbone, freeze)
        shallow = backbone.channels[backbone.strides.index(4)]
        self.psi = psi
        self.aspp = ASPP(backbone.channels[-1], width)
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


class CAMBaseline(Adopted):
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
    """Activation maps [B, C, h, w] -> masks [B, 1 + C, H, W] in [0, 1]: resized, rectified, divided by their spatial
    maximum + 1e-5, with a constant background first."""
    maps = F.relu(upsample(activation, size))
    maps = maps / (1e-5 + maps.amax(dim=(2, 3), keepdim=True))
    return torch.cat([torch.full_like(maps[:, :1], background), maps], dim=1)


def _initialise(modules):
    for module in modules:
        for m in module.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)


def _pamr_kernels():
    """The constant kernels that the released files carry; refinement itself is `wsnb.methods.pamr`."""
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
