"""The experiments of the student: the same settings for all labels; the notebooks' defaults are `shapes_full`."""

import re
from pathlib import Path

import pytest

from tests import departures
from wsnb.report import cost
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("student/")]
SMALL = [name for name in NAMES if "/voc_small" in name]
OF_LABELS = {"run_dir", "labels_stage", "labels_dir", "source", "supervision", "annotation", "tuned_masks",
             "cam_background", "price_of"}


@pytest.mark.parametrize("name", SMALL)
def test_the_labels_alone_differ(name):
    one, full = departures.values(name), departures.values("student/voc_small_full")
    assert {key for key in one if one[key] != full[key]} <= OF_LABELS


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    paper, short = name.split("/")
    experiment = experiments.load(ROOT, paper, short)
    stage, _, folder = experiment.values["labels_stage"].partition("/")
    own = ["01_labels", "02_train", "03_evaluate"]
    assert [one.name for one in experiment.stages] == ([stage] if folder else []) + own
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/student").glob("*.ipynb")), ids=lambda path: path.stem)
def test_run_all_is_the_experiment_shapes_full(path):
    values = departures.values("student/shapes_full")
    for name, param in params.declared(notebooks.read(path)).items():
        assert param.default == values[name], name


@pytest.mark.parametrize("name", [name for name in experiments.names(ROOT) if "/voc_small" in name])
def test_masks_that_chose_something_are_paid_where_their_number_is_known(name):
    """"100 training pictures with their masks" are 100 masks of the labels' price."""
    values = departures.values(name)
    said = values.get("annotation", "")
    assert not values.get("tuned_masks") or said  # named in the protocol
    known = re.search(r"(\d+|a third of the) training pictures", said)
    if known and "up to" not in said:
        assert values["tuned_masks"] == (200 if known[1].startswith("a third") else int(known[1]))


def test_every_source_has_a_name_of_its_own():
    titles = [departures.values(name)["source"] for name in SMALL]
    assert len(set(titles)) == len(titles) > 15


def test_masks_that_weak_labels_cost_are_computed_from_their_prices():
    """Of the 600 pictures, by what the chapters counted: 20 decisions a picture, 1,294 boxes."""
    counted = {"image labels": {"tags": 12_000}, "boxes": {"boxes": 1294}, "points": {"points": 600},
               "scribbles": {"scribbles": 600}}
    of = [departures.values(name) for name in SMALL if departures.values(name)["price_of"]]
    assert sorted(one["price_of"] for one in of) == sorted(counted)
    mask = cost.price("masks", "picture", "VOC2012").seconds
    for one in of:
        weak = {"pictures": 600, **counted[one["price_of"]]}
        number = cost.masks_for(weak, one["dataset"], ROOT / one["prices_file"])
        assert abs(number * mask - cost.counted(weak, one["dataset"]).total) <= mask / 2
        assert not re.search(r"\d", one["source"]) and "sample" not in one
        print(f"{one['price_of']}: {number} masks")
