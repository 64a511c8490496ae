"""Faithful and fixed, experiment by experiment: tests/quirks.csv.

experiment  PAPER/NAME of the original's arithmetic; PAPER/NAME_fixed is its twin without the quirk
parameter   what holds the quirk
faithful    its value there, fixed: in the twin; as JSON
quirk       what the original does
test        which test shows by a closed form, or by an independent formulation, what either value does

panoptic needs no twin: 10_evaluate measures by the authors' definitions ("PQ") and by corrected ones ("PQ, fixed") in
one run. What single_stage feeds VGG-16 fits torchvision's weights (`weights: imagenet`), perhaps not `vgg16_20M.pth`.
"""

import ast
import csv
import json
from pathlib import Path

import pytest

from tests import departures
from wsnb.run import experiments

ROOT = Path(__file__).parents[1]
SMALL = ("shapes", "voc_small")
with open(ROOT / "tests/quirks.csv", encoding="utf-8", newline="") as file:
    QUIRKS = list(csv.DictReader(file, strict=True))
TWINS = sorted({row["experiment"] for row in QUIRKS})


def test_every_paper_size_twin_is_in_the_table():
    twins = {title.removesuffix("_fixed") for title in experiments.names(ROOT) if title.endswith("_fixed")}
    assert {title for title in twins if not title.split("/")[1].startswith(SMALL)} == set(TWINS)


@pytest.mark.parametrize("title", TWINS)
def test_twins_differ_in_the_quirks_alone(title):
    faithful, fixed = departures.values(title), departures.values(f"{title}_fixed")
    found = {key: (faithful[key], fixed[key]) for key in faithful if faithful[key] != fixed[key] and key != "run_dir"}
    listed = {row["parameter"]: (json.loads(row["faithful"]), json.loads(row["fixed"]))
              for row in QUIRKS if row["experiment"] == title}
    assert faithful.keys() == fixed.keys() and found == listed


@pytest.mark.parametrize("node", sorted({row["test"] for row in QUIRKS}))
def test_the_test_that_shows_it_is_there(node):
    path, _, name = node.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
