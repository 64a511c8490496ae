"""Reported numbers beside ours: which of ours belongs to which, and in what their protocols differ."""

import dataclasses

from wsnb.book import protocol, reported, words
from wsnb.book.experiments import SYNTHETIC
from wsnb.book.results import Row

SAME = ("method", "supervision")  # stated by both and equal, else two numbers do not speak of the same thing
MUST = ("dataset", "split", *SAME)
WEIGHTS = {
    "image_labels": 10,
    "crf": 10,
    "backbone": 5,
    "dataset_size": 3,
}  # how far a difference takes them apart


@dataclasses.dataclass(frozen=True)
class Line:
    """A reported number and the nearest of ours (None: not run).

    Where none of ours measures it, NEAR is our nearest number of the same method, supervision and metric on other
    pictures, if there is one. It is not comparable: no difference is reckoned.
    """

    reported: reported.Reported
    ours: Row | None = None
    differs: tuple = ()  # (field, our value, theirs)
    near: Row | None = None
    near_differs: tuple = ()  # the same for NEAR

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

    Paper, metric, unit, data set, split, method and supervision must agree, in the words of `words`. Other fields, such
    as the number of pictures, may differ and are then named beside the number.
    """
    return akin(row, number) and not set(differing(row, number)) & set(MUST)


def akin(row, number) -> bool:
    """Whether they are the same metric of the same paper's method and supervision, on whatever pictures."""
    if row.protocol is None or row.paper != number.paper or row.unit != number.unit:
        return False
    if not protocol.same("metric", row.name, number.metric):
        return False
    ours, theirs = words.ours(row), words.theirs(number)
    return set(SAME) <= set(ours) & set(theirs) and not set(differing(row, number)) & set(SAME)


def differing(row, number) -> list:
    """Names of the conditions in which a row and a reported number differ, of those that both state."""
    ours, theirs = words.ours(row), words.theirs(number)
    extra = [name for name in words.EXTRA if name in ours and name in theirs and ours[name] != theirs[name]]
    return [*protocol.differences(ours, theirs), *extra]


def distance(row, number) -> int:
    """How far the protocols of a row and a reported number are apart; 0 if they agree in all that both state."""
    return sum(WEIGHTS.get(name, 1) for name in differing(row, number))


def compare(rows, numbers, papers) -> tuple[list, list]:
    """(Lines, rows of ours that stand in no Line): a Line for every reported number of PAPERS, in the order of NUMBERS.

    Of several rows that fit, the nearest protocol is taken, then the last round of a recursive training, then the first
    by name; never the best value. Rows that are only near (Line.near) count as standing in no Line.
    """
    lines, used = [], set()
    for number in reported.merged([number for number in numbers if number.paper in papers]):
        like = [i for i, row in enumerate(rows) if akin(row, number)]
        fitting = _nearest([i for i in like if fits(rows[i], number)], rows, number)
        if fitting is not None:
            used.add(fitting)
            lines.append(Line(number, rows[fitting], _told(rows[fitting], number)))
            continue
        near = _nearest([i for i in like if _real(rows[i])], rows, number)
        found = () if near is None else (rows[near], _told(rows[near], number))
        lines.append(Line(number, None, (), *found))
    return lines, [row for i, row in enumerate(rows) if i not in used]


def _real(row):
    """Whether a row may stand in brackets: the end of a chain, defined, on real pictures."""
    synthetic = row.protocol.dataset.startswith(SYNTHETIC) or row.experiment.startswith(SYNTHETIC)
    return row.value is not None and row.role != "ladder" and not synthetic


def _nearest(places, rows, number):
    """That of PLACES whose row is nearest to NUMBER; None of none."""

    def order(i):
        row = rows[i]
        return distance(row, number), -words.recursion(row.protocol.method), row.experiment, row.stage, i

    return min(places, key=order, default=None)


def _told(row, number):
    """(field, our value, theirs) of all that differs."""
    ours, theirs = words.ours(row), words.theirs(number)
    return tuple((name, ours[name], theirs[name]) for name in differing(row, number))
