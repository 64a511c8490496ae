"""The experiments of the student: the same settings for all labels; the notebooks' defaults are `shapes_full`."""

from pathlib import Path

import pytest

from tests import departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("student/")]
SMALL = [name for name in NAMES if "/voc_small" in name]
OF_LABELS = {"run_dir", "labels_stage", "labels_dir", "source", "supervision", "annotation", "tuned_masks",
             "cam_background", "sample"}


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


def test_every_source_has_a_name_of_its_own():
    titles = [departures.values(name)["source"] for name in SMALL if not departures.values(name)["sample"]]
    assert len(set(titles)) == len(titles) > 15
