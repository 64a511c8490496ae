"""Verdicts on claims, from hand-made records with and without counts of single pictures."""

import dataclasses

import pytest

from tests.report import made
from tests.report.test_statistics import pictures
from wsnb.files import FileError
from wsnb.metrics import counts
from wsnb.report import claims
from wsnb.run import papers

BOTH = {"says": "A beats B", "where": "table 1", "better": {"method": "A|student of A", "metric": "mIoU"},
        "worse": {"method": "B|student of B"}}
SHARE = {**BOTH, "says": "B reaches 60 % of A", "better": BOTH["worse"], "worse": BOTH["better"], "at_least": 0.6}


def write(runs, title, method, right, seed=0, counted=True):
    tables = pictures(80, seed, right)
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


def test_a_claim_that_is_not_whole_is_refused(tmp_path, judged):
    with pytest.raises(FileError, match=r"paper.toml: a claim lacks or has too much: where"):
        judged(tmp_path, {name: value for name, value in BOTH.items() if name != "where"})


def test_claims_of_the_papers_are_whole():
    assert all(claims.of_papers().values())
