"""A small run of each chapter by the real command, for its notebooks to find when they are opened one by one."""

import json
from pathlib import Path

import yaml

from tests.no_people_allowed import chain as no_people_allowed
from tests.panoptic import chain as panoptic
from tests.simple_does_it import chain as simple_does_it
from tests.single_stage import chain as single_stage
from tests.spml import chain as spml
from tests.student import chain as student
from wsnb.data.synthetic import make_cityscapes, make_sbd, make_voc

ROOT = Path(__file__).parents[2]
RUNS = {  # experiment -> a function that runs it by the command, with the least that every notebook needs
    "no_people_allowed/shapes": lambda data, runs, *more: no_people_allowed.run(voc(data), runs, *more),
    "panoptic/shapes": lambda data, runs, *more: panoptic.run(  # until a box of a thing makes a difference
        streets(data), runs, *more, epochs=30, bound_epochs=1, detections="[ground truth, components]"),
    "simple_does_it/shapes_instance": lambda data, runs, *more: simple_does_it.run(
        "shapes_instance", sbd(data), runs, *more),
    "simple_does_it/shapes_semantic": lambda data, runs, *more: simple_does_it.run(
        "shapes_semantic", voc(data), runs, *more),
    "single_stage/shapes": lambda data, runs, *more: single_stage.run(  # until a picture has more than one class
        voc(data), runs, *more, epochs=16, pretrain=15, validate_every=16, lr=0.02,
        head_rates="[12, 24, 36]"),
    "student/shapes_full": lambda data, runs, *more: student.run("shapes_full", voc(data), runs, *more),
    "spml/shapes_tag": lambda data, runs, *more: spml.run(
        "shapes_tag", voc(data), runs, *more, cam_epochs=1, cam_crop=48, cam_batch=3, walk_crf="[1, 0]"),
}


def voc(folder):
    place = folder / "VOCdevkit"
    return place if place.exists() else make_voc.shapes(place, train=8, val=3, size=(64, 80))


def sbd(folder):
    # not named sbd, which would be read as a part of the VOCdevkit beside it
    return make_sbd.write(folder / "semantic_boundaries", {"train": 5, "val": 3}, size=(64, 80))


def streets(folder):
    return make_cityscapes.write(folder / "cityscapes", {"train": 4, "val": 2, "train_extra": 0}, size=(64, 128))


def of(name):
    """The experiment among RUNS that has the notebook NAME for a stage, or None."""
    paper, _, stage = name.removesuffix(".ipynb").rpartition("/")
    for experiment in RUNS:
        stages = yaml.safe_load((ROOT / f"params/{experiment}.yaml").read_text(encoding="utf-8"))["stages"]
        if experiment.startswith(f"{paper}/") and stage in stages:
            return experiment
    return None


class Chains:
    """Runs in the runs/ of PROJECT, each made when it is first asked for.

    until: {experiment: its last stage}; others run to their end.
    """

    def __init__(self, project, until):
        self.project, self.until, self.made = project, until, {}

    def record(self, name, file="params.json"):
        """What the run has written of the stage NAME; a dictionary."""
        experiment, stage = of(name), Path(name).stem
        if experiment not in self.made:
            more = ("--until", self.until[experiment]) if experiment in self.until else ()
            self.made[experiment] = RUNS[experiment](self.project / "data/small", self.project / "runs", *more)
        assert self.made[experiment].returncode == 0, self.made[experiment].stdout
        return json.loads((self.project / "runs" / experiment / stage / file).read_text(encoding="utf-8"))
