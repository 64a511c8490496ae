"""The numbers that the papers reported, each with its source (reported.csv), and what they say of their protocol."""

import csv
import dataclasses
import functools
import math
from pathlib import Path

from wsnb.files import FileError

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
