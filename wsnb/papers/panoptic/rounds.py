"""What one round hands on to the next, and when the rounds end."""

from pathlib import Path

from wsnb.files import load_json


def notes(folder) -> dict:
    """The notes of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["notes"]


def is_flat(losses, least=0.0) -> bool:
    """Whether the last of the rounds' training losses is not below the one before it by a share of more than LEAST:
    the authors stop there. False with fewer than two."""
    return len(losses) > 1 and losses[-1] >= losses[-2] * (1 - least)


def results(folder) -> list[dict]:
    """The results of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["results"]


def epochs_so_far(p) -> int:
    """Epochs of all rounds up to the one with 06's parameters P."""
    return p.epochs + (p.round - 1) * (p.later_epochs if p.warm_start else p.epochs)
