"""What weak and full labels cost: seconds of a person's time (annotation.csv, each with its source)."""

import csv
import dataclasses
import functools
from pathlib import Path

from wsnb.files import FileError

PATH = Path(__file__).with_name("annotation.csv")
COLUMNS = ("kind", "unit", "dataset", "seconds", "source_kind", "source", "note")
KINDS = {  # what `supervision` of a Protocol calls them
    "image labels": "tags",
    "boxes": "boxes",
    "points": "points",
    "scribbles": "scribbles",
    "full": "masks",
}
FREE = ("none",)


@dataclasses.dataclass(frozen=True)
class Price:
    """Seconds that one UNIT ("class", "box" or "picture") of a KIND of label takes; dataset "" means any."""

    kind: str
    unit: str
    dataset: str
    seconds: float
    source_kind: str
    source: str
    note: str


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds a picture; total seconds if the pictures are known. counted: from labels that were counted, not typical
    ones. prices: what it was reckoned with."""

    a_picture: float
    total: float | None
    counted: bool
    prices: tuple


@functools.cache
def load(path=PATH) -> tuple:
    """All prices. Raises FileError naming the line."""
    made, reader = [], None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for cells in reader:
                if tuple(cells) != COLUMNS or None in cells.values():
                    raise ValueError(f"expected the columns {', '.join(COLUMNS)}")
                made.append(Price(**{**cells, "seconds": float(cells["seconds"])}))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        where = "" if reader is None else f", line {reader.line_num}"
        raise FileError(f"{path}{where}: {error}; mend that line, or check the file out again") from error
    return tuple(made)


def price(kind: str, unit: str, dataset: str) -> Price | None:
    """The price of one UNIT of a KIND on a data set ("VOC2012 subset" is VOC2012), or None."""
    fitting = [one for one in load() if (one.kind, one.unit) == (kind, unit) and dataset.startswith(one.dataset)]
    return max(fitting, key=lambda one: len(one.dataset), default=None)


def counted(counts: dict, dataset: str) -> Cost | None:
    """The cost of counted labels: {"pictures", "tags", "boxes", "points", "scribbles", "masks"}, tags being decisions,
    points, scribbles and masks pictures that have them. None if one kind has no price.

    Older records counted each point and stroke; their prices are those of a picture with all its points or strokes.
    """
    units = {"tags": "class", "boxes": "box", "points": "picture", "scribbles": "picture", "masks": "picture"}
    total, used = 0.0, []
    for kind, unit in units.items():
        number = counts.get(kind)
        if number:
            one = price(kind, unit, dataset)
            if one is None:
                return None
            total += one.seconds * (min(number, counts.get("pictures") or number) if unit == "picture" else number)
            used.append(one)
    if not used or not counts.get("pictures"):
        return None
    return Cost(total / counts["pictures"], total, True, tuple(used))


def typical(supervision: str, dataset: str, pictures: int | None) -> Cost | None:
    """The cost of labels of one kind at the data set's usual price a picture, or None if there is none."""
    if supervision in FREE:
        return Cost(0.0, 0.0, True, ())
    one = price(KINDS.get(supervision, ""), "picture", dataset)
    return None if one is None else Cost(one.seconds, one.seconds * pictures if pictures else None, False, (one,))


def counts_of(records) -> dict:
    """Labels that the stages of one experiment counted in their notes under "annotations"; the largest of each kind."""
    found: dict = {}
    for record in records:
        counts = record.manifest.get("notes", {}).get("annotations")
        for kind, number in (counts if isinstance(counts, dict) else {}).items():
            if isinstance(number, int | float) and not isinstance(number, bool):
                found[kind] = max(found.get(kind, 0), number)
    return found


def cost(row, records) -> Cost | None:
    """The cost of the labels that one measured Row needed: counted by its experiment's stages, else the usual one.

    RECORDS are those of its experiment. A bound with full masks in a weak experiment is paid in masks.
    """
    of = row.protocol
    counts = counts_of(records)
    if of.supervision == "full":
        pictures = of.train_size or counts.get("pictures")
        one = price("masks", "picture", of.dataset)
        return None if one is None else Cost(one.seconds, one.seconds * pictures if pictures else None, False, (one,))
    if of.supervision in FREE:
        return typical(of.supervision, of.dataset, None)
    return counted(counts, of.dataset) or typical(of.supervision, of.dataset, of.train_size)
