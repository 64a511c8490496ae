"""All runs of an experiment on one machine, side by side for a lesson."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.report import made
from wsnb.report import variants
from wsnb.run import experiments

ROOT = Path(__file__).parents[2]


def test_runs_with_other_values_and_seeds_stand_side_by_side(tmp_path):
    for key, changed, seed, value in (("a", {}, 0, 57.1), ("b", {"background_power": 3.0}, 0, 22.2),
                                      ("c", {}, 1, None)):
        name = "shapes" if seed == 0 else f"shapes@seed{seed}"
        rows = [{"name": "mIoU", "value": 1.0, "unit": "%"}, made.result(value, method="single-stage")]
        both = {"01_train": f"{key}1", "02_masks": f"{key}2"}
        for stage, params, needs, results in (("01_train", {"seed": seed}, {}, []),
                                              ("02_masks", {**changed, "workers": 9}, {}, []),
                                              ("03_evaluate", {}, both, rows)):
            folder = made.manifest(tmp_path / "linked" / key, f"single_stage/{name}", stage, results, params=params,
                                   parts={"upstream": needs})
            shutil.copytree(folder, tmp_path / ".store" / f"{key}{stage[1]}")
    found = variants.frame("single_stage/shapes", "03_evaluate", "mIoU (single-*)", "AP", runs=tmp_path)
    rows = [["as it is", "57.1", "undefined"], ["background_power=3.0", "22.2", "undefined"],
            ["seed=1", "undefined", "undefined"]]
    assert found.to_numpy().tolist() == rows
    assert "wsnb run single_stage/shapes" in variants.show("single_stage/shapes", "02_x", "mIoU", runs=tmp_path)


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*/*.ipynb")), ids=lambda path: path.stem)
def test_lessons_ask_for_stages_that_are_there(path):
    for source in ("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]):
        for title, stage in re.findall(r'variants\.show\("([\w/]+)", "(\w+)"', source):
            assert stage in [one.name for one in experiments.load(ROOT, *title.split("/")).stages]
