"""torchvision's ResNets as feature extractors: stride and dilation of each stage, the stem, the first feature map."""

import math

from torch import nn

STAGES = ("layer1", "layer2", "layer3", "layer4")


def set_stage(stage, stride, dilation, first) -> None:
    """Give a residual stage another stride and dilate its strided 3x3 convolutions, that of the first block by FIRST;
    weights unchanged."""
    for i, block in enumerate(stage):
        strided = block.conv2 if hasattr(block, "conv3") else block.conv1  # of a bottleneck, of a basic block
        strided.stride = (stride if i == 0 else 1,) * 2
        strided.dilation = strided.padding = (dilation if i else first,) * 2
    if stage[0].downsample is not None:
        stage[0].downsample[0].stride = (stride, stride)


class ResNet(nn.Module):
    """x [B, 3, H, W] -> features of the stem (stride 2) and of layer1, layer2, ..., shallow to deep.

    depth: 34, 50 or 101. stage_strides and dilations are those of layer1..layer4; the default is the single-stage
    paper's: output stride 16 without dilation. gradual: the first block of a stage keeps the dilation of the stage
    before, as torchvision's own option has it. deep_stem: three 3x3 convolutions in place of the 7x7 one, as in
    resnet-101-cuhk.pth; all convolutions start normal with variance 2 / (k k outputs). pooled: the first feature is
    that behind the max pooling (stride 4), as IRNet takes it. stages: 3 leaves layer4 out. Parameter names are
    torchvision's without `fc`.
    """

    def __init__(self, depth=50, stage_strides=(1, 2, 2, 1), dilations=(1, 1, 1, 1), gradual=False, deep_stem=False,
                 pooled=False, stages=4):
        super().__init__()
        from torchvision import models

        whole = {34: models.resnet34, 50: models.resnet50, 101: models.resnet101}[depth](weights=None)
        self.stages, self.pooled = STAGES[:stages], pooled
        for name in ("conv1", "bn1", "relu", "maxpool", *self.stages):
            self.add_module(name, getattr(whole, name))
        widths = (64, 128, 256, 512) if depth == 34 else (256, 512, 1024, 2048)
        self.channels = (128 if deep_stem else 64, *widths[:stages])
        self.strides = (4 if pooled else 2, *(4 * math.prod(stage_strides[: k + 1]) for k in range(stages)))
        self.frozen = ("conv1", "bn1", *(("layer1",) if deep_stem else ()))
        for i, name in enumerate(self.stages):
            first = dilations[max(i - 1, 0)] if gradual else dilations[i]
            set_stage(getattr(self, name), stage_strides[i], dilations[i], first)
        if deep_stem:
            self._deepen_stem()

    def _deepen_stem(self):
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 128, 3, 1, 1, bias=False),
        )
        self.bn1, first = nn.BatchNorm2d(128), self.layer1[0]
        first.conv1, first.downsample[0] = (nn.Conv2d(128, outputs, 1, bias=False) for outputs in (64, 256))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))

    def forward(self, x):
        stem = self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(stem)
        features = [x if self.pooled else stem]
        for name in self.stages:
            x = getattr(self, name)(x)
            features.append(x)
        return tuple(features)
