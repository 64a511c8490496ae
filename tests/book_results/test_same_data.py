"""Methods on the same pictures, ladders of chains, and what labels cost: from records alone, nothing by hand."""

import pytest

from tests.book_results import made
from wsnb.book import annotation, charts, ladder, results, samedata, tables
from wsnb.files import FileError


def found(tmp_path):
    records = results.records(tmp_path)
    return results.rows(records), records


def full(value, **changed):
    return made.result(value, supervision="full", method="fully supervised", **changed)


def bound(value):
    return made.result(value, supervision="none", method="all background", image_labels="none")


def test_ratio_to_the_nearest_full_supervision(tmp_path):
    made.manifest(tmp_path, "single_stage/a", "03_evaluate", [made.result(30.0), bound(3.5)])
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0), bound(3.5)])
    made.manifest(tmp_path, "spml/c", "10_evaluate", [full(60.0, backbone="vgg16")])
    (group,) = samedata.groups(*found(tmp_path))
    assert [one.row.value for one in group.entries] == [60.0, 40.0, 36.0, 30.0, 3.5]  # the bound once
    ratio = {one.row.value: one.ratio for one in group.entries}
    assert ratio[36.0] == 0.9 and ratio[30.0] == 0.75  # not of the other backbone's 60
    assert samedata.ratio_words(group.entries[-1]) == ""


def test_own_experiment_and_crf_come_first(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0, crf="yes"), full(50.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "spml/b", "10_evaluate", [full(80.0)])
    (group,) = samedata.groups(*found(tmp_path))
    one = next(one for one in group.entries if one.row.value == 20.0)
    assert (one.full.experiment, one.full.value) == ("a", 50.0)


def test_papers_without_a_bound_share_the_highest_with_a_crf_or_without(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [full(30.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "single_stage/b", "03_evaluate", [made.result(20.0, crf="yes"), made.result(19.0)])
    (group,) = samedata.groups(*found(tmp_path))
    assert [one.full.value for one in group.entries if one.row.paper == "single_stage"] == [40.0, 40.0]


def test_other_pictures_metrics_and_ladders_stand_apart(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [
        made.result(20.0), full(40.0), made.result(90.0, split_hash="cd"), made.result(91.0, name="PQ"),
        {**made.result(99.0, method="labels"), "role": "ladder", "step": "CAM"}, made.result(None, method="x"),
    ])  # fmt: skip
    (group,) = samedata.groups(*found(tmp_path))
    assert [one.row.value for one in group.entries] == [40.0, 20.0]


def test_the_picture_leaves_out_no_experiment(tmp_path):
    for name, values in {"a": (60.0, 50.0, 40.0), "b": (45.0, 30.0), "c": (20.0,)}.items():
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", [made.result(v, method=f"{name}{v}") for v in values])
    (group,) = samedata.groups(*found(tmp_path))
    shown = [one.row.value for one in charts.best_of_each(group.entries, 4)]
    assert shown == [60.0, 50.0, 45.0, 20.0]  # the highest of each, then the highest of all


def test_without_full_supervision_it_is_said(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0), bound(3.0)])
    (group,) = samedata.groups(*found(tmp_path))
    assert samedata.ratio_words(group.entries[0]) == "full supervision not run"
    assert "full supervision not run" in tables.same_data([group])


def test_counted_labels_are_paid_by_the_piece(tmp_path):
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    notes = {"annotations": {"pictures": 100, "boxes": 250, "tags": 2000}}
    made.manifest(tmp_path, "simple_does_it/b", "06_labels", notes=notes)
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0, train_size=100), bound(3.5)])
    (group,) = samedata.groups(*found(tmp_path))
    cost = {one.row.value: one.cost for one in group.entries}
    assert cost[36.0].total == 250 * 7 + 2000 * 1 and cost[36.0].a_picture == 37.5 and cost[36.0].counted
    assert cost[40.0].a_picture == 239.7 and cost[40.0].total == pytest.approx(23970)
    assert cost[3.5].total == 0 and samedata.cost_words(cost[3.5]) == "0"
    assert samedata.cost_words(cost[36.0]) == "37.5 (counted; 1.04 h)"


def test_typical_and_unknown_prices():
    assert annotation.typical("image labels", "VOC2012 subset", 600).total == 12000
    assert annotation.typical("boxes", "VOC2012", 600) is None  # no one knows how many boxes
    assert annotation.counted({"pictures": 2, "masks": 2}, "Cityscapes").a_picture == 5400
    assert annotation.counted({"pictures": 2, "masks": 2}, "CamVid") is None
    assert samedata.cost_words(None) == "not known"


def test_every_price_has_a_source(tmp_path):
    assert all(one.seconds > 0 and one.source and one.source_kind for one in annotation.load())
    text = annotation.PATH.read_text().replace(",7,", ",seven,", 1)
    (tmp_path / "prices.csv").write_text(text)
    with pytest.raises(FileError, match=r"prices.csv, line 3: .*seven"):
        annotation.load(tmp_path / "prices.csv")


def step(value, name, **changed):
    return {**made.result(value, **changed), "role": "ladder", "step": name}


def test_ladder_in_the_order_of_the_chain(tmp_path):
    train = {"split": "train", "dataset_size": 600}
    made.manifest(tmp_path, "no_people_allowed/a", "02_cams", [step(30.0, "CAM", **train), step(33.0, "CRF", **train)])
    made.manifest(tmp_path, "no_people_allowed/a", "05_walk", [step(41.5, "random walk", **train)])
    made.manifest(tmp_path, "no_people_allowed/a", "08_evaluate", [made.result(38.0), bound(3.5)])
    made.manifest(tmp_path, "single_stage/b", "03_evaluate", [made.result(38.0)])  # no step on the way: no ladder
    (one,) = ladder.ladders(found(tmp_path)[0])
    assert [cells[0] for cells in ladder.cells(one)] == ["CAM", "CRF", "random walk", "single-stage"]
    assert one.changes == [None, 3.0, 8.5, None]  # the end is measured on other pictures
    assert [cells[4] for cells in ladder.cells(one)] == ["", "+3.0", "+8.5", ""]


def test_steps_without_protocol_and_undefined_ones(tmp_path):
    plain = {"name": "known", "unit": "%", "role": "ladder"}
    made.manifest(tmp_path, "spml/a", "03_weak", [{**plain, "value": 5.0, "step": "points"},
                                                  {**plain, "value": None, "step": "grown"}])
    (one,) = ladder.ladders(found(tmp_path)[0])
    assert [cells[3] for cells in ladder.cells(one)] == ["5.0", "undefined"]
    assert "spml/a: known" in tables.ladders([one])
