"""Methods and supervisions on the same pictures: a group a metric and set of pictures, between its bounds."""

from collections import Counter

import pandas as pd

from wsnb.report import cost, statistics, text
from wsnb.report.protocol import same
from wsnb.run import papers

SETTINGS = ("scales", "flip", "resolution")  # of the test; methods on the same data may have others
FLOOR = "all background"
LEGEND = """Every method and supervision of the book on the same pictures, under the same metric, the highest first.
*of full supervision*: the value over that of full supervision of the same backbone, which is named: of the same method
where the paper has one, else the paper's best, else the highest of all. *unlike most*: settings that differ from
those of most rows of the table: test scales, flip or resolution. *labels, s a picture*: a person's seconds for the
labels of a training picture, counted by the experiment or typical of the data set; *?* where no source was found that
states a price; *+ masks* where full masks chose constants, as the protocol says, and their number is not known.
*95 %, pictures*: where the value lies if other pictures of this kind had been drawn (10,000 draws of the measured
ones, BCa); *95 %, seeds*: where the mean over more seeds lies (Student's t; number of seeds). *alike*: two
numbers that share a letter cannot be distinguished: paired draws of the same pictures and the spread over seeds, where
there are several, at 5 % after Holm's correction for all pairs of the table. A number without a letter was measured
before counts of single pictures were kept.
"""


def entries(results) -> pd.DataFrame:
    """The rows of the results frame in groups of at least two methods or supervisions on the same pictures.

    Real pictures come before synthetic ones, then the largest group first; the highest value of a group first. Rows of
    a ladder, without protocol or without value are left out; a bound that several experiments measured alike stands
    once. New columns:
      group        "VOC2012 subset val, 200 pictures: mIoU"
      full_value, full_paper, full_experiment, full_method, full_crf
                   of the full supervision of the same backbone that the row is measured against, see _full
      ratio        value / full_value, NaN without one
      seeds, low, high, seed_low, seed_high, alike
                   of wsnb.report.statistics; a number of several seeds stands once, by its mean
      unlike       names of the SETTINGS that are not the most frequent ones of the group, which are `usual`
    """
    rows = results[results.stated & results.value.notna() & results.role.isin(["final", "bound"])]
    rows = statistics.merged(rows)
    rows = rows.assign(pictures=rows.split_hash.where(rows.split_hash != "", rows.dataset_size))
    keys = ["dataset", "split", "pictures", "metric", "unit", "matching"]
    found = [_group(group) for _, group in rows.groupby(keys, sort=False, dropna=False)
             if len(group[["method", "supervision"]].drop_duplicates()) > 1]
    found.sort(key=lambda group: (_synthetic(group), -len(group), group.group.iloc[0]))
    return pd.concat(found, ignore_index=True) if found else _group(rows.iloc[:0])


def _synthetic(group) -> bool:
    """Whether a group's pictures are of the built-in sets, which only show that a chain runs."""
    return bool(group.synthetic.all())


def _group(group):
    """One group of entries."""
    group = group.loc[~group.apply(_identity, axis=1).duplicated()] if len(group) else group
    group = group.assign(title=group.paper + "/" + group.experiment)
    group = group.sort_values(["value", "title"], ascending=[False, True], kind="stable").reset_index(drop=True)
    rows = list(group.itertuples())
    full = [_full(row, rows) for row in rows]
    for name in ("value", "paper", "experiment", "method", "crf"):
        group[f"full_{name}"] = pd.Series([None if one is None else getattr(one, name) for one in full], dtype=object)
    usual = _usual(rows)
    group["full_value"] = group.full_value.astype(float)
    group["ratio"] = group.value / group.full_value.where(group.full_value != 0)
    group["unlike"] = [_unlike(row, usual) for row in rows]
    group["usual"] = [tuple(usual.items())] * len(rows)
    group["group"] = [_title(row) for row in rows]
    group["tables"] = [(None,) if row.method == FLOOR else row.tables for row in rows]
    return statistics.add(group)


def _title(row) -> str:
    matched = f" ({row.matching})" if row.matching else ""
    return f"{row.dataset} {row.split}, {row.dataset_size} pictures: {row.metric}{matched}"


def _identity(row) -> tuple:
    """What distinguishes two numbers; the floor needs no network; its experiment and preset do not count."""
    if row.method == FLOOR:
        return FLOOR, round(row.value, 3)
    return (row.paper, row.experiment, row.step, row.method, row.supervision, row.backbone, row.crf, row.image_labels,
            row.preset, row.value)  # fmt: skip


def _usual(rows) -> dict:
    """{setting: the value that most rows state}; the first of equally frequent ones."""
    found = {name: Counter(getattr(row, name) for row in rows if row.method != FLOOR) for name in SETTINGS}
    for values in found.values():
        for unstated in (None, "", ()):
            values.pop(unstated, None)
    return {name: max(values, key=values.get) for name, values in found.items() if values}


def _unlike(row, usual) -> tuple:
    """Names of the settings that are stated and not the USUAL ones; of none that nothing was learned for."""
    if row.method == FLOOR:
        return ()
    return tuple(name for name, value in usual.items() if getattr(row, name) not in (None, "", (), value))


def _full(row, rows):
    """Full supervision of the same backbone that ROW is measured against: the highest of those that are left.

    Of the same paper if it has any: of the same method, else of any; then of the same experiment, and with a CRF beside
    numbers with one, where there is a choice. Else of all papers, the same for each.
    """
    full = [one for one in rows if one.supervision == "full" and same("backbone", one.backbone, row.backbone)]
    own = [one for one in full if one.paper == row.paper]
    for near in (
        lambda one: same("method", one.method, row.method),
        lambda one: one.experiment == row.experiment,
        lambda one: bool(one.crf) == bool(row.crf),
    ):
        own = [one for one in own if near(one)] or own
    return max(own or full, key=lambda one: one.value, default=None)


def table(group) -> pd.DataFrame:
    """One group as text; a column more where settings of the test differ."""
    made = pd.DataFrame({
        "supervision": group.supervision.where(group.supervision != "", "?"),
        "method, backbone": [text.method(row) for row in group.itertuples()],
        "tags at test": group.image_labels.replace({"ground truth": "given", "none": "–"}),
        "CRF": group.crf.map(text.crf),
        "ours": [text.ours(*pair) for pair in zip(group.value, group.unit, strict=True)],
        **text.intervals(group[statistics.LIMITS], group.seeds),
        "alike": group.alike,
        "of full supervision": [ratio(row) for row in group.itertuples()],
        "labels, s a picture": [price(row) for row in group.itertuples()],
        "experiment": group.title.where(group.method != FLOOR, ""),
        "unlike most": group.unlike.map(", ".join),
    })  # fmt: skip
    known = {"unlike most": group.unlike.any(), "alike": group.alike.any()}
    return made.drop(columns=[name for name, there in known.items() if not there])


def usual(group) -> str:
    """What the column "unlike most" compares with; nothing without that column."""
    if not group.unlike.any():
        return ""
    said = [f"{name} {' / '.join(map(text.value, value)) if isinstance(value, tuple) else text.value(value)}"
            for name, value in group.usual.iloc[0]]
    return f"Most rows: {', '.join(said)}."


def ratio(row) -> str:
    """'79 % of 48.0 (SPML, softmax classifier)', 'full supervision not run', nothing for bounds."""
    if row.supervision in ("full", "none"):
        return ""
    if pd.isna(row.ratio):
        return "full supervision not run"
    return f"{100 * row.ratio:.0f} % of {text.ours(row.full_value, row.unit)} ({bound(row)})"


def bound(row) -> str:
    """The full supervision that a row is measured against: its method, CRF, and its paper if it is another that the
    method's name does not name."""
    if row.full_method is None:
        return ""
    named = (row.full_method or "").casefold().startswith(papers.find(row.full_paper).name.casefold())
    other = "" if row.full_paper == row.paper or named else row.full_paper
    return ", ".join(filter(None, (other, row.full_method or "?", "CRF" if row.full_crf else "")))


def price(row) -> str:
    """'20 (typical)', '31 (counted; 5.2 h)', '20? (typical)' where no source states the price; '15 (counted; 2.5 h) +
    masks' where full masks chose something and nobody counted them."""
    if row.label_prices is None:
        return "not known"
    if not row.label_prices:
        return "0"
    hours = "" if pd.isna(row.label_total) else f"; {row.label_total / 3600:.3g} h"
    unsure = "?" if any(one.source_kind == "unverified" for one in row.label_prices) else ""
    more = " + masks" if cost.is_understated(row) else ""
    return f"{row.label_seconds:.3g}{unsure} ({'counted' if row.label_counted else 'typical'}{hours}){more}"


def prices(found) -> list:
    """The prices that entries were computed with, in a sentence each, each once."""
    used = dict.fromkeys(price for prices in found.label_prices if prices for price in prices)
    return [f"{one.kind}: {one.seconds:g} s a {one.unit}{f' on {one.dataset}' if one.dataset else ''}, "
            f"{one.source}{' (no source found that states it)' if one.source_kind == 'unverified' else ''}; {one.note}"
            for one in used]


CSV = {"dataset": "dataset", "split": "split", "dataset_size": "pictures", "metric": "metric", "matching": "matching",
       "unit": "unit", "supervision": "supervision", "method": "method", "backbone": "backbone",
       "image_labels": "image_labels", "crf": "crf", "preset": "preset", "role": "role", "value": "value",
       **{name: name for name in ("low", "high", "seeds", "seed_low", "seed_high", "alike")},
       "ratio": "of_full_supervision", "full_title": "full_supervision", "bound": "full_supervision_method",
       "full_value": "full_supervision_value", "unlike": "unlike_most", "label_seconds": "seconds_a_picture",
       "label_total": "total_seconds", "label_counted": "counted", "paper": "paper", "experiment": "experiment",
       "stage": "stage", "key": "key", "git_commit": "git_commit"}  # fmt: skip


def csv(found) -> pd.DataFrame:
    """The entries in full precision."""
    made = found.assign(
        crf=found.crf.where(found.crf != "", "no"), ratio=found.ratio.round(6),
        full_title=found.full_paper + "/" + found.full_experiment, bound=[bound(row) for row in found.itertuples()],
        unlike=found.unlike.map(", ".join), label_seconds=found.label_seconds.round(3),
        label_total=found.label_total.round(1), label_counted=found.label_counted.map({True: "yes", False: "no"}),
    )  # fmt: skip
    return made[list(CSV)].rename(columns=CSV)
