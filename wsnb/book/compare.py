"""Reported numbers beside ours: which of ours belongs to which, and in what their protocols differ."""

import dataclasses

from wsnb.book import protocol, reported
from wsnb.book.results import Row

MUST = (
    "dataset",
    "split",
    "method",
    "supervision",
)  # without these two numbers do not speak of the same thing
WEIGHTS = {
    "image_labels": 10,
    "crf": 10,
    "backbone": 5,
    "dataset_size": 3,
}  # how far a difference takes them apart


@dataclasses.dataclass(frozen=True)
class Line:
    """A reported number and the nearest of ours (None: not run)."""

    reported: reported.Reported
    ours: Row | None = None
    differs: tuple = ()  # (field, our value, theirs)

    @property
    def difference(self) -> float | None:
        """Ours minus theirs; None if not run or undefined."""
        return None if self.ours is None or self.ours.value is None else self.ours.value - self.reported.value

    @property
    def match(self) -> bool | None:
        """Whether the protocols agree in all that both state; None if not run."""
        return None if self.ours is None else not self.differs


def fits(row, number) -> bool:
    """Whether ROW of ours and a reported NUMBER measure the same thing.

    Paper, metric, unit, data set, split, method and supervision must agree. Other fields, such as the number of
    pictures, may differ and are then named beside the number.
    """
    if row.protocol is None or row.paper != number.paper or row.unit != number.unit:
        return False
    if not protocol.same("metric", row.name, number.metric):
        return False
    return not set(protocol.differences(row.protocol, number.protocol)) & set(MUST)


def distance(row, number) -> int:
    """How far the protocols of a row and a reported number are apart; 0 if they agree in all that both state."""
    return sum(WEIGHTS.get(name, 1) for name in protocol.differences(row.protocol, number.protocol))


def compare(rows, numbers, papers) -> tuple[list, list]:
    """(Lines, rows of ours that stand in no Line): a Line for every reported number of PAPERS, in the order of NUMBERS.

    Of several rows that fit, the nearest protocol is taken, then the first by name; never the best value.
    """
    lines, used = [], set()
    for number in reported.merged(
        [number for number in numbers if number.paper in papers and number.unit == "%"]
    ):
        fitting = sorted(
            (distance(row, number), row.experiment, row.stage, i)
            for i, row in enumerate(rows)
            if fits(row, number)
        )
        if not fitting:
            lines.append(Line(number))
            continue
        row = rows[fitting[0][-1]]
        used.add(fitting[0][-1])
        ours, theirs = protocol.stated(row.protocol), number.protocol
        differs = tuple(
            (name, ours[name], theirs[name]) for name in protocol.differences(row.protocol, theirs)
        )
        lines.append(Line(number, row, differs))
    return lines, [row for i, row in enumerate(rows) if i not in used]
