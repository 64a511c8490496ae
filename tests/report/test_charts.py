"""The pictures for a talk: what they show, and what they leave out."""

import pandas as pd

from tests.report import made
from tests.report.made import bound, found, full
from wsnb.report import charts, ladder, same_data


def step(value, name, **changed):
    return {**made.result(value, **changed), "role": "ladder", "step": name}


def drawn(tmp_path):
    """What the picture of the first group shows: its texts, and the names of its bars."""
    figure = charts.bars(same_data.entries(found(tmp_path)))
    names = [one.get_text().replace("\n", " ") for one in figure.axes[0].get_yticklabels()]
    return [one.get_text() for one in [*figure.axes[0].texts, *figure.texts]], names


def test_numbers_with_tags_given_are_not_in_the_picture(tmp_path):
    given = made.result(39.2, image_labels="ground truth", crf="yes")
    made.manifest(tmp_path, "single_stage/a", "03_evaluate", [given, made.result(35.8, crf="yes"), bound(3.5)])
    made.manifest(tmp_path, "spml/b", "10_evaluate", [made.result(29.0, method="SPML, retrieval"), full(39.0)])
    texts, names = drawn(tmp_path)
    assert "35.8" in texts and "39.2" not in texts and any("given at test are left out" in text for text in texts)
    assert "74 % of 39.0" in texts and "20?" in texts  # the bound of the share; the price of the labels
    assert names == ["single-stage, CRF", "SPML, retrieval"]


def test_bars_of_one_name_are_distinguished(tmp_path):
    for name, value, kind in (("point_no_similarity", 8.8, "points"), ("point_annotation_only", 4.7, "points"),
                              ("box", 29.0, "boxes")):
        head = made.result(value, method="SPML, head", supervision=kind)
        made.manifest(tmp_path, f"spml/voc_small_{name}", "10_evaluate", [head])
    _, names = drawn(tmp_path)
    assert names == ["SPML, head, boxes", "SPML, head, points, no similarity", "SPML, head, points, annotation only"]


def test_the_picture_of_ladders_has_each_paper_and_no_step_twice(tmp_path):
    plain = {"name": "mIoU of the labels", "unit": "%", "role": "ladder"}
    for metric in ("mIoU of the labels", "PQ of the labels", "labelled of the labels"):
        for name in ("camvid", "shapes"):
            made.manifest(tmp_path / metric[:2], f"panoptic/{name}", "05", [{**plain, "name": metric, "value": 1.0,
                                                                            "step": "kick-off labels, train"}])
    rows = [found(tmp_path / part) for part in ("mI", "PQ", "la")]
    for name in ("voc_a", "voc_b", "voc_c"):
        made.manifest(tmp_path / "spml", f"spml/{name}", "05", [{**plain, "value": 5.0, "step": "points"}])
    rows.append(found(tmp_path / "spml"))
    shown = charts.chosen(ladder.steps(pd.concat(rows, ignore_index=True)))
    titles = [ladder.title(one).partition(":")[0] for one in shown]
    assert titles == ["panoptic/camvid", "spml/voc_a", "spml/voc_b", "panoptic/shapes"]
    assert charts.series(shown[0])[:2] == (["kick-off labels"], {"training pictures": {"kick-off labels": 1.0}})


def test_presets_are_lines_of_a_ladder_and_the_end_comes_last(tmp_path):
    train = {"split": "train", "dataset_size": 600}
    made.manifest(tmp_path, "no_people_allowed/a", "02_cams", [
        step(30.0, "CAM, faithful, train", **train), step(33.0, "CAM, fixed, train", preset="fixed", **train),
        made.result(20.0), step(35.0, "segmentation, fixed, train", preset="fixed", **train)])
    one = ladder.steps(found(tmp_path))
    steps, lines, made_from = charts.series(one)
    assert steps == ["CAM", "segmentation", "single-stage"]
    assert lines == {"VOC2012 train, 600 pictures, faithful": {"CAM": 30.0},
                     "VOC2012 train, 600 pictures, fixed": {"CAM": 33.0, "segmentation": 35.0},
                     "VOC2012 val, 1449 pictures, faithful": {"single-stage": 20.0}}
    assert made_from == {("VOC2012 train, 600 pictures, fixed", "segmentation"): "CAM"}
    assert len(charts.ladders(one).axes) == 1
