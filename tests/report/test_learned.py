"""Labels against the networks that learned from them: one point an experiment, from hand-made records."""

import pytest

from tests.report import made
from tests.report.test_statistics import pictures
from wsnb.metrics import counts
from wsnb.report import learned


def value_of(tables):
    return float(counts.percent("mean IoU", counts.added_up(tables, "mean IoU").sum(0)))


def student(runs, name, label, right, seed=0, **stated):
    """Records of a chain of a student: labels on 30 pictures, the network on 40 others."""
    labels, found = pictures(30, seed, right), pictures(40, seed + 50, right - 0.1)
    folder = made.manifest(runs, f"student/{name}", "01_labels")
    step = {"role": "ladder", "step": f"labels: {label}"}
    row = {**made.result(value_of(labels), "label mIoU", split="train", split_hash="cd"), **step,
           "counts": labels, "measure": "mean IoU"}
    more = [{**made.result(90.0, f"label {one}"), **step} for one in ("precision", "recall", "coverage")]
    made.manifest(runs, f"student/{name}", "01_labels", counts.kept(folder, [row, *more]))
    folder = made.manifest(runs, f"student/{name}", "03_evaluate")
    stated = {"supervision": "boxes", **stated}
    rows = [{**made.result(value_of(found), **stated, method=f"student of {label}", crf=crf),
             "counts": found, "measure": "mean IoU"} for crf in ("", "10 iterations")]
    made.manifest(runs, f"student/{name}", "03_evaluate", counts.kept(folder, [*rows, made.bound(3.5)]), seed=seed)


@pytest.fixture
def found(tmp_path):
    student(tmp_path, "a", "GrabCut+", 0.8)
    student(tmp_path, "a@seed1", "GrabCut+", 0.8, seed=1)
    student(tmp_path, "b", "CAM", 0.5, supervision="image labels")
    made.manifest(tmp_path, "single_stage/c", "03_evaluate", [made.result(40.0)])  # has no labels of its own
    return learned.pairs(made.found(tmp_path))


def test_a_row_an_experiment_with_its_labels_and_seeds(found):
    assert list(found.label) == ["GrabCut+"] * 2 + ["CAM"] * 2 and list(found.seeds) == [2, 2, 1, 1]
    assert (found.label_low < found.label_value).all() and (found.label_value < found.label_high).all()
    plain = learned.table(found[found.crf == ""]).set_index("labels")
    assert plain.loc["GrabCut+", "alike"] != plain.loc["CAM", "alike"] != ""
    assert plain.loc["CAM", "gain"].startswith("−") and plain.loc["CAM", "label recall"] == "90.0"


def test_classes_of_labels_and_student(found):
    each = learned.by_class(found[found.crf == ""])
    assert list(each) == [(label, which) for label in ("GrabCut+", "CAM") for which in ("labels", "student")]
    assert (each["CAM", "student"] < each["GrabCut+", "student"]).all()


def test_the_picture_has_every_point(found):
    axis, = learned.scatter(found[found.crf == ""]).axes
    assert {text.get_text() for text in axis.texts} == {"GrabCut+ (a)", "CAM (b)"}
    assert {text.get_text() for text in axis.get_legend().get_texts()} == {"boxes", "image labels"}


def test_what_cannot_be_distinguished_is_said(tmp_path):
    """Students on the same pictures share letters, each table its own; those on other pictures are not compared."""
    for seed, name in enumerate(("a", "b")):
        student(tmp_path, name, name.upper(), 0.8, seed=seed)
    student(tmp_path, "c", "C", 0.4, seed=2)
    student(tmp_path, "d", "D", 0.8, seed=3, split="val500", split_hash="ef")
    found = learned.pairs(made.found(tmp_path))
    tables = dict(learned.tables(found[found.crf == ""]))
    assert list(tables) == ["VOC2012 val, 1449 pictures, CRF: no", "VOC2012 val500, 1449 pictures, CRF: no"]
    several, alone = tables.values()
    assert len(several) == 3 and learned.said(alone) == [] and list(alone.alike) == [""]
    (said,) = learned.said(several)
    assert said.startswith("a: ") and {"A", "B"} == set(said.removeprefix("a: ").split(" cannot")[0].split(" and "))
    assert learned.said(learned.pairs(made.found(tmp_path / "nothing"))) == []


def test_the_same_hours_of_full_masks(tmp_path):
    for k, (name, size) in enumerate({"full": 600, "full_50": 50}.items()):
        student(tmp_path, name, f"{size} full masks", 0.6 + k / 10, seed=k, supervision="full", train_size=size)
    student(tmp_path, "cam", "CAM", 0.5, supervision="image labels", train_size=600)
    found = learned.pairs(made.found(tmp_path))
    plain = found[found.crf == ""]
    hours = learned.table(plain).set_index("labels")["labels, h"]
    assert hours["600 full masks"] == "40.0" and hours["50 full masks"] == hours["CAM"] == "3.3"
    line = learned.by_price(plain).axes[0].lines[0]
    assert line.get_xdata().round(1).tolist() == [3.3, 40.0]


def test_nothing_was_run(tmp_path):
    found = learned.pairs(made.found(tmp_path))
    assert found.empty and learned.table(found).empty and learned.by_class(found).empty
    assert learned.scatter(found).axes and learned.by_price(found).axes
