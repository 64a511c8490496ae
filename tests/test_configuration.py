"""The reader of the configuration tables: what it calls wrong."""

import pytest

from tests import configuration

ROW = {"experiment": "big", "stage": "01_train", "parameter": "lr", "ours": "0.1", "original": "0.1",
       "source": "owner/repo train.py:3", "why": ""}
OTHER = {**ROW, "original": "0.2", "why": "learns faster"}


@pytest.mark.parametrize("row, marked, help_", [
    (ROW, {}, ""), (OTHER, {"lr": 0.2}, ""), (OTHER, {}, "of the backbone; paper: 0.2"),
    ({**ROW, "original": "", "source": "", "why": "a name in tables"}, {}, ""),
    ({**ROW, "source": "slides: page 3"}, {}, "")])
def test_right_rows(row, marked, help_):
    assert not list(configuration.faults_of_row(row, 0.1, "01_train", help_, marked))


@pytest.mark.parametrize("row, marked, word", [
    ({**ROW, "ours": "0.3"}, {}, "is 0.1"), ({**ROW, "stage": "02_masks"}, {}, "first declared"),
    ({**ROW, "source": "train.py"}, {}, "source"), ({**ROW, "source": ""}, {}, "source"),
    ({**ROW, "original": "", "why": "x"}, {}, "source"), ({**ROW, "why": "x"}, {}, "why"),
    ({**OTHER, "why": ""}, {"lr": 0.2}, "why"), (OTHER, {}, "mark it"), (OTHER, {"lr": 0.3}, "mark it")])
def test_wrong_rows(row, marked, word):
    (fault,) = configuration.faults_of_row(row, 0.1, "01_train", "of the backbone", marked)
    assert word in fault


def test_a_name_counts_before_a_pattern():
    table = [ROW, {**ROW, "experiment": "b* other", "ours": "1"}]
    assert configuration.row_of(table, "big", "lr") is ROW and configuration.row_of(table, "big", "wd") is None
    assert configuration.row_of(table, "other", "lr")["ours"] == "1"
    assert configuration.row_of([*table, {**ROW, "experiment": "b?"}], "be", "lr") is None


def test_rows_too_few_and_too_many(monkeypatch):
    table = configuration.rows("single_stage")
    monkeypatch.setattr(configuration, "rows", lambda paper: [*table[1:], {**ROW, "experiment": "nowhere"}])
    missing = [f"voc12_vgg16: {table[0]['parameter']} has no row, or several that fit alike"]
    assert configuration.faults("single_stage", ["voc12_vgg16"])[:1] == missing
    assert configuration.faults("single_stage", ["voc12_vgg16"])[-1] == "no experiment has nowhere: lr"
