"""The tables of the book as text cells: reported against ours, our other results, time and memory of the stages.

The table as CSV, with all digits, sources and notes.
"""

import csv
import io
import re

from wsnb.report import ladder, match
from wsnb.report import same_data as samedata
from wsnb.report.match import compare

NOT_RUN = "not run"
NAMED = 6  # undefined classes that are named; the CSV has all
KINDS = {
    "readme": "authors' README",
    "paper_text": "text of a paper",
    "project_page": "authors' page",
    "issue": "GitHub thread",
    "later_repo": "later work",
    "unverified": "no source found",
}


def number(value: float, unit: str = "%") -> str:
    """A reported value with one decimal, two where the paper gives two; a count or a place as it is."""
    if unit != "%":
        return f"{value:g} {unit}".rstrip()
    text = f"{value:.2f}"
    return text[:-1] if text.endswith("0") else text


def ours(value, unit="%") -> str:
    """One of our values: one decimal; few numbers of this kind deserve a second."""
    return "undefined" if value is None else f"{value:.1f}" if unit == "%" else f"{value:.4g} {unit}".rstrip()


def split_words(protocol_or_number) -> str:
    """'VOC2012 val'."""
    return f"{protocol_or_number.dataset} {protocol_or_number.split}".replace(" unstated", "")


def crf_word(text) -> str:
    """Short word for a CRF in the cells: yes, no or ?"""
    return {"no": "no", "": "no", "unstated": "?"}.get(text, "yes")


def difference(line) -> str:
    """'+1.2', in brackets where the protocols differ and the difference is no verdict."""
    if line.difference is None:
        return ""
    text = f"{round(line.difference, 1) + 0.0:+.1f}".replace("-", "−")
    return text if line.match else f"({text})"


def differs_words(line) -> str:
    """'dataset_size: 200, theirs 1449; backbone: ...'."""
    return _each(line.differs)


def near_words(line) -> str:
    """The same of the nearest of ours, which is not comparable."""
    return _each(line.near_differs)


def _each(differs):
    return "; ".join(f"{name}: {_brief(name, mine)}, theirs {_brief(name, theirs)}" for name, mine, theirs in differs)


def _brief(name, value):
    if name == "crf":
        return "yes" if value else "no"
    return ", ".join(f"{item:g}" for item in value) if isinstance(value, list | tuple) else str(value)


def match_words(line) -> str:
    """'yes', 'no: what differs', 'not comparable: names of what differs' or ''."""
    if line.near is not None:
        names = ["size" if name == "dataset_size" else name.replace("_", " ") for name, *_ in line.near_differs]
        return f"not comparable: other {', '.join(names)}"
    return "" if line.match is None else "yes" if line.match else f"no: {differs_words(line)}"


def undefined_words(row) -> str:
    """Undefined classes by name, the first of them."""
    more = f" and {len(row.undefined) - NAMED} more" if len(row.undefined) > NAMED else ""
    return f"undefined: {', '.join(row.undefined[:NAMED])}{more}" if row.undefined else ""


def reported_words(item) -> str:
    """A reported number, marked if no source states it or if sources contradict each other."""
    disputed = " (disputed)" if "CONTRADICTION" in item.note else ""
    return number(item.value, item.unit) + (disputed if item.verified else " (unverified)")


COMPARISON = (
    "data, metric",
    "supervision",
    "method, backbone",
    "CRF",
    "reported",
    "ours",
    "difference",
    "protocols match?",
    "source",
)


def comparison_cells(lines, numbered: dict) -> list:
    """Rows of text under COMPARISON. NUMBERED is {(kind, source): its number in the list of sources}."""
    cells = []
    for line in lines:
        item = line.reported
        backbone = "?" if item.backbone in match.UNSTATED else item.backbone
        tags = " (tags known at test)" if item.protocol.get("image_labels") == "ground truth" else ""
        cited = sorted({numbered[source] for source in item.sources})
        cells.append(
            [
                f"{split_words(item)}, {item.metric}",
                item.supervision.removesuffix(match.CLEAN) + tags,
                f"{item.method or '?'}, {backbone}",
                "" if item.crf == "" else crf_word(item.crf),
                reported_words(item),
                ours_words(line),
                difference(line),
                match_words(line),
                ", ".join(map(str, cited)),
            ]
        )
    return cells


def ours_words(line) -> str:
    """'59.2 (experiment)'; '[25.9] (experiment)' for one that is only near; 'not run'."""
    if line.ours is not None:
        return f"{ours(line.ours.value)} ({line.ours.experiment})"
    return NOT_RUN if line.near is None else f"[{ours(line.near.value)}] ({line.near.experiment})"


def numbered_sources(lines) -> dict:
    """{(kind, source): number from 1}, the firmest first."""
    found = {source for line in lines for source in line.reported.sources}
    found = sorted(found, key=lambda source: (match.SOURCES.index(source[0]), source[1]))
    return {source: number for number, source in enumerate(found, 1)}


OWN = (
    "experiment",
    "data, metric",
    "supervision",
    "method, backbone",
    "CRF",
    "tags at test",
    "ours",
    "remark",
)


def own_cells(rows) -> list:
    """Rows of text under OWN."""
    cells = []
    for row in rows:
        p = row.protocol
        remarks = [
            undefined_words(row),
            "no protocol" if p is None else "fixed preset" if p.preset == "fixed" and "fixed" not in row.step else "",
            "" if p is None else row.step,
        ]
        words = (
            [row.name, "", row.step, "", ""]
            if p is None
            else [
                f"{split_words(p)} ({p.dataset_size} pictures), {row.name}",
                p.supervision,
                f"{p.method}, {p.backbone}".rstrip(", "),
                crf_word(p.crf),
                p.image_labels,
            ]
        )
        cells.append([row.experiment, *words, ours(row.value, row.unit), "; ".join(filter(None, remarks))])
    return cells


STAGES = ("experiment", "stage", "time", "main memory", "GPU memory", "device", "commit")


def stage_cells(records) -> list:
    """Rows of text under STAGES."""
    cells = []
    for record in records:
        of, machine = record.manifest, record.manifest["environment"]
        commit = (machine.get("git_commit") or "?")[:8] + (" + edits" if machine.get("git_dirty") else "")
        gpu = of["peak_gpu_bytes"]
        cells.append(
            [
                record.title,
                record.stage,
                duration(of["seconds"]),
                memory(of["peak_cpu_bytes"]),
                memory(gpu) if gpu else "none",
                machine.get("gpu") if gpu else f"{machine.get('cpu_count', '?')} CPU cores",
                commit,
            ]
        )
    return cells


def duration(seconds: float) -> str:
    """'42 s', '3 min 05 s' or '2 h 07 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory(size: int) -> str:
    """'1.24 GB' (10^9 bytes) or '312 MB'."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def as_markdown(header, cells, escaped: bool = False) -> str:
    """A Markdown table; what Markdown would read as markup is escaped, unless the cells are Markdown (ESCAPED)."""

    def line(row):
        return "| " + " | ".join(str(cell) if escaped else escape(cell) for cell in row) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, cells)]) + "\n"


def filled(header, cells) -> tuple:
    """(header, cells) without the columns in which no row says a word."""
    kept = [i for i in range(len(header)) if not cells or any(row[i] for row in cells)]
    return [header[i] for i in kept], [[row[i] for i in kept] for row in cells]


def escape(text) -> str:
    """Text that Markdown shows as it stands, on one line."""
    text = " ".join(str(text).split())
    return re.sub(r"[\\|*`<>$\[\]^~]|(?<!\w)_|_(?!\w)", lambda sign: f"\\{sign[0]}", text)


def lines_of(rows, records):
    """(Lines, other rows): the reported numbers of the book's five papers with ours where run, and our other results.

    Without any record, nothing: there is nothing to compare with yet.
    """
    return compare(rows, match.load(), set(match.PAPERS.values()) if records else set())


CSV = (
    "paper",
    "dataset",
    "split",
    "supervision",
    "method",
    "backbone",
    "crf",
    "image_labels",
    "metric",
    "unit",
    "reported",
    "verified",
    "ours",
    "difference",
    "protocols_match",
    "differs",
    "dataset_size",
    "undefined",
    "experiment",
    "stage",
    "key",
    "git_commit",
    "sources",
    "note",
    "nearest",  # ours under other conditions where none of ours measures the reported number
    "nearest_experiment",
    "nearest_differs",
)


def as_csv(lines, rest) -> str:
    """Everything in full precision, one number a row: reported ones with ours beside them, then our other results."""
    made = []
    for line in lines:
        item = line.reported
        made.append(
            {
                **_words(item),
                "crf": item.crf,
                "image_labels": item.protocol.get("image_labels", ""),
                "metric": item.metric,
                "unit": item.unit,
                "reported": repr(item.value),
                "verified": "yes" if item.verified else "no",
                "difference": "" if line.difference is None else repr(round(line.difference, 6)),
                "protocols_match": {None: "", True: "yes", False: "no"}[line.match],
                "differs": differs_words(line),
                "sources": "; ".join(f"{kind}: {source}" for kind, source in item.sources),
                "note": item.note,
                **({} if line.near is None else _near(line)),
                **({"ours": NOT_RUN} if line.ours is None else _own(line.ours)),
            }
        )
    for row in rest:
        p = row.protocol
        words = {} if p is None else {**_words(p), "crf": p.crf or "no", "image_labels": p.image_labels}
        made.append({**words, "metric": row.name, "unit": row.unit, **_own(row), "paper": row.paper})
    return rows_as_csv(CSV, [[row.get(name, "") for name in CSV] for row in made])


SAME = (
    "dataset", "split", "pictures", "metric", "matching", "unit", "supervision", "method", "backbone", "image_labels",
    "crf", "preset", "role", "value", "of_full_supervision", "full_supervision", "full_supervision_method",
    "full_supervision_value", "unlike_most", "seconds_a_picture", "total_seconds",
    "counted", "paper", "experiment", "stage", "key", "git_commit",
)  # fmt: skip


def same_data(groups) -> str:
    """The entries of samedata.groups in full precision."""
    cells = []
    for group in groups:
        for one in group.entries:
            row, of, cost = one.row, one.row.protocol, one.cost
            full = "" if one.full is None else f"{one.full.paper}/{one.full.experiment}"
            cells.append([
                group.dataset, group.split, group.pictures, group.metric, group.matching, group.unit, of.supervision,
                of.method, of.backbone, of.image_labels, of.crf or "no", of.preset, row.role, repr(row.value),
                "" if one.ratio is None else repr(round(one.ratio, 6)), full,
                "" if one.full is None else samedata.bound_words(one), "" if one.full is None else repr(one.full.value),
                ", ".join(one.unlike),
                "" if cost is None else repr(round(cost.a_picture, 3)),
                "" if cost is None or cost.total is None else repr(round(cost.total, 1)),
                "" if cost is None else "yes" if cost.counted else "no",
                row.paper, row.experiment, row.stage, row.key, row.git_commit or "",
            ])  # fmt: skip
    return rows_as_csv(SAME, cells)


LADDER = ("paper", "experiment", "stage", "step", "role", "dataset", "split", "pictures", "metric", "unit", "value",
          "change", "since", "key", "git_commit")  # fmt: skip


def ladders(found) -> str:
    """The steps of ladder.ladders in full precision."""
    cells = []
    for one in found:
        for row, (change, since) in ladder.steps(one):
            of = row.protocol
            where = ["", "", ""] if of is None else [of.dataset, of.split, of.dataset_size]
            cells.append([row.paper, row.experiment, row.stage, ladder.step_words(row), row.role, *where, row.name,
                          row.unit, "undefined" if row.value is None else repr(row.value),
                          "" if change is None else repr(round(change, 6)), since, row.key, row.git_commit or ""])
    return rows_as_csv(LADDER, cells)


def rows_as_csv(header, cells) -> str:
    """CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *cells])
    return text.getvalue()


def _words(item):
    return {
        name: getattr(item, name)
        for name in ("paper", "dataset", "split", "supervision", "method", "backbone")
        if hasattr(item, name)
    }


def _near(line):
    return {
        "nearest": repr(line.near.value),
        "nearest_experiment": line.near.experiment,
        "nearest_differs": near_words(line),
    }


def _own(row):
    return {
        "ours": "undefined" if row.value is None else repr(row.value),
        "undefined": ", ".join(row.undefined),
        "experiment": row.experiment,
        "stage": row.stage,
        "key": row.key,
        "git_commit": row.git_commit or "",
        "dataset_size": "" if row.protocol is None else row.protocol.dataset_size,
    }
