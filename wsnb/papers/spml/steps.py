"""What the notebooks of training share: the loss's settings from their parameters, how many steps make an epoch."""

import math

from wsnb.data.densepose import SWAPPED
from wsnb.papers.spml.losses import TERMS, Settings, Term


def settings_from(p, n_classes) -> Settings:
    """The loss of a stage's parameters, of one process of `gpus`: each has its share of the devices. Raises ValueError
    if they cannot be shared out; devices 1 is one for each GPU."""
    if p.devices > 1 and p.devices % p.gpus:
        raise ValueError(f"devices {p.devices} cannot be shared out to gpus {p.gpus}; make it a multiple of gpus, or 1")
    terms = {name: Term(getattr(p, f"{name}_kappa"), getattr(p, f"{name}_weight")) for name in TERMS}
    return Settings(n_classes, **terms, clusters=tuple(p.clusters), iterations=p.kmeans_iterations,
                    densepose=p.colour_features, faithful=p.preset == "faithful",
                    devices=max(1, p.devices // p.gpus))


def sides(layout):
    """Classes that change places in a mirrored picture."""
    return SWAPPED if layout == "densepose" else ()


def plan(pictures, batch, iterations) -> tuple[int, int]:
    """(steps an epoch, epochs) in which ITERATIONS steps are done; the last epoch may be shorter."""
    steps = max(1, pictures // batch)
    return steps, math.ceil(iterations / steps)


def snapshot_epochs(epochs) -> set[int]:
    """Numbers of the epochs (1..EPOCHS) after which a snapshot is taken: about five of them, the last one among."""
    return {round(epochs * k / 5) for k in range(1, 6)} if epochs else set()


def means(running) -> dict:
    """Means of an epoch's sums."""
    return {name: value / running["steps"] for name, value in running.items() if name not in ("steps", "loss")}
