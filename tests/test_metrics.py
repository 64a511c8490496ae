"""Metrics on hand-made arrays, against brute force, scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch

from benchmarks import plain
from wsnb import metrics

TRUTH = np.array([[0, 0, 1, 1], [2, 2, 255, 255]])
FOUND = np.array([[0, 1, 1, 1], [2, 0, 2, 1]])
TABLE = [[1, 1, 0], [0, 2, 0], [1, 0, 1]]  # rows truth, columns prediction; the two void pixels are nowhere


def maps(seed, n_classes=21, size=(4, 23, 31), void=0.1):
    """Random truth (some void) and prediction (right two times in three)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, size).astype(np.uint8)
    found = np.where(rng.random(size) < 2 / 3, truth, rng.integers(0, n_classes, size)).astype(np.uint8)
    truth[rng.random(size) < void] = 255
    return truth, found


def test_confusion_by_hand():
    table = metrics.confusion(TRUTH, FOUND, 3)
    assert table.tolist() == TABLE and table.dtype == np.int64


def test_scores_by_hand():
    scores = metrics.scores(TABLE)
    np.testing.assert_allclose(scores["iou"], [1 / 3, 2 / 3, 1 / 2])
    np.testing.assert_allclose(scores["precision"], [1 / 2, 2 / 3, 1])
    np.testing.assert_allclose(scores["recall"], [1 / 2, 1, 1 / 2])
    assert metrics.mean_iou(TABLE) == pytest.approx(0.5)
    assert metrics.mean_iou(TABLE, background=False) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.pixel_accuracy(TABLE) == pytest.approx(4 / 6)


@pytest.mark.parametrize("found", [[9, 0, 0], [7, 2, 0]])
@pytest.mark.parametrize("background", [True, False])
def test_background_alone_has_no_mean_iou(found, background):
    """Of boxes alone only the background outside of them is known: whoever finds nothing would score 100 %."""
    assert np.isnan(metrics.mean_iou([found, [0, 0, 0], [0, 0, 0]], background))
    assert metrics.mean_iou([found, [0, 1, 0], [0, 0, 0]]) > 0
    assert metrics.mean_iou([[found, [0, 1, 0], [0, 0, 0]]]) > 0  # of single pictures, here of one


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int32])
def test_confusion_against_brute_force(dtype):
    truth, found = maps(0, 7, (11, 13))
    slow = np.zeros((7, 7), int)
    for t, p in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
        if t < 7:
            slow[t, p] += 1
    assert np.array_equal(metrics.confusion(truth.astype(dtype), found.astype(dtype), 7), slow)


def test_confusion_against_scikit_learn():
    truth, found = maps(1)
    table = metrics.confusion(truth, found, 21)
    assert np.array_equal(table, plain.confusion(truth, found, 21))
    assert table.sum() == (truth != 255).sum()


@pytest.mark.parametrize("present", [21, 15])
def test_iou_against_torchmetrics(present):
    from torchmetrics import JaccardIndex

    truth, found = maps(2, present)
    table = metrics.confusion(truth, found, 21)
    theirs = {kind: JaccardIndex("multiclass", num_classes=21, ignore_index=255, average=kind)
              (torch.from_numpy(found).long(), torch.from_numpy(truth).long()) for kind in ("none", "macro")}
    np.testing.assert_allclose(np.nan_to_num(metrics.scores(table)["iou"]), theirs["none"], atol=1e-6)
    assert metrics.mean_iou(table) == pytest.approx(float(theirs["macro"]), abs=1e-6)


def test_void_never_counts():
    truth, found = maps(3)
    table = metrics.confusion(truth, found, 21)
    for label in (0, 20, 255):  # whatever is predicted there, also the ignore label itself
        assert np.array_equal(metrics.confusion(truth, np.where(truth == 255, label, found), 21), table)


def test_data_set_level_is_not_the_mean_over_pictures():
    small, large = metrics.confusion([1, 1], [1, 1], 2), metrics.confusion([1] * 8, [0] * 8, 2)
    whole = metrics.scores(small + large)["iou"][1]
    assert whole == pytest.approx(2 / 10)
    assert np.mean([metrics.scores(t)["iou"][1] for t in (small, large)]) == pytest.approx(1 / 2)


def test_absent_classes_are_left_out_or_zero():
    table = np.zeros((4, 4), int)
    table[:3, :3] = TABLE
    iou = metrics.scores(table)["iou"]
    assert np.isnan(iou).tolist() == [False, False, False, True]
    assert metrics.mean_iou(table) == pytest.approx(0.5)
    assert metrics.mean_iou(table, absent=0) == pytest.approx(0.375)
    assert metrics.mean_iou(table, background=False, absent=0) == pytest.approx((2 / 3 + 1 / 2) / 3)


def test_predicted_only_class_has_iou_zero_not_nan():
    scores = metrics.scores(metrics.confusion([0, 0], [0, 1], 2))
    assert scores["iou"][1] == 0 and np.isnan(scores["recall"][1]) and scores["precision"][1] == 0


def test_all_void_is_nan_and_quiet(recwarn):
    table = metrics.confusion(np.full((3, 4), 255, np.uint8), np.zeros((3, 4), np.uint8), 21)
    assert table.sum() == 0
    assert np.isnan(metrics.mean_iou(table)) and np.isnan(metrics.pixel_accuracy(table))
    assert metrics.mean_iou(table, absent=0.0) == 0
    assert not recwarn.list


def test_errors():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\).*resize"):
        metrics.confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 21)
    for wrong in (21, 255):
        with pytest.raises(ValueError, match=">= 21"):
            metrics.confusion(np.array([0, 1]), np.array([0, wrong]), 21)


def test_average_precision_against_scikit_learn():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    tags = (rng.random((50, 6)) < 0.3).astype(np.float32)
    scores = rng.permutation(300).reshape(50, 6) / 300 + 0.2 * tags  # no ties
    theirs = [average_precision_score(tags[:, c], scores[:, c]) for c in range(6)]
    np.testing.assert_allclose(metrics.average_precision(tags, scores), theirs, atol=1e-12)


def test_average_precision_by_hand():
    tags = np.array([[1, 0], [0, 0], [1, 0]])
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    precision = metrics.average_precision(tags, scores)
    assert precision[0] == pytest.approx((1 + 2 / 3) / 2) and np.isnan(precision[1])
