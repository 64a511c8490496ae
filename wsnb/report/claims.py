"""What papers claim, and whether it holds here: verdicts computed from records, at the scale of what was run.

A claim of paper.toml says that numbers whose fields match `better` are above those that match `worse`, or reach at
least the share `at_least` of them:

    [[claims]]
    says = "M∩G+ reaches 95 % of full supervision"
    where = "table 1"
    page = 5                             # of the paper, where it is known
    better = {method = '.*M∩G\\+.*'}     # patterns of whole fields of the results frame
    worse = {supervision = "full"}
    at_least = 0.95
"""

import math

import numpy as np
import pandas as pd

from wsnb.files import FileError
from wsnb.report import statistics, text
from wsnb.run import experiments, papers, params

HOLDS, FAILS, UNCLEAR = "holds here", "does not hold here", "cannot be distinguished here"
NOT_RUN = "nothing of ours bears on it"
UNKNOWN = "not tested: no counts of the same single pictures"
MIXED = "comparisons disagree"
KEYS, MORE = {"says", "where", "better", "worse"}, {"page", "at_least"}
ALIKE = ["paper", "dataset", "split", "split_hash", "metric", "unit", "crf", "backbone", "image_labels", "matching"]


def of_papers() -> dict:
    """{paper: its claims}, checked. Raises FileError naming the file and what is wrong."""
    found = {key: paper.claims for key, paper in papers.load().items()}
    for key, claims in found.items():
        for claim in claims:
            wrong = KEYS - set(claim) or set(claim) - KEYS - MORE
            if wrong:
                raise FileError(f"{papers.PLACE / key / papers.NAME}: a claim lacks or has too much: "
                                f"{', '.join(sorted(wrong))}; it has {', '.join(sorted(KEYS))} and may have "
                                f"{', '.join(sorted(MORE))}")
    return found


def judged(results) -> pd.DataFrame:
    """A row for each claim and each set of alike measurements of real pictures that bear on it, of any chapter; one row
    without values for a claim that nothing bears on.

    Columns: of (the paper), says, where, verdict, better and worse ("GrabCut+: 44.9"), difference in points, or the
    share, low and high (95 %, other pictures), pictures, paper, experiments. Of several numbers that match a side the
    last of a chain counts. The p of all comparisons are corrected together.
    """
    rows = results[results.stated & results.value.notna() & ~results.synthetic]
    rows = statistics.merged(rows).reset_index(drop=True)
    on_the_way = rows.role == "ladder"  # steps of a chain on the same pictures: each has its own tags and CRF
    rows = rows.assign(image_labels=rows.image_labels.mask(on_the_way, ""), crf=rows.crf.mask(on_the_way, ""))
    alike, as_text = rows.groupby(ALIKE, sort=False, dropna=False).ngroup(), rows.astype(str)
    made = []
    for key, claims in of_papers().items():
        for claim in claims:
            page = f", page {claim['page']}" if "page" in claim else ""
            one = {"of": key, "says": claim["says"], "where": claim["where"] + page}
            better, worse = (_fits(as_text, claim[side]) for side in ("better", "worse"))
            both = [group for group in alike[better].unique() if (worse & (alike == group)).any()]
            found = [{**one, **pair} for group in sorted(both) for pair in _pairs(
                rows[better & (alike == group)], rows[worse & (alike == group)], claim)]
            made += found or [{**one, "verdict": NOT_RUN}]
    made = pd.DataFrame(made, columns=["of", "says", "where", "verdict", "better", "worse", "difference", "low", "high",
                                       "pictures", "crf", "paper", "experiments", "p", "share", "ahead"])
    known = made.p.notna()
    made.loc[known, "p"] = statistics.holm(made.p[known])
    made.loc[known, "verdict"] = [
        UNCLEAR if row.p >= 1 - statistics.LEVEL else HOLDS if row.ahead > 0 else FAILS
        for row in made[known].itertuples()]
    return made


def _fits(as_text, patterns):
    """Which rows match all PATTERNS {field: pattern}."""
    return np.logical_and.reduce([as_text[name].str.fullmatch(pattern) for name, pattern in patterns.items()])


def _pairs(better, worse, claim) -> list:
    """The judgements of a claim on measurements that are alike: one for each experiment that has both sides, else one
    of two experiments."""
    both = sorted(set(better.experiment) & set(worse.experiment))
    sides = [[side[side.experiment == name].iloc[-1] for side in (better, worse)] for name in both]
    return [_judged(*pair, claim.get("at_least")) for pair in sides or [(better.iloc[-1], worse.iloc[-1])]]


def _judged(first, second, share) -> dict:
    """Compare two rows of `statistics.merged`; SHARE: of the second that the first has to reach, or None."""
    held = share or 1.0
    value = first.value / (second.value or math.nan) if share else first.value - second.value
    made = {"verdict": UNKNOWN, "difference": value, "share": share or math.nan, "pictures": first.dataset_size,
            "crf": first.crf, "paper": first.paper, "ahead": first.value - held * second.value,
            "better": f"{first.step or first.method}: {text.ours(first.value, first.unit)}",
            "worse": f"{second.step or second.method}: {text.ours(second.value, second.unit)}",
            "experiments": ", ".join(dict.fromkeys([first.experiment, second.experiment]))}
    if not all((*first.tables, *second.tables)):
        return made
    (_, drawn, without), (_, other, others) = (statistics.scored(row.tables) for row in (first, second))
    if len(without) != len(others):
        return made
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (statistics.interval(value, drawn / other, without / others) if share else
                     statistics.interval(value, drawn - other, without - others))
    p = statistics.difference((first["values"], drawn), (held * np.asarray(second["values"]), held * other),
                              len(without))
    return {**made, "low": low, "high": high, "p": p}


def summary(found) -> str:
    """What reproduced, of rows of `judged`: '3 claims: holds here: 1, nothing of ours bears on it: 2.'"""
    each = found.groupby("says", sort=False).verdict.agg(lambda own: own.iloc[0] if own.nunique() == 1 else MIXED)
    said = [f"{verdict}: {number}" for verdict, number in each.value_counts().items()]
    return f"{text.counted(len(each), 'claim')}: {', '.join(said)}." if said else ""


def replication(project, paper) -> pd.DataFrame:
    """What was kept of a PAPER and what departs, a row an experiment on real pictures whose file marks the paper's
    values: experiment, kept (number of values without a mark, less those of the machine), departs {parameter: (ours,
    the paper's)}."""
    made = []
    for title in experiments.names(project):
        of, name = title.split("/")
        if of != paper or name.startswith(experiments.SYNTHETIC):
            continue
        try:
            one = experiments.load(project, of, name)
            theirs = params.paper_values(one.path)
        except (params.ParamsError, FileError):
            continue  # `wsnb run` names it
        if theirs:
            made.append({"experiment": name, "kept": len(set(one.values) - set(theirs) - set(params.MACHINE)),
                         "departs": {key: (one.values[key], value) for key, value in theirs.items()}})
    return pd.DataFrame(made, columns=["experiment", "kept", "departs"])


def departures(replicated) -> pd.DataFrame:
    """Each departure of rows of `replication` as text, once for all experiments that share it."""
    rows = [(name, text.value(ours), text.value(theirs), row.experiment)
            for row in replicated.itertuples() for name, (ours, theirs) in row.departs.items()]
    rows = pd.DataFrame(rows, columns=["parameter", "ours", "the paper's", "experiments"], dtype=object)
    return rows.groupby(list(rows)[:3], sort=False, as_index=False).experiments.agg(", ".join)


def table(found) -> pd.DataFrame:
    """Rows of `judged` as text."""
    rows = list(found.itertuples())
    return pd.DataFrame({
        "claim": list(found.says), "where": list(found["where"]), "verdict at this scale": list(found.verdict),
        **{side: ["" if pd.isna(value) else value for value in found[side]] for side in ("better", "worse")},
        "difference, or share": [_said(row) for row in rows],
        "measured by": ["" if pd.isna(row.paper) else f"{row.paper}/{row.experiments}" for row in rows],
        "CRF": ["" if pd.isna(row.paper) else text.crf(row.crf) for row in rows],
    }, dtype=object)  # fmt: skip


def _said(row) -> str:
    if pd.isna(row.difference):
        return ""
    if not pd.isna(row.share):
        limits = "" if pd.isna(row.low) else f" [{100 * row.low:.0f}–{100 * row.high:.0f}]"
        return f"{100 * row.difference:.0f} %{limits}"
    limits = "" if pd.isna(row.low) else f" [{text.signed(row.low)}, {text.signed(row.high)}]"
    return f"{text.signed(row.difference)}{limits}"
