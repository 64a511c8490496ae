"""Predictions of a finished run against the label maps that its own stages wrote."""

from pathlib import Path

import numpy as np

import wsnb
from wsnb.files import read_index


def agrees_with_its_run(runs, title, data):
    """The Model of a run of TITLE on the set DATA, after it labelled the pictures of the run's own label maps as they
    are, bit for bit."""
    model = wsnb.load(title, runs, "cpu")
    stage, folder = model.predictor.same_as
    own = sorted(Path(runs, title, stage, folder).glob("*.png"))
    assert own
    for path in own:
        picture, = (one for one in Path(data).rglob(f"{path.stem}*") if is_picture(one))
        assert np.array_equal(model.predict(picture), read_index(path)), path
    return model


def is_picture(path):
    """Whether PATH is a picture of a set in the layout of VOC or of Cityscapes."""
    return path.parent.name == "JPEGImages" or "leftImg8bit" in path.parts
