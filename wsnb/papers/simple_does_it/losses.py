"""The losses of the instance system (class-balanced sums, side outputs, weight decay) and its optimiser: a factor for
each variable, averaged gradients, momentum, a piecewise learning rate."""

import torch
import torch.nn.functional as F

from wsnb.models import distributed

SIDE_WEIGHT = {1: 1.0, 2: 0.5, 3: 0.0}  # of the side outputs' losses in the three stages of supervision
FACTORS = {"fuse": (0.01, 0.02), "score": (0.1, 0.2)}  # of weights and biases; 1 and 2 for all others


def balanced_loss(logits, label):
    """Class-balanced cross-entropy, summed over the batch's pixels (not their mean: values reach 10^6).

        L(z) = N-/N sum_{y=1} l(z, 1) + N+/N sum_{y=0} l(z, 0),   y = label > 0.5

    logits, label: one shape. A label of one kind only gives 0: then only the decay is trained.
    """
    y = (label > 0.5).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    positive, total = y.sum(), y.numel()
    return (total - positive) / total * (each * y).sum() + positive / total * (each * (1 - y)).sum()


def total_loss(main, sides, label, supervision):
    """Add the side losses to the main loss, at the weight of this stage of supervision (1, 2 or 3)."""
    total = balanced_loss(main, label)
    if SIDE_WEIGHT[supervision]:
        total = total + SIDE_WEIGHT[supervision] * sum(balanced_loss(side, label) for side in sides)
    return total


def kernels(network):
    """List the trained convolution kernels: they decay, biases do not."""
    return [p for name, p in network.named_parameters() if name.endswith("weight") and p.dim() == 4]


def decay(network, weight_decay, count_frozen):
    """Compute the decay term: weight_decay / 2 of the sum of squared kernels.

    COUNT_FROZEN adds the constant of the fixed bilinear kernels, as the original does: it has no gradient.
    """
    total = weight_decay / 2 * sum(p.pow(2).sum() for p in kernels(network))
    return total + network.frozen_decay(weight_decay) if count_frozen else total


def rate_at(step, rate_steps, rates) -> float:
    """Give the learning rate of the step after STEP steps were done; at one of RATE_STEPS it is that of the piece on
    the left."""
    return rates[sum(step > change for change in rate_steps)]


def check_schedule(last_steps, rate_steps, rates) -> None:
    """Raise ValueError where the three stages of supervision and the pieces of the learning rate do not fit."""
    if len(last_steps) != 3 or sorted(last_steps) != list(last_steps):
        raise ValueError(f"last_steps {last_steps}: give the last step of each of three stages, ascending")
    if len(rates) != len(rate_steps) + 1 or sorted(rate_steps) != list(rate_steps):
        raise ValueError(f"rates {rates}: give one more than rate_steps {rate_steps}, which ascend")


def factor(name: str) -> float:
    """Give the factor of a parameter's learning rate, by its name in `BoxNetwork`."""
    weights, biases = FACTORS.get(name.split(".")[0], (1.0, 2.0))
    return biases if name.endswith("bias") else weights


class AveragedGradients:
    """An optimiser whose step averages the gradients of several samples, scaled by their factors.

    kind "momentum", the original's: v <- momentum v + g, w <- w - rate v, where g is the mean over the samples of
    factor x gradient (with the decay's). kind "adamw": AdamW, where the new layers learn ten times as fast as the body;
    the scale of a loss that is a sum does not matter to it, and small networks on few pictures learn in few steps.
    A parameter without a gradient is left alone. `state_dict` holds the momentum, for checkpoints between steps.
    """

    def __init__(self, network, momentum, kind):
        if kind not in ("momentum", "adamw"):
            raise ValueError(f"optimiser {kind!r}: momentum or adamw")
        self.kind = kind
        self.named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        if kind == "momentum":
            self.inner = torch.optim.SGD([p for _, p in self.named], lr=0.0, momentum=momentum)
        else:
            groups = [{"params": [p for name, p in self.named if name.startswith("body.") == own], "times": times}
                      for own, times in ((True, 1.0), (False, 10.0))]
            self.inner = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)  # decay is in the loss

    def step(self, losses, rate, check):
        """Step from an iterable of losses, one a sample, of all processes; returns the value of the last, which the
        original prints, in a tensor. CHECK(values), of this process's samples, may refuse them before a weight changes.
        """
        self.inner.zero_grad(set_to_none=True)
        values = []
        for loss in losses:
            loss.backward()
            values.append(loss.detach())
        check(torch.stack(values))
        distributed.average_gradients([parameter for _, parameter in self.named])
        for name, parameter in self.named:
            if parameter.grad is not None:
                parameter.grad.mul_((factor(name) if self.kind == "momentum" else 1.0) / len(values))
        for group in self.inner.param_groups:
            group["lr"] = rate * group.get("times", 1.0)
        self.inner.step()
        return distributed.of_last_process(values[-1])

    def state_dict(self):
        return self.inner.state_dict()

    def load_state_dict(self, state):
        self.inner.load_state_dict(state)
