"""ResNet-101 with a stem of three 3x3 convolutions, output stride 8: the trunk of resnet-101-cuhk.pth."""

import math

from torch import nn

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
