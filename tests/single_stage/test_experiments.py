"""The experiments of this paper: complete and strict, and the notebooks' own defaults are those of `shapes`."""

from pathlib import Path

import pytest

from tests import configuration, departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("single_stage/")]


def test_all_that_the_paper_has_are_there():
    wanted = {
        "shapes",
        "voc_small",
        "voc_small_cam_baseline",
        "voc_small_train",
        "voc12_resnet38",
        "voc12_resnet38_fixed",
        "voc12_vgg16",
        "voc12_resnet50",
        "voc12_resnet101",
        "voc12_cam_baseline",
        "coco14_resnet38",
    }
    assert {name.split("/")[1] for name in NAMES} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    paper, short = name.split("/")
    experiment = experiments.load(ROOT, paper, short)
    assert len(experiment.stages) == (2 if short == "voc_small_train" else 3)
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head and "Paper:" in head


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/single_stage").glob("*.ipynb")), ids=lambda p: p.stem)
def test_run_all_is_the_experiment_shapes(path):
    values = departures.values("single_stage/shapes")
    for name, param in params.declared(notebooks.read(path)).items():
        assert param.default == values[name], name


def test_every_value_stands_beside_the_originals():
    paper_size = [name.split("/")[1] for name in NAMES if "/voc12_" in name]
    assert not configuration.faults("single_stage", paper_size)


@pytest.mark.parametrize("name", NAMES)
def test_departures_from_the_paper_say_so(name):
    text = (ROOT / f"params/{name}.yaml").read_text()
    values = departures.values(name)
    if name == "single_stage/voc12_resnet38":
        assert "# paper:" not in text  # the paper's own setting, value for value
        paper = {
            "crop": 321,
            "batch": 16,
            "norm_replicas": 2,
            "epochs": 24,
            "pretrain": 5,
            "lr": 0.001,
            "weight_decay": 0.0005,
            "psi": 0.3,
            "scales": [1.0, 0.5, 1.5, 2.0],
            "padded_side": 1024,
            "tag_cut": 0.1,
            "background_power": 3.0,
            "select": "best",
        }
        assert {key: values[key] for key in paper} == paper
    assert not departures.without_reason(name), "give the reason too"


@pytest.mark.parametrize("small, paper", [("shapes", "voc12_resnet38"), ("voc_small", "voc12_resnet38"),
                                          ("voc_small_cam_baseline", "voc12_cam_baseline")])
def test_every_departure_is_marked_with_the_papers_value(small, paper):
    assert not departures.unmarked(f"single_stage/{small}", f"single_stage/{paper}")
