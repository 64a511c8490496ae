"""The reported numbers: every row is there, typed, with its source; what they state of their protocol."""

import csv
import re
from collections import Counter

import pytest

from wsnb.files import FileError
from wsnb.report import frame, match, table
from wsnb.run import papers

ROWS = match.load()
FILES = [paper.reported for paper in papers.load().values()]


def test_every_row_survives():
    assert len(ROWS) == 289
    raw = [row for path in FILES for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True)]
    assert list(ROWS.value) == [float(row["value"]) for row in raw]
    assert all(list(row) == list(match.COLUMNS) for row in raw)
    assert (ROWS.source_kind == "unverified").sum() == 54


def test_our_papers_and_those_of_others():
    counts = Counter(ROWS.paper)
    assert {name: counts[name] for name in papers.load()} == {
        "panoptic": 40,
        "spml": 20,
        "simple_does_it": 80,
        "no_people_allowed": 3,
        "single_stage": 34,
    }
    assert counts["Araslanov&Roth CVPR2020 (user re-run)"] == 5


def test_sources_stay_and_no_place_of_a_machine():
    assert (ROWS.source != "").all()
    for path in FILES:
        assert not re.search(r"(^|[\s,\"])(/work|/home|/tmp|\.\./)|specs/", path.read_text(encoding="utf-8"))


def find(**fields):
    return ROWS[[all(row[name] == value for name, value in fields.items()) for _, row in ROWS.iterrows()]]


def terms(**fields):
    return match.reported_terms(next(find(**fields).itertuples()))


def test_protocol_of_a_reported_number():
    assert terms(paper="single_stage", split="val", crf="no", value=59.7) == {
        "dataset": "VOC2012",
        "dataset_size": 1449,
        "split": "val",
        "image_labels": "predicted",
        "supervision": "image labels",
        "method": "single-stage",
        "backbone": "WideResNet38",
        "crf": "",
        "aggregation": "data set",
        "preset": "faithful",
    }
    clean = terms(paper="single_stage", split="train", crf="yes", value=66.9)
    assert (clean["image_labels"], clean["supervision"], clean["dataset_size"]) == (
        "ground truth",
        "image labels",
        1464,
    )
    unstated = terms(paper="spml", backbone="unstated")
    assert "backbone" not in unstated and "crf" not in unstated


def test_merged():
    numbers = match.merged(find(paper="single_stage"))
    val = numbers[(numbers.value == 62.7) & (numbers.split == "val") & (numbers.method == "single-stage")]
    assert len(val) == 1 and len(val.sources.iloc[0]) == 5 and val.sources.iloc[0][0][0] == "readme"
    clean = numbers[numbers.value == 65.3]
    assert list(clean.crf) == ["yes"]  # the row that states neither CRF nor backbone is the same number
    test = numbers[(numbers.split == "test") & (numbers.crf == "no") & (numbers.method == "single-stage")]
    assert list(test.value) == [62.7, 60.5]  # README and paper contradict each other: both stay
    assert numbers.sources.map(len).sum() == 34
    assert match.merged(ROWS).equals(match.merged(ROWS))


@pytest.mark.parametrize(
    "line",
    [
        "a,b,c",
        "p,d,s,s,,m,b,yes,mIoU,high,%,readme,x,",
        "p,d,s,s,,m,b,yes,mIoU,nan,%,readme,x,",
        "p,d,s,s,,m,b,yes,mIoU,1,%,rumour,x,",
        'p,"d" d,s,s,,m,b,yes,mIoU,1,%,readme,x,',
    ],
)
def test_damage_is_named(tmp_path, line):
    path = tmp_path / "r.csv"
    path.write_text(",".join(match.COLUMNS) + "\n" + line + "\n")
    with pytest.raises(FileError, match=r"r\.csv, line 2"):
        match.read(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"gone\.csv"):
        match.read(tmp_path / "gone.csv")


def test_what_others_got_stands_beside_the_number_that_they_ran_again():
    again = match.reruns()
    assert len(again) == 18 and again.paper.value_counts().to_dict() == {
        "IRNet CVPR2019": 6, "single_stage": 5, "SEAM CVPR2020": 4, "spml": 3}
    pairs = set(zip(again.paper, again.value, again.reported, strict=True))
    assert {("single_stage", 60.07, 62.7), ("single_stage", 58.21, 62.7), ("IRNet CVPR2019", 64.9, 66.5),
            ("spml", 65.77, 73.5)} <= pairs
    assert again[again.method == "single-stage, no flip"].reported.isna().all()  # no paper reports it
    lines, _ = match.compare(frame.results([]))
    beside = {(row.paper, row.value): row.others for row in lines.itertuples() if row.others}
    assert beside["single_stage", 62.7] == (60.07, 58.21) and beside["single_stage", 59.7] == (58.5,)
    assert (table.comparison(lines)["re-run by others"] != "").sum() == len(beside) == 5
    shown = table.reruns(again).iloc[0]
    assert (shown["re-run"], shown.source) == ("50.19", "github issue visinf/1-stage-wseg#12")
