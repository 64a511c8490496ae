"""SGD whose momentum buffer holds the learning rate, as in Caffe and the program of SPML."""

import torch


class InnerSGD(torch.optim.Optimizer):
    """b <- momentum b + lr (g + weight_decay w); w <- w - b.

    torch.optim.SGD multiplies by lr outside of b: the two differ as soon as lr changes.
    """

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                change = group["lr"] * parameter.grad.add(parameter, alpha=group["weight_decay"])
                buffer = self.state[parameter].get("momentum_buffer")
                if buffer is None:
                    buffer = self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
                buffer.mul_(group["momentum"]).add_(change)
                parameter.sub_(buffer)
        return loss
