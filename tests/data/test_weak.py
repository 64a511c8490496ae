"""Weak labels drawn from masks."""

import numpy as np
import pytest

from wsnb.data import weak
from wsnb.data.synthetic import shapes


@pytest.fixture
def mask():
    array = np.zeros((60, 80), np.uint8)
    array[5:25, 5:45] = 3
    array[30:55, 50:70] = 1
    array[40:44, 5:45] = 3
    array[24:26, :] = 255
    return array


def tag_sources(mask):
    assert weak.tags(mask, 5).tolist() == [1, 0, 1, 0] and weak.tags(mask, 5).dtype == np.float32
    assert weak.tags(np.full((3, 3), 255, np.uint8), 4).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="label 3 in a mask of 3 classes"):
        weak.tags(mask, 3)


def test_boxes_from_components_and_from_instances(mask):
    boxes, labels = weak.boxes(mask)
    assert boxes.tolist() == [[50, 30, 70, 55], [5, 5, 45, 24], [5, 40, 45, 44]] and labels.tolist() == [1, 3, 3]
    instances = np.where(mask == 3, 1, np.where(mask == 1, 2, mask)).astype(np.uint8)
    boxes, labels = weak.boxes(mask, instances)
    assert boxes.tolist() == [[5, 5, 45, 44], [50, 30, 70, 55]] and labels.tolist() == [3, 1]
    assert len(weak.objects(mask, min_area=200)) == 2
    empty, none = weak.boxes(np.zeros((4, 4), np.uint8))
    assert empty.shape == (0, 4) and none.shape == (0,)


def test_masks_that_do_not_belong_together(mask):
    with pytest.raises(ValueError, match="one picture"):
        weak.boxes(mask, mask[1:])
    with pytest.raises(ValueError, match="instance 1"):
        weak.boxes(mask, (mask == 0).astype(np.uint8))


def test_smaller_box_in_front():
    drawn = weak.draw_boxes((10, 10), [[2, 2, 4, 4], [0, 0, 8, 8]], [5, 6])
    assert drawn[3, 3] == 5 and drawn[7, 7] == 6 and drawn[9, 9] == 0 and (drawn == 5).sum() == 4


def test_boxes_of_a_drawn_scene_hold_what_is_seen():
    scene = shapes.scene(2)
    boxes, labels = weak.boxes(scene.mask, scene.instances)
    assert labels.tolist() == scene.labels.tolist()
    assert (boxes[:, :2] >= scene.boxes[:, :2]).all() and (boxes[:, 2:] <= scene.boxes[:, 2:]).all()


@pytest.mark.parametrize("draw", [weak.scribbles, weak.points])
def test_drawn_labels_are_true_and_seeded(draw, mask):
    scene = shapes.scene(2)
    for truth, instances in ((mask, None), (scene.mask, None), (scene.mask, scene.instances)):
        drawn = draw(truth, 7, instances)
        known = drawn != 255
        assert drawn.dtype == np.uint8 and known.any() and known.mean() < 0.25
        assert np.array_equal(drawn[known], truth[known])
        assert set(np.unique(drawn[known])) == set(np.unique(truth)) - {255}, "every class and the background"
        assert np.array_equal(drawn, draw(truth, 7, instances))
        assert not np.array_equal(drawn, draw(truth, 8, instances))


def test_every_thing_gets_a_scribble_and_its_points(mask):
    regions = weak.objects(mask)
    drawn = weak.scribbles(mask, 0)
    assert all((drawn[region] == label).any() for label, region in regions)
    drawn = weak.points(mask, 0, n=3, background_points=4)
    assert [(drawn[region] == label).sum() for label, region in regions] == [3, 3, 3] and (drawn == 0).sum() == 4
    assert (weak.points(mask, 0, n=1, background_points=0) == 0).sum() == 0
    wide = weak.points(mask, 0, n=1, radius=2)
    assert 5 < (wide == 1).sum() <= 25 and np.array_equal(wide[wide != 255], mask[wide != 255])


def test_scribble_length_and_width(mask):
    sizes = [(weak.scribbles(mask, 0, length=length, background_strokes=0) != 255).sum() for length in (0, 0.3, 1)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert (weak.scribbles(mask, 0, width=5) != 255).sum() > sizes[2]


def test_a_stroke_runs_the_length_of_a_thing():
    bar = np.zeros((40, 300), bool)
    bar[10:30, 10:290] = True
    line = weak.along(bar, np.random.default_rng(0))
    columns = np.flatnonzero(line.any(0))
    assert columns[0] < 40 and columns[-1] > 260 and not (line & ~bar).any()


@pytest.mark.parametrize("region", [np.ones((1, 1), bool), np.eye(200, dtype=bool), np.ones((3, 500), bool),
                                    np.eye(90, dtype=bool)[:, ::-1], np.indices((9, 9)).sum(0) % 2 == 0])
def test_strokes_in_awkward_regions(region):
    line = weak.along(region, np.random.default_rng(0))
    assert line.any() and not (line & ~region).any()


def test_nothing_to_label():
    for empty in (np.zeros((20, 20), np.uint8), np.full((20, 20), 255, np.uint8)):
        for draw in (weak.scribbles, weak.points):
            assert set(np.unique(draw(empty, 0))) <= {0, 255}
    assert not weak.along(np.zeros((5, 5), bool), np.random.default_rng(0)).any()


def test_three_hundred_instances_and_void():
    """In a wide instance mask 255 is a number; in an 8-bit one it is void."""
    mask = np.ones((20, 30), np.uint8)
    many = np.repeat(np.arange(1, 301, dtype=np.uint16).reshape(20, 15), 2, axis=1)
    assert len(weak.objects(mask, many)) == 300
    assert len(weak.objects(mask, np.full((20, 30), 255, np.uint8))) == 0
