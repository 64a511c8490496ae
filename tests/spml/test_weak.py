"""Weak masks, regions and training samples on hand-made arrays."""

import numpy as np
import pytest

from wsnb.data.item import Item
from wsnb.files import FileError, save_png
from wsnb.ops.hierarchies import regions, ucm
from wsnb.papers.spml import data, weak_labels

U, V = weak_labels.UNLABELLED, weak_labels.VOID


def test_tags_take_the_highest_score():
    cams = np.array([[[1.0, 0.6, 0.2, 0.0]], [[0.0, 0.3, 0.23, 0.05]]])
    # background (1 - max)^6: 0, 0.004, 0.208, 0.735
    assert weak_labels.from_tags(cams, [3, 7], threshold=0.21).tolist() == [[3, 3, 7, 0]]
    assert weak_labels.from_tags(cams, [3, 7], threshold=0.25).tolist() == [[3, 3, U, 0]]
    assert weak_labels.from_tags(np.zeros((0, 2, 3)), []).tolist() == [[0] * 3] * 2  # no tag: all background


def test_boxes_are_background_outside_and_stretched_inside():
    cam = np.tile(np.array([0.9, 0.1, 0.25, 0.3, 0.9], np.float32), (3, 1))[None]
    found = weak_labels.from_boxes(cam, [2], [(1, 0, 4, 2)], [2], threshold=0.5)
    # inside the box the CAM runs from 0.1 to 0.3: 0, 0.75, 1
    assert found.tolist() == [[0, U, 2, 2, 0]] * 2 + [[0] * 5]
    assert (weak_labels.from_boxes(cam, [2], [(0, 0, 5, 3)], [4]) == U).all()  # no CAM of that class


def test_the_smaller_box_lies_in_front():
    cams = np.array([[[0, 1, 1, 0]], [[0, 0, 1, 0]]], np.float32)
    found = weak_labels.from_boxes(cams, [1, 2], [(1, 0, 4, 1), (0, 0, 4, 1)], [2, 1])
    assert found.tolist() == [[U, U, 2, U]]


def test_points_grow_to_the_nearest_class():
    labels = np.full((1, 7), 255, np.uint8)
    labels[0, 0], labels[0, 6] = 0, 5
    assert weak_labels.dilated(labels, 2).tolist() == [[0, 0, 0, U, 5, 5, 5]]
    assert (weak_labels.dilated(np.full((2, 2), 255), 9) == U).all()


def test_quality_counts_labelled_pixels_only():
    truth = np.array([[0, 1, 1, 255, 2]])
    found = weak_labels.quality(np.array([[0, 2, U, 1, 2]]), truth, 3)
    assert found == {"labelled": 3, "right": 2, "all": 4}


def test_file_masks_keep_void_and_unlabelled_apart():
    assert weak_labels.from_file([[3, 20, 21, 200, 255]], 21).tolist() == [[3, 20, U, U, V]]
    assert weak_labels.tags([[0, 2, U, V]], 4).tolist() == [0, 1, 0]


def test_more_than_255_regions_are_merged():
    boundary = np.random.default_rng(0).random((60, 60))
    tree = ucm(boundary)
    found = regions(tree, -1.0, weak_labels.MOST_REGIONS)
    assert int(found.max()) + 1 <= 255 < int(tree.leaves.max()) + 1
    assert found.shape == (60, 60)
    assert int(regions(tree, 10.0, weak_labels.MOST_REGIONS).max()) == 0  # one region is left


def test_regions_of_one_colour():
    assert (weak_labels.over_segmentation(np.full((20, 30, 3), 90, np.uint8)) == 0).all()


def test_foreign_regions_are_refused(tmp_path):
    save_png(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(FileError, match="take the regions of this very picture"):
        weak_labels.read_regions(tmp_path / "a.png", (5, 5))
    with pytest.raises(FileError, match="b, c"):
        items = [Item(name, tmp_path / f"{name}.jpg", None) for name in "abc"]
        weak_labels.check_files(items, "folder", tmp_path, "regions")


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match="use one of tag, box"):
        weak_labels.check_choice("supervision", "tags", weak_labels.SUPERVISIONS)


def picture(tmp_path, height=40, width=50):
    rng = np.random.default_rng(3)
    save_png(tmp_path / "p.png", rng.integers(0, 255, (height, width, 3)).astype(np.uint8))
    return Item("p", tmp_path / "p.png", None)


def test_samples_are_functions_of_seed_epoch_and_place(tmp_path):
    item = picture(tmp_path)
    label = np.zeros((40, 50), np.uint8)
    label[:, 40:], label[:5] = 2, U
    made = [data.Samples([item], lambda i: label, lambda i: label, 4, 32, seed=1, epoch=e)[0] for e in (0, 0, 1)]
    assert (made[0]["x"] == made[1]["x"]).all() and (made[0]["x"] != made[2]["x"]).any()
    assert made[0]["tags"].tolist() == [0, 1, 0]  # of the whole mask, whatever the crop shows
    assert made[0]["semantic"].shape == (32, 32)


def test_a_picture_smaller_than_the_crop_is_padded_with_void(tmp_path):
    item = picture(tmp_path, 10, 12)
    zero = np.zeros((10, 12), np.uint8)
    sample = data.Samples([item], lambda i: zero, lambda i: zero, 3, 64)[0]
    padding = sample["semantic"] == V
    assert padding.any() and (sample["regions"][padding] == V).all()
    assert (sample["x"][:, padding].abs() < 1e-6).all()


def test_masks_of_another_size_are_refused(tmp_path):
    item = picture(tmp_path)
    with pytest.raises(ValueError, match="p: regions"):
        data.labelled(item, None, lambda i: np.zeros((3, 3), np.uint8))


def test_right_and_left_change_places_in_a_mirror():
    classes = np.array([[2, 3, 14, 254, 255]], np.uint8)
    assert data.exchange_sides(classes, ((2, 3),)).tolist() == [[3, 2, 14, 254, 255]]
