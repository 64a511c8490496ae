"""Outlines of COCO are compared with their picture before they are drawn."""

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from wsnb.data import coco_masks

SIZE = (20, 30)


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_are_those_of_pycocotools(seed):
    mask = np.random.default_rng(seed).random(SIZE) < (0, 0.02, 0.1, 0.5, 0.9, 0.98, 1, 0.7)[seed]
    code = run_lengths.encode(np.asfortranarray(mask.astype(np.uint8)))
    flat = np.flatnonzero(np.diff(mask.T.ravel().astype(int))) + 1
    runs = np.diff([0, *flat, mask.size]).tolist()
    for counts in (code["counts"], code["counts"].decode(), [0, *runs] if mask[0, 0] else runs):
        assert np.array_equal(coco_masks.region({"size": list(SIZE), "counts": counts}, SIZE), mask)


def test_a_polygon_may_leave_its_picture_a_little():
    assert coco_masks.region([[-2, -2, 31, -2, 31, 21, -2, 21]], SIZE).all()


@pytest.mark.parametrize("outline, said", [
    ([[0, 0, 1e8, 0, 5, 5]], "far outside"),
    ([[0, 0, 5, 0, 5, -1e9]], "far outside"),
    ([[0, 0, float("nan"), 0, 5, 5]], "outside"),
    ([[0, 0, float("inf"), 0, 5, 5]], "outside"),
    ([[0, 0, 10 ** 400, 0, 5, 5]], "outside"),
    ([[0, 0, "5", 0, 5, 5]], "no number"),
    ([[0, 0, 5, 0, 5, True]], "no number"),
    ([], "three corners"),
    ([5, 5, 7, 7, 5, 7], "three corners"),
    ({"size": [20, 30], "counts": [10, 20, 30]}, "60 pixels together"),
    ({"size": [20, 30], "counts": [10, 2000, 30]}, "2040 pixels together"),
    ({"size": [20, 30], "counts": [-10, 610]}, "from 0"),
    ({"size": [20, 30], "counts": [10.5, 589.5]}, "from 0"),
    ({"size": [20, 30], "counts": "abc"}, "run lengths"),
    ({"size": [20, 30], "counts": "\x00\x7f"}, "run lengths"),
    ({"size": [20, 30], "counts": "o" * 99}, "run lengths"),
    ({"size": [30, 20], "counts": [600]}, "are of"),
    ({"size": 20, "counts": [600]}, "are of"),
    ({"size": [20, 30]}, "run lengths"),
])
def test_broken_outlines_are_refused(outline, said):
    with pytest.raises(ValueError, match=said):
        coco_masks.region(outline, SIZE)
