"""The reported numbers: every row is there, typed, with its source; what they state of their protocol."""

import csv
import re
from collections import Counter

import pytest

from wsnb.files import FileError
from wsnb.report import match

ROWS = match.load()


def test_every_row_survives():
    assert len(ROWS) == 289
    with open(match.PATH, encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file, strict=True))
    assert [row.value for row in ROWS] == [float(row["value"]) for row in raw]
    assert all(list(row) == list(match.COLUMNS) for row in raw)
    assert (
        Counter(row.sources[0][0] for row in ROWS)["unverified"]
        == 54
        == sum(not row.verified for row in ROWS)
    )


def test_our_papers_and_those_of_others():
    counts = Counter(row.paper for row in ROWS)
    assert {name: counts[name] for name in match.PAPERS.values()} == {
        "panoptic": 40,
        "spml": 20,
        "simple_does_it": 80,
        "no_people_allowed": 3,
        "single_stage": 34,
    }
    assert counts["Araslanov&Roth CVPR2020 (user re-run)"] == 5


def test_sources_stay_and_no_place_of_a_machine():
    assert all(source for row in ROWS for _, source in row.sources)
    assert not re.search(
        r"(^|[\s,\"])(/work|/home|/tmp|\.\./)|specs/", match.PATH.read_text(encoding="utf-8")
    )


def find(**words):
    return [row for row in ROWS if all(getattr(row, name) == value for name, value in words.items())]


def test_protocol_words():
    row = find(paper="single_stage", split="val", crf="no", value=59.7)[0]
    assert row.protocol == {
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
    clean = find(paper="single_stage", split="train", crf="yes", value=66.9)[0].protocol
    assert (clean["image_labels"], clean["supervision"], clean["dataset_size"]) == (
        "ground truth",
        "image labels",
        1464,
    )
    unstated = find(paper="spml", backbone="unstated")
    assert "backbone" not in unstated[0].protocol and "crf" not in unstated[0].protocol


def test_merged():
    numbers = match.merged(find(paper="single_stage"))
    val = [
        row for row in numbers if row.value == 62.7 and row.split == "val" and row.method == "single-stage"
    ]
    assert len(val) == 1 and len(val[0].sources) == 5 and val[0].sources[0][0] == "readme"
    clean = [row for row in numbers if row.value == 65.3]
    assert (
        len(clean) == 1 and clean[0].crf == "yes"
    )  # the row without words on CRF and backbone is the same number
    test = [
        row.value
        for row in numbers
        if row.split == "test" and row.crf == "no" and row.method == "single-stage"
    ]
    assert test == [62.7, 60.5]  # README and paper contradict each other: both stay
    assert sum(len(row.sources) for row in numbers) == 34
    assert match.merged(ROWS) == match.merged(ROWS)


@pytest.mark.parametrize(
    "line",
    [
        "a,b,c",
        "p,d,s,s,m,b,yes,mIoU,high,%,readme,x,",
        "p,d,s,s,m,b,yes,mIoU,nan,%,readme,x,",
        "p,d,s,s,m,b,yes,mIoU,1,%,rumour,x,",
        'p,"d" d,s,s,m,b,yes,mIoU,1,%,readme,x,',
    ],
)
def test_damage_is_named(tmp_path, line):
    path = tmp_path / "r.csv"
    path.write_text(",".join(match.COLUMNS) + "\n" + line + "\n")
    with pytest.raises(FileError, match=r"r\.csv, line 2"):
        match.load(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"gone\.csv"):
        match.load(tmp_path / "gone.csv")
