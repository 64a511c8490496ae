"""The experiments of this paper: complete and strict, and the notebooks' own defaults are those of `shapes`."""

from pathlib import Path

import pytest

from tests import configuration, departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("panoptic/")]


def test_no_experiment_is_missing():
    wanted = {"shapes", "camvid_small", "voc_small", "cityscapes_weak", "cityscapes_semi", "cityscapes_full",
              "voc12_weak"}
    assert {name.split("/")[1] for name in NAMES} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    experiment = experiments.load(ROOT, *name.split("/"))
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head and "Paper:" in head
    rounds = [stage.name for stage in experiment.stages if stage.name.startswith("08_iterate")]
    assert len(rounds) == {"camvid_small": 3, "shapes": 2, "cityscapes_full": 0}.get(experiment.name, len(rounds))
    if experiment.name != "cityscapes_full":
        later = next(stage for stage in experiment.stages if stage.name == "06_train@2")
        assert later.needs == ("05_labels", "06_train", "08_iterate")  # it learns what the first round left


@pytest.mark.parametrize("name", NAMES)
def test_the_header_names_the_supervision(name):
    head = departures.header(name).split("# Paper:")[0].replace("\n#", "")
    if departures.values(name)["supervision"] == "boxes and image labels":
        assert "boxes" in head and "tags" in head


def test_the_bound_needs_no_weak_labels():
    experiment = experiments.load(ROOT, "panoptic", "cityscapes_full")
    assert experiment.stages[0].needs == () and experiment.values["label_source"] == "full"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/panoptic").glob("*.ipynb")), ids=lambda p: p.stem)
def test_run_all_is_the_experiment_shapes(path):
    values = departures.values("panoptic/shapes")
    for name, param in params.declared(notebooks.read(path)).items():
        assert name == "round" or param.default == values[name], name


def test_the_papers_values():
    values = departures.values("panoptic/cityscapes_weak")
    paper = {"crop_height": 400, "crop_width": 500, "score_thresh": 0.99, "ichk_thresh": 0.5, "mandg_rounds": 5,
             "ichk_do_not_alter_existing_things": True, "run_score_thresh": True, "include_groups": True}
    assert {key: values[key] for key in paper} == paper


@pytest.mark.parametrize("name", ["cityscapes_weak", "cityscapes_semi", "cityscapes_full", "voc12_weak"])
def test_what_the_book_chose_is_marked(name):
    marked = params.paper_values(ROOT / f"params/panoptic/{name}.yaml")
    assert marked.keys() - {"full_scores"} == {
        "head", "detections", "box_weight", "global_weight",  # not rebuilt, detected or learned
        "batch", "lr"}  # not released
    assert marked["batch"] == marked["lr"] == "not released"


@pytest.mark.parametrize("name", NAMES)
def test_departures_from_the_paper_say_why(name):
    assert not departures.without_reason(name), "give the reason too"


@pytest.mark.parametrize("name, paper", [("shapes", "cityscapes_weak"), ("camvid_small", "cityscapes_weak"),
                                         ("voc_small", "voc12_weak")])
def test_every_departure_is_marked_with_the_papers_value(name, paper):
    free = {"full_scores"}  # the paper's in the small ones
    assert not departures.unmarked(f"panoptic/{name}", f"panoptic/{paper}", free)


def test_every_value_stands_beside_the_originals():
    assert not configuration.faults("panoptic", ["cityscapes_weak", "cityscapes_semi", "cityscapes_full", "voc12_weak"])
