"""Grad-CAM (Selvaraju et al., ICCV 2017) and Grad-CAM++ (Chattopadhay et al., WACV 2018) on any network."""

import contextlib

import torch


class Tap:
    """The output of a layer in the last forward pass, as a leaf to differentiate by; no graph below it."""

    def __init__(self):
        self.value = None

    def __call__(self, module, inputs, output):
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"{type(module).__name__} gives a {type(output).__name__}: tap a layer that gives a tensor")
        torch.set_grad_enabled(True)
        self.value = output.detach().requires_grad_()
        return self.value.clone()  # an in-place ReLU behind the layer must not overwrite what was seen


@contextlib.contextmanager
def tapped(network, layer):
    """Listen to LAYER (a module of the network or its dotted name) inside the block; released whatever happens.

    Raises AttributeError for a name that the network does not have.
    """
    tap = Tap()
    module = network.get_submodule(layer) if isinstance(layer, str) else layer
    handle = module.register_forward_hook(tap)
    try:
        yield tap
    finally:
        handle.remove()


def scores_of(output):
    """Bring a network's output to one score a class, [B, C]: a classifier's logits as they are; a segmenter's [B, C,
    h, w] summed over the pixels (Vinogradova et al., AAAI 2020); of several outputs the first. Raises ValueError."""
    first = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(first, torch.Tensor) or first.ndim not in (2, 4):
        given = tuple(first.shape) if isinstance(first, torch.Tensor) else type(first).__name__
        raise ValueError(f"Grad-CAM: the network gives {given}; wrap it, so that [B, C] or [B, C, h, w] comes first")
    return first if first.ndim == 2 else first.sum((2, 3))


def forward(network, layer, x):
    """Compute (logits [B, C], tapped activations [B, K, h, w]) with a graph from the layer to the logits only."""
    with tapped(network, layer) as tap, torch.no_grad():
        logits = scores_of(network(x))
    if tap.value is None:
        raise ValueError(f"{layer}: the network's forward pass never uses this layer; tap another")
    return logits, tap.value


def gradcam(network, layer, x, classes, plus=False, inplace_relu=False, logits_and_tap=None):
    """Compute the maps of CLASSES for x [B, 3, H, W]: [B, len(classes), h, w] at the layer's size; may be negative (no
    ReLU).

    Grad-CAM: the activations' channels, weighted by the spatial mean of the gradient of the class's logit. PLUS:
    Grad-CAM++ in NoPeopleAllowed's reading, where the objective is exp(logit) and large logits overflow.
    inplace_relu: the original's hook sits before a ReLU that works in place and sees activations *after* it and
    gradients *before* it. network: a classifier or a segmenter in evaluation mode, see `scores_of`. Raises ValueError
    if the layer is not used.
    """
    logits, tap = logits_and_tap or forward(network, layer, x)
    seen = tap.detach().relu() if inplace_relu else tap.detach()
    maps = []
    with torch.enable_grad():
        for c in classes:
            objective = logits[:, int(c)].exp().sum() if plus else logits[:, int(c)].sum()
            gradient = torch.autograd.grad(objective, tap, retain_graph=True)[0]
            weight = plus_weights(gradient, seen) if plus else gradient.mean((2, 3))
            maps.append((weight[..., None, None] * seen).sum(1))
    return torch.stack(maps, 1) if maps else seen.new_zeros(len(seen), 0, *seen.shape[-2:])


def plus_weights(gradient, activations):
    """Compute the channel weights of Grad-CAM++: both [B, K, h, w] -> [B, K].

    alpha = G^2 / (2 G^2 + sum(G^3 A) + 1e-5); weight = sum(alpha ReLU(G)), with powers of the gradient of exp(logit),
    as the original has them.
    """
    square = gradient**2
    spread = (square * gradient * activations).sum((2, 3), keepdim=True)
    return (square / (2 * square + spread + 1e-5) * gradient.relu()).sum((2, 3))
