"""A small convolutional backbone that learns from nothing in a minute: for the synthetic pictures."""

from torch import nn


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
