"""Ladders of chains: each step against the one that it was made from, in the order of the chain, once."""

import math

from tests.report import made
from tests.report.made import step
from wsnb.report import frame, ladder
from wsnb.run import paths


def climbed(tmp_path):
    """The steps of the only ladder."""
    steps = ladder.steps(made.found(tmp_path))
    assert steps.groupby(ladder.KEYS).ngroups == 1
    return steps


def changes(steps):
    """Differences to the step that each was made from, in the order of the table; None without one."""
    return [None if math.isnan(change) else round(change, 6) for change in steps.change]


def bound(value):
    return made.result(value, supervision="none", method="all background", image_labels="none")


def test_ladder_in_the_order_of_the_chain(tmp_path):
    train = {"split": "train", "dataset_size": 600}
    made.manifest(tmp_path, "no_people_allowed/a", "02_cams", [step(30.0, "CAM", **train), step(33.0, "CRF", **train)])
    made.manifest(tmp_path, "no_people_allowed/a", "05_walk", [step(41.5, "random walk", **train)])
    made.manifest(tmp_path, "no_people_allowed/a", "08_evaluate", [made.result(38.0), bound(3.5)])
    made.manifest(tmp_path, "single_stage/b", "03_evaluate", [made.result(38.0)])  # no step on the way: no ladder
    one = climbed(tmp_path)
    assert list(one.name) == ["CAM", "CRF", "random walk", "single-stage"]
    assert changes(one) == [None, 3.0, 8.5, None]  # the end is measured on other pictures
    assert list(ladder.table(one).change) == ["", "+3.0", "+8.5", ""]


def test_steps_without_protocol_and_undefined_ones(tmp_path):
    plain = {"name": "known", "unit": "%", "role": "ladder"}
    made.manifest(tmp_path, "spml/a", "03_weak", [{**plain, "value": 5.0, "step": "points"},
                                                  {**plain, "value": None, "step": "grown"}])
    one = climbed(tmp_path)
    assert list(ladder.table(one).value) == ["5.0", "undefined"]
    assert ladder.title(one) == "spml/a: known, %"


def test_presets_are_not_mixed(tmp_path):
    made.manifest(tmp_path, "no_people_allowed/a", "02_cam", [step(30.0, "CAM, faithful, train"),
                                                              step(31.0, "CAM, fixed, train", preset="fixed")])
    made.manifest(tmp_path, "no_people_allowed/a", "03_labels", [step(33.0, "CAM + CRF, faithful, train"),
                                                                 step(36.0, "CAM + CRF, fixed, train", preset="fixed")])
    one = climbed(tmp_path)
    assert changes(one) == [None, 3.0, None, 5.0]  # one preset after the other


def test_alternatives_are_no_steps_of_each_other(tmp_path):
    names = ("CAM, fixed, train", "confident labels, fixed, train", "CAM + CRF, fixed, train", "walk, fixed, train",
             "walk, fixed, best threshold, train", "pseudo masks, fixed, train", "segmentation, fixed, train")
    made.manifest(tmp_path, "no_people_allowed/a", "05_walk", [step(float(v), n) for v, n in
                  zip((30, 20, 33, 36, 38, 37, 40), names, strict=True)])  # fmt: skip
    one = climbed(tmp_path)
    assert changes(one) == [None, -10.0, 3.0, 6.0, 8.0, 1.0, 3.0]
    assert [since.partition(",")[0] for since in one.since] == ["", "CAM", "CAM", "CAM", "CAM", "walk", "pseudo masks"]


def test_label_variants_stand_once_and_only_their_rounds_follow(tmp_path):
    """06 states the variants with a protocol; 08 again without, and the rounds of recursive training."""
    first = [{**made.result(v, name="label mIoU", method=f"labels: {n}"), "role": "ladder"}
             for v, n in ((58.0, "Rectangles"), (77.0, "Box^i"), (64.0, "GrabCut"))]
    plain = {"name": "label mIoU", "unit": "%", "role": "ladder", "protocol": None, "detail": {}}
    again = [{**plain, "value": v, "step": f"labels: {n}"} for v, n in (
        (58.0, "Rectangles"), (77.0, "Box^i"), (64.0, "GrabCut"), (61.0, "Box, round 2"), (60.5, "Box, round 3"))]
    made.manifest(tmp_path, "simple_does_it/a", "06_labels", first)
    made.manifest(tmp_path, "simple_does_it/a", "08_evaluate", again)
    one = climbed(tmp_path)
    assert [name.removeprefix("labels: ").partition(",")[0] for name in one.name] == [
        "Rectangles", "Box^i", "GrabCut", "Box", "Box"]  # fmt: skip
    assert changes(one) == [None, None, None, 3.0, -0.5]
    assert list(one.since)[3:] == ["labels: Rectangles", "labels: Box, round 2"]


def test_a_second_round_comes_after_what_it_was_made_from(tmp_path):
    def stage(name, value, *needs):
        parts = {"code": "c", "params": "p", "upstream": dict.fromkeys(needs, "k"), "data": None}
        made.manifest(tmp_path, "spml/a", name, [step(value, name)], parts=parts)

    stage("05_labels", 31.0)
    stage("05_labels@2", 34.0, "07_retrieval")
    stage("07_retrieval", 32.0, "05_labels")
    stage("07_retrieval@2", 35.0, "05_labels@2")
    one = climbed(tmp_path)
    assert list(one.stage) == ["05_labels", "07_retrieval", "05_labels@2", "07_retrieval@2"]
    assert changes(one) == [None, 1.0, 2.0, 1.0]


def test_published_ladders_have_no_change_between_variants_or_presets():
    steps = ladder.steps(frame.results(frame.published(paths.find() / "figures")))
    moved = steps[steps.change.notna()]
    assert len(moved) > 20
    for row in moved.itertuples():
        if row.name.startswith("labels: "):
            assert "round" in row.name and row.since.startswith("labels: ")
        if ", fixed" in row.name:
            assert ", faithful" not in row.since
