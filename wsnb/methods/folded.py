"""Batch normalisation folded into the convolutions before it: the same network in fewer steps, for inference."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def folded(network, probe, tolerance=1e-4):
    """A copy of NETWORK in evaluation mode whose convolutions hold their normalisations, in channels-last order.

    probe: an input [B, 3, h, w]; one pass with it shows which normalisation follows which convolution directly, so that
    any architecture will do. A normalisation without such a convolution stays. Outputs differ by rounding only. Raises
    ValueError if they differ by more than TOLERANCE of the largest (the convolution's output was also used otherwise),
    or if the network is in training mode.
    """
    if network.training:
        raise ValueError("folded wants network.eval(): normalisations change while training")
    result = copy.deepcopy(network).to(memory_format=torch.channels_last)
    before = _output(result(probe))
    pairs = _pairs(result, probe)
    names = {module: name for name, module in result.named_modules()}
    for convolution, normalisation in pairs:
        merged = fuse_conv_bn_eval(convolution, normalisation)
        for module, new in ((convolution, merged), (normalisation, nn.Identity())):
            parent, _, name = names[module].rpartition(".")
            setattr(result.get_submodule(parent), name, new)
    result = result.eval().to(memory_format=torch.channels_last)
    after = _output(result(probe))
    error, size = float((after - before).abs().max()), float(before.abs().max())
    if not error <= tolerance * max(size, 1e-6):
        raise ValueError(f"folding changes the output by {error:.3g} of {size:.3g}; predict with the network as it is")
    return result


def _pairs(network, probe):
    """(Conv2d, BatchNorm2d) where the second's input is the first's output, and both run once."""
    made, pairs, calls, hooks = {}, [], {}, []

    def after(module, inputs, output):
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = module, output  # the tensor is kept, so that its id stays its own
        elif id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], module))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            hooks.append(module.register_forward_hook(after))
    network(probe)
    for hook in hooks:
        hook.remove()
    once = [(c, n) for c, n in pairs if calls[c] == calls[n] == 1 and n.track_running_stats]
    convolutions = [c for c, _ in once]
    return [(c, n) for c, n in once if convolutions.count(c) == 1 and type(c) is nn.Conv2d]


def _output(value):
    return value[0] if isinstance(value, tuple | list) else value
