"""Steps as the originals take them: their optimisers and schedules."""

import torch

from wsnb.ops.segmentation import poly


def batches_an_epoch(count, batch, drop_last=True) -> int:
    """Count the batches of an epoch of COUNT pictures; at least one, also where too few pictures fill it."""
    return max(1, count // batch if drop_last else -(-count // batch))


class PolySGD(torch.optim.SGD):
    """IRN's optimiser: SGD whose learning rates fall as (1 - step / steps)^0.9 at every step, then stay.

    The original passes the weight decay where the momentum belongs, and the momentum becomes WEIGHT_DECAY (1e-4); the
    groups decay as they should. The step count is kept in the state dict.
    """

    def __init__(self, groups, lr, weight_decay, steps):
        super().__init__(groups, lr, momentum=weight_decay, weight_decay=weight_decay)
        self.steps = steps
        for group in self.param_groups:
            group["first_lr"], group["count"] = group["lr"], 0

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if group["count"] < self.steps:
                group["lr"] = group["first_lr"] * poly(group["count"], self.steps)
            group["count"] += 1
        return super().step(closure)


def schedule(kind, epochs, steps_an_epoch, every=3):
    """Make a function (step, steps) -> factor of the first learning rates, for `segmentation.fit`.

    "step": a fifth every EVERY epochs (the classifier), "poly epochs": power 0.9 once an epoch, 1e-6 at least (IRNet
    and segmenter of the paper), "poly": power 0.9 at every step (IRN). Raises ValueError for another.
    """
    kinds = {
        "step": lambda step, steps: 0.2 ** (step // steps_an_epoch // every),
        "poly epochs": lambda step, steps: max(poly(step // steps_an_epoch, max(1, epochs)), 1e-6),
        "poly": poly,
    }
    if kind not in kinds:
        raise ValueError(f"schedule {kind!r}: use one of {', '.join(kinds)}")
    return kinds[kind]


def optimiser(kind, groups, lr, weight_decay, steps, momentum_quirk=True):
    """Make the optimiser "adam", "adamw" or "sgd" over GROUPS; sgd is IRN's with MOMENTUM_QUIRK, else it has momentum
    0.9.

    Raises ValueError for another.
    """
    if kind == "adam":
        return torch.optim.Adam(groups, lr, weight_decay=weight_decay)
    if kind == "adamw":
        return torch.optim.AdamW(groups, lr, weight_decay=weight_decay)
    if kind != "sgd":
        raise ValueError(f"optimiser {kind!r}: use adam, adamw or sgd")
    if momentum_quirk:
        return PolySGD(groups, lr, weight_decay, max(1, steps))
    return torch.optim.SGD(groups, lr, momentum=0.9, weight_decay=weight_decay)
