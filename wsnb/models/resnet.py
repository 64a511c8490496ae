"""torchvision's ResNet-50/101 as a feature extractor with a chosen stride and dilation per stage.

ResNet-101 with a stem of three 3x3 convolutions, output stride 8: the trunk of resnet-101-cuhk.pth.
"""

import math

from torch import nn


def set_stage(stage, stride, dilation, first) -> None:
    """Give a residual stage another stride and dilate its 3x3 convolutions, that of the first block by FIRST; weights
    unchanged."""
    for i, block in enumerate(stage):
        block.conv2.stride = (stride if i == 0 else 1,) * 2
        block.conv2.dilation = block.conv2.padding = (dilation if i else first,) * 2
    if stage[0].downsample is not None:
        stage[0].downsample[0].stride = (stride, stride)


class ResNet(nn.Module):
    """x [B, 3, H, W] -> features of the stem (stride 2) and of layer1..layer4; 64, 256, 512, 1024, 2048 channels.

    stage_strides and dilations are those of layer1..layer4; the default is the single-stage paper's: output stride 16
    without dilation. gradual: the first block of a stage keeps the dilation of the stage before, as torchvision's own
    option has it. Parameter names are torchvision's without `fc`.
    """

    channels = (64, 256, 512, 1024, 2048)
    frozen = ("conv1", "bn1")

    def __init__(self, depth=50, stage_strides=(1, 2, 2, 1), dilations=(1, 1, 1, 1), gradual=False):
        super().__init__()
        from torchvision import models

        whole = {50: models.resnet50, 101: models.resnet101}[depth](weights=None)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(whole, name))
        self.strides = (
            2,
            *(
                4 * s
                for s in (
                    1,
                    stage_strides[1],
                    stage_strides[1] * stage_strides[2],
                    stage_strides[1] * stage_strides[2] * stage_strides[3],
                )
            ),
        )
        for i, (stride, dilation) in enumerate(zip(stage_strides, dilations, strict=True), start=1):
            before = dilations[max(i - 2, 0)]
            set_stage(getattr(self, f"layer{i}"), stride, dilation, before if gradual else dilation)

    def forward(self, x):
        stem = self.relu(self.bn1(self.conv1(x)))
        features = [stem]
        x = self.maxpool(stem)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return tuple(features)


BLOCKS = (3, 4, 23, 3)


def _layer(inputs, width, blocks, stride, dilation):
    """Bottlenecks of WIDTH x 4 outputs; the first of a dilated stage has half the dilation."""
    from torchvision.models.resnet import Bottleneck

    shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
    first = Bottleneck(inputs, width, stride, shortcut, dilation=max(1, dilation // 2))
    return nn.Sequential(first, *(Bottleneck(4 * width, width, dilation=dilation) for _ in range(blocks - 1)))


class DeepStemResNet(nn.Module):
    """x [B, 3, H, W] -> features of the stem (stride 2) and of layer1..layer4 (strides 4, 8, 8, 8), with 128, 256, 512,
    1024, 2048 channels. Parameters are named as in the file. Initialised as the original: convolutions normal with
    variance 2 / (k k outputs)."""

    channels = (128, 256, 512, 1024, 2048)
    strides = (2, 4, 8, 8, 8)
    frozen = ("conv1", "bn1", "layer1")

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 128, 3, 1, 1, bias=False),
        )
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        inputs = 128
        for i, (blocks, stride, dilation) in enumerate(zip(BLOCKS, (1, 2, 1, 1), (1, 1, 2, 4), strict=True)):
            self.add_module(f"layer{i + 1}", _layer(inputs, 64 * 2**i, blocks, stride, dilation))
            inputs = 256 * 2**i
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))

    def forward(self, x):
        stem = self.relu(self.bn1(self.conv1(x)))
        features, x = [stem], self.maxpool(stem)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return tuple(features)
