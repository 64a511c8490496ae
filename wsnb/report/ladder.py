"""The quality ladder of a chain: how good its labels and predictions are, step by step."""

import math
import re

import pandas as pd

from wsnb.report import statistics, text
from wsnb.run import papers

LEGEND = """The quality of each product of a chain, in the order of the chain. *change*: against the step that it was
made from (*since*), on the same pictures; alternatives have none; in brackets where it lies, at 95 %, if other pictures
of this kind had been drawn, the same for both. Presets are not mixed.
"""
KEYS = ["paper", "experiment", "metric", "unit"]  # of one ladder


def steps(results) -> pd.DataFrame:
    """The rows of the results frame that are steps of a ladder: a metric of an experiment with at least one step on the
    way, in the order of the chain, one preset after the other.

    A number of the chain's end joins the steps of its metric. What a later stage states again stands once. New columns:
      name     of the step
      change   value minus that of the step that it was made from, on the same pictures and of the same preset; NaN
               where there is none
      since    the name of that step
      low, high, seed_low, seed_high, change_low, change_high
               95 % of the value over pictures and over seeds, and of the change over pictures, of
               wsnb.report.statistics
    """
    rows = statistics.merged(results[results.role.isin(["ladder", "final"])])
    rows = rows.assign(name=[text.step(row) for row in rows.itertuples()])
    found = [_climbed(one) for _, one in rows.groupby(KEYS, sort=False) if (one.role == "ladder").any()]
    found = pd.concat(found, ignore_index=True) if found else rows.iloc[:0].assign(
        change=0.0, since="", change_low=0.0, change_high=0.0)
    return found.join(statistics.limits(found))


def bare(name: str) -> str:
    """A step's name without its pictures and preset: 'walk, best threshold' of 'walk, faithful, best threshold,
    train'."""
    return re.sub(r", (train|faithful|fixed)\b", "", name)


def _climbed(rows):
    """One ladder without repeated steps."""
    shown, known, last, seen = [], {}, {}, set()  # rows by (line, step), the last by line: of one preset and pictures
    for row in rows.itertuples():
        line, step = (row.dataset, row.split, row.dataset_size, row.preset), bare(row.name)
        said = row.name, None if pd.isna(row.value) else row.value
        if row.role == "ladder" and said in seen:
            known[line, step] = row  # measured on these pictures too: later rounds of it may follow
            continue
        seen.add(said)
        starts = _starts(row.paper, step)
        before = last.get(line) if starts is None else next(
            (known[line, start] for start in starts if (line, start) in known), None)
        good = before is not None and not pd.isna(row.value)
        moved = (row.value - before.value, before.name, *statistics.change(row.tables, before.tables)) if good else (
            math.nan, "", math.nan, math.nan)
        shown.append((row.Index, *moved))
        if not pd.isna(row.value):
            known[line, step] = last[line] = row
    places, change, since, low, high = zip(*shown, strict=True)
    made = rows.loc[list(places)].assign(change=change, since=since, change_low=low, change_high=high)
    order = [*dict.fromkeys(preset for preset in made.preset if preset), None]
    return pd.concat(made.loc[[one == preset for one in made.preset]] for preset in order)


def _starts(paper: str, step: str):
    """Steps of which a step may have been made, by the first rule of the paper's `ladder` that fits; None: of whatever
    stands before it. {previous} in a rule is the round before. A chain that is no paper's has stages of theirs, and
    their rules."""
    known = papers.load()
    for rule in known[paper].ladder if paper in known else [rule for one in known.values() for rule in one.ladder]:
        found = re.fullmatch(rule["step"], step)
        if found:
            known = {**found.groupdict(), "previous": int(found.groupdict().get("round") or 1) - 1}
            return [start.format_map(known) for start in rule["after"]]
    return None


def title(one) -> str:
    """'paper/experiment: mIoU of the labels, %' of the steps of one ladder."""
    first = one.iloc[0]
    return f"{first.paper}/{first.experiment}: {first.metric}{f', {first.unit}' if first.unit else ''}"


def table(one) -> pd.DataFrame:
    """One ladder as text."""
    where = [f"{text.pictures(row.dataset, row.split)} ({row.dataset_size})" if row.stated else ""
             for row in one.itertuples()]
    return pd.DataFrame({
        "step": one.name, "stage": one.stage, "measured on": where,
        "value": [text.ours(*pair) for pair in zip(one.value, one.unit, strict=True)],
        **text.intervals(one[statistics.LIMITS], one.seeds),
        "change": [changed(row) for row in one.itertuples()], "since": one.since,
    })  # fmt: skip


def changed(row) -> str:
    """'+3.0 [+1.2, +4.8]', the interval where counts of single pictures are known."""
    limits = "" if pd.isna(row.change_low) else f" [{text.signed(row.change_low)}, {text.signed(row.change_high)}]"
    return f"{text.signed(row.change)}{limits}"


def csv(found) -> pd.DataFrame:
    """The steps in full precision."""
    made = found.assign(step=found.name, pictures=found.dataset_size, change=found.change.round(6),
                        value=found.value.astype(object).where(found.value.notna(), "undefined"))  # fmt: skip
    return made[["paper", "experiment", "stage", "step", "role", "dataset", "split", "pictures", "metric", "unit",
                 "value", "low", "high", "seeds", "change", "change_low", "change_high", "since", "key",
                 "git_commit"]]  # fmt: skip
