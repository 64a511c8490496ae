"""The ResNets of NoPeopleAllowed's registry that are built whole, each under the original's own names."""

import math

from torch import nn

from wsnb.files import load_torch
from wsnb.methods import backbones
from wsnb.methods import weights as weights_of

WHOLE = ("resnet34", "resnet50_full", "resnet50_oaa", "resnet_gap")  # what the first stage takes for its backbone


def initialise(module):
    """Normal weights, biases 0: convolutions N(0, sqrt(2 / (k k out))), linear layers N(0, 0.01)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, math.sqrt(2 / (math.prod(module.kernel_size) * module.out_channels)))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if getattr(module, "bias", None) is not None and isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.zeros_(module.bias)


class Whole(nn.Module):
    """A ResNet of the original's registry under its own names: x -> logits [B, n_tags].

    resnet34: torchvision's with `fc`. The others are of a ResNet-50 with dilated layers 3 and 4: `backbone.N` (cut
    after layer3 for resnet_gap), three `extra_convs` for resnet50_oaa, `extra_linear`.
    """

    def __init__(self, name, n_tags):
        super().__init__()
        self.name = name
        from torchvision import models

        dilated = {} if name == "resnet34" else {"replace_stride_with_dilation": (False, True, True)}
        body = models.resnet34() if name == "resnet34" else models.resnet50(**dilated)
        parts = list(body.named_children())[: 7 if name == "resnet_gap" else 8]
        self.body = [nn.ModuleDict(dict(parts))]  # under torchvision's names; in a list, so that they are no names here
        width = {"resnet34": 512, "resnet_gap": 1024}.get(name, 2048)
        self.extra_convs = nn.Sequential()
        if name == "resnet34":
            self.parts = [key for key, _ in parts]
            for key, child in parts:
                self.add_module(key, child)
            self.fc, self.cam_layer = nn.Linear(width, n_tags), "layer4"
            self.new_modules = (self.fc,)
            return
        self.parts = ["backbone"]
        self.backbone = nn.Sequential(*(child for _, child in parts))
        if name == "resnet50_oaa":
            for k in range(3):
                self.extra_convs.extend([nn.Conv2d(width if k == 0 else 512, 512, 3, padding=1), nn.ReLU(inplace=True)])
            width = 512
        self.extra_linear = nn.Linear(width, n_tags)
        self.cam_layer = "extra_convs.4" if len(self.extra_convs) else "backbone"
        self.new_modules = (self.extra_convs, self.extra_linear)
        for module in (*self.extra_convs, self.extra_linear):
            initialise(module)

    @property
    def class_weights(self):
        """Weights [n_tags, K] of the last layer."""
        return self.new_modules[-1].weight

    def deep(self, x):
        for name in self.parts:
            x = getattr(self, name)(x)
        return self.extra_convs(x)

    def forward(self, x):
        return self.new_modules[-1](self.deep(x).mean((2, 3)))


def load_whole(network, weights, checkpoint="") -> str:
    """Fill a `Whole` and say where its weights came from.

    checkpoint: a file of the whole network (the original's hold it under `model`). Else weights, of all but the new
    layers: see `backbones.load_imagenet`; resnet_gap leaves layer4 over. FileError if a file does not fit.
    """
    if checkpoint:
        state = load_torch(checkpoint)
        weights_of.fill(network, state.get("model", state) if isinstance(state, dict) else state, str(checkpoint))
        return f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    resnet = "resnet34" if network.name == "resnet34" else "resnet50"
    return backbones.load_imagenet(network.body[0], resnet, weights, (*backbones.HEADS, "layer4."))
