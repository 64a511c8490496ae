"""The constants of the masks in the protocol of a result."""

from types import SimpleNamespace

import pytest

from wsnb.papers.single_stage import evaluate
from wsnb.run import experiments, paths

WEIGHTS = "; weights of the lowest loss on val"  # the original's choice
PUBLISHED, OTHER = "none: values of the paper", "not the paper's, see params"


def said(experiment, **changed):
    values = experiments.load(paths.find(), "single_stage", experiment).values
    p = SimpleNamespace(**{**values, **changed})
    return evaluate.conditions(p, p)["threshold_split"]


@pytest.mark.parametrize("name", ["voc12_resnet38", "voc12_vgg16", "voc12_resnet50", "voc12_resnet101", "voc_small"])
def test_the_papers_values_are_called_so(name):
    assert said(name) == PUBLISHED + WEIGHTS * (name != "voc_small")


@pytest.mark.parametrize("changed", [{"tag_cut": 0.2}, {"background_power": 2.0}, {"cam_background": 0.3}])
def test_other_values_are_not(changed):
    assert said("voc12_resnet38", **changed) == OTHER + WEIGHTS


def test_values_of_another_backbone_are_not():
    assert said("shapes") + WEIGHTS == said("voc12_cam_baseline") == OTHER + WEIGHTS
    assert said("voc12_vgg16", background_power=3.0) == OTHER + WEIGHTS
