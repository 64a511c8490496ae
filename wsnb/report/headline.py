"""The book in one small table: of each paper and supervision a reported number, and ours beside it."""

import pandas as pd

from wsnb.report import table, text
from wsnb.run import papers

NOTE = ("Ours are not reproductions: they come from small runs on a part of the data, with a small network, on CPU "
        "cores. None of the papers' own settings has been run here; each takes the paper's data, its weights and "
        "hours to weeks on a GPU (`wsnb list`).")
KEPT = "Of each paper and supervision: the number, of `val` where there is one, that the highest of ours stands beside."


def lines(compared) -> pd.DataFrame:
    """The lines of match.compare that are shown: one a paper and supervision, in the order of the chapters.

    Of weak supervision without tags at test, and of the first of table.MAIN that the paper has; `val` and the plain
    data set come before others, then the highest of ours, then the protocol that differs least.
    """
    found = compared[(compared.found != "") & compared.verified & (compared.image_labels != "ground truth")
                     & ~compared.supervision.isin(["full", "none"]) & compared.metric.isin(table.MAIN)]
    found = found[found.our_value.notna()]
    rank = pd.DataFrame({
        "paper": found.paper.map(lambda name: papers.find(name).order), "metric": found.metric.map(table.MAIN.index),
        "test": found.split != "val", "more": found.dataset.str.len(), "ours": -found.our_value.astype(float),
        "differs": found.differs.map(len),
    }).astype(float)  # fmt: skip
    found = found.loc[rank.sort_values(list(rank), kind="stable").index]
    first = found.groupby("paper", sort=False).metric.transform("first")
    return found[found.metric == first].drop_duplicates(["paper", "supervision"])


def frame(compared) -> pd.DataFrame:
    """The same as text."""
    rows = list(lines(compared).itertuples())
    return pd.DataFrame({
        "paper": [papers.find(row.paper).name for row in rows],
        "learns from": [row.our_supervision for row in rows],
        "metric": [row.metric for row in rows],
        "reported": [text.reported(row.value, row.unit) for row in rows],
        "reported for": [f"{text.pictures(row.dataset, row.split)}, {row.method}" for row in rows],
        "ours": [text.ours(row.our_value) for row in rows],
        "ours on": [f"{row.our_experiment}, {row.our_dataset_size} pictures" for row in rows],
    }, dtype=object)  # fmt: skip


def sentence(compared) -> str:
    """What the table is not, while no line is measured as the paper did; else nothing."""
    alike = (compared.found == "ours") & compared.differs.map(lambda one: not one)
    return "" if alike.any() else NOTE


def of_paper(compared, paper: str) -> str:
    """'mIoU 35.8 here, 62.7 in the paper' of a paper's first line; nothing without one."""
    mine = lines(compared)
    mine = mine[mine.paper == paper]
    if not len(mine):
        return ""
    row = mine.sort_values("our_value", ascending=False).iloc[0]
    return f"{row.metric} {text.ours(row.our_value)} here, {text.reported(row.value, row.unit)} in the paper"
