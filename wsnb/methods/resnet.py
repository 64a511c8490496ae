"""torchvision's ResNet-50/101 as a feature extractor with a chosen stride and dilation per stage."""

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
