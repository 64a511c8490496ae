"""The experiments of this paper: complete, strict, the paper's own values, and notebooks whose defaults run."""

from pathlib import Path

import pytest

from tests import configuration, departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("spml/")]
KINDS = ("tag", "box", "scribble", "point")
TERMS = ("annotation_kappa", "annotation_weight", "co_occurrence_kappa", "co_occurrence_weight",
         "image_similarity_kappa", "image_similarity_weight")


def values(name):
    return departures.values(f"spml/{name}")


def test_all_that_the_paper_has_are_there():
    found = {name.split("/")[1] for name in NAMES}
    assert {f"{group}_{kind}" for group in ("voc12", "shapes", "voc_small") for kind in KINDS} <= found
    assert {"densepose_point", "shapes_densepose", "voc_small_full"} <= found


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    experiment = experiments.load(ROOT, *name.split("/"))
    stages = [stage.name for stage in experiment.stages]
    assert stages[-1] == "10_evaluate" and ("08_classifier@2" in stages) == name.endswith("_tag")
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head and "Paper:" in head
    assert not departures.without_reason(name), "give the reason too"


@pytest.mark.parametrize("small, paper", [(f"{size}_{kind}", f"voc12_{kind}") for size in ("shapes", "voc_small")
                                          for kind in KINDS] + [("shapes_densepose", "densepose_point")])
def test_every_departure_is_marked_with_the_papers_value(small, paper):
    assert not departures.unmarked(f"spml/{small}", f"spml/{paper}")


@pytest.mark.parametrize("kind, terms", [
    ("voc12_tag", (6, 0.3, 8, 0.3, 16, 0.1)), ("voc12_box", (6, 0.3, 8, 0.3, 16, 0.1)),
    ("voc12_scribble", (6, 1.0, 12, 0.5, 16, 0.1)), ("voc12_point", (6, 0.1, 8, 0.1, 16, 0.1)),
    ("densepose_point", (6, 1.0, 0, 0, 16, 0.1))])
def test_the_papers_settings(kind, terms):
    found = values(kind)
    assert tuple(found[name] for name in TERMS) == terms
    dense = kind == "densepose_point"
    wanted = {"dim": 32 if dense else 64, "iterations": 45000 if dense else 30000, "crop": 512, "batch": 16,
              "devices": 4, "memory": 0 if dense else 2, "clusters": [12, 12] if dense else [6, 6], "lr": 0.003,
              "weight_decay": 0.0005, "warm_up": 100, "classifier_iterations": 4000, "preset": "faithful",
              "norms": "sync", "head": "pspnet" if dense else "deeplab", "backbone": "resnet101_deep"}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("kind, classifier", [("box", "walk"), ("scribble", "weak"), ("point", "weak")])
def test_labels_as_released_and_as_meant(kind, classifier):
    """The scripts build the memory from whole masks, and where their sed matches no line the classifier reads dabs."""
    found, marked = values(f"voc12_{kind}"), params.paper_values(ROOT / f"params/spml/voc12_{kind}.yaml")
    assert (found["prototype_labels"], marked["prototype_labels"]) == ("ground truth", "pseudo")
    assert found["classifier_labels"] == classifier and not found["retrieve_labels"]
    assert marked.get("classifier_labels") == (None if kind == "box" else "walk")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/spml").glob("*.ipynb")), ids=lambda p: p.stem)
def test_run_all_is_shapes_tag(path):
    found = values("shapes_tag")
    for name, param in params.declared(notebooks.read(path)).items():
        assert name == "round" or param.default == found[name], name


def test_every_value_stands_beside_the_originals():
    names = ["voc12_tag", "voc12_box", "voc12_scribble", "voc12_point", "voc12_point_fixed", "densepose_point",
             "densepose_point_fixed"]
    assert not configuration.faults("spml", names)
