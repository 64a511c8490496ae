"""Figures of the panoptic chapter: what changed is seen, and taken for no class."""

import numpy as np

from wsnb.papers.panoptic import space, views


def test_changed_pixels_have_a_colour_of_no_class_and_a_border():
    before = np.zeros((40, 60), np.uint8)
    after = before.copy()
    after[10:20, 10:30] = 1  # sidewalk, which is nearly magenta
    image = np.full((40, 60, 3), 90, np.uint8)
    drawn = views.changed_picture(image, before, after, space.CITYSCAPES)
    assert (drawn[10:20, 10:30] == views.CHANGED).all() and (drawn[9, 10:30] == views.AROUND).all()
    assert (drawn[30:] == views.shown(image, after, space.CITYSCAPES)[30:]).all()
    colours = space.CITYSCAPES.palette[: len(space.CITYSCAPES)].astype(int)
    assert np.abs(colours - views.CHANGED).sum(1).min() > 50
    same = views.changed_picture(image, after, after, space.CITYSCAPES)
    assert (same == views.shown(image, after, space.CITYSCAPES)).all()
