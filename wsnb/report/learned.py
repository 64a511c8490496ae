"""Label quality against the quality of what learned from the labels, one point an experiment that has both."""

import pandas as pd

from wsnb import viz
from wsnb.metrics import counts, scores
from wsnb.report import cost, same_data, statistics, text
from wsnb.report.charts import BEHIND, POINTS, colour

LABELS, STEP, TRAINED = "label mIoU", "labels: ", "mIoU"
OF_LABELS = ("label", "label_value", "label_low", "label_high", "label_tables")
QUALITIES = ("label precision", "label recall", "label coverage")
SAME = ["dataset", "split", "split_hash", "crf"]  # of numbers that are compared with each other


def pairs(results) -> pd.DataFrame:
    """Experiments of the results frame that state the quality of one set of labels and of one network on new pictures,
    without a CRF and with it: a row each, the best first.

    The columns are those of the network's row of `statistics.merged` and `statistics.add`, and of its labels: label
    ("Rectangles"), label_value, label_low, label_high, and their QUALITIES.
    """
    stated = statistics.merged(results[results.stated & results.value.notna()])
    labels = stated[(stated.metric == LABELS) & stated.step.str.startswith(STEP)]
    labels = labels[~labels.duplicated(["paper", "experiment"], keep=False)]  # of one set of labels each
    trained = stated[(stated.metric == TRAINED) & (stated.method != same_data.FLOOR) & (stated.role != "ladder")]
    keys = ["paper", "experiment"]
    trained = trained[pd.MultiIndex.from_frame(trained[keys]).isin(pd.MultiIndex.from_frame(labels[keys]))]
    if trained.empty:
        return trained.reindex(columns=[*trained, "title", *statistics.COLUMNS, *OF_LABELS])
    own = _with_intervals(labels)
    own = own.assign(label=own.step.str.removeprefix(STEP))
    own = own[[*keys, "label", "value", "low", "high", "tables"]].rename(
        columns={name: f"label_{name}" for name in ("value", "low", "high", "tables")})
    for name in QUALITIES:
        of = stated[stated.metric == name].set_index(keys).value.rename(name)
        own = own.join(of, on=keys)
    return _with_intervals(trained).merge(own, on=keys).sort_values("value", ascending=False, ignore_index=True)


def _with_intervals(rows):
    """Rows with the columns of `statistics.add`, each compared with those on the same pictures, with a CRF or without.
    """
    rows = rows.assign(title=rows.paper + "/" + rows.experiment).sort_values("value", ascending=False, kind="stable")
    return pd.concat(statistics.add(of) for _, of in rows.groupby(SAME, sort=False))


def tables(found):
    """Yield (title, rows) of the rows of `pairs` that are compared with each other, since on the same pictures."""
    for _, rows in found.groupby(SAME, sort=False):
        one = rows.iloc[0]
        yield f"{text.pictures(one.dataset, one.split)}, {one.dataset_size} pictures, CRF: {text.crf(one.crf)}", rows


def said(rows) -> list[str]:
    """What cannot be distinguished among rows of one of `tables`, a sentence for each letter that two of them share."""
    names = [(row.label, letter) for row in rows.itertuples() for letter in row.alike.split()]
    of = pd.DataFrame(names, columns=["label", "letter"]).groupby("letter").label.agg(list)
    return [f"{letter}: {', '.join(labels[:-1])} and {labels[-1]} cannot be distinguished."
            for letter, labels in of.items() if len(labels) > 1]


def _named(row) -> str:
    """The labels' name in a chart, with the letters of what cannot be distinguished."""
    return f"{row.label} ({row.alike})" if row.alike else row.label


def table(found) -> pd.DataFrame:
    """Rows of `pairs` as text."""
    rows = list(found.itertuples())
    made = pd.DataFrame({
        "labels": list(found.label),
        "supervision": list(found.supervision),
        "pictures": [str(row.train_size) for row in rows],
        **{name: [text.ours(value) for value in found.get(name, ())] for name in QUALITIES},
        "label mIoU": [_value(row.label_value, row.label_low, row.label_high) for row in rows],
        "student mIoU": [_value(row.value, row.low, row.high) for row in rows],
        "95 %, seeds": [text.over_seeds(row) for row in rows],
        "alike": list(found.alike),
        "labels, h": ["" if pd.isna(row.label_total) else
                      f"{row.label_total / 3600:.1f}{' + masks' if cost.is_understated(row) else ''}" for row in rows],
        "gain": [text.signed(row.value - row.label_value) for row in rows],
        "experiment": list(found.title),
    }, dtype=object)  # fmt: skip
    return text.filled(made)


def _value(value, low, high) -> str:
    limits = text.between(low, high)
    return f"{text.ours(value)} [{limits}]" if limits else text.ours(value)


def by_class(found) -> pd.DataFrame:
    """IoU of each class in %, of the labels and of the network of each row of `pairs`: columns (label, which)."""
    made = {}
    for row in found.itertuples():
        for which, tables in (("labels", row.label_tables), ("student", row.tables)):
            if all(tables):
                each = [scores(counts.read(path, name))["iou"] for path, name, _ in tables]
                made[row.label, which] = 100 * pd.DataFrame(each).mean()
    return pd.DataFrame(made)


def by_price(found) -> viz.Picture:
    """A point a row of `pairs`: hours that the labels took, on a logarithmic scale, and the network's mIoU; full masks
    are joined by a line, from few to all."""
    figure = viz.Picture(figsize=(11, 7), dpi=viz.DPI, layout="constrained")
    axis = figure.subplots()
    priced = found[found.label_total > 0].assign(hours=lambda rows: rows.label_total / 3600).sort_values("hours")
    full = priced[priced.supervision == "full"]
    axis.plot(full.hours, full.value, color=colour("full"), lw=1.5, zorder=1)
    for row in priced.itertuples():
        tint = colour(row.supervision)
        axis.plot([row.hours] * 2, [row.low, row.high], color=tint, lw=1.2, alpha=0.6, zorder=2)
        axis.plot(row.hours, row.value, color=tint, marker="o", ms=9, lw=0, zorder=3)
        axis.annotate(_named(row), (row.hours, row.value), (7, 5), textcoords="offset points", fontsize=POINTS - 3,
                      parse_math=False, bbox=BEHIND, zorder=2)
    if len(priced):
        axis.set_xscale("log")
    axis.set_xlabel("hours of a person for the labels", fontsize=POINTS - 1)
    axis.set_ylabel("mIoU of the student on new pictures, %", fontsize=POINTS - 1)
    axis.margins(0.08)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def scatter(found) -> viz.Picture:
    """A point a row of `pairs`: label mIoU across, the network's upwards, with its intervals; on the line both are
    equal."""
    figure = viz.Picture(figsize=(11, 8), dpi=viz.DPI, layout="constrained")
    axis = figure.subplots()
    axis.axline((0, 0), slope=1, color="#aaaaaa", lw=1.5, ls="--", zorder=1)
    for row in found.itertuples():
        tint = colour(row.supervision)
        axis.plot([row.label_low, row.label_high], [row.value] * 2, color=tint, lw=1.2, alpha=0.6, zorder=2)
        axis.plot([row.label_value] * 2, [row.low, row.high], color=tint, lw=1.2, alpha=0.6, zorder=2)
        axis.plot(row.label_value, row.value, color=tint, marker="o", ms=9, lw=0, zorder=3)
        axis.annotate(_named(row), (row.label_value, row.value), (7, 5), textcoords="offset points",
                      fontsize=POINTS - 3, parse_math=False, bbox=BEHIND, zorder=2)
    for name in dict.fromkeys(found.supervision):
        axis.plot([], [], color=colour(name), marker="o", ms=9, lw=0, label=name)
    axis.set_xlabel("mIoU of the labels on the training pictures, %", fontsize=POINTS - 1)
    axis.set_ylabel("mIoU of the student on new pictures, %", fontsize=POINTS - 1)
    axis.margins(0.08)
    if len(found):
        axis.legend(fontsize=POINTS - 2, frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
