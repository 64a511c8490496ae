"""What weak and full labels cost: seconds of a person's time (annotation.csv, each with its source).

Methods and supervisions on the same pictures: a group a metric and set of pictures, between its bounds.
"""

import csv
import dataclasses
import functools
import re
from collections import Counter
from pathlib import Path

from wsnb.files import FileError
from wsnb.report import table
from wsnb.report.frame import Row
from wsnb.report.protocol import same, stated
from wsnb.run.experiments import SYNTHETIC

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


HEADER = ("supervision", "method, backbone", "tags at test", "CRF", "ours", "of full supervision",
          "labels, s a picture", "experiment")
UNLIKE = "unlike most"  # one more column where something differs
SETTINGS = ("scales", "flip", "resolution")  # of the test; methods on the same data may have others
FLOOR = "all background"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One number of a group."""

    row: Row
    full: Row | None  # the full supervision that it is measured against
    cost: Cost | None
    unlike: tuple = ()  # those of SETTINGS that differ from most of the group

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
    usual: tuple = ()  # (setting, the value that most entries have)

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
        usual = _usual(mine)
        entries = [Entry(row, _full(row, mine), cost(row, _of(row, records)), _unlike(row, usual))
                   for row in mine]
        entries.sort(key=lambda one: (-one.row.value, _title(one.row)))
        size = mine[0].protocol.dataset_size
        made.append(Group(dataset, split, size, metric, unit, matching, tuple(entries), tuple(usual.items())))
    return sorted(made, key=lambda group: (group.synthetic, -len(group.entries), group.title))


def _title(row):
    return f"{row.paper}/{row.experiment}"


def _of(row, records):
    return [record for record in records if record.title == _title(row)]


def _told(row):
    """What tells two numbers apart; the floor needs no network, so its experiment and preset do not count."""
    of = row.protocol
    if of.method == FLOOR:
        return (FLOOR, round(row.value, 3))
    where = (row.paper, row.experiment, row.step)
    return (*where, of.method, of.supervision, of.backbone, of.crf, of.image_labels, of.preset, row.value)


def _usual(rows) -> dict:
    """{setting: the value that most ROWS state}; the first of equally frequent ones."""
    found = {}
    for name in SETTINGS:
        values = Counter(_plain(row, name) for row in rows if row.protocol.method != FLOOR)
        values.pop(None, None)
        if values:
            found[name] = max(values, key=values.get)
    return found


def _plain(row, name):
    value = stated(row.protocol).get(name)
    return tuple(value) if isinstance(value, list) else value


def _unlike(row, usual) -> tuple:
    """Names of the settings of a row that are stated and not the USUAL ones; of none that nothing was learned for."""
    if row.protocol.method == FLOOR:
        return ()
    return tuple(name for name, value in usual.items() if _plain(row, name) not in (None, value))


def _full(row, rows) -> Row | None:
    """Full supervision of the same backbone that ROW is measured against: the highest of those that are left.

    Of the same paper if it has any: of the same method, else of any; then of the same experiment, and with a CRF beside
    numbers with one, where there is a choice. Else of all papers, the same for each.
    """
    full = [one for one in rows if one.protocol.supervision == "full"
            and same("backbone", one.protocol.backbone, row.protocol.backbone)]
    own = [one for one in full if one.paper == row.paper]
    for near in (
        lambda one: same("method", one.protocol.method, row.protocol.method),
        lambda one: _title(one) == _title(row),
        lambda one: bool(one.protocol.crf) == bool(row.protocol.crf),
    ):
        own = [one for one in own if near(one)] or own
    return max(own or full, key=lambda one: one.value, default=None)


def header(group: Group) -> tuple:
    """HEADER, with one column more where settings of the test differ."""
    return (*HEADER, UNLIKE) if any(one.unlike for one in group.entries) else HEADER


def cells(group: Group) -> list:
    """Rows of text under `header`."""
    wide = len(header(group)) > len(HEADER)
    return [[one.row.protocol.supervision or "?", method(one.row),
             {"ground truth": "given", "none": "–"}.get(one.row.protocol.image_labels, one.row.protocol.image_labels),
             table.crf_word(one.row.protocol.crf), table.ours(one.row.value, one.row.unit), ratio_words(one),
             cost_words(one.cost), "" if one.row.protocol.method == FLOOR else _title(one.row),
             *([", ".join(one.unlike)] if wide else [])] for one in group.entries]


def usual_words(group: Group) -> str:
    """What the column UNLIKE compares with, as a line of Markdown; nothing without that column."""
    if len(header(group)) == len(HEADER):
        return ""
    told = [f"{name} {_said(value)}" for name, value in group.usual]
    return f"Most rows: {table.escape(', '.join(told))}.\n"


def _said(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " / ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)


def method(row) -> str:
    """'single-stage, MobileNetV2', with the preset where it is not the paper's; of the floor its name alone."""
    of = row.protocol
    if of.method == FLOOR:
        return FLOOR
    return ", ".join(filter(None, (of.method or "?", of.backbone, of.preset if of.preset == "fixed" else "")))


def ratio_words(entry: Entry) -> str:
    """'79 % of 48.0 (SPML, softmax classifier)', 'not run' without a full supervision, nothing for bounds."""
    if entry.row.protocol.supervision in ("full", "none"):
        return ""
    if entry.ratio is None:
        return "full supervision not run"
    value = table.ours(entry.full.value, entry.full.unit)
    return f"{100 * entry.ratio:.0f} % of {value} ({bound_words(entry)})"


def bound_words(entry: Entry) -> str:
    """The full supervision that an entry is measured against: its method, CRF, and its paper if it is another."""
    of, other = entry.full.protocol, entry.full.paper if entry.full.paper != entry.row.paper else ""
    if re.sub(r"\W+", "_", of.method or "").casefold().startswith(other):  # "Simple Does It: masks" says it
        other = ""
    return ", ".join(filter(None, (other, of.method or "?", "CRF" if of.crf else "")))


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
