"""Methods on the same pictures, ladders of chains, and what labels cost: from records alone, nothing by hand."""

import pytest

from tests.report import made
from tests.report.made import bound, found, full
from wsnb.files import FileError
from wsnb.report import charts, frame, publish, same_data, table_pages
from wsnb.run import paths


def test_ratio_to_the_nearest_full_supervision(tmp_path):
    made.manifest(tmp_path, "single_stage/a", "03_evaluate", [made.result(30.0), bound(3.5)])
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0), bound(3.5)])
    made.manifest(tmp_path, "spml/c", "10_evaluate", [full(60.0, backbone="vgg16")])
    (group,) = same_data.groups(*found(tmp_path))
    assert [one.row.value for one in group.entries] == [60.0, 40.0, 36.0, 30.0, 3.5]  # the bound once
    ratio = {one.row.value: one.ratio for one in group.entries}
    assert ratio[36.0] == 0.9 and ratio[30.0] == 0.75  # not of the other backbone's 60
    assert same_data.ratio_words(group.entries[-1]) == ""


def test_own_experiment_and_crf_come_first(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0, crf="yes"), full(50.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "spml/b", "10_evaluate", [full(80.0)])
    (group,) = same_data.groups(*found(tmp_path))
    one = next(one for one in group.entries if one.row.value == 20.0)
    assert (one.full.experiment, one.full.value) == ("a", 50.0)


def test_papers_without_a_bound_share_the_highest_with_a_crf_or_without(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [full(30.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "single_stage/b", "03_evaluate", [made.result(20.0, crf="yes"), made.result(19.0)])
    (group,) = same_data.groups(*found(tmp_path))
    assert [one.full.value for one in group.entries if one.row.paper == "single_stage"] == [40.0, 40.0]


def test_other_pictures_metrics_and_ladders_stand_apart(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [
        made.result(20.0), full(40.0), made.result(90.0, split_hash="cd"), made.result(91.0, name="PQ"),
        {**made.result(99.0, method="labels"), "role": "ladder", "step": "CAM"}, made.result(None, method="x"),
    ])  # fmt: skip
    (group,) = same_data.groups(*found(tmp_path))
    assert [one.row.value for one in group.entries] == [40.0, 20.0]


def test_the_picture_leaves_out_no_experiment(tmp_path):
    for name, values in {"a": (60.0, 50.0, 40.0), "b": (45.0, 30.0), "c": (20.0,)}.items():
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", [made.result(v, method=f"{name}{v}") for v in values])
    (group,) = same_data.groups(*found(tmp_path))
    shown = [one.row.value for one in charts.best_of_each(group.entries, 4)]
    assert shown == [60.0, 50.0, 45.0, 20.0]  # the highest of each, then the highest of all


def test_without_full_supervision_it_is_said(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0), bound(3.0)])
    (group,) = same_data.groups(*found(tmp_path))
    assert same_data.ratio_words(group.entries[0]) == "full supervision not run"
    assert "full supervision not run" in table_pages.same_data([group])


def test_counted_labels_are_paid_by_the_piece(tmp_path):
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    notes = {"annotations": {"pictures": 100, "boxes": 250, "tags": 2000}}
    made.manifest(tmp_path, "simple_does_it/b", "06_labels", notes=notes)
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0, train_size=100), bound(3.5)])
    (group,) = same_data.groups(*found(tmp_path))
    cost = {one.row.value: one.cost for one in group.entries}
    assert cost[36.0].total == 250 * 7 + 2000 * 1 and cost[36.0].a_picture == 37.5 and cost[36.0].counted
    assert cost[40.0].a_picture == 239.7 and cost[40.0].total == pytest.approx(23970)
    assert cost[3.5].total == 0 and same_data.cost_words(cost[3.5]) == "0"
    assert same_data.cost_words(cost[36.0]) == "37.5 (counted; 1.04 h)"


@pytest.mark.parametrize("counts", [{"points": 6943}, {"scribbles": 6943}, {"boxes": 1294}, {"tags": 12000}])
def test_weak_labels_never_cost_more_than_masks(counts):
    """Older records counted strokes and points, which are priced by the picture."""
    masks = same_data.counted({"pictures": 600, "masks": 600}, "VOC2012 subset")
    weak = same_data.counted({"pictures": 600, **counts}, "VOC2012 subset")
    assert weak.a_picture < masks.a_picture and weak.total < masks.total
    if "points" in counts:
        assert weak.a_picture == pytest.approx(22.1)
    assert same_data.counted({"pictures": 600, "points": 300}, "VOC2012").total == pytest.approx(300 * 22.1)


def test_published_weak_labels_cost_less_than_masks():
    records = publish.published(paths.find() / "figures")
    costs = [(one.row.protocol.supervision, one.cost.a_picture)
             for group in same_data.groups(frame.rows(records), records) for one in group.entries
             if one.cost is not None and group.dataset.startswith("VOC2012")]
    masks = min((cost for supervision, cost in costs if supervision == "full"), default=1e9)
    assert all(cost < masks for supervision, cost in costs if supervision != "full")


def test_the_floor_stands_once(tmp_path):
    for name, preset, backbone in (("a", "fixed", ""), ("b", "faithful", ""), ("c", "faithful", "MobileNetV2")):
        floor = made.result(3.4914, supervision="none", method="all background", preset=preset, backbone=backbone)
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", [made.result(30.0, method=name), floor])
    (group,) = same_data.groups(*found(tmp_path))
    floors = [cells for cells in same_data.cells(group) if cells[0] == "none"]
    assert len(floors) == 1 and floors[0][1] == "all background" and floors[0][7] == ""


def test_the_same_methods_full_supervision_comes_first_and_is_named(tmp_path):
    def bounded(value, method):
        return made.result(value, supervision="full", method=method)

    made.manifest(tmp_path, "spml/full", "10_evaluate", [bounded(50.0, "retrieval"), bounded(40.0, "joint")])
    made.manifest(tmp_path, "spml/point", "10_evaluate", [made.result(20.0, method="joint", supervision="points"),
                                                          made.result(10.0, method="other", supervision="points")])
    (group,) = same_data.groups(*found(tmp_path))
    told = {one.row.value: same_data.ratio_words(one) for one in group.entries}
    assert told[20.0] == "50 % of 40.0 (joint)"  # not of the retrieval's
    assert told[10.0] == "20 % of 50.0 (retrieval)"


def test_a_bound_of_another_paper_is_named_once(tmp_path):
    bounds = [made.result(50.0, supervision="full", method="Simple Does It: masks"), full(40.0, backbone="vgg16")]
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", bounds)
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0), made.result(10.0, backbone="vgg16")])
    (group,) = same_data.groups(*found(tmp_path))
    told = {one.row.value: same_data.ratio_words(one) for one in group.entries}
    assert told[20.0] == "40 % of 50.0 (Simple Does It: masks)"
    assert told[10.0] == "25 % of 40.0 (simple_does_it, fully supervised)"


def test_other_settings_of_the_test_are_named(tmp_path):
    one = made.result(20.0, method="x", scales=[1.0], flip=False)
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(30.0), made.result(25.0, method="y"), one, bound(3)])
    (group,) = same_data.groups(*found(tmp_path))
    assert same_data.header(group)[-1] == same_data.UNLIKE
    assert [cells[-1] for cells in same_data.cells(group)] == ["", "", "scales, flip", ""]
    assert "scales 1 / 0.5 / 1.5 / 2, flip yes" in same_data.usual_words(group)
    made.manifest(tmp_path / "like", "spml/a", "10_evaluate", [made.result(30.0), made.result(25.0, method="y")])
    (group,) = same_data.groups(*found(tmp_path / "like"))
    assert same_data.header(group) == same_data.HEADER and same_data.usual_words(group) == ""


def test_typical_and_unknown_prices():
    assert same_data.typical("image labels", "VOC2012 subset", 600).total == 12000
    assert same_data.typical("boxes", "VOC2012", 600) is None  # no one knows how many boxes
    assert same_data.counted({"pictures": 2, "masks": 2}, "Cityscapes").a_picture == 5400
    assert same_data.counted({"pictures": 2, "masks": 2}, "CamVid") is None
    assert same_data.cost_words(None) == "not known"


def test_every_price_has_a_source(tmp_path):
    assert all(one.seconds > 0 and one.source and one.source_kind for one in same_data.load())
    text = same_data.PATH.read_text().replace(",7,", ",seven,", 1)
    (tmp_path / "prices.csv").write_text(text)
    with pytest.raises(FileError, match=r"prices.csv, line 3: .*seven"):
        same_data.load(tmp_path / "prices.csv")
