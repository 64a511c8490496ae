"""The experiments of this paper: complete and strict; the notebooks' own defaults are those of `shapes_*`."""

from pathlib import Path

import pytest

from tests import configuration, departures
from wsnb.run import experiments, notebooks, params

ROOT = Path(__file__).parents[2]
NAMES = [name for name in experiments.names(ROOT) if name.startswith("simple_does_it/")]


def test_all_that_the_paper_has_are_there():
    assert {name.split("/")[1] for name in NAMES} >= {
        "shapes_instance", "shapes_semantic", "voc_small_instance", "voc_small_semantic", "sbd_instance",
        *(f"voc12_semantic_{kind}"
          for kind in ("box", "box_i", "grabcut_plus", "grabcut_plus_i", "mcg", "m_and_g_plus"))}


@pytest.mark.parametrize("name", NAMES)
def test_loads_strictly_and_says_how_to_run(name):
    paper, short = name.split("/")
    assert experiments.load(ROOT, paper, short).stages
    head = departures.header(name)
    assert f"wsnb run {name}" in head and "Hardware and time" in head and "Paper:" in head


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks/simple_does_it").glob("*.ipynb")), ids=lambda p: p.stem)
def test_run_all_is_the_experiment_shapes(path):
    kind = "instance" if int(path.stem[:2]) < 6 else "semantic"
    values = departures.values(f"simple_does_it/shapes_{kind}")
    for name, param in params.declared(notebooks.read(path)).items():
        assert name == "round" or param.default == values[name], name


@pytest.mark.parametrize("name", NAMES)
def test_departures_from_the_paper_give_a_reason(name):
    assert not departures.without_reason(name), "give the reason too"


FREE = {"label_methods", "train_labels", "recursive_labels", "train_on", "freeze_norms", "lr_drop", "boundaries",
        "mcg_dir", "preset"}  # which of the paper's kinds, or of no meaning in one of the two


@pytest.mark.parametrize("name", [name for name in NAMES if name.split("/")[1].startswith(("shapes", "voc_small"))])
def test_every_departure_is_marked_with_the_papers_value(name):
    whole = "sbd_instance" if "instance" in name else "voc12_semantic_box"
    assert not departures.unmarked(name, f"simple_does_it/{whole}", FREE)


def test_the_programs_own_schedule():
    values = departures.values("simple_does_it/sbd_instance")
    assert values["last_steps"] == [15000, 30000, 50000] and values["samples"] == 10 and values["side"] == 0
    assert values["rate_steps"] == [10000, 15000, 25000, 30000, 40000] and values["surgery_std"] == 0.001
    assert values["rates"] == [1e-8, 1e-9, 1e-8, 1e-9, 1e-8, 1e-9] and values["optimiser"] == "momentum"


def test_the_programs_own_weights_are_those_that_its_rates_were_made_for():
    values, head = departures.values("simple_does_it/sbd_instance"), departures.header("simple_does_it/sbd_instance")
    assert values["weights"] == "vgg_16.npz" and "wsnb.papers.simple_does_it.model vgg_16.ckpt vgg_16.npz" in head
    assert values["data_root"] == "data/VOCdevkit/benchmark_RELEASE"  # where `wsnb data fetch voc12` puts it
    assert "--data-root ~/data/VOCdevkit/benchmark_RELEASE" in head


@pytest.mark.parametrize("name", [name for name in NAMES if "/voc12_semantic" in name or "/sbd_" in name])
def test_the_paper_cuts_pixels(name):
    assert departures.values(name)["grabcut_plus_nodes"] == "pixels"


@pytest.mark.parametrize("name", [name for name in NAMES if "/voc12_semantic" in name])
def test_the_paper_trains_deeplab_largefov(name):
    values = departures.values(name)
    wanted = {"head": "largefov", "backbone": "vgg16", "width": 0, "freeze": False, "lr": 0.001, "bias_multiplier": 2,
              "batch": 30, "lr_schedule": "step", "lr_drop": 2000, "weight_decay": 0.0005, "optimiser": "sgd"}
    assert {key: values[key] for key in wanted} == wanted


def test_every_value_stands_beside_the_originals():
    names = [name.split("/")[1] for name in NAMES if "/voc12_semantic" in name or "/sbd_" in name]
    assert len(names) == 8 and not configuration.faults("simple_does_it", names)
