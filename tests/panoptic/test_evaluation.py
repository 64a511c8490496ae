"""Panoptic quality and instance AP on hand-made maps, against brute force and torchmetrics."""

import numpy as np
import pytest
import torch

from wsnb.metrics import instances as instance_ap
from wsnb.metrics import panoptic, panoptic_authors, segments


def field(*boxes, size=(20, 20), dtype=np.int64):
    """An id map with rectangles (id, y0, y1, x0, x1), later ones in front."""
    ids = np.zeros(size, dtype)
    for number, y0, y1, x0, x1 in boxes:
        ids[y0:y1, x0:x1] = number
    return ids


def one(true_ids, true_classes, ids, classes, n=3, **more):
    quality = panoptic.PanopticQuality(n)
    quality.add(true_ids, true_classes, ids, classes, **more)
    return quality


def test_standard_pq_by_hand():
    truth, ids = field((1, 0, 10, 0, 10), (2, 10, 20, 0, 10)), field((7, 0, 8, 0, 10), (8, 10, 13, 0, 10))
    quality = one(truth, {1: 1, 2: 1}, ids, {7: 1, 8: 1})  # IoU 0.8, and 0.3 that is both missed and wrong
    assert (quality.tp.tolist(), quality.fp.tolist(), quality.fn.tolist()) == ([0, 1, 0], [0, 1, 0], [0, 1, 0])
    scores = quality.scores()
    assert scores["SQ"][1] == pytest.approx(0.8) and scores["DQ"][1] == 0.5 and scores["PQ"][1] == pytest.approx(0.4)
    assert np.isnan(scores["PQ"][[0, 2]]).all()  # neither there nor predicted
    wrong = one(truth, {1: 1, 2: 1}, truth, {1: 2, 2: 2}).scores()
    assert wrong["PQ"][1:].tolist() == [0, 0] and wrong["SQ"][1:].tolist() == [0, 0]


def test_an_iou_of_exactly_a_half_is_no_match():
    quality = one(field((1, 0, 10, 0, 10)), {1: 1}, field((1, 0, 5, 0, 10)), {1: 1})
    assert quality.tp[1] == 0 and quality.fp[1] == 1 and quality.fn[1] == 1


def test_void_and_crowds_in_the_standard():
    truth = field((1, 0, 10, 0, 10), (255, 10, 20, 0, 10), (3, 0, 20, 10, 20))
    ids = field((1, 0, 14, 0, 10), (2, 14, 20, 0, 12), (4, 0, 20, 12, 20))
    quality = one(truth, {1: 1, 3: 2}, ids, {1: 1, 2: 2, 4: 2}, crowd=(3,))
    assert quality.tp[1] == 1 and quality.iou[1] == 1.0  # the part in void takes nothing off
    assert quality.fp.sum() == 0 and quality.fn.sum() == 0  # more than half void or crowd: no false positive
    other = one(truth, {1: 1, 3: 2}, ids, {1: 1, 2: 2, 4: 1}, crowd=(3,))
    assert other.fp.tolist() == [0, 1, 0]  # a crowd of another class excuses nothing


def test_authors_against_standard_where_they_differ():
    truth, mask = field((1, 0, 10, 0, 10), (255, 10, 20, 0, 20)), field((1, 0, 10, 0, 10), (255, 10, 20, 0, 20))
    ids = field((1, 0, 10, 0, 10), (2, 12, 18, 0, 10))
    for fixed, expected in ((False, (1.0, 2 / 3)), (True, (1.0, 1.0))):
        overlaps = panoptic_authors.Overlaps.of([1, 2], fixed)
        overlaps.add(truth, mask, ids, [1, 1], [0.9, 0.8])
        scores = panoptic_authors.quality(overlaps)
        assert (scores["SQ"][0], scores["DQ"][0]) == pytest.approx(expected)  # a segment in void alone is wrong
        assert np.isnan(scores["PQ"][1])
    assert one(truth, {1: 1}, ids, {1: 1, 2: 1}).scores()["PQ"][1] == 1


def test_authors_let_two_predictions_have_one_segment_below_a_half():
    truth = field((1, 0, 10, 0, 10))
    ids = field((1, 0, 5, 0, 10), (2, 5, 10, 0, 10))
    results = {}
    for fixed in (False, True):
        overlaps = panoptic_authors.Overlaps.of([1], fixed)
        overlaps.add(truth, truth, ids, [1, 1], [0.1, 0.9])
        results[fixed] = panoptic_authors.average_precision(overlaps, [0.4, 0.5])[0].tolist()
    assert results == {False: [2.0, 0.0], True: [1.0, 0.0]}  # an AP above 1 is their quirk


def test_fixed_tells_pictures_apart():
    overlaps = panoptic_authors.Overlaps.of([1, 2], fixed=True)
    for _ in range(3):
        truth = field((1, 0, 5, 0, 5), (300, 5, 10, 0, 5), (255, 15, 20, 0, 5))
        overlaps.add(truth, np.where(truth == 300, 2, truth), np.where(truth == 255, 0, truth), [1, 2], [0.5, 0.5])
    assert panoptic_authors.quality(overlaps)["PQ"].tolist() == [1, 1] and overlaps.n_truth == {1: 3, 2: 3}


def test_class_of_a_true_segment_is_that_of_its_first_pixel_by_columns():
    truth = field((1, 0, 10, 0, 10))
    mask = np.where(truth == 1, 2, 0)
    mask[3, 0] = 2
    mask[0, 0] = 1  # first in column order
    mask[0, 1:5] = 1
    for fixed, counted in ((False, {1: 1, 2: 0}), (True, {1: 0, 2: 1})):
        overlaps = panoptic_authors.Overlaps.of([1, 2], fixed)
        overlaps.add(truth, mask, truth, [2], [1.0])
        assert overlaps.n_truth == counted


def test_ap_by_brute_force():
    rng = np.random.default_rng(0)
    overlaps = panoptic_authors.Overlaps.of([1])
    overlaps.overlap[1], overlaps.score[1] = rng.random(50).tolist(), rng.random(50).tolist()
    overlaps.truth[1], overlaps.n_truth[1] = list(range(50)), 60
    ranked = [o for _, o in sorted(zip(overlaps.score[1], overlaps.overlap[1], strict=True), reverse=True)]
    for threshold in (0.2, 0.7):
        good = [o > threshold for o in ranked]
        expected = sum(sum(good[: i + 1]) / (i + 1) for i in range(50) if good[i]) / 60
        assert panoptic_authors.average_precision(overlaps, [threshold])[0, 0] == pytest.approx(expected)


def test_a_score_file_of_another_length_is_refused():
    truth = field((1, 0, 10, 0, 10))
    with pytest.raises(ValueError, match="one line an id"):
        panoptic_authors.Overlaps.of([1]).add(truth, truth, truth, [1, 1], [1.0, 1.0])
    with pytest.raises(ValueError, match="no class for the ids"):
        one(truth, {1: 1}, truth, {})
    with pytest.raises(ValueError, match="differ in shape"):
        one(truth, {1: 1}, truth[:5], {1: 1})


def test_standard_pq_is_torchmetrics():
    detection = pytest.importorskip("torchmetrics.detection")
    rng = np.random.default_rng(3)
    things, stuff = [2, 3, 4], [0, 1]
    theirs = detection.PanopticQuality(set(things), set(stuff), allow_unknown_preds_category=True,
                                       return_sq_and_rq=True, return_per_class=True)
    ours = panoptic.PanopticQuality(5)
    for _ in range(12):
        true_mask, true_instance = random_scene(rng)
        mask, instance = random_scene(rng, near=(true_mask, true_instance))
        void = rng.random(true_mask.shape) < 0.1
        true_mask[void] = 255
        ids, classes, crowd = panoptic.truth(true_mask, np.where(void, 0, true_instance), things)
        own, own_classes, _ = panoptic.truth(mask, instance, things)
        assert crowd == ()
        ours.add(ids, classes, own, own_classes)
        theirs.update(*(as_torchmetrics(m, i, things) for m, i in ((mask, instance), (true_mask, true_instance))))
    result = theirs.compute().numpy()  # classes in the order things, stuff
    scores = ours.scores()
    order = [*things, *stuff]
    for column, name in enumerate(("PQ", "SQ", "DQ")):
        assert np.nan_to_num(scores[name][order]) == pytest.approx(result[..., column].ravel(), abs=1e-6)
    assert ours.tp.sum() > 20 and ours.fp.sum() > 5 and ours.fn.sum() > 5


def as_torchmetrics(mask, instance, things):
    pairs = np.stack([np.where(mask == 255, 9, mask), np.where(np.isin(mask, things), instance, 0)], -1)
    return torch.from_numpy(pairs)[None].long()


def random_scene(rng, near=None):
    mask, instance = np.zeros((40, 40), np.int64), np.zeros((40, 40), np.int64)
    mask[20:] = 1
    if near is None:
        for k in range(1, 5):
            y, x = rng.integers(0, 28, 2)
            mask[y:y + 12, x:x + 12], instance[y:y + 12, x:x + 12] = rng.integers(2, 5), k
        return mask, instance
    dy, dx = rng.integers(-2, 3, 2)
    mask, instance = (np.roll(m, (dy, dx), (0, 1)) for m in near)
    lost = instance == rng.integers(1, 5)
    return np.where(lost, 0, mask), np.where(lost, 0, instance)


def test_truth_from_masks():
    mask = field((1, 0, 10, 0, 20), (11, 12, 16, 0, 5), (11, 12, 16, 10, 20), (255, 18, 20, 0, 20))
    instances = field((4, 12, 16, 0, 5))
    ids, classes, crowd = panoptic.truth(mask, instances, range(11, 19))
    assert sorted(classes.values()) == [0, 1, 11, 11] and len(crowd) == 1 and classes[crowd[0]] == 11
    assert (ids == crowd[0]).sum() == 40 and (ids == 255).sum() == 40 and (ids == 0).sum() == 0
    empty = panoptic.truth(np.full((4, 4), 255), np.zeros((4, 4), int), [1])
    assert empty[1:] == ({}, ()) and (empty[0] == 255).all()


def test_300_instances_pass_over_void():
    instances = np.arange(1, 301).reshape(15, 20)
    ids, classes, _ = panoptic.truth(np.ones((15, 20), np.uint8), instances, [1])
    assert len(classes) == 300 and 255 not in classes and ids.max() == 301
    scores = one(ids, classes, ids, classes).scores()
    assert scores["PQ"][1] == 1


def test_an_instance_wholly_in_void_is_no_truth():
    mask, instances = field((255, 0, 5, 0, 5)), field((3, 0, 5, 0, 5))
    ids, classes, crowd = panoptic.truth(mask, instances, [1])
    assert classes == {1: 0} and crowd == () and (ids[:5, :5] == 255).all()


def test_cityscapes_ap_by_hand():
    truth = field((1, 0, 20, 0, 10), (2, 0, 20, 10, 20), (3, 20, 22, 0, 5), (4, 20, 40, 20, 40), size=(40, 40))
    ids = field((1, 0, 20, 0, 10), (2, 0, 16, 10, 20), (5, 20, 22, 0, 5), (6, 24, 40, 20, 40), (7, 30, 40, 0, 12),
                size=(40, 40))
    scored = instance_ap.InstanceAP([1], thresholds=(0.5, 0.9))
    classes = dict.fromkeys((1, 2, 5, 6, 7), 1)
    confidences = {1: 0.9, 2: 0.8, 5: 0.7, 6: 0.6, 7: 0.1}
    scored.add(truth, dict.fromkeys((1, 2, 3, 4), 1), ids, classes, confidences, crowd=(4,))
    # at 0.5 both found, small and group are neutral, 7 is wrong; at 0.9 only 1, and 2 is wrong
    ap = scored.average_precision()[0]
    assert ap[0] == pytest.approx(area([0.9, 0.8, 0.1], [1, 1, 0], 0))
    assert ap[1] == pytest.approx(area([0.9, 0.8, 0.1], [1, 0, 0], 1))
    assert ap[0] > ap[1] > 0


def area(confidence, true, missed):
    """Precision over recall for each cut at a confidence, the recall's steps centred on the points."""
    points = []
    for cut in sorted(set(confidence)):
        kept = [t for c, t in zip(confidence, true, strict=True) if c >= cut]
        points.append((sum(kept) / len(kept), sum(kept) / (sum(true) + missed)))
    points.append((1.0, 0.0))
    recall = [points[0][1], *[r for _, r in points], 0.0]
    return sum(p * (recall[i] - recall[i + 2]) / 2 for i, (p, _) in enumerate(points))


def test_cityscapes_ap_duplicates_and_nothing():
    truth = field((1, 0, 20, 0, 20))
    scored = instance_ap.InstanceAP([1, 2], thresholds=(0.5,), min_pixels=0)
    scored.add(truth, {1: 1}, field(), {}, {})
    assert scored.average_precision()[0, 0] == 0 and np.isnan(scored.average_precision()[1, 0])
    scored.add(truth, {1: 1}, truth, {1: 1}, {1: 1.0})
    assert scored.missed[1, 0.5] == 1 and sum(scored.true[1, 0.5]) == 1
    with pytest.raises(ValueError, match="use >= 0.5"):
        instance_ap.InstanceAP([1], thresholds=(0.3,))


def test_split_means():
    values = [0.5, np.nan, 1.0, 0.0]
    assert segments.split_means(values, [2, 3]) == {"all": 0.5, "things": 0.5, "stuff": 0.5}
    assert np.isnan(segments.split_means([np.nan, 1.0], [0])["things"])


def test_wide_ids_need_no_wide_table():
    first = np.array([[2**30, 5], [2**30, 255]])
    shared = segments.shared_pixels(first, first)
    assert shared.rows.tolist() == [5, 255, 2**30] and np.diag(shared.pixels).tolist() == [1, 1, 2]
