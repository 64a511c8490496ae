"""Methods on the same pictures, ladders of chains, and what labels cost: from records alone."""

from types import SimpleNamespace

import pytest

from tests.report import made
from tests.report.made import bound, found, full
from wsnb.files import FileError
from wsnb.report import charts, cost, frame, same_data
from wsnb.run import paths


def only(tmp_path):
    """The entries of the only group."""
    entries = same_data.entries(found(tmp_path))
    assert entries.group.nunique() == 1
    return entries


def by_value(entries, said):
    """{value: said(row)}."""
    return {row.value: said(row) for row in entries.itertuples()}


def test_ratio_to_the_nearest_full_supervision(tmp_path):
    made.manifest(tmp_path, "single_stage/a", "03_evaluate", [made.result(30.0), bound(3.5)])
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0), bound(3.5)])
    made.manifest(tmp_path, "spml/c", "10_evaluate", [full(60.0, backbone="vgg16")])
    group = only(tmp_path)
    assert list(group.value) == [60.0, 40.0, 36.0, 30.0, 3.5]  # the bound once
    ratio = dict(zip(group.value, group.ratio, strict=True))
    assert ratio[36.0] == 0.9 and ratio[30.0] == 0.75  # not of the other backbone's 60
    assert same_data.table(group)["of full supervision"].iloc[-1] == ""


def test_own_experiment_and_crf_come_first(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0, crf="yes"), full(50.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "spml/b", "10_evaluate", [full(80.0)])
    group = only(tmp_path)
    one = group[group.value == 20.0].iloc[0]
    assert (one.full_experiment, one.full_value) == ("a", 50.0)


def test_papers_without_a_bound_share_the_highest_with_a_crf_or_without(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [full(30.0, crf="yes"), full(40.0)])
    made.manifest(tmp_path, "single_stage/b", "03_evaluate", [made.result(20.0, crf="yes"), made.result(19.0)])
    group = only(tmp_path)
    assert list(group[group.paper == "single_stage"].full_value) == [40.0, 40.0]


def test_other_pictures_metrics_and_ladders_stand_apart(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [
        made.result(20.0), full(40.0), made.result(90.0, split_hash="cd"), made.result(91.0, name="PQ"),
        {**made.result(99.0, method="labels"), "role": "ladder", "step": "CAM"}, made.result(None, method="x"),
    ])  # fmt: skip
    group = only(tmp_path)
    assert list(group.value) == [40.0, 20.0]


def test_the_picture_leaves_out_no_experiment(tmp_path):
    for name, values in {"a": (60.0, 50.0, 40.0), "b": (45.0, 30.0), "c": (20.0,)}.items():
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", [made.result(v, method=f"{name}{v}") for v in values])
    group = only(tmp_path)
    shown = list(charts.best_of_each(group, 4).value)
    assert shown == [60.0, 50.0, 45.0, 20.0]  # the highest of each, then the highest of all


def test_without_full_supervision_it_is_said(tmp_path):
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0), bound(3.0)])
    group = only(tmp_path)
    assert same_data.table(group)["of full supervision"].iloc[0] == "full supervision not run"


def test_counted_labels_are_paid_by_the_piece(tmp_path):
    boxes = made.result(36.0, supervision="boxes", method="GrabCut")
    notes = {"annotations": {"pictures": 100, "boxes": 250, "tags": 2000}}
    made.manifest(tmp_path, "simple_does_it/b", "06_labels", notes=notes)
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", [boxes, full(40.0, train_size=100), bound(3.5)])
    group = only(tmp_path)
    rows = by_value(group, lambda row: row)
    assert rows[36.0].label_total == 250 * 7 + 2000 * 1 and rows[36.0].label_seconds == 37.5
    assert rows[36.0].label_counted and not rows[40.0].label_counted
    assert rows[40.0].label_seconds == 239.7 and rows[40.0].label_total == pytest.approx(23970)
    assert rows[3.5].label_total == 0 and same_data.price(rows[3.5]) == "0"
    assert same_data.price(rows[36.0]) == "37.5 (counted; 1.04 h)"


@pytest.mark.parametrize("counts", [{"points": 6943}, {"scribbles": 6943}, {"boxes": 1294}, {"tags": 12000}])
def test_weak_labels_never_cost_more_than_masks(counts):
    """Older records counted strokes and points, which are priced by the picture."""
    masks = cost.counted({"pictures": 600, "masks": 600}, "VOC2012 subset")
    weak = cost.counted({"pictures": 600, **counts}, "VOC2012 subset")
    assert weak.a_picture < masks.a_picture and weak.total < masks.total
    if "points" in counts:
        assert weak.a_picture == pytest.approx(22.1)
    assert cost.counted({"pictures": 600, "points": 300}, "VOC2012").total == pytest.approx(300 * 22.1)


def test_published_weak_labels_cost_less_than_masks():
    rows = same_data.entries(frame.results(frame.published(paths.find() / "figures")))
    rows = rows[rows.label_seconds.notna() & rows.dataset.str.startswith("VOC2012")]
    full = rows.supervision == "full"
    assert full.any() and rows[~full].label_seconds.max() < rows[full].label_seconds.min()


def test_the_floor_stands_once(tmp_path):
    for name, preset, backbone in (("a", "fixed", ""), ("b", "faithful", ""), ("c", "faithful", "MobileNetV2")):
        floor = made.result(3.4914, supervision="none", method="all background", preset=preset, backbone=backbone)
        made.manifest(tmp_path, f"spml/{name}", "10_evaluate", [made.result(30.0, method=name), floor])
    group = only(tmp_path)
    cells = same_data.table(group)
    floors = cells[cells.supervision == "none"]
    assert list(floors["method, backbone"]) == ["all background"] and list(floors.experiment) == [""]


def test_the_same_methods_full_supervision_comes_first_and_is_named(tmp_path):
    def bounded(value, method):
        return made.result(value, supervision="full", method=method)

    made.manifest(tmp_path, "spml/full", "10_evaluate", [bounded(50.0, "retrieval"), bounded(40.0, "joint")])
    made.manifest(tmp_path, "spml/point", "10_evaluate", [made.result(20.0, method="joint", supervision="points"),
                                                          made.result(10.0, method="other", supervision="points")])
    group = only(tmp_path)
    said = by_value(group, same_data.ratio)
    assert said[20.0] == "50 % of 40.0 (joint)"  # not of the retrieval's
    assert said[10.0] == "20 % of 50.0 (retrieval)"


def test_a_bound_of_another_paper_is_named_once(tmp_path):
    bounds = [made.result(50.0, supervision="full", method="Simple Does It: masks"), full(40.0, backbone="vgg16")]
    made.manifest(tmp_path, "simple_does_it/b", "08_evaluate", bounds)
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(20.0), made.result(10.0, backbone="vgg16")])
    group = only(tmp_path)
    said = by_value(group, same_data.ratio)
    assert said[20.0] == "40 % of 50.0 (Simple Does It: masks)"
    assert said[10.0] == "25 % of 40.0 (simple_does_it, fully supervised)"


def test_other_settings_of_the_test_are_named(tmp_path):
    one = made.result(20.0, method="x", scales=[1.0], flip=False)
    made.manifest(tmp_path, "spml/a", "10_evaluate", [made.result(30.0), made.result(25.0, method="y"), one, bound(3)])
    group = only(tmp_path)
    assert list(same_data.table(group)["unlike most"]) == ["", "", "scales, flip", ""]
    assert "scales 1 / 0.5 / 1.5 / 2, flip yes" in same_data.usual(group)
    made.manifest(tmp_path / "like", "spml/a", "10_evaluate", [made.result(30.0), made.result(25.0, method="y")])
    group = only(tmp_path / "like")
    assert "unlike most" not in same_data.table(group) and same_data.usual(group) == ""


def test_typical_and_unknown_prices():
    assert cost.typical("image labels", "VOC2012 subset", 600).total == 12000
    assert cost.typical("boxes", "VOC2012", 600) is None  # no one knows how many boxes
    assert cost.counted({"pictures": 2, "masks": 2}, "Cityscapes").a_picture == 5400
    assert cost.counted({"pictures": 2, "masks": 2}, "CamVid") is None


def test_every_price_has_a_source(tmp_path):
    assert all(one.seconds > 0 and one.source and one.source_kind for one in cost.load())
    text = cost.PATH.read_text().replace(",7,", ",seven,", 1)
    (tmp_path / "prices.csv").write_text(text)
    with pytest.raises(FileError, match=r"prices.csv, line 3: .*seven"):
        cost.load(tmp_path / "prices.csv")


def test_masks_that_chose_something_and_were_not_counted_are_said():
    boxes, masks = cost.price("boxes", "box", ""), cost.price("masks", "picture", "VOC2012")
    row = SimpleNamespace(annotation="constants chosen with some masks", label_prices=(boxes,), label_seconds=15.1,
                          label_total=9060.0, label_counted=True)
    assert same_data.price(row) == "15.1 (counted; 2.52 h) + masks"
    row.label_prices = (boxes, masks)
    assert same_data.price(row) == "15.1? (counted; 2.52 h)"
    row.annotation, row.label_prices = "", (boxes,)
    assert same_data.price(row) == "15.1 (counted; 2.52 h)"
