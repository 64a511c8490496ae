"""The quality ladder of a chain: how good its labels and predictions are, step by step."""

import dataclasses
import re

from wsnb.report import table
from wsnb.report.frame import Row

HEADER = ("step", "stage", "measured on", "value", "change", "since")
# Steps that are not made from the step before them, by their kind: they start from the first of these that there is.
AFTER = {
    "CAM + CRF": ("CAM",),
    "confident labels": ("CAM",),  # beside the former, not from it
    "walk": ("CAM",),
    "walk, best threshold": ("CAM",),
    "pseudo masks": ("walk", "walk, best threshold"),
}
RECIPE = "labels: "  # alternatives: each starts from the boxes


@dataclasses.dataclass(frozen=True)
class Ladder:
    """The steps of one metric of one experiment, in the order of its chain, each once."""

    title: str  # paper/experiment
    metric: str
    unit: str
    rows: tuple
    moved: tuple  # (change, the step since which) a row; (None, "") where nothing of its preset went before

    @property
    def changes(self) -> list:
        """Difference to the step that each was made from; None without one, and where undefined."""
        return [change for change, _ in self.moved]


def _where(row):
    return (row.protocol.dataset, row.protocol.split, row.protocol.dataset_size) if row.protocol else None


def ladders(rows) -> list:
    """A Ladder for each experiment and metric that has at least one step on the way; ROWS in the order of their chain
    (results.rows).

    A number of the chain's end joins the steps of its metric. What a later stage states again stands once.
    """
    found: dict = {}
    for row in rows:
        if row.role in ("ladder", "final"):
            found.setdefault((f"{row.paper}/{row.experiment}", row.name, row.unit), []).append(row)
    return [_climbed(*key, mine) for key, mine in found.items() if any(row.role == "ladder" for row in mine)]


def _preset(row):
    return row.protocol.preset if row.protocol else ""


def _climbed(title, metric, unit, rows):
    """The Ladder of ROWS without repeated ones."""
    shown, moved = [], []
    known, last, seen = {}, {}, set()  # rows by (line, kind), the last by line; a line: of one preset on some pictures
    for row in rows:
        line, kind = (_where(row), _preset(row)), _kind(row)
        told = (step_words(row), row.value)
        if row.role == "ladder" and told in seen:
            known[line, kind] = row  # measured on these pictures too: later rounds of it may follow
            continue
        seen.add(told)
        starts = _starts(kind)
        former = last.get(line) if starts is None else next(
            (known[line, one] for one in starts if (line, one) in known), None)
        shown.append(row)
        good = former is not None and row.value is not None
        moved.append((row.value - former.value, step_words(former)) if good else (None, ""))
        if row.value is not None:
            known[line, kind] = last[line] = row
    return Ladder(title, metric, unit, tuple(shown), tuple(moved))


def _kind(row) -> str:
    """The step without its preset and pictures: 'walk, best threshold' of 'walk, faithful, best threshold, train'."""
    words = step_words(row)
    if words.startswith(RECIPE):
        return words
    best = ", best threshold" if "best threshold" in words.split(", ") else ""
    return words.partition(", ")[0] + best


def _starts(kind):
    """Kinds of which a step may have been made; None: of whatever stands before it."""
    if not kind.startswith(RECIPE):
        return AFTER.get(kind)
    name, _, number = kind.removeprefix(RECIPE).partition(", round ")
    if not re.fullmatch(r"\d+", number):
        return ()
    first = "Rectangles" if name == "Box" else name  # what Box is called before it is trained again
    return (f"{RECIPE}{first if int(number) == 2 else f'{name}, round {int(number) - 1}'}",)


def step_words(row: Row) -> str:
    """The step's name; for a number of the chain's end its method."""
    of = row.protocol
    if row.step:
        return row.step
    parts = [of.method] if of else [row.name]
    if of and of.image_labels == "ground truth":
        parts.append("tags given")
    if of and of.crf:
        parts.append("CRF")
    return ", ".join(filter(None, parts)) or row.name


def steps(one: Ladder) -> list:
    """(row, (change, since)) of a Ladder, the presets after one another, the one that begins first."""
    order = list(dict.fromkeys(map(_preset, one.rows)))
    order = [*[name for name in order if name], *[name for name in order if not name]]
    return sorted(zip(one.rows, one.moved, strict=True), key=lambda pair: order.index(_preset(pair[0])))


def cells(one: Ladder) -> list:
    """Rows of text under HEADER."""
    made = []
    for row, (change, since) in steps(one):
        where = f"{table.split_words(row.protocol)} ({row.protocol.dataset_size})" if row.protocol else ""
        moved = "" if change is None else f"{round(change, 1) + 0.0:+.1f}".replace("-", "−")
        made.append([step_words(row), row.stage, where, table.ours(row.value, row.unit), moved, since])
    return made
