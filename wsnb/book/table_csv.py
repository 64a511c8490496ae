"""The table as CSV, with all digits, sources and notes."""

import csv
import io

from wsnb.book import ladder, samedata, table

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
                "differs": table.differs_words(line),
                "sources": "; ".join(f"{kind}: {source}" for kind, source in item.sources),
                "note": item.note,
                **({} if line.near is None else _near(line)),
                **({"ours": table.NOT_RUN} if line.ours is None else _own(line.ours)),
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
        "nearest_differs": table.near_words(line),
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
