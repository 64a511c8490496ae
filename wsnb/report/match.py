"""Equal words: what the papers' tables and our results call the same method, supervision or backbone.

Only true synonyms are made alike. A CRF, tags given at test, a preset or another head stay different.

The numbers that the papers reported, each with its source (reported.csv), and what they say of their protocol.

Reported numbers beside ours: which of ours belongs to which, and in what their protocols differ.
"""

import csv
import dataclasses
import functools
import math
import re
from pathlib import Path

from wsnb.files import FileError
from wsnb.report import protocol
from wsnb.report.frame import Row
from wsnb.run.experiments import SYNTHETIC

EXTRA = ("boxes at test",)  # conditions that are no field of a Protocol
SUPERVISIONS = {"weak (boxes + image tags)": "boxes and image labels"}
METHODS = {  # the retrieval and the joint head of SPML have no number in the paper's tables
    ("spml", "SPML, softmax classifier"): "SPML",
    ("simple_does_it", "masks"): "DeepLab full",
}
BACKBONES = {
    ("spml", "ResNet101 DeepLab"): "ResNet101",
    ("panoptic", "ResNet101 (DIN)"): "ResNet101",
    ("simple_does_it", "DeepLabv2-ResNet101"): "ResNet101 DeepLab v2",
}
HEADS = ("DeepLab-LargeFOV", "DeepLab v2", "DeepLabV3+")  # Simple Does It names them with the method, the paper with
GUESSES = ("Rectangle", "Ellipse", "MCG", "GrabCut", "GrabCut+")  # the backbone; these are masks without training
UNTRAINED = "none (training-free)"
PANOPTIC = "weakly-supervised panoptic"
DETECTOR = "of a detector"


def our_term(row) -> dict:
    """The fields that the protocol of a Row states, in common words, and EXTRA ones."""
    found = protocol.stated(row.protocol)
    found |= {"simple_does_it": _simple, "panoptic": _panoptic}.get(row.paper, dict)(found)
    return _common(row.paper, found)


def reported_term(number) -> dict:
    """The same of a Reported number."""
    found = dict(number.protocol)
    if number.paper == "panoptic" and found.get("method", "").startswith(PANOPTIC):
        found["boxes at test"] = DETECTOR
    return _common(number.paper, found)


def recursion(method: str) -> int:
    """The round that the name of a method states, 'Box, round 3' -> 3; else 0."""
    found = re.search(r"\bround (\d+)", method)
    return int(found[1]) if found else 0


def _common(paper, found):
    """FOUND with the words of the tables above."""
    made = dict(found)
    for name, table in (("method", METHODS), ("backbone", BACKBONES)):
        if name in made:
            made[name] = table.get((paper, made[name]), made[name])
    if "supervision" in made:
        made["supervision"] = SUPERVISIONS.get(made["supervision"], made["supervision"])
    return made


def _simple(found):
    """'Simple Does It: M∩G+, DeepLab-LargeFOV' of VGG16 is the paper's 'M∩G+' of 'VGG16 DeepLab-LargeFOV'."""
    method = found.get("method", "").removeprefix("Simple Does It: ")
    made = {"method": method} if method else {}
    name, _, head = method.rpartition(", ")
    if head in HEADS:
        made = {"method": name, "backbone": f"{found.get('backbone', '')} {head}".strip()}
    if made.get("method") == "Box^i":  # the paper's is trained recursively, as its Box
        made["method"] = "Box^i, not recursive"
    elif re.fullmatch(r"Box(\^i)?, round \d+", made.get("method", "")):
        made["method"] = made["method"].partition(", ")[0]
    if method in GUESSES and found.get("supervision") == "none":  # drawn from the boxes
        made |= {"supervision": "boxes", "backbone": UNTRAINED}
    return made


def _panoptic(found):
    """The initial weights belong to the paper's name of the method; the boxes of things at test do not."""
    method, _, boxes = found.get("method", "").partition(", boxes: ")
    made = {}
    if boxes in ("components", "files"):  # true boxes stay another method
        made["boxes at test"] = DETECTOR if boxes == "files" else boxes
    elif boxes:
        method = found["method"]
    if method == PANOPTIC and "imagenet" in found.get("weights", "").casefold():
        method = f"{PANOPTIC}, ImageNet init"
    return {**made, "method": method} if method else made


PATH = Path(__file__).with_name("reported.csv")
COLUMNS = (
    "paper",
    "dataset",
    "split",
    "supervision",
    "method",
    "backbone",
    "crf",
    "metric",
    "value",
    "unit",
    "source_kind",
    "source",
    "note",
)
# From the firmest to the weakest; of several sources of one number the firmest is shown.
SOURCES = ("readme", "paper_text", "project_page", "issue", "later_repo", "unverified")
PAPERS = {
    "Li,Arnab,Torr ECCV2018": "panoptic",
    "SPML ICLR2021": "spml",
    "Khoreva CVPR2017 (Simple Does It)": "simple_does_it",
    "Dobko 2020 (NoPeopleAllowed)": "no_people_allowed",
    "Araslanov&Roth CVPR2020": "single_stage",
}
# Official numbers of pictures; the rows of unit "count" hold those of other sets.
SIZES = {
    ("VOC2012", "train"): 1464,
    ("VOC2012", "val"): 1449,
    ("VOC2012", "test"): 1456,
    ("VOC2012+COCO", "val"): 1449,
    ("VOC2012+COCO", "test"): 1456,
    ("Cityscapes", "val"): 500,
    ("Cityscapes", "test"): 1525,
    ("DensePose", "minival2014"): 1508,
}
UNSTATED = ("", "unstated")
CLEAN = "; GT image labels used at test (clean)"


@dataclasses.dataclass(frozen=True)
class Reported:
    """One reported number. paper is this book's name for its five papers (see PAPERS), else the name in the file."""

    paper: str
    dataset: str
    split: str
    supervision: str
    method: str
    backbone: str
    crf: str  # "yes", "no", "unstated" or empty where there can be none
    metric: str
    value: float
    unit: str  # "%", "count" or "place"
    sources: tuple  # (kind, source) pairs, the firmest first
    note: str = ""

    @property
    def verified(self) -> bool:
        """False if no source could be found that states the number."""
        return any(kind != "unverified" for kind, _ in self.sources)

    @property
    def protocol(self) -> dict:
        """The Protocol fields that the row states; see protocol.differences."""
        clean = self.supervision.endswith(CLEAN)
        found = {
            "dataset": self.dataset,
            "dataset_size": SIZES.get((self.dataset, self.split)),
            "split": self.split,
            "image_labels": self._image_labels(clean),
            "supervision": self.supervision.removesuffix(CLEAN),
            "method": self.method,
            "backbone": self.backbone,
            "crf": {"yes": "yes", "no": ""}.get(self.crf),
            "aggregation": "data set" if "IoU" in self.metric else None,
            "preset": "faithful",
        }
        return {
            name: value
            for name, value in found.items()
            if value is not None and (name == "crf" or value not in UNSTATED)
        }

    def _image_labels(self, clean):
        """Only one paper's table tells tags at test apart, so only there their absence says "predicted"."""
        if clean:
            return "ground truth"
        return "predicted" if self.paper == "single_stage" and self.method == "single-stage" else None


@functools.cache
def load(path=PATH) -> tuple:
    """All rows of the file, one Reported a row, in its order. Raises FileError naming the line."""
    rows, reader = [], None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            for number, cells in enumerate(reader, 1):
                if number > 1:
                    rows.append(_row(dict(zip(COLUMNS, cells, strict=False)), cells))
                elif tuple(cells) != COLUMNS:
                    raise ValueError(f"its first line must name the columns {', '.join(COLUMNS)}")
    except (OSError, ValueError, csv.Error) as error:
        where = "" if reader is None else f", line {reader.line_num}"
        raise FileError(f"{path}{where}: {error}; mend that line, or check the file out again") from error
    return tuple(rows)


def _row(cells, raw):
    if len(raw) != len(COLUMNS):
        raise ValueError(f"{len(raw)} columns instead of {len(COLUMNS)}")
    kind, source, paper = cells.pop("source_kind"), cells.pop("source"), cells.pop("paper")
    if kind not in SOURCES:
        raise ValueError(f"source_kind {kind!r}: use one of {', '.join(SOURCES)}")
    value = float(cells.pop("value"))
    if not math.isfinite(value):
        raise ValueError("value is not a finite number")
    return Reported(paper=PAPERS.get(paper, paper), value=value, sources=((kind, source),), **cells)


def merged(rows) -> list:
    """One row a number: the same value under the same words from several sources becomes one row with all of them.

    A row that states no CRF or backbone is the same number as one that does and agrees in everything else. The order
    is that of the first row of each number.
    """
    found: list[Reported] = []
    for row in sorted(rows, key=lambda row: SOURCES.index(row.sources[0][0])):
        twin = next((i for i, other in enumerate(found) if _same_number(other, row)), None)
        if twin is None:
            found.append(row)
        else:
            other = found[twin]
            notes = dict.fromkeys(note for note in (*other.note.split(" | "), row.note) if note)
            found[twin] = dataclasses.replace(
                other, sources=(*other.sources, *row.sources), note=" | ".join(notes)
            )
    place = {id(row): i for i, row in enumerate(rows)}
    first = [min(place[id(row)] for row in rows if _same_number(number, row)) for number in found]
    return [number for _, number in sorted(zip(first, found, strict=True), key=lambda pair: pair[0])]


def _same_number(a, b) -> bool:
    words = ("paper", "dataset", "split", "supervision", "method", "metric", "value", "unit")
    return all(getattr(a, name) == getattr(b, name) for name in words) and all(
        getattr(a, name) == getattr(b, name) or getattr(b, name) in UNSTATED for name in ("backbone", "crf")
    )


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

    reported: Reported
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
    ours, theirs = our_term(row), reported_term(number)
    return set(SAME) <= set(ours) & set(theirs) and not set(differing(row, number)) & set(SAME)


def differing(row, number) -> list:
    """Names of the conditions in which a row and a reported number differ, of those that both state."""
    ours, theirs = our_term(row), reported_term(number)
    extra = [name for name in EXTRA if name in ours and name in theirs and ours[name] != theirs[name]]
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
    for number in merged([number for number in numbers if number.paper in papers]):
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
        return distance(row, number), -recursion(row.protocol.method), row.experiment, row.stage, i

    return min(places, key=order, default=None)


def _told(row, number):
    """(field, our value, theirs) of all that differs."""
    ours, theirs = our_term(row), reported_term(number)
    return tuple((name, ours[name], theirs[name]) for name in differing(row, number))
