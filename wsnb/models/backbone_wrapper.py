"""A network that registers a backbone's modules under their own names, with the rules that the papers share: which
layers never train, and how fast the others learn."""

import torch
from torch import nn


class BackboneWrapper(nn.Module):
    """Registers the backbone's modules under their own names. FREEZE never trains the backbone's first layers
    (`backbone.frozen`) and BatchNorms, and keeps the latter in evaluation mode; without it a backbone can start from
    nothing. With AFFINE the other BatchNorms' scales and shifts learn, and only their statistics stay. A subclass lists
    its own layers in `new_modules`."""

    def __init__(self, backbone, freeze=True, affine=False):
        super().__init__()
        for name, child in backbone.named_children():
            self.add_module(name, child)
        self._backbone = (backbone,)  # in a tuple: its parameters are registered above, once
        self.stride = backbone.strides[-1]
        self.fixed_norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)] if freeze else []
        first = [backbone.get_submodule(name) for name in backbone.frozen] if freeze else []
        for module in [*first, *(() if affine else self.fixed_norms)]:
            for parameter in module.parameters():
                parameter.requires_grad = False

    def feature_maps(self, x):
        """Compute x [B, 3, H, W] -> the backbone's five feature maps."""
        return self._backbone[0](x)

    def shallow_and_deep(self, x):
        """Compute x [B, 3, H, W] -> shallow features (stride 4), deep features (the last)."""
        features = self.feature_maps(x)
        return features[self._backbone[0].strides.index(4)], features[-1]

    def train(self, mode=True):
        super().train(mode)
        self._backbone[0].train(mode)
        for norm in self.fixed_norms:
            norm.eval()
        return self


def parameter_groups(network, lr, weight_decay, bias_multiplier=2, new_multiplier=10, bias_decay=0.0):
    """Make four groups for an optimiser: backbone weights (lr), backbone biases (bias_multiplier x lr), new weights
    (new_multiplier x lr), new biases (new_multiplier x bias_multiplier x lr). Biases decay by BIAS_DECAY.

    The single-stage paper: bias_multiplier 2 for WideResNet-38 and VGG-16, 1 for the ResNets.
    """
    new = {p for module in network.new_modules for p in module.parameters()}
    groups = [[], [], [], []]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups[2 * (parameter in new) + name.endswith("bias")].append(parameter)
    rates = (lr, bias_multiplier * lr, new_multiplier * lr, new_multiplier * bias_multiplier * lr)
    return [
        {"params": g, "lr": rate, "weight_decay": bias_decay if i % 2 else weight_decay}
        for i, (g, rate) in enumerate(zip(groups, rates, strict=True))
    ]


def optimiser(kind, groups, momentum=0.9):
    """Make torch's optimiser for parameter groups: "sgd" (the papers') or "adamw" (small networks on few pictures: it
    needs no care for the scale of a backbone's features). Raises ValueError for another kind."""
    kinds = {"sgd": lambda: torch.optim.SGD(groups, lr=groups[0]["lr"], momentum=momentum),
             "adamw": lambda: torch.optim.AdamW(groups, lr=groups[0]["lr"])}
    if kind not in kinds:
        raise ValueError(f"optimiser {kind!r}: choose one of {', '.join(kinds)}")
    return kinds[kind]()
