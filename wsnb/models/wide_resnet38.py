"""WideResNet-38 (model A1, pre-activation) of Wu et al., dilated to output stride 8.

Parameter names are those of the converted MXNet file `ilsvrc-cls_rna-a1_cls1000_ep-0001.pth`.
"""

import torch.nn.functional as F
from torch import nn


def _conv(inputs, outputs, kernel, stride=1, dilation=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=dilation * (kernel // 2), dilation=dilation, bias=False)


class PlainBlock(nn.Module):
    """Two 3x3 convolutions, normalised and rectified before each; the shortcut is projected where the shape changes."""

    def __init__(self, inputs, middle, outputs, stride=1, dilations=(1, 1)):
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = _conv(inputs, middle, 3, stride, dilations[0])
        self.bn_branch2b1 = nn.BatchNorm2d(middle)
        self.conv_branch2b1 = _conv(middle, outputs, 3, 1, dilations[1])
        if inputs != outputs or stride != 1:
            self.conv_branch1 = _conv(inputs, outputs, 1, stride)

    def forward(self, x):
        activated = F.relu(self.bn_branch2a(x))
        shortcut = self.conv_branch1(activated) if hasattr(self, "conv_branch1") else x
        y = self.conv_branch2a(activated)
        return self.conv_branch2b1(F.relu(self.bn_branch2b1(y))) + shortcut


class Bottleneck(nn.Module):
    """1x1, dilated 3x3, 1x1 with channel dropout between; the shortcut is always projected."""

    def __init__(self, inputs, outputs, dilation, dropout):
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = _conv(inputs, outputs // 4, 1)
        self.bn_branch2b1 = nn.BatchNorm2d(outputs // 4)
        self.dropout_2b1 = nn.Dropout2d(dropout)
        self.conv_branch2b1 = _conv(outputs // 4, outputs // 2, 3, 1, dilation)
        self.bn_branch2b2 = nn.BatchNorm2d(outputs // 2)
        self.dropout_2b2 = nn.Dropout2d(dropout)
        self.conv_branch2b2 = _conv(outputs // 2, outputs, 1)
        self.conv_branch1 = _conv(inputs, outputs, 1)

    def forward(self, x):
        activated = F.relu(self.bn_branch2a(x))
        y = self.conv_branch2a(activated)
        y = self.conv_branch2b1(self.dropout_2b1(F.relu(self.bn_branch2b1(y))))
        y = self.conv_branch2b2(self.dropout_2b2(F.relu(self.bn_branch2b2(y))))
        return y + self.conv_branch1(activated)


class WideResNet38(nn.Module):
    """x [B, 3, H, W] -> features at strides 2, 4, 8, 8, 8 with 128, 256, 512, 1024, 4096 channels."""

    channels = (128, 256, 512, 1024, 4096)
    strides = (2, 4, 8, 8, 8)
    frozen = ("conv1a", "b2", "b2_1", "b2_2")

    def __init__(self):
        super().__init__()
        self.conv1a = _conv(3, 64, 3)
        self.b2 = PlainBlock(64, 128, 128, 2)
        self.b2_1 = PlainBlock(128, 128, 128)
        self.b2_2 = PlainBlock(128, 128, 128)
        self.b3 = PlainBlock(128, 256, 256, 2)
        self.b3_1 = PlainBlock(256, 256, 256)
        self.b3_2 = PlainBlock(256, 256, 256)
        self.b4 = PlainBlock(256, 512, 512, 2)
        for i in range(1, 6):
            self.add_module(f"b4_{i}", PlainBlock(512, 512, 512))
        self.b5 = PlainBlock(512, 512, 1024, 1, (1, 2))
        self.b5_1 = PlainBlock(1024, 512, 1024, 1, (2, 2))
        self.b5_2 = PlainBlock(1024, 512, 1024, 1, (2, 2))
        self.b6 = Bottleneck(1024, 2048, 4, 0.3)
        self.b7 = Bottleneck(2048, 4096, 4, 0.5)
        self.bn7 = nn.BatchNorm2d(4096)

    def forward(self, x):
        stage2 = self.b2_2(self.b2_1(self.b2(self.conv1a(x))))
        stage3 = self.b3_2(self.b3_1(self.b3(stage2)))
        stage4 = self.b4(stage3)
        for i in range(1, 6):
            stage4 = getattr(self, f"b4_{i}")(stage4)
        stage5 = self.b5_2(self.b5_1(self.b5(stage4)))
        return stage2, stage3, stage4, stage5, F.relu(self.bn7(self.b7(self.b6(stage5))))
