"""GrabCut from class maps: the percentiles' rule on pictures whose objects are known."""

from functools import partial

import cv2
import numpy as np
import pytest

from wsnb import files
from wsnb.data.item import Item
from wsnb.ops import cam
from wsnb.ops.grabcut import grabcut_from_map
from wsnb.ops.label_maps import write_labels
from wsnb.papers.no_people_allowed import confident_labels


def scene(centres, size=(60, 80), radius=11, seed=0):
    """A picture with a disk at each of CENTRES (y, x), each in its colour; their masks, and a blurred map of each."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 50, (*size, 3)).astype(np.uint8)
    masks = []
    for k, (y, x) in enumerate(centres):
        rows, columns = np.ogrid[: size[0], : size[1]]
        mask = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        image[mask] = rng.integers(0, 30, (int(mask.sum()), 3)) + (np.array([200, 60, 60]) if k == 0 else [60, 60, 200])
        masks.append(mask)
    maps = np.stack([cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 6)[::4, ::4] for mask in masks])
    return image, masks, maps


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_map_points_at_its_object():
    image, (mask,), maps = scene([(30, 40)])
    scores = cv2.resize(maps[0], image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    found = grabcut_from_map(image, scores)
    border = scores >= np.percentile(scores, 70)
    assert found.dtype == bool and iou(found, mask) > 0.95 > iou(border, mask)
    assert np.array_equal(found, grabcut_from_map(image, scores))  # whatever came before
    assert found[scores > np.percentile(scores, 99.5)].all() and not found[scores < np.percentile(scores, 15)].any()


@pytest.mark.parametrize("scores", [np.zeros((60, 80)), np.ones((60, 80)) * 0.3])
def test_a_flat_map_points_at_nothing(scores):
    image, *_ = scene([(30, 40)])
    assert not grabcut_from_map(image, scores).any()


def test_two_classes_and_none():
    image, masks, maps = scene([(30, 20), (30, 60)])
    label = confident_labels.grabcut_labels(image, np.array([4, 18]), maps)
    assert label.dtype == np.uint8 and set(np.unique(label)) == {0, 5, 19}
    assert iou(label == 5, masks[0]) > 0.9 and iou(label == 19, masks[1]) > 0.9
    assert not confident_labels.grabcut_labels(image, np.zeros(0, int), np.zeros((0, 15, 20))).any()


def test_the_higher_map_lies_in_front():
    image, (mask,), maps = scene([(30, 40)])
    label = confident_labels.grabcut_labels(image, np.array([0, 1]), np.concatenate([0.5 * maps, maps]))
    assert set(np.unique(label[mask])) == {2}


def test_written_at_the_pictures_size_and_once(tmp_path):
    image, (mask,), maps = scene([(30, 40)])
    files.save_png(tmp_path / "a.png", image)
    cam.write(tmp_path, "a", [2], maps, (48, 48))
    item = Item(id="a", image=tmp_path / "a.png", mask=None)
    cut = partial(confident_labels.grabcut_labels_from_cams, cams=tmp_path, side=48, scale=1.0, iterations=5)
    (tmp_path / "labels").mkdir()
    list(write_labels(cut, [item], [tmp_path / "labels"], workers=0))
    found = files.read_index(tmp_path / "labels/a.png")
    assert found.shape == (60, 80) and iou(found == 3, mask) > 0.85
    files.save_png(tmp_path / "labels/a.png", np.zeros((60, 80), np.uint8))
    list(write_labels(cut, [item], [tmp_path / "labels"], workers=0))
    assert not files.read_index(tmp_path / "labels/a.png").any()
