"""Parameter groups and learning rates of the original program."""

from wsnb.methods import adopt
from wsnb.methods.inner_sgd import InnerSGD


def parameter_groups(network, head, lr, weight_decay, new_multiplier=10) -> list:
    """Trunk weights lr, biases 2 lr; embedding head and softmax head weights 10 lr, biases 20 lr; biases (BatchNorms'
    too) do not decay. What never learns is in no group; empty groups are left out."""
    groups = []
    if network is not None:
        groups += adopt.parameter_groups(network, lr, weight_decay, new_multiplier=new_multiplier)
    if head is not None:
        for bias in (False, True):
            chosen = [p for name, p in head.named_parameters() if name.endswith("bias") == bias]
            groups.append({"params": chosen, "lr": new_multiplier * lr * (2 if bias else 1),
                           "weight_decay": 0.0 if bias else weight_decay})
    return [group for group in groups if group["params"]]


def optimiser(kind, groups):
    """"inner_sgd": the original's; else see `adopt.optimiser` ("sgd", "adamw")."""
    return InnerSGD(groups, groups[0]["lr"]) if kind == "inner_sgd" else adopt.optimiser(kind, groups)


def rate(step, steps, warmup) -> float:
    """Factor of the learning rate at STEP of STEPS: (1 - step / steps) ** 0.9; while STEP < WARMUP at most what rises
    from 0.1 to 1, as in the original program."""
    falling = max(0.0, 1 - step / steps) ** 0.9
    return min(0.1 * (1 - step / warmup) + step / warmup, falling) if step < warmup else falling
