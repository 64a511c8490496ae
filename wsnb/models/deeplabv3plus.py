"""DeepLabV3+ (Chen et al., ECCV 2018) as NoPeopleAllowed uses it: one 3x3 convolution in the decoder.

`Head` works on any of the project's backbones: heads.build("deeplabv3plus", backbone, ...). On ResNet-50 at output
stride 8 that is the network of the released weights, which have other names (`own_names`).
"""

import torch
from torch import nn

from wsnb.ops.cam import resized


def layer(inputs, outputs, kernel=1, rate=1):
    """Make a convolution without bias, BatchNorm, ReLU."""
    padding = 0 if kernel == 1 else rate
    return (nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=rate, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True))


class Pooling(nn.Sequential):
    """The whole map's mean, through a layer, spread over the map again. A batch of one cannot be normalised: there its
    BatchNorm uses the running statistics."""

    def forward(self, x):
        pool, conv, norm, rectify = self
        y = conv(pool(x))
        if norm.training and len(y) == 1:
            y = nn.functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            y = norm(y)
        return rectify(y).expand(-1, -1, *x.shape[-2:])


class ASPP(nn.Module):
    """Five views of the deep features, concatenated and projected: 1x1, three dilated 3x3, the mean."""

    def __init__(self, inputs, rates, width=256):
        super().__init__()
        self.convs = nn.ModuleList([nn.Sequential(*layer(inputs, width))])
        self.convs.extend(nn.Sequential(*layer(inputs, width, 3, rate)) for rate in rates)
        self.convs.append(Pooling(nn.AdaptiveAvgPool2d(1), *layer(inputs, width)))
        self.project = nn.Sequential(*layer(5 * width, width), nn.Dropout(0.1))

    def forward(self, x):
        return self.project(torch.cat([view(x) for view in self.convs], 1))


class Head(nn.Module):
    """Five feature maps of a backbone -> logits [B, n_classes, h, w] at stride 4.

    channels, strides: of the five maps; the shallow one is that of stride 4. rates: of the pyramid's three.
    width: channels of pyramid and decoder (paper: 256, with 48 for the shallow features).
    """

    def __init__(self, channels, strides, n_classes, rates, width=256):
        super().__init__()
        self.shallow, narrow = tuple(strides).index(4), 48 * width // 256
        self.project = nn.Sequential(*layer(channels[self.shallow], narrow))
        self.aspp = ASPP(channels[-1], rates, width)
        self.classifier = nn.Sequential(*layer(narrow + width, width, 3), nn.Conv2d(width, n_classes, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, features):
        low = self.project(features[self.shallow])
        deep = resized(self.aspp(features[-1]), low.shape[-2:])
        return self.classifier(torch.cat([low, deep], 1))


def own_names(state) -> dict:
    """Rename weights that NoPeopleAllowed names otherwise (`model.backbone.*`, `model.classifier.*`; its training
    files hold them under `model`) under the names of `heads.Segmenter`; others as they are."""
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not any(str(key).startswith("model.backbone.") for key in state):
        return state
    return {str(key).removeprefix("model.backbone.").replace("model.classifier.", "head.", 1): value
            for key, value in state.items()}
