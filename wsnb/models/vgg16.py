"""VGG-16 without a fifth pooling: dilated conv5, fc6 and fc7 as convolutions; output stride 8.

This is the body of the single-stage network; `as_large_fov` makes the body of DeepLab-LargeFOV from it.

Parameter names are those of `vgg16_20M.pth` (30 tensors).
"""

import torch.nn.functional as F
from torch import nn

LAYERS = (
    ("conv1_1", 3, 64),
    ("conv1_2", 64, 64),
    ("conv2_1", 64, 128),
    ("conv2_2", 128, 128),
    ("conv3_1", 128, 256),
    ("conv3_2", 256, 256),
    ("conv3_3", 256, 256),
    ("conv4_1", 256, 512),
    ("conv4_2", 512, 512),
    ("conv4_3", 512, 512),
    ("conv5_1", 512, 512),
    ("conv5_2", 512, 512),
    ("conv5_3", 512, 512),
)


class VGG16(nn.Module):
    """x [B, 3, H, W] -> features at strides 1, 2, 4, 8, 8 with 64, 128, 256, 512, 1024 channels."""

    channels = (64, 128, 256, 512, 1024)
    strides = (1, 2, 4, 8, 8)
    frozen = ("conv1_1", "conv1_2")

    def __init__(self):
        super().__init__()
        for name, inputs, outputs in LAYERS:
            dilation = 2 if name.startswith("conv5") else 1
            self.add_module(name, nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation))
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=1)
        self.drop6 = nn.Dropout2d(0.5)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.pool5 = nn.Identity()

    def as_large_fov(self, rate=12):
        """Become the body of DeepLab-LargeFOV (Chen et al., ICLR 2015): pool5 (maximum of 3x3) and pool5a (mean of 3x3,
        zeros around counted), both of stride 1, fc6 dilated by RATE, and dropout of single values behind fc6, not of
        channels."""
        self.pool5 = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1))
        self.fc6.dilation = self.fc6.padding = (rate, rate)
        self.drop6 = nn.Dropout(0.5)

    def forward(self, x):
        features = []
        for name, _, _ in LAYERS:
            if name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
                features.append(x)
                x = F.max_pool2d(x, 3, stride=1 if name == "conv5_1" else 2, padding=1)
            x = F.relu(getattr(self, name)(x))
        x = self.drop6(F.relu(self.fc6(self.pool5(x))))
        return *features, F.relu(self.fc7(x))
