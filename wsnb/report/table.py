"""The tables of the book as data frames of text, and as CSV with all digits: reported and ours, our other results,
time and memory of the stages."""

import pandas as pd

from wsnb.report import match, statistics, text
from wsnb.run import papers

NOT_RUN = "not run"
NAMED = 6  # undefined classes that are named; the CSV has all
MAIN = ("mIoU", "PQ (all)", "mAP^r@0.5")  # the metric of a set of pictures that is shown first
CSV = ["paper", "dataset", "split", "supervision", "method", "backbone", "crf", "image_labels", "metric", "unit",
       "reported", "verified", "ours", "difference", "protocols_match", "differs", "dataset_size", "undefined",
       "experiment", "stage", "key", "git_commit", "sources", "note", "nearest", "nearest_experiment",
       "nearest_differs"]  # nearest: ours under other conditions where none of ours measures the number  # fmt: skip
LEGEND = """*difference*: ours minus reported; in brackets where the protocols differ, and it is no verdict.
*95 %, pictures*: where ours lies if other pictures of this kind had been drawn; *95 %, seeds*: where the mean over more
seeds lies (their number); see the table of the same pictures.
*protocols match?*: compared is what both sides state; what differs is named.
*re-run by others*: what strangers report after running the authors' program again.
*not run*: nothing of ours measures it. *[25.9]*: neither does this one, it is the nearest of ours with the same method
and supervision under other conditions, not comparable; no difference is computed.
*unverified*: no source was found that states the number.
*disputed*: sources contradict each other. *?*: the source does not say.
The CSV holds all digits, all sources and notes.
"""


def of_paper(paper: str, lines, rest) -> tuple:
    """(its lines: those with a number of ours, those with one nearby, those that were not run; its other rows)."""
    lines = lines[lines.paper == paper]
    lines = lines.iloc[sorted(range(len(lines)), key=lambda k: ["ours", "near", ""].index(lines.found.iloc[k]))]
    return lines, rest[rest.paper == paper]


def sources(lines) -> dict:
    """{(kind, source): its number from 1}, the firmest first."""
    found = {source for sources in lines.sources for source in sources}
    found = sorted(found, key=lambda source: (list(match.SOURCES).index(source[0]), source[1]))
    return {source: number for number, source in enumerate(found, 1)}


def source_list(lines) -> list:
    """The same as lines of text, "authors' README: `repository:README.md`"."""
    return [f"{match.SOURCES[kind]}{'' if source == 'none found' else f': `{source}`'}"
            for kind, source in sources(lines)]


def comparison(lines, numbered=None) -> pd.DataFrame:
    """Lines of match.compare as text. NUMBERED are the sources that the last column names by their number."""
    numbered = sources(lines) if numbered is None else numbered
    rows = list(lines.itertuples())
    return pd.DataFrame({
        "data, metric": [f"{text.pictures(row.dataset, row.split)}, {row.metric}" for row in rows],
        "supervision": [row.supervision + (" (tags known at test)" if row.image_labels == "ground truth" else "")
                        for row in rows],
        "method, backbone": [f"{row.method or '?'}, {'?' if row.backbone in match.UNSTATED else row.backbone}"
                             for row in rows],
        "CRF": ["" if row.crf == "" else text.crf(row.crf) for row in rows],
        "reported": [reported(row) for row in rows],
        "ours": [ours(row) for row in rows],
        **text.intervals(statistics.limits(lines, "our_"), lines.our_seeds),
        "re-run by others": ["; ".join(text.reported(value, row.unit) for value in row.others) for row in rows],
        "difference": [difference(row) for row in rows],
        "protocols match?": [matching(row) for row in rows],
        "source": [", ".join(map(str, sorted({numbered[source] for source in row.sources}))) for row in rows],
    }, dtype=object)  # fmt: skip


def reruns(found) -> pd.DataFrame:
    """Rows of match.reruns as text."""
    rows = list(found.itertuples())
    return pd.DataFrame({
        "paper": [papers.load()[row.paper].name if row.paper in papers.load() else row.paper for row in rows],
        "data, metric": [f"{text.pictures(row.dataset, row.split)}, {row.metric}" for row in rows],
        "supervision": list(found.supervision),
        "method, backbone": [f"{row.method}, {'?' if row.backbone in match.UNSTATED else row.backbone}"
                             for row in rows],
        "CRF": [text.crf(row.crf) for row in rows],
        "reported": ["" if pd.isna(row.reported) else text.reported(row.reported, row.unit) for row in rows],
        "re-run": [text.reported(row.value, row.unit) for row in rows],
        "difference": [text.signed(row.value - row.reported) for row in rows],
        "source": list(found.source),
        "note": list(found.note),
    }, dtype=object)  # fmt: skip


def reported(line) -> str:
    """A reported number, marked if no source states it or if sources contradict each other."""
    disputed = " (disputed)" if "CONTRADICTION" in line.note else ""
    return text.reported(line.value, line.unit) + (disputed if line.verified else " (unverified)")


def ours(line) -> str:
    """'59.2 (experiment)'; '[25.9] (experiment)' for one that is only near; 'not run'."""
    if not line.found:
        return NOT_RUN
    value = text.ours(line.our_value)
    return f"{value if line.found == 'ours' else f'[{value}]'} ({line.our_experiment})"


def difference(line) -> str:
    """'+1.2', in brackets where the protocols differ and the difference is no verdict."""
    said = text.signed(line.difference)
    return f"({said})" if said and line.differs else said


def matching(line) -> str:
    """'yes', 'no: what differs', 'not comparable: names of what differs' or ''."""
    if line.found == "near":
        names = ["size" if name == "dataset_size" else name.replace("_", " ") for name, *_ in line.differs]
        return f"not comparable: other {', '.join(names)}"
    return "" if not line.found else f"no: {differs(line)}" if line.differs else "yes"


def differs(line) -> str:
    """'dataset_size: 200, theirs 1449; crf: no, theirs yes'."""
    def brief(name, value):
        return text.value(bool(value) if name == "crf" else value)

    return "; ".join(f"{name}: {brief(name, mine)}, theirs {brief(name, its)}" for name, mine, its in line.differs)


def own(rows) -> pd.DataFrame:
    """Rows of the results frame as text."""
    found = list(rows.itertuples())
    return pd.DataFrame({
        "experiment": list(rows.experiment),
        "data, metric": [f"{text.pictures(row.dataset, row.split)} ({row.dataset_size} pictures), {row.metric}"
                         if row.stated else row.metric for row in found],
        "supervision": [row.supervision or "" for row in found],
        "method, backbone": [f"{row.method}, {row.backbone}".rstrip(", ") if row.stated else row.step for row in found],
        "CRF": [text.crf(row.crf) if row.stated else "" for row in found],
        "tags at test": [row.image_labels or "" for row in found],
        "ours": [text.ours(row.value, row.unit) for row in found],
        **text.intervals(statistics.limits(rows), rows.seeds),
        "remark": [remark(row) for row in found],
    }, dtype=object)  # fmt: skip


def remark(row) -> str:
    """What else a reader has to know of a number: undefined classes, its preset, its step."""
    more = f" and {len(row.undefined) - NAMED} more" if len(row.undefined) > NAMED else ""
    undefined = f"undefined: {', '.join(row.undefined[:NAMED])}{more}" if row.undefined else ""
    if not row.stated:
        return "; ".join(filter(None, [undefined, "no protocol"]))
    fixed = "fixed preset" if row.preset == "fixed" and "fixed" not in row.step else ""
    return "; ".join(filter(None, [undefined, fixed, row.step]))


def main(rows):
    """The rows that an experiment is looked up for: its final numbers and bounds of the main metrics."""
    return rows[rows.metric.isin(MAIN) & rows.role.isin(["final", "bound"])]


def stages(found) -> pd.DataFrame:
    """Rows of frame.stages as text."""
    rows = list(found.itertuples())
    return pd.DataFrame({
        "experiment": list(found.paper + "/" + found.experiment),
        "stage": list(found.stage),
        "time": [text.duration(row.seconds) for row in rows],
        "main memory": [text.memory(row.peak_cpu_bytes) for row in rows],
        "GPU memory": [text.memory(row.peak_gpu_bytes) if row.peak_gpu_bytes else "none" for row in rows],
        "device": [row.gpu if row.peak_gpu_bytes else f"{row.cpu_count or '?'} CPU cores" for row in rows],
        "commit": [(row.git_commit or "?")[:8] + (" + edits" if row.git_dirty else "") for row in rows],
    }, dtype=object)  # fmt: skip


def csv(lines, rest) -> pd.DataFrame:
    """Everything in full precision, one number a row: reported ones with ours beside them, then our other results."""
    made = []
    for row in lines.itertuples():
        nearest = {"nearest": repr(row.our_value), "nearest_experiment": row.our_experiment,
                   "nearest_differs": differs(row)} if row.found == "near" else {}
        our = {name: getattr(row, f"our_{name}") for name in ("value", "undefined", *KEPT)}
        made.append({
            **{name: getattr(row, name) for name in ("paper", *COMMON, "crf")}, "reported": repr(row.value),
            "verified": "yes" if row.verified else "no", "note": row.note,
            "difference": "" if pd.isna(row.difference) else repr(round(row.difference, 6)),
            "protocols_match": {"ours": "no" if row.differs else "yes"}.get(row.found, ""),
            "differs": differs(row) if row.found == "ours" else "", **nearest,
            "sources": "; ".join(f"{kind}: {source}" for kind, source in row.sources),
            **(_measured(our) if row.found == "ours" else {"ours": NOT_RUN}),
        })  # fmt: skip
    for row in rest.itertuples():
        found = {name: getattr(row, name) for name in ("paper", *COMMON, "value", "undefined", *KEPT)}
        made.append({**_measured(found), **{name: found[name] for name in ("paper", *COMMON)},
                     "crf": (row.crf or "no") if row.stated else ""})  # fmt: skip
    return pd.DataFrame(made, columns=CSV, dtype=object)


COMMON = ("dataset", "split", "supervision", "method", "backbone", "image_labels", "metric", "unit")
KEPT = ("experiment", "stage", "key", "git_commit", "dataset_size")


def _measured(found) -> dict:
    return {"ours": "undefined" if pd.isna(found["value"]) else repr(found["value"]),
            "undefined": ", ".join(found["undefined"]), **{name: found[name] for name in KEPT}}  # fmt: skip


def stages_csv(found) -> pd.DataFrame:
    """Time and memory of each stage, in seconds and bytes."""
    return found[["paper", "experiment", "stage", "seconds", "peak_cpu_bytes", "peak_gpu_bytes", "gpu", "cpu_count",
                  "started", "key", "git_commit"]]  # fmt: skip
