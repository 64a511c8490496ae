"""What one round hands on to the next, and when the rounds end."""

from pathlib import Path

from wsnb.files import load_json


def notes(folder) -> dict:
    """The notes of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["notes"]


def is_flat(losses) -> bool:
    """Whether the last of the rounds' training losses is not below the one before it: the authors stop
    there. False with fewer than two."""
    return len(losses) > 1 and losses[-1] >= losses[-2]


def results(folder) -> list[dict]:
    """The results of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["results"]


def beginning(p, losses) -> tuple[bool, bool, int]:
    """(flat, goes on, epochs) of the round with 06's parameters P after rounds with these training LOSSES: whether the
    rounds have ended, whether the round takes the former weights, and how long it trains. Without warm start it begins
    anew, but for a round that does not train: it hands the former weights on."""
    flat = p.stop_when_flat and is_flat(losses)
    epochs = 0 if flat else p.epochs if p.round == 1 or not p.warm_start else p.later_epochs
    return flat, p.round > 1 and (p.warm_start or flat), epochs
