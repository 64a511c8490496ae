"""Backbones for small machines: MobileNetV2, dilated, and `Tiny`, which learns from nothing in a minute."""

from torch import nn


class MobileNetV2(nn.Module):
    """x [B, 3, H, W] -> features at strides 2, 4, 8, 16, 16 (or 8, 8) with 16, 24, 32, 96, 320 channels.

    output_stride 16 or 8: the strides beyond it become dilations. The last 1x1 convolution to 1,280 channels is left
    out: its features are ImageNet's classes more than parts of objects. Parameter names are torchvision's `features.*`.
    """

    channels = (16, 24, 32, 96, 320)
    frozen = ("features.0", "features.1")

    def __init__(self, output_stride=16):
        super().__init__()
        if output_stride not in (8, 16):
            raise ValueError(f"output_stride {output_stride}: MobileNetV2 here has 8 or 16")
        from torchvision import models

        self.features = models.mobilenet_v2(weights=None).features[:18]
        self.strides = (2, 4, 8, output_stride, output_stride)
        _dilate(self.features[14:18], 16 // output_stride * 2)
        if output_stride == 8:
            _dilate(self.features[7:14], 2)

    def forward(self, x):
        taps = []
        for i, block in enumerate(self.features):
            x = block(x)
            if i in (1, 3, 6, 13, 17):
                taps.append(x)
        return tuple(taps)


def _dilate(blocks, dilation):
    """Take the stride away from the first block and dilate the later ones, as DeepLab does."""
    for i, block in enumerate(blocks):
        for conv in block.modules():
            if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3):
                d = dilation // 2 if i == 0 and conv.stride == (2, 2) else dilation
                conv.stride, conv.dilation, conv.padding = (1, 1), (d, d), (d, d)


class Tiny(nn.Module):
    """x [B, 3, H, W] -> features at strides 2, 4, 8, 8, 8 with 16, 32, 64, 64, 96 channels.

    Two normalised 3x3 convolutions a stage, dilated in the last two. It has no ImageNet weights: train it with
    weights "random" and freeze False.
    """

    channels = (16, 32, 64, 64, 96)
    strides = (2, 4, 8, 8, 8)
    frozen = ()

    def __init__(self):
        super().__init__()
        inputs = 3
        for i, (outputs, stride, dilation) in enumerate(
            zip(self.channels, (2, 2, 2, 1, 1), (1, 1, 1, 2, 4), strict=True)
        ):
            self.add_module(
                f"stage{i + 1}",
                nn.Sequential(*_layer(inputs, outputs, stride, dilation), *_layer(outputs, outputs, 1, dilation)),
            )
            inputs = outputs

    def forward(self, x):
        features = []
        for stage in self.children():
            x = stage(x)
            features.append(x)
        return tuple(features)


def _layer(inputs, outputs, stride, dilation):
    return (nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
