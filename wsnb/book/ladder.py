"""The quality ladder of a chain: how good its labels and predictions are, step by step."""

import dataclasses

from wsnb.book import table
from wsnb.book.results import Row

HEADER = ("step", "stage", "measured on", "value", "change")


@dataclasses.dataclass(frozen=True)
class Ladder:
    """The steps of one metric of one experiment, in the order of its stages and their results."""

    title: str  # paper/experiment
    metric: str
    unit: str
    rows: tuple

    @property
    def changes(self) -> list:
        """Difference to the former step on the same pictures; None for the first of them, and where undefined."""
        made, former = [], {}
        for row in self.rows:
            where = _where(row)
            before = former.get(where)
            made.append(None if before is None or row.value is None else row.value - before)
            former[where] = row.value if row.value is not None else before
        return made


def _where(row):
    return (row.protocol.dataset, row.protocol.split, row.protocol.dataset_size) if row.protocol else None


def ladders(rows) -> list:
    """A Ladder for each experiment and metric that has at least one step on the way; ROWS in the order of their stages.

    A number of the chain's end joins the steps of its metric.
    """
    found: dict = {}
    for row in rows:
        if row.role in ("ladder", "final"):
            found.setdefault((f"{row.paper}/{row.experiment}", row.name, row.unit), []).append(row)
    return [Ladder(*key, tuple(mine)) for key, mine in found.items() if any(row.role == "ladder" for row in mine)]


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


def cells(one: Ladder) -> list:
    """Rows of text under HEADER."""
    made = []
    for row, change in zip(one.rows, one.changes, strict=True):
        where = f"{table.split_words(row.protocol)} ({row.protocol.dataset_size})" if row.protocol else ""
        moved = "" if change is None else f"{round(change, 1) + 0.0:+.1f}".replace("-", "−")
        made.append([step_words(row), row.stage, where, table.ours(row.value, row.unit), moved])
    return made
