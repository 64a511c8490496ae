"""Verdicts on claims, from hand-made records with and without counts of single pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.report import made
from tests.report.test_statistics import pictures
from wsnb.files import FileError
from wsnb.metrics import counts
from wsnb.report import claims
from wsnb.run import papers

ROOT = Path(__file__).parents[2]
BOTH = {"says": "A beats B", "where": "table 1", "better": {"method": "A|student of A", "metric": "mIoU"},
        "worse": {"method": "B|student of B"}}
SHARE = {**BOTH, "says": "B reaches 60 % of A", "better": BOTH["worse"], "worse": BOTH["better"], "at_least": 0.6}


def write(runs, title, method, right, seed=0, counted=True, number=80):
    tables = pictures(number, seed, right) if right else pictures(number, seed) * (1 - np.eye(3, dtype=np.uint32))
    value = float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))
    folder = made.manifest(runs, title, "10_evaluate")
    row = made.result(value, method=method)
    row = {**row, "counts": tables, "measure": "mean IoU"} if counted else row
    made.manifest(runs, title, "10_evaluate", counts.kept(folder, [row]))


@pytest.fixture
def judged(monkeypatch):
    def call(runs, *listed):
        paper = dataclasses.replace(papers.load()["spml"], claims=list(listed))
        monkeypatch.setattr(papers, "load", lambda: {"spml": paper})
        return claims.judged(made.found(runs))

    return call


@pytest.mark.parametrize("right, verdict", [((0.9, 0.4), claims.HOLDS), ((0.4, 0.9), claims.FAILS),
                                            ((0.7, 0.7), claims.UNCLEAR)])
def test_a_verdict_is_computed(tmp_path, judged, right, verdict):
    write(tmp_path, "spml/a", "A", right[0])
    write(tmp_path, "spml/b", "B", right[1], seed=7)
    found = judged(tmp_path, BOTH)
    assert list(found.verdict) == [verdict] and found.low[0] < found.difference[0] < found.high[0]
    assert claims.table(found)["measured by"][0] == "spml/a, b"


def test_a_share_of_full(tmp_path, judged):
    write(tmp_path, "spml/a", "A", 0.9)
    write(tmp_path, "spml/b", "B", 0.85, seed=7)
    assert list(judged(tmp_path, SHARE).verdict) == [claims.HOLDS]
    assert list(judged(tmp_path, {**SHARE, "at_least": 1.2}).verdict) == [claims.FAILS]
    assert claims.table(judged(tmp_path, SHARE))["difference, or share"][0].count("%") == 1


def test_each_chapter_and_the_student_are_compared_within_themselves(tmp_path, judged):
    write(tmp_path, "spml/a", "A", 0.9)
    write(tmp_path, "spml/b", "B", 0.4)
    write(tmp_path, "student/a", "student of A", 0.4)
    write(tmp_path, "student/b", "student of B", 0.9)
    found = judged(tmp_path, BOTH)
    assert dict(zip(found.paper, found.verdict, strict=True)) == {"spml": claims.HOLDS, "student": claims.FAILS}


def test_without_records_or_counts_there_is_no_verdict(tmp_path, judged):
    assert list(judged(tmp_path, BOTH).verdict) == [claims.NOT_RUN]
    write(tmp_path, "spml/a", "A", 0.9, counted=False)
    write(tmp_path, "spml/b", "B", 0.4, counted=False)
    found = judged(tmp_path, BOTH)
    assert list(found.verdict) == [claims.UNKNOWN] and claims.table(found)["difference, or share"][0].startswith("+")
    write(tmp_path, "spml/shapes", "A", 0.9)  # synthetic pictures bear on no claim
    assert len(judged(tmp_path, BOTH)) == 1


def test_edge_cases_of_verdicts(tmp_path, judged):
    """Equal numbers; a share of nothing; another number of pictures under one list; seeds that differ more than the
    two; an undefined number."""
    def verdict(name, claim=BOTH):
        found = judged(tmp_path / name, claim)
        return list(found.verdict), claims.table(found)["difference, or share"][0]

    for title, method in (("spml/a", "A"), ("spml/b", "B")):
        write(tmp_path / "equal", title, method, 0.7)
    assert verdict("equal") == ([claims.UNCLEAR], "+0.0 [+0.0, +0.0]")
    assert verdict("equal", {**SHARE, "at_least": 1.0})[0] == [claims.UNCLEAR]
    write(tmp_path / "none", "spml/a", "A", 0.0)
    write(tmp_path / "none", "spml/b", "B", 0.9, seed=7)
    assert verdict("none", SHARE) == ([claims.HOLDS], "")  # above 60 % of nothing, and no share of it
    write(tmp_path / "others", "spml/a", "A", 0.9)
    write(tmp_path / "others", "spml/b", "B", 0.4, number=60)
    assert verdict("others")[0] == [claims.UNKNOWN]
    for seed, right in enumerate((0.5, 0.9)):
        write(tmp_path / "seeds", f"spml/a@seed{seed}" if seed else "spml/a", "A", right, seed=seed)
        write(tmp_path / "seeds", f"spml/b@seed{seed}" if seed else "spml/b", "B", right - 0.1, seed=seed + 7)
    assert verdict("seeds")[0] == [claims.UNCLEAR]
    made.manifest(tmp_path / "nan", "spml/a", "10_evaluate", [made.result(None, method="A")])
    write(tmp_path / "nan", "spml/b", "B", 0.4)
    assert verdict("nan") == ([claims.NOT_RUN], "")


def test_what_reproduced_in_a_sentence(tmp_path, judged):
    write(tmp_path, "spml/a", "A", 0.9)
    write(tmp_path, "spml/b", "B", 0.4, seed=7)
    other = {**BOTH, "says": "C beats B", "better": {"method": "C"}}
    assert claims.summary(judged(tmp_path, BOTH, other)) == (
        "2 claims: holds here: 1, nothing of ours bears on it: 1.")
    write(tmp_path, "student/a", "student of A", 0.4)
    write(tmp_path, "student/b", "student of B", 0.9, seed=7)
    assert claims.summary(judged(tmp_path, BOTH)) == "1 claim: comparisons disagree: 1."
    assert claims.summary(judged(tmp_path)) == ""


def test_the_page_of_a_claim_is_said_where_it_is_known(tmp_path, judged):
    assert list(judged(tmp_path, {**BOTH, "page": 7}, BOTH)["where"]) == ["table 1, page 7", "table 1"]


def test_what_was_kept_and_what_departs():
    found = claims.replication(ROOT, "spml")
    assert "voc_small_tag" in set(found.experiment) and not found.experiment.str.startswith("shapes").any()
    of = found.set_index("experiment").departs["voc_small_tag"]
    assert of["iterations"] == (1500, 30000) and (found.kept > 0).all()
    each = claims.departures(found)
    assert sum(map(len, found.departs)) > len(each) > 0  # a departure of several experiments stands once
    (one,) = each[(each.parameter == "iterations") & (each.ours == "1500")].itertuples()
    assert {"voc_small_tag", "voc_small_box"} <= set(one.experiments.split(", "))
    assert claims.departures(claims.replication(ROOT, "student")).empty


def test_a_claim_that_is_not_whole_is_refused(tmp_path, judged):
    with pytest.raises(FileError, match=r"paper.toml: a claim lacks or has too much: where"):
        judged(tmp_path, {name: value for name, value in BOTH.items() if name != "where"})


def test_claims_of_the_papers_are_whole():
    assert all(claims.of_papers().values())
