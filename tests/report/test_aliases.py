"""Aliases of methods and supervisions: each experiment of a paper's size meets the number that it repeats."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.report import made
from wsnb.papers.no_people_allowed import evaluate
from wsnb.papers.panoptic import evaluate as reporting
from wsnb.papers.panoptic.label_space import CITYSCAPES
from wsnb.papers.simple_does_it import evaluate as instance_scores
from wsnb.papers.simple_does_it import semantic
from wsnb.papers.single_stage import evaluate as single_stage
from wsnb.papers.spml import evaluate as spml
from wsnb.papers.spml import inference
from wsnb.report import frame, match
from wsnb.report.protocol import Protocol
from wsnb.run import experiments, paths

CRF = "10 iterations"


def row(paper, metric="mIoU", **fields):
    """A row of the results frame with a protocol that has no more than it needs."""
    protocol = Protocol(**{"dataset": "VOC2012", "dataset_size": 1449, "split": "val", **fields})
    row = dict.fromkeys(frame.COLUMNS)
    return {**row, **dataclasses.asdict(protocol), "paper": paper, "experiment": "x", "stage": "10_evaluate",
            "metric": metric, "value": 50.0, "unit": "%", "undefined": (), "stated": True, "synthetic": False,
            "role": "final", "step": ""}  # fmt: skip


def rows_of(paper, experiment):
    """The rows that an experiment would write, made by the code that writes them."""
    loaded = experiments.load(paths.find(), paper, experiment)
    p = SimpleNamespace(**loaded.values, stages=[stage.name for stage in loaded.stages])
    common = {"dataset": p.dataset, "split": p.val_split, "dataset_size": 10}
    return [row(paper, **{**common, **fields}) for fields in WRITERS[paper](p)]


def _single_stage(p):
    shared = single_stage.conditions(p, p)
    return [{**shared, "supervision": p.supervision, "image_labels": "predicted", "crf": crf} for crf in ("", CRF)]


def _spml(p):
    shared = inference.conditions(p, p, p.test_scales, False)
    return [{**shared, **spml.supervision_protocol(p.supervision), "method": method, "crf": crf}
            for method in spml.METHODS.values() for crf in ("", CRF)]


def _simple(p):
    if not hasattr(p, "label_methods"):
        detail = dict.fromkeys(instance_scores.TITLES, {"mAP^r@0.5": np.ones(2)})
        shared = {"train_size": 9, "matching": "same class", "preset": p.preset, "dataset": p.dataset,
                  "dataset_size": 10, "split": p.val_split}
        counted = {kind: {measure: {} for measure in measures} for kind, measures in detail.items()}
        return [{**one["protocol"], "metric": one["name"]} for one in instance_scores.results(
            detail, counted, ["ground", "a", "b"], shared, "", p, {}, p.label_kind, p.clip_to_box)]
    last = 1 + sum(stage.startswith("07_train@") for stage in p.stages)
    names = [semantic.round_name(one, k) for one in p.label_methods for k in range(1, last + 1)]
    return [{**instance_scores.conditions(p), **instance_scores.network_conditions(name, kind, p)}
            for name in [*names, semantic.FULL] for kind in ("val", "val_crf")]


def _panoptic(p):
    kinds = {"components": dict.fromkeys(reporting.WANTED, np.ones(19)),
             "ground truth": dict.fromkeys(reporting.OTHERS, np.ones(19))}
    shared = {"supervision": p.supervision, "weights": f"ResNet101, {p.weights}",
              **reporting.conditions(p, p, p, 2975)}
    counted = {kind: {} for kind in kinds}
    found = reporting.results(kinds, counted, np.eye(19, dtype=int), shared, "3 iterations", CITYSCAPES)
    return [{**one["protocol"], "metric": one["name"]} for one in found]


def _npa(p):
    return [{"supervision": p.supervision, "method": p.method, "backbone": evaluate.NAMES[p.backbone]}]


WRITERS = {"single_stage": _single_stage, "spml": _spml, "simple_does_it": _simple, "panoptic": _panoptic,
           "no_people_allowed": _npa}  # fmt: skip


def lines(found, paper):
    found = pd.DataFrame(found, columns=frame.COLUMNS, dtype=object)
    return match.compare(found.astype({"value": float, "stated": bool, "synthetic": bool}), {paper})[0]


@pytest.mark.parametrize("title, value, differs", [
    ("single_stage/voc12_resnet38", 62.7, set()),
    ("single_stage/voc12_resnet101", 62.7, {"backbone"}),
    ("single_stage/voc12_resnet50", 59.7, {"backbone"}),
    ("single_stage/voc12_vgg16", 59.7, {"backbone"}),
    ("spml/voc12_tag", 69.5, set()),
    ("spml/voc12_box", 73.5, set()),
    ("spml/voc12_scribble", 76.1, set()),
    ("spml/voc12_point", 73.2, set()),
    ("spml/densepose_point", 44.15, set()),
    ("simple_does_it/voc12_semantic_box", 61.2, set()),
    ("simple_does_it/voc12_semantic_box_i", 62.7, set()),
    ("simple_does_it/voc12_semantic_mcg", 62.6, set()),
    ("simple_does_it/voc12_semantic_grabcut_plus", 63.4, set()),
    ("simple_does_it/voc12_semantic_m_and_g_plus", 65.7, set()),
    ("simple_does_it/voc12_semantic_m_and_g_plus", 69.1, set()),  # its bound
    ("simple_does_it/voc12_semantic_grabcut_plus_i", 64.3, set()),
    ("panoptic/cityscapes_weak", 40.5, {"boxes at test"}),
    ("panoptic/cityscapes_weak", 63.6, set()),
    ("panoptic/cityscapes_full", 47.3, {"boxes at test"}),
    ("panoptic/cityscapes_full", 71.6, set()),
])  # fmt: skip
def test_experiments_of_the_papers_size_meet_their_numbers(title, value, differs):
    paper, experiment = title.split("/")
    found = rows_of(paper, experiment)
    run = lines(found, paper).pipe(lambda rows: rows[rows.found == "ours"])
    assert len(run), f"{title} meets no reported number"
    line = run[(run.value == value) & (run.split == found[0]["split"])].iloc[0]
    assert {name for name, *_ in line.differs} - {"dataset_size", "preset"} == differs


def test_the_last_round_of_recursive_training_is_the_papers_box():
    run = lines(rows_of("simple_does_it", "voc12_semantic_box_i"), "simple_does_it")
    run = run[run.found == "ours"]
    line = run[run.value == 62.7].iloc[0]
    assert "Box^i, round 4" in line.our_method and line.our_crf
    met = set(run.our_method)
    assert not any("Box^i, DeepLab" in method for method in met)  # the first round is not recursive


@pytest.mark.parametrize("title", ["no_people_allowed/imagenet_det", "simple_does_it/sbd_instance"])
def test_where_only_the_pictures_differ_ours_stands_near(title):
    """The challenge's test pictures are not public; the program's instances are SBD's, the paper's VOC's."""
    paper, experiment = title.split("/")
    found = lines(rows_of(paper, experiment), paper)
    assert set(found.found) == {"near", ""}


SPML = {"backbone": "ResNet101", "supervision": "points", "crf": CRF}


@pytest.mark.parametrize("paper, fields", [
    ("spml", {**SPML, "method": "SPML, joint softmax head"}),
    ("spml", {**SPML, "method": "SPML, nearest-neighbour retrieval"}),
    ("simple_does_it", {"method": "Simple Does It: Rectangles, DeepLab-LargeFOV", "supervision": "boxes"}),
    ("simple_does_it", {"method": "Simple Does It: M∩G+ (rules: none), DeepLab-LargeFOV", "supervision": "boxes"}),
    ("simple_does_it", {"method": "Simple Does It: GrabCut+, round 2, DeepLab-LargeFOV", "supervision": "boxes"}),
    ("simple_does_it", {"method": "Simple Does It: network, boxes", "supervision": "boxes", "metric": "mAP^r@0.5"}),
    ("panoptic", {"method": "weakly-supervised panoptic, boxes: ground truth", "supervision": "boxes and image labels",
                  "weights": "imagenet", "dataset": "Cityscapes", "metric": "PQ (all)"}),
    ("panoptic", {"method": "weakly-supervised panoptic, boxes: components", "supervision": "boxes and image labels",
                  "weights": "random", "dataset": "Cityscapes", "metric": "PQ (all)"}),
])  # fmt: skip
def test_different_methods_are_never_equal(paper, fields):
    assert not lines([row(paper, **fields)], paper).found.any()


def test_an_unstated_supervision_meets_nothing():
    one = row("spml", **SPML, method="SPML, softmax classifier")
    found = lines([one], "spml")
    assert set(found[found.found != ""].supervision) == {"points"}


def test_published_numbers_stand_in_brackets(tmp_path):
    one = made.result(42.2, dataset="VOC2012 subset", supervision="boxes", backbone="MobileNetV2", crf="",
                      method="Simple Does It: M∩G+, DeepLab-LargeFOV", dataset_size=200)
    made.manifest(tmp_path, "simple_does_it/voc_small_semantic", "08_evaluate", [one])
    found = match.compare(made.found(tmp_path), {"simple_does_it"})[0]
    line = found[found.value == 65.7].iloc[0]
    assert line.found == "near" and line.our_value == 42.2
    assert {name for name, *_ in line.differs} == {"dataset", "dataset_size", "crf", "backbone"}


def test_points_and_scribbles_are_counted_by_the_picture(monkeypatch):
    masks = {"a": np.uint8([[0, 1], [1, 255]]), "b": np.full((2, 2), 255, np.uint8)}
    monkeypatch.setattr(spml.read, "mask", lambda layout, item, n: masks[item.id])
    w = SimpleNamespace(supervision="scribble", weak_source="made", layout="voc")
    items = [SimpleNamespace(id=name, instances=None) for name in masks]
    assert spml.annotations(w, items, ["ground", "x"]) == {"pictures": 2, "scribbles": 1}
