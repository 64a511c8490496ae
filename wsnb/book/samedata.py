"""Methods and supervisions on the same pictures: a group a metric and set of pictures, between its bounds."""

import dataclasses

from wsnb.book import annotation, table
from wsnb.book.experiments import SYNTHETIC
from wsnb.book.protocol import same
from wsnb.book.results import Row

HEADER = ("supervision", "method, backbone", "tags at test", "CRF", "ours", "of full supervision",
          "labels, s a picture", "experiment")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One number of a group."""

    row: Row
    full: Row | None  # the full supervision that it is measured against
    cost: annotation.Cost | None

    @property
    def ratio(self) -> float | None:
        """Its value over that of full supervision."""
        if self.full is None or self.row.value is None or not self.full.value:
            return None
        return self.row.value / self.full.value


@dataclasses.dataclass(frozen=True)
class Group:
    """Numbers of the same metric on the same pictures, the highest first."""

    dataset: str
    split: str
    pictures: int
    metric: str
    unit: str
    matching: str
    entries: tuple

    @property
    def title(self) -> str:
        """'VOC2012 subset val, 200 pictures: mIoU'."""
        matched = f" ({self.matching})" if self.matching else ""
        return f"{self.dataset} {self.split}, {self.pictures} pictures: {self.metric}{matched}"

    @property
    def synthetic(self) -> bool:
        """Whether its pictures are of the built-in sets, which only show that a chain runs."""
        return self.dataset.startswith(SYNTHETIC) or all(one.row.experiment.startswith(SYNTHETIC)
                                                         for one in self.entries)


def groups(rows, records) -> list:
    """Groups of at least two methods or supervisions; real pictures first, then the largest group.

    Rows of a ladder, without protocol or without value are left out; what several experiments measured alike (a bound)
    stands once.
    """
    found: dict = {}
    for row in rows:
        if row.protocol is not None and row.value is not None and row.role in ("final", "bound"):
            of = row.protocol
            pictures = of.split_hash or of.dataset_size
            found.setdefault((of.dataset, of.split, pictures, row.name, row.unit, of.matching), []).append(row)
    made = []
    for (dataset, split, _, metric, unit, matching), mine in found.items():
        mine = list({_told(row): row for row in reversed(mine)}.values())[::-1]
        if len({(row.protocol.method, row.protocol.supervision) for row in mine}) < 2:
            continue
        entries = [Entry(row, _full(row, mine), annotation.cost(row, _of(row, records))) for row in mine]
        entries.sort(key=lambda one: (-one.row.value, _title(one.row)))
        made.append(Group(dataset, split, mine[0].protocol.dataset_size, metric, unit, matching, tuple(entries)))
    return sorted(made, key=lambda group: (group.synthetic, -len(group.entries), group.title))


def _title(row):
    return f"{row.paper}/{row.experiment}"


def _of(row, records):
    return [record for record in records if record.title == _title(row)]


def _told(row):
    """What tells two numbers apart; a bound needs no experiment."""
    of = row.protocol
    where = () if of.method == "all background" else (row.paper, row.experiment, row.step)
    return (*where, of.method, of.supervision, of.backbone, of.crf, of.image_labels, of.preset, row.value)


def _full(row, rows) -> Row | None:
    """Full supervision of the same backbone: of the same experiment, else of the same paper, with a CRF beside numbers
    with one if there is a choice; else the highest, the same for all other papers."""
    full = [one for one in rows if one.protocol.supervision == "full"
            and same("backbone", one.protocol.backbone, row.protocol.backbone)]
    for near in (lambda one: _title(one) == _title(row), lambda one: one.paper == row.paper):
        own = [one for one in full if near(one)]
        if own:
            full = [one for one in own if bool(one.protocol.crf) == bool(row.protocol.crf)] or own
            break
    return max(full, key=lambda one: one.value, default=None)


def cells(group: Group) -> list:
    """Rows of text under HEADER."""
    return [[one.row.protocol.supervision or "?", method(one.row),
             {"ground truth": "given", "none": "–"}.get(one.row.protocol.image_labels, one.row.protocol.image_labels),
             table.crf_word(one.row.protocol.crf), table.ours(one.row.value, one.row.unit), ratio_words(one),
             cost_words(one.cost), _title(one.row)] for one in group.entries]


def method(row) -> str:
    """'single-stage, MobileNetV2', with the preset where it is not the paper's."""
    of = row.protocol
    return ", ".join(filter(None, (of.method or "?", of.backbone, of.preset if of.preset == "fixed" else "")))


def ratio_words(entry: Entry) -> str:
    """'79 %', 'not run' without a full supervision to compare with, nothing for bounds."""
    if entry.row.protocol.supervision in ("full", "none"):
        return ""
    return "full supervision not run" if entry.ratio is None else f"{100 * entry.ratio:.0f} %"


def cost_words(cost) -> str:
    """'20 (typical)', '31 (counted; 5.2 h)'."""
    if cost is None:
        return "not known"
    if not cost.prices:
        return "0"
    hours = "" if cost.total is None else f"; {cost.total / 3600:.3g} h"
    unsure = "?" if any(one.source_kind == "unverified" for one in cost.prices) else ""
    return f"{cost.a_picture:.3g}{unsure} ({'counted' if cost.counted else 'typical'}{hours})"


def sources(found) -> list:
    """The prices that a list of groups was reckoned with, in words, each once."""
    used = dict.fromkeys(price for group in found for one in group.entries if one.cost for price in one.cost.prices)
    return [f"{one.kind}: {one.seconds:g} s a {one.unit}{f' on {one.dataset}' if one.dataset else ''}, "
            f"{one.source}{' (no source found that states it)' if one.source_kind == 'unverified' else ''}; {one.note}"
            for one in used]
