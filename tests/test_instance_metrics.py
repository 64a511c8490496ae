"""mAP^r and ABO: against pycocotools, against cases worked out by hand."""

import numpy as np
import pytest

from wsnb.metrics import counts, instances, instances_chainercv
from wsnb.report import statistics


def box_mask(x0, y0, x1, y1, size=(20, 30)):
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def random_set(seed, pictures=12, n_classes=4, ties=False):
    """(records, coco-like lists) of random rectangles."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        def draw(count):
            corners = np.sort(rng.integers(0, [30, 20], (count, 2, 2)), axis=1)
            return [box_mask(*low, *(high + 1)) for low, high in corners]

        true = draw(rng.integers(0, 5))
        labels = rng.integers(1, n_classes, len(true))
        near = [np.roll(mask, rng.integers(-2, 3), axis=rng.integers(0, 2)) for mask in true]
        found = near + draw(rng.integers(0, 3))
        found_labels = np.concatenate([labels, rng.integers(1, n_classes, len(found) - len(true))]).astype(int)
        scores = np.ones(len(found)) if ties else rng.random(len(found))
        made.append((found, found_labels, scores, true, labels))
    return made, [instances.picture(*one) for one in made]


def coco_ap(made, n_classes, threshold):
    """AP of each class by pycocotools, 101 points."""
    from pycocotools import mask as rle
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found, number = [], [], 0
    for image, (masks, labels, scores, true, true_labels) in enumerate(made):
        for mask, label in zip(true, true_labels, strict=True):
            number += 1
            code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
            truth.append({"id": number, "image_id": image, "category_id": int(label), "segmentation": code,
                          "iscrowd": 0, "area": float(mask.sum()), "bbox": rle.toBbox(code).tolist()})
        for mask, label, score in zip(masks, labels, scores, strict=True):
            found.append({"image_id": image, "category_id": int(label), "score": float(score),
                          "segmentation": rle.encode(np.asfortranarray(mask.astype(np.uint8)))})
    coco = COCO()
    coco.dataset = {"images": [{"id": k, "height": 20, "width": 30} for k in range(len(made))], "annotations": truth,
                    "categories": [{"id": k} for k in range(1, n_classes)], "info": {}}
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(found), "segm")
    evaluation.params.iouThrs = np.array([threshold])
    evaluation.params.maxDets = [1000]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, 0]  # [points, classes]
    return np.where((precision < 0).all(0), np.nan, precision.mean(0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_average_precision_is_cocos(seed, threshold, capsys):
    made, records = random_set(seed)
    ours = instances.average_precision(records, 4, threshold, points=101)
    np.testing.assert_allclose(ours, coco_ap(made, 4, threshold), atol=1e-9)


def test_ious_are_cocos_and_brute_forces():
    from pycocotools import mask as rle

    made, records = random_set(9, pictures=4)
    for (found, _, _, true, _), record in zip(made, records, strict=True):
        if not found or not true:
            assert record.ious.size == 0
            continue
        codes = [[rle.encode(np.asfortranarray(m.astype(np.uint8))) for m in masks] for masks in (found, true)]
        np.testing.assert_allclose(record.ious, rle.iou(*codes, [0] * len(true)), atol=1e-12)
        assert record.ious[0, 0] == pytest.approx((found[0] & true[0]).sum() / (found[0] | true[0]).sum())


def test_a_case_by_hand():
    """Two objects of class 1; found: one right (0.9), one wrong (0.8), one right (0.7)."""
    a, b, off = box_mask(0, 0, 10, 10), box_mask(15, 5, 25, 15), box_mask(0, 15, 5, 20)
    record = instances.picture([a, off, b], [1, 1, 1], [0.9, 0.8, 0.7], [a, b], [1, 1])
    assert instances.average_precision([record], 2)[0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert instances.average_precision([record], 2, points=11)[0] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert instances.average_best_overlap([record], 2)[0] == 1


def test_a_true_mask_is_taken_once():
    a = box_mask(0, 0, 10, 10)
    record = instances.picture([a, a], [1, 1], [0.9, 0.8], [a], [1])
    np.testing.assert_array_equal(instances.hits(record, 1, 0.5), [True, False])


def test_equal_scores_enter_together():
    """Recall times precision, whatever the order of pictures and of masks."""
    made, records = random_set(5, ties=True)
    values = instances.average_precision(records, 4)
    for order in (records[::-1], records[3:] + records[:3]):
        np.testing.assert_array_equal(instances.average_precision(order, 4), values)
    label = 1
    right = sum(instances.hits(r, label, 0.5).sum() for r in records)
    found = sum((r.found_labels == label).sum() for r in records)
    true = sum((r.true_labels == label).sum() for r in records)
    assert values[0] == pytest.approx(right / found * right / true)


def test_other_classes_and_absent_classes():
    a = box_mask(0, 0, 10, 10)
    record = instances.picture([a], [2], [1.0], [a], [1])
    np.testing.assert_array_equal(instances.average_precision([record], 4), [0, np.nan, np.nan])
    np.testing.assert_array_equal(instances.average_best_overlap([record], 4), [0, np.nan, np.nan])
    assert instances.mean([np.nan, 0.5]) == 0.5 and np.isnan(instances.mean([np.nan]))
    assert np.isnan(instances.average_precision([], 3)).all()


def test_best_overlap_by_hand():
    a, half = box_mask(0, 0, 10, 10), box_mask(0, 0, 10, 5)
    b = box_mask(20, 10, 30, 20)
    record = instances.picture([half], [1], [1.0], [a, b], [1, 1])
    assert instances.average_best_overlap([record], 2)[0] == pytest.approx((0.5 + 0) / 2)


def test_ignored_pixels_count_for_nothing():
    a, half = box_mask(0, 0, 10, 10), box_mask(0, 0, 10, 5)
    assert instances.mask_ious([half], [a], ignore=box_mask(0, 5, 10, 10))[0, 0] == 1
    assert instances.mask_ious([np.zeros((4, 4), bool)], [np.zeros((4, 4), bool)])[0, 0] == 0


def test_chainercvs_rule_by_hand():
    """The second mask overlaps the first object most, which is taken: wrong, though the second object is free."""
    first, second = box_mask(0, 0, 10, 10), box_mask(0, 6, 10, 16)
    between = box_mask(0, 2, 10, 13)  # IoU 8/13 and 7/14
    record = instances.picture([first, between], [1, 1], [0.9, 0.8], [first, second], [1, 1])
    assert instances_chainercv.average_precision([record], 2)[0] == pytest.approx(0.5)
    assert instances.average_precision([record], 2)[0] == 1


def test_chainercvs_void_is_part_of_the_union_and_ties_are_ranked():
    a, wide = box_mask(0, 0, 10, 10), box_mask(0, 0, 10, 20)
    b, off = box_mask(15, 0, 25, 10), box_mask(0, 15, 5, 20)
    void = box_mask(0, 10, 10, 20)
    assert instances_chainercv.hits(instances.picture([wide], [1], [1.0], [a], [1]), 1, 0.51)[1].tolist() == [False]
    assert instances.hits(instances.picture([wide], [1], [1.0], [a], [1], void), 1, 0.51).tolist() == [True]
    tied = [instances.picture(found, [1, 1], [1.0, 1.0], [b], [1]) for found in ([off, b], [b, off])]
    assert [instances_chainercv.average_precision([one], 2)[0] for one in tied] == [0.5, 1]  # as they stand
    one, other = (instances.picture([mask], [1], [1.0], [b], [1]) for mask in (b, off))
    assert instances_chainercv.average_precision([one, other], 2)[0] == 0.25  # the last picture first
    assert instances_chainercv.average_precision([other, one], 2)[0] == 0.5


def test_chainercvs_classes_without_truth_or_detections():
    a = box_mask(0, 0, 10, 10)
    record = instances.picture([a], [2], [1.0], [a], [1])
    np.testing.assert_array_equal(instances_chainercv.average_precision([record], 4), [0, np.nan, np.nan])
    np.testing.assert_array_equal(instances_chainercv.average_precision([], 3), [np.nan, np.nan])


def test_refusals():
    a = box_mask(0, 0, 3, 3)
    with pytest.raises(ValueError, match="one each"):
        instances.picture([a], [1, 2], [1.0], [], [])
    with pytest.raises(ValueError, match="finite"):
        instances.picture([a], [1], [np.nan], [], [])
    with pytest.raises(ValueError, match="size"):
        instances.mask_ious([a], [np.zeros((4, 4), bool)])


def random_records(seed, pictures=6, ties=False):
    """Records of pictures with masks of random overlaps, classes and scores."""
    rng = np.random.default_rng(seed)
    return [instances.Record(rng.random((4, 3)), rng.integers(1, 4, 4),
                             rng.integers(0, 3, 4) if ties else rng.random(4), rng.integers(1, 4, 3))
            for _ in range(pictures)]


def test_counts_of_pictures_give_the_scores_of_the_set(tmp_path):
    records = [instances.Record(r.ious, r.found_labels, np.ones(4), r.true_labels) for r in random_records(0)]
    for measure, value, made in (
            ("recall times precision", instances.average_precision(records, 4), (instances.unranked_counts, 0.5)),
            ("mean over objects", instances.average_best_overlap(records, 4), (instances.best_overlap_counts,))):
        row = {"name": measure, "value": 100 * instances.mean(value), "measure": measure}
        assert counts.kept(tmp_path, [{**row, "counts": made[0](records, 4, *made[1:])}])  # else refused


@pytest.mark.parametrize("ties", [False, True], ids=["scores", "equal scores"])
@pytest.mark.parametrize("of", [instances, instances_chainercv])
def test_what_is_kept_of_ranked_masks_gives_the_same_number(of, ties, tmp_path):
    """To the last bit, after writing and reading; each picture as often as it is drawn is a set of its copies."""
    records = random_records(1, ties=ties)
    row = {"name": "AP", "value": 100 * instances.mean(of.average_precision(records, 4, 0.5)),
           "counts": of.ranked_counts(records, 4, 0.5), "measure": "average precision"}
    (made,) = counts.kept(tmp_path, [row])
    tables = counts.read(tmp_path / counts.NAME, made["counts"]["name"])
    assert counts.weighted(tables, "average precision", np.ones((1, 6)))[0] == row["value"]
    weights = np.random.default_rng(2).integers(0, 3, (8, 6))
    if of is instances:  # equal scores enter together, and hence copies too
        copies = [[r for r, times in zip(records, one, strict=True) for _ in range(times)] for one in weights]
        value = [100 * instances.mean(of.average_precision(some, 4, 0.5)) for some in copies]
        assert counts.weighted(tables, "average precision", weights) == pytest.approx(value, rel=1e-12)
    without = [100 * instances.mean(of.average_precision(records[:k] + records[k + 1:], 4, 0.5)) for k in range(6)]
    assert counts.weighted(tables, "average precision", 1 - np.eye(6)) == pytest.approx(without, rel=1e-12)


def test_ranked_masks_by_hand():
    """Two pictures: right (0.9), wrong (0.8); right (0.7), one object missed. Drawn: both, the first, the other twice.
    """
    ious = np.array([[1.0, 0.0], [0.0, 0.2]]), np.array([[0.6]])
    records = [instances.Record(ious[0], np.ones(2, int), np.array([0.9, 0.8]), np.ones(2, int)),
               instances.Record(ious[1], np.ones(1, int), np.array([0.7]), np.ones(1, int))]
    tables = instances.ranked_counts(records, 2, 0.5)
    assert tables.tolist() == [[[[2, 3, 4]]], [[[1, 7, 0]]]]  # two objects, ranks 1 (right) and 2; one, rank 3 (right)
    values = counts.weighted(tables, "average precision", [[1, 1], [1, 0], [0, 2], [0, 0]])
    assert values[:3] == pytest.approx([100 * (1 + 2 / 3) / 3, 50, 100]) and np.isnan(values[3])
    nothing = instances.ranked_counts([instances.Record(np.zeros((0, 1)), *[np.zeros(0)] * 2, np.ones(1))], 2, 0.5)
    assert counts.weighted(nothing, "average precision", [[1]])[0] == 0  # an object, no mask


def test_intervals_of_ranked_masks_hold_as_often_as_they_say():
    """Of 300 sets of 80 pictures of which some are harder than others; the truth is that of 20,000."""
    def pictures(n, seed):
        rng = np.random.default_rng(seed)
        made = []
        for share in rng.beta(5, 3, n):
            right = rng.random(4) < share
            sure = rng.normal(right, 1.0)
            made.append(instances.Record(np.diag(right.astype(float)), np.ones(4, int), sure, np.ones(4, int)))
        return instances.ranked_counts(made, 2, 0.5)

    truth = counts.weighted(pictures(20_000, 999), "average precision", np.ones((1, 20_000)))[0]
    found = [statistics.interval(*statistics.drawn_again(pictures(80, k), "average precision", 400))
             for k in range(300)]
    held = np.mean([low <= truth <= high for low, high in found])
    print(f"95 % intervals hold {100 * held:.1f} % of the time")
    assert 0.90 <= held <= 0.985  # 95 %, and 2.5 standard errors of 300 sets


def test_equal_ranked_methods_are_rarely_called_different():
    records = random_records(3, 40)
    other = [instances.Record(r.ious, r.found_labels, r.scores[::-1], r.true_labels) for r in records]
    worse = [instances.Record(r.ious * 0.6, r.found_labels, r.scores, r.true_labels) for r in records]
    drawn = [statistics.drawn_again(instances.ranked_counts(some, 4, 0.5), "average precision", 500)[:2]
             for some in (records, other, worse)]
    p = [statistics.difference(([value], draws), ([drawn[0][0]], drawn[0][1]), 40) for value, draws in drawn]
    assert p[0] == 1 and p[1] > 0.05 and p[2] < 0.001
