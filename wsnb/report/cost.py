"""Price weak and full labels: seconds of a person's time (annotation.csv, each with its source)."""

import csv
import dataclasses
import functools
from pathlib import Path

from wsnb.files import FileError

PATH = Path(__file__).with_name("annotation.csv")
COLUMNS = ["label_seconds", "label_total", "label_counted", "label_prices"]
UNITS = {"tags": "class", "boxes": "box", "points": "picture", "scribbles": "picture", "masks": "picture"}
KINDS = {"image labels": "tags", "boxes": "boxes", "points": "points", "scribbles": "scribbles", "full": "masks"}


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
    ones. prices: what it was computed with."""

    a_picture: float
    total: float | None
    counted: bool
    prices: tuple


def add(results, records):
    """The results frame with the cost of the labels that each number needed: label_seconds a picture, label_total
    seconds, label_counted (from counted labels, else typical ones), label_prices; NaN and None without a price."""
    counts = {title: counts_of([record for record in records if record.title == title])
              for title in {record.title for record in records}}
    found = [of_row(row, counts[f"{row.paper}/{row.experiment}"]) if row.stated else None
             for row in results.itertuples()]
    for name, field in zip(COLUMNS, dataclasses.fields(Cost), strict=True):
        results[name] = [None if one is None else getattr(one, field.name) for one in found]
        results[name] = results[name].astype(object)
    return results


def of_row(row, counts: dict) -> Cost | None:
    """The Cost of the labels of one row of the results frame: counted by its experiment's stages, else typical.

    COUNTS are those of counts_of. A bound with full masks in a weak experiment is paid in masks.
    """
    if row.supervision in ("none", "full"):
        return typical(row.supervision, row.dataset, row.train_size or counts.get("pictures"))
    return counted(counts, row.dataset) or typical(row.supervision, row.dataset, row.train_size)


@functools.cache
def load(path=PATH) -> tuple:
    """All prices. Raises FileError naming the line."""
    made, reader = [], None
    columns = tuple(field.name for field in dataclasses.fields(Price))
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for cells in reader:
                if tuple(cells) != columns or None in cells.values():
                    raise ValueError(f"expected the columns {', '.join(columns)}")
                made.append(Price(**{**cells, "seconds": float(cells["seconds"])}))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        where = "" if reader is None else f", line {reader.line_num}"
        raise FileError(f"{path}{where}: {error}; correct that line, or check the file out again") from error
    return tuple(made)


def price(kind: str, unit: str, dataset: str, path=PATH) -> Price | None:
    """The price of one UNIT of a KIND on a data set ("VOC2012 subset" is VOC2012), or None."""
    fitting = [one for one in load(path) if (one.kind, one.unit) == (kind, unit) and dataset.startswith(one.dataset)]
    return max(fitting, key=lambda one: len(one.dataset), default=None)


def counted(counts: dict, dataset: str, path=PATH) -> Cost | None:
    """The cost of counted labels: {"pictures", "tags", "boxes", "points", "scribbles", "masks"}, tags being decisions,
    points, scribbles and masks pictures that have them. None if one kind has no price.

    Older records counted each point and stroke; their prices are those of a picture with all its points or strokes.
    """
    total, used = 0.0, []
    for kind, unit in UNITS.items():
        number = counts.get(kind)
        if number:
            one = price(kind, unit, dataset, path)
            if one is None:
                return None
            total += one.seconds * (min(number, counts.get("pictures") or number) if unit == "picture" else number)
            used.append(one)
    if not used or not counts.get("pictures"):
        return None
    return Cost(total / counts["pictures"], total, True, tuple(used))


def masks_for(counts: dict, dataset: str, path=PATH) -> int:
    """Compute how many full masks cost what counted labels cost, to the nearest, by the prices in PATH. Raises
    FileError where one has no price."""
    mask, weak = price("masks", UNITS["masks"], dataset, path), counted(counts, dataset, path)
    if mask is None or weak is None:
        raise FileError(f"{path}: no price of {'masks' if mask is None else ' and '.join(counts)} on {dataset}; add a "
                        "line that states it, with its source")
    return max(1, round(weak.total / mask.seconds))


def is_understated(row) -> bool:
    """Whether a row of the results frame needed full masks, as its protocol says, whose number nobody counted."""
    return bool(row.annotation) and not any(one.kind == "masks" for one in row.label_prices or ())


def typical(supervision: str, dataset: str, pictures: int | None) -> Cost | None:
    """The cost of labels of one kind at the data set's usual price a picture, or None if there is none."""
    if supervision == "none":
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
