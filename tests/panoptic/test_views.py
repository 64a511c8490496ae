"""Figures of the panoptic chapter: what changed is seen, and taken for no class."""

import numpy as np

from wsnb.papers.panoptic import figures, label_space


def test_changed_pixels_have_a_colour_of_no_class_and_a_border():
    before = np.zeros((40, 60), np.uint8)
    after = before.copy()
    after[10:20, 10:30] = 1  # sidewalk, which is nearly magenta
    image = np.full((40, 60, 3), 90, np.uint8)
    drawn = figures.changed_picture(image, before, after, label_space.CITYSCAPES)
    assert (drawn[10:20, 10:30] == figures.CHANGED).all() and (drawn[9, 10:30] == figures.AROUND).all()
    assert (drawn[30:] == figures.shown(image, after, label_space.CITYSCAPES)[30:]).all()
    colours = label_space.CITYSCAPES.palette[: len(label_space.CITYSCAPES)].astype(int)
    assert np.abs(colours - figures.CHANGED).sum(1).min() > 50
    same = figures.changed_picture(image, after, after, label_space.CITYSCAPES)
    assert (same == figures.shown(image, after, label_space.CITYSCAPES)).all()
