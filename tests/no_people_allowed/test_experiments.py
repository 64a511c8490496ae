"""The experiments of this paper: complete and strict, and the notebooks' own defaults are those of `shapes`."""

from pathlib import Path

import pytest

from tests import configuration, departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("no_people_allowed/")]
PAPER = {"extra": 512, "side": 352, "batch": 40, "drop_last": False, "epochs": 50, "lr": 0.0001,
         "cam_scales": [1.0, 0.5, 0.75, 2.0],
         "preset": "faithful", "normalise": "joint", "confident_foreground": 0.0075, "confident_background": 0.24,
         "norms": "batch", "irnet_radius": 10, "irnet_epochs": 20, "lr_edge": 0.005, "lr_displacement": 0.05,
         "walk_threshold": 0.3, "seg_epochs": 40, "seg_side": 352, "test_scales": [0.5, 1.0, 2.0]}
FIXED = {**PAPER, "preset": "fixed", "normalise": "per class", "confident_foreground": 0.3,
         "confident_background": 0.05, "norms": "fixed", "walk_threshold": 0.0}
IRN = {"extra": 0, "drop_last": True, "side": 512, "epochs": 5, "lr": 0.1, "irn_momentum": True, "detach_below": 4,
       "picture_side": 0,
       "cam_scales": [1.0, 0.5, 1.5, 2.0], "confident_foreground": 0.3, "confident_background": 0.05,
       "irnet_radius": 10, "irnet_epochs": 3, "lr_edge": 0.1, "lr_displacement": 1.0, "walk_pad": 512,
       "walk_crf": 0, "walk_threshold": 0.25, "learn_affine": True, "centroid_steps": 300}


def test_all_that_the_paper_has_are_there():
    wanted = {"shapes", "shapes_fixed", "shapes_det", "voc_small_npa", "voc_small_npa_fixed", "voc_small_irn",
              "imagenet_det", "imagenet_det_fixed", "voc12_irn", "voc12_irn_fixed", "coco14_irn"}
    assert {name.split("/")[1] for name in NAMES} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    experiment = experiments.load(ROOT, *name.split("/"))
    assert len(experiment.stages) in (8, 9)
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head and "Paper:" in head


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/no_people_allowed").glob("*.ipynb")), ids=lambda p: p.stem)
def test_run_all_is_the_experiment_shapes(path):
    values = departures.values("no_people_allowed/shapes")
    for name, param in params.declared(notebooks.read(path)).items():
        assert param.default == values[name], name


@pytest.mark.parametrize("name, paper", [("imagenet_det", PAPER), ("imagenet_det_fixed", FIXED),
                                         ("voc12_irn", IRN)])
def test_the_papers_own_settings(name, paper):
    values = departures.values(f"no_people_allowed/{name}")
    assert {key: values[key] for key in paper} == paper


def test_every_value_stands_beside_the_originals():
    assert not configuration.faults("no_people_allowed", ["imagenet_det", "imagenet_det_fixed", "voc12_irn",
                                                             "voc12_irn_fixed"])


@pytest.mark.parametrize("name", ["imagenet_det", "imagenet_det_fixed"])
def test_two_devices_see_twenty_pictures_each(name):
    """The classifier's BatchNorms, of which the original's two devices see 20 of the 40 pictures each."""
    classifier = experiments.load(ROOT, "no_people_allowed", name).stages[0].values
    assert classifier["batch"] / classifier["norm_replicas"] == 20


@pytest.mark.parametrize("name", NAMES)
def test_departures_give_a_reason(name):
    assert not departures.without_reason(name), "give the reason too"


FREE = {"classifier_split", "test_split", "test_limit", "tune_every", "instances_split", "instances_limit",
        "irnet_output_stride", "method"}


@pytest.mark.parametrize("name, paper", [("shapes", "imagenet_det"), ("shapes_det", "imagenet_det"),
                                         ("shapes_fixed", "imagenet_det_fixed"),
                                         ("voc_small_npa", "imagenet_det"),
                                         ("voc_small_npa_fixed", "imagenet_det_fixed"), ("voc_small_irn", "voc12_irn")])
def test_every_departure_is_marked_with_the_papers_value(name, paper):
    assert not departures.unmarked(f"no_people_allowed/{name}", f"no_people_allowed/{paper}", FREE)


@pytest.mark.parametrize("name", ["shapes", "voc_small_npa"])
def test_faithful_and_fixed_share_the_classifier_and_its_maps(name):
    faithful, fixed = (experiments.load(ROOT, "no_people_allowed", one) for one in (name, f"{name}_fixed"))
    for one, other in zip(faithful.stages[:2], fixed.stages[:2], strict=True):
        assert {key for key in one.values if one.values[key] != other.values[key]} == {"run_dir"}
