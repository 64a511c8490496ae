"""Reported numbers beside ours: which of ours belongs to which, and in what their protocols differ.

The numbers stand in wsnb/papers/PAPER/reported.csv, each with its source; the names that mean the same in paper.toml.
"""

import csv
import functools
import math
import re
from collections import defaultdict

import pandas as pd

from wsnb.files import FileError
from wsnb.report import protocol, statistics
from wsnb.run import papers

COLUMNS = ("paper", "dataset", "split", "supervision", "image_labels", "method", "backbone", "crf", "metric", "value",
           "unit", "source_kind", "source", "note")  # fmt: skip
# From the firmest to the weakest; of several sources of one number the firmest is shown.
SOURCES = {"readme": "authors' README", "paper_text": "text of a paper", "project_page": "authors' page",
           "issue": "GitHub thread", "later_repo": "later work", "unverified": "no source found"}  # fmt: skip
NUMBER = [name for name in COLUMNS if not name.startswith("source") and name not in ("backbone", "crf", "note")]
# Official numbers of pictures; the rows of unit "count" hold those of other sets.
SIZES = {("VOC2012", "train"): 1464, ("VOC2012", "val"): 1449, ("VOC2012", "test"): 1456,
         ("VOC2012+COCO", "val"): 1449, ("VOC2012+COCO", "test"): 1456, ("Cityscapes", "val"): 500,
         ("Cityscapes", "test"): 1525, ("DensePose", "minival2014"): 1508}  # fmt: skip
UNSTATED = ("", "unstated")
NUMBER_OF = ("paper", "dataset", "split", "supervision", "method", "metric", "unit")
ENDS = (" (user re-run)", " (student re-run)")
RERUN = rf"(.+)(?:{'|'.join(map(re.escape, ENDS))})$"  # of the `paper` of a number that is not its authors'
SAME = ["method", "supervision"]  # stated by both and equal, else two numbers do not speak of the same method
PLACE = ("dataset", "split")  # equal as well, else the numbers are not comparable
WEIGHTS = {"image_labels": 10, "crf": 10, "backbone": 5, "dataset_size": 3}  # how far a difference takes them apart


def load() -> pd.DataFrame:
    """All rows of the papers' reported.csv, in the order of the chapters; columns COLUMNS. Raises FileError.

    `paper` is a chapter's name, or that of another publication whose numbers its authors compare with.
    """
    tables = [read(paper.reported) for paper in papers.load().values() if paper.reported.is_file()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS, dtype=object)


@functools.cache
def read(path) -> pd.DataFrame:
    """One reported.csv. Raises FileError naming the line."""
    rows, reader = [], None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            if tuple(next(reader, ())) != COLUMNS:
                raise ValueError(f"its first line must name the columns {', '.join(COLUMNS)}")
            rows = [_row(cells) for cells in reader]
    except (OSError, ValueError, csv.Error) as error:
        where = "" if reader is None else f", line {reader.line_num}"
        raise FileError(f"{path}{where}: {error}; correct that line, or check the file out again") from error
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object).astype({"value": float})


def _row(cells):
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} columns instead of {len(COLUMNS)}")
    row = dict(zip(COLUMNS, cells, strict=True))
    if row["source_kind"] not in SOURCES:
        raise ValueError(f"source_kind {row['source_kind']!r}: use one of {', '.join(SOURCES)}")
    row["value"] = float(row["value"])
    if not math.isfinite(row["value"]):
        raise ValueError("value is not a finite number")
    return row


def merged(rows) -> pd.DataFrame:
    """One row a number, with `sources`, all (kind, source) pairs, the firmest first, instead of one.

    A row that states no CRF or backbone is the same number as one that does and agrees in everything else.
    """
    found = []
    for _, same in rows.groupby(NUMBER, sort=False, dropna=False):
        numbers: list[dict] = []
        for place, row in same.sort_values("source_kind", key=lambda kind: kind.map(list(SOURCES).index),
                                           kind="stable").iterrows():  # fmt: skip
            source = (row["source_kind"], row["source"])
            known = next((one for one in numbers if _agrees(one, row)), None)
            if known is None:
                numbers.append({**row, "sources": [source], "notes": [row["note"]], "place": place})
            else:
                known["sources"].append(source)
                known["notes"].append(row["note"])
                known["place"] = min(known["place"], place)
        found += numbers
    for one in found:
        one["note"] = " | ".join(dict.fromkeys(note for note in one["notes"] if note))
        one["sources"] = tuple(one["sources"])
        one["verified"] = any(kind != "unverified" for kind, _ in one["sources"])
    found = pd.DataFrame(sorted(found, key=lambda one: one["place"]), columns=[*COLUMNS, "sources", "verified"],
                         dtype=object)  # fmt: skip
    return found.drop(columns=["source_kind", "source"]).astype({"value": float})


def _agrees(known, row) -> bool:
    return all(known[name] == row[name] or row[name] in UNSTATED for name in ("backbone", "crf"))


@functools.cache
def reruns() -> pd.DataFrame:
    """Numbers that others got when they ran a paper's program again, a row each.

    `paper` is the name of the publication as in `load`, or the chapter's; `chapter` the one in whose table it stands;
    `reported` is the number that it reported under the same conditions, and whether it did so with a CRF counts only
    where the others say; NaN without one.
    """
    rows = load()
    again = rows.paper.str.extract(RERUN)[0]
    mine = {name: key for key, paper in papers.load().items() if paper.reported.is_file()
            for name in read(paper.reported).paper}  # the chapter in whose table a publication stands
    found = rows[again.notna()].assign(paper=again.dropna(), chapter=rows.paper.map(mine))
    chapter = {name: mine[f"{name}{end}"] for name in set(found.paper) for end in ENDS if f"{name}{end}" in mine}
    known = merged(rows[again.isna()])
    found["paper"] = [name if (known.paper == name).any() else chapter.get(name, name) for name in found.paper]
    return found.assign(reported=[_first(known, row) for _, row in found.iterrows()])


def _is_of(number, row) -> bool:
    """Whether ROW is a re-run of NUMBER: whoever says nothing of image tags predicted them where there are some."""
    return (all(number[name] == row[name] for name in NUMBER_OF) and _agrees(number, row)
            and number.image_labels in (row.image_labels, "predicted"))


def _first(known, row) -> float:
    """The number among KNOWN that ROW is a re-run of; NaN without one, and where it may be of several."""
    same = {one.value for _, one in known.iterrows() if _is_of(one, row)}
    return same.pop() if len(same) == 1 else math.nan


def _others(numbers) -> list:
    """The values that others got for each of the NUMBERS, a tuple each."""
    again = [row for _, row in reruns().iterrows()]
    return [tuple(row.value for row in again if row.reported == number.value and _is_of(number, row))
            for _, number in numbers.iterrows()]


def common(paper: str, fields: dict, of: str) -> dict:
    """FIELDS of a protocol, OF "ours" or "reported", in the names of the paper's tables: the alias rules of its
    paper.toml, one after the other, each where all its patterns fit whole fields."""
    found = dict(fields)
    for rule in papers.find(paper).alias:
        fits = [re.fullmatch(pattern, str(found.get(name, ""))) for name, pattern in rule["when"].items()]
        if rule.get("of", of) == of and all(fits):
            parts = {name: part for one in fits for name, part in one.groupdict().items()}
            known = defaultdict(str, {**found, **parts})
            found |= {name: text.format_map(known).strip() for name, text in rule["set"].items()}
    return found


def our_terms(row) -> dict:
    """The fields that the protocol of a row of the results frame states, in the names of its paper's tables."""
    return common(row.paper, protocol.stated({name: getattr(row, name) for name in protocol.FIELDS}), "ours")


def reported_terms(row) -> dict:
    """The same of a reported number."""
    found = {
        **{name: getattr(row, name) for name in (*PLACE, "supervision", "image_labels", "method", "backbone")},
        "dataset_size": SIZES.get((row.dataset, row.split)),
        "crf": {"yes": "yes", "no": ""}.get(row.crf),
        "aggregation": "data set" if "IoU" in row.metric else None,
        "preset": "faithful",
    }
    return common(row.paper, protocol.stated({k: v for k, v in found.items() if v != "unstated"}), "reported")


def differing(ours: dict, theirs: dict) -> tuple:
    """(field, our value, theirs) of the conditions in which two mappings of terms differ, of those that both state."""
    more = [name for name in ours if name in theirs and name not in protocol.FIELDS and ours[name] != theirs[name]]
    return tuple((name, ours[name], theirs[name]) for name in (*protocol.differences(ours, theirs), *more))


def recursion(method: str) -> int:
    """The round that the name of a method states, 'Box, round 3' -> 3; else 0."""
    found = re.search(r"\bround (\d+)", method)
    return int(found[1]) if found else 0


def compare(results, only=None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(lines, rest): a line for every reported number of the chapters' papers, of the papers ONLY if they are given;
    and the rows of the results frame that stand in none.

    Seeds of one number stand once, by their mean, as `statistics.merged` has them. A line has the columns of merged,
    `others` (values that others got when they ran the program again), `found`, `differs` and those of the results
    frame as our_NAME. found is
      "ours"  where a row measures the same metric, data set, split, method and supervision. Of several the nearest
              protocol is taken, then the last round of a recursive training, then the first by name; never the best
              value;
      "near"  where there is but a row of the same method, supervision and metric on other, real pictures. It is not
              comparable, and counts as standing in no line;
      ""      where there is none.
    difference is ours minus theirs, NaN unless found is "ours"; differs holds (field, our value, theirs).
    """
    results = statistics.merged(results)
    numbers = merged(load().pipe(lambda rows: rows[rows.paper.isin(papers.load() if only is None else only)]))
    numbers["others"] = _others(numbers)
    rows, theirs = list(results.itertuples()), [reported_terms(row) for row in numbers.itertuples()]
    ours = [our_terms(row) if row.stated else {} for row in rows]
    known = results.reset_index(drop=True)[["experiment", "stage"]].assign(
        real=[not pd.isna(row.value) and row.role != "ladder" and not row.synthetic for row in rows],
        round=[recursion(row.method or "") for row in rows])  # fmt: skip
    pairs = _keys(numbers, theirs).merge(_keys(results, ours), on=["paper", "unit", "metric", *SAME],
                                         suffixes=("_number", "_row")).join(known, on="place_row")  # fmt: skip
    pairs["differs"] = [differing(ours[row], theirs[number])
                        for number, row in zip(pairs.place_number, pairs.place_row, strict=True)]
    names = pairs.differs.map(lambda found: [name for name, *_ in found])
    pairs["found"] = names.map(lambda found: "near" if set(PLACE) & set(found) else "ours")
    pairs["distance"] = names.map(lambda found: sum(WEIGHTS.get(name, 1) for name in found))
    pairs = pairs[(pairs.found == "ours") | pairs.real]
    order = {"place_number": True, "found": False, "distance": True, "round": False, "experiment": True,
             "stage": True, "place_row": True}  # fmt: skip
    pairs = pairs.sort_values(list(order), ascending=list(order.values()), kind="stable")
    pairs = pairs.drop_duplicates("place_number").set_index("place_number")
    mine = results.reset_index(drop=True).add_prefix("our_")
    lines = numbers.join(pairs[["found", "differs", "place_row"]]).join(mine, on="place_row")
    lines["found"] = lines.found.astype(object).where(lines.found.notna(), "")
    lines["difference"] = (lines.our_value - lines.value).where(lines.found == "ours")
    used = set(pairs.place_row[pairs.found == "ours"])
    return lines.drop(columns="place_row"), results.loc[[place not in used for place in range(len(rows))]]


def _keys(frame, terms) -> pd.DataFrame:
    """What must be equal for two numbers to be of the same metric and method, spelled alike; None where not stated."""
    found = {"paper": list(frame.paper), "unit": list(frame.unit), "metric": list(map(protocol.plain, frame.metric)),
             **{name: [protocol.plain(one[name]) if one.get(name) else None for one in terms] for name in SAME}}
    return pd.DataFrame({"place": range(len(frame)), **found}, dtype=object).dropna()
