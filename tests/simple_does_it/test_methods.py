"""Label methods and the recursion's rules, on made-up pictures."""

import numpy as np
import pytest

from wsnb.ops.crf import CRF
from wsnb.papers.simple_does_it import box_labels, data, instances, losses, model, semantic

SETTINGS = box_labels.Settings(runs=5)
NO_CRF = CRF(iterations=0)


@pytest.fixture(scope="module")
def picture():
    """A yellow disc (class 2) and a red bar (class 3) on green, with noise."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:64, :96]
    disc, bar = (x - 28) ** 2 + (y - 32) ** 2 < 16**2, (x >= 60) & (x < 86) & (y >= 20) & (y < 44)
    image = np.full((64, 96, 3), (50, 130, 60), float)
    image[disc], image[bar] = (210, 200, 60), (200, 40, 60)
    image = np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8)
    truth = np.where(disc, 2, np.where(bar, 3, 0)).astype(np.uint8)
    return box_labels.Picture(image, SETTINGS), truth


BOXES, LABELS = np.array([(12, 16, 45, 49), (58, 18, 88, 46)]), np.array([2, 3])


def right(label, truth):
    known = label != 255
    return (label[known] == truth[known]).mean(), known.mean()


@pytest.mark.parametrize("method", box_labels.NAMES)
def test_labels_are_right_and_stay_in_the_boxes(picture, method):
    made, truth = picture
    label = box_labels.label_map(method, made, BOXES, LABELS)
    assert label.dtype == np.uint8 and set(np.unique(label)) <= {0, 2, 3, 255}
    outside = np.ones(truth.shape, bool)
    for x0, y0, x1, y1 in BOXES:
        outside[y0:y1, x0:x1] = False
    assert (label[outside] == 0).all()
    accuracy, known = right(label, truth)
    assert accuracy > (0.9 if method in ("rectangles", "mcg") else 0.97)
    assert known == 1 or method in ("box_i", "grabcut_plus_i", "m_and_g_plus")


def test_consensus_is_the_common_part(picture):
    made, _ = picture
    box = tuple(BOXES[0].tolist())
    both = made.object_mask("proposal", box) & made.object_mask("grabcut_plus", box)
    label = box_labels.label_map("m_and_g_plus", made, BOXES[:1], LABELS[:1])
    np.testing.assert_array_equal(label == 2, both)
    inside = data.box_map(label.shape, box) > 0
    assert (label[inside & ~both] == 255).all()


def test_votes_and_their_thresholds(picture):
    made, _ = picture
    box = tuple(BOXES[0].tolist())
    share = made.object_mask("votes", box)
    np.testing.assert_allclose(share * 5, np.round(share * 5), atol=1e-5)  # of five runs
    label = box_labels.label_map("grabcut_plus_i", made, BOXES[:1], LABELS[:1])
    np.testing.assert_array_equal(label == 2, share >= 0.7)
    np.testing.assert_array_equal(label == 255, (share >= 0.2) & (share < 0.7))


def test_the_inner_box_has_its_share_of_the_area():
    x0, y0, x1, y1 = box_labels.inner_box((10, 20, 110, 70), 0.2)
    assert (x1 - x0) * (y1 - y0) / 5000 == pytest.approx(0.2, abs=0.01)
    assert abs((x0 + x1) / 2 - 60) <= 0.5 and abs((y0 + y1) / 2 - 45) <= 0.5
    assert box_labels.inner_box((5, 5, 6, 6), 0.2) == (5, 5, 6, 6)


def test_the_ellipse_touches_the_box():
    mask = box_labels.ellipse((40, 60), (10, 5, 50, 35))
    assert data.tight_box(mask) == (10, 5, 50, 35)
    assert mask.sum() / 1200 == pytest.approx(np.pi / 4, abs=0.01)


@pytest.mark.parametrize("method", box_labels.NAMES)
def test_bad_boxes(picture, method):
    """One pixel, the whole picture, outside it, two of one class over each other, none: a label map each time."""
    made, truth = picture
    cases = {"one pixel": [(5, 5, 6, 6)], "whole": [(0, 0, 96, 64)], "outside": [(200, 5, 220, 20)], "none": [],
             "over each other": [(12, 16, 45, 49), (20, 20, 60, 60)]}
    for name, boxes in cases.items():
        label = box_labels.label_map(method, made, np.array(boxes).reshape(-1, 4), np.full(len(boxes), 2))
        assert label.shape == truth.shape and set(np.unique(label)) <= {0, 2, 255}, name
        if name in ("none", "outside"):
            assert not label.any(), name
        if name == "one pixel":
            assert (label > 0).sum() <= 1


def test_the_smaller_box_lies_in_front(picture):
    made, _ = picture
    label = box_labels.label_map("rectangles", made, np.array([(30, 20, 40, 30), (10, 10, 60, 60)]), np.array([1, 4]))
    assert label[25, 35] == 1 and label[50, 50] == 4


def test_labels_do_not_depend_on_what_came_before(picture):
    made, _ = picture
    fresh = box_labels.Picture(made.image, SETTINGS)
    fresh.object_mask("grabcut", (0, 0, 50, 50), 9)
    fresh.object_mask("votes", (30, 10, 70, 40), 5)
    for method in ("grabcut", "grabcut_plus_i"):
        np.testing.assert_array_equal(box_labels.label_map(method, fresh, BOXES, LABELS),
                                      box_labels.label_map(method, made, BOXES, LABELS))


def test_unknown_method(picture):
    with pytest.raises(ValueError, match="choose of"):
        box_labels.label_map("watershed", picture[0], BOXES, LABELS)


# ---- the three rules


def scores_of(label, n_classes=4):
    return (label[None] == np.arange(n_classes)[:, None, None]).astype(np.float32) * 0.9 + 0.025


def test_outside_the_boxes_is_background():
    predicted = np.full((20, 30), 2, np.uint8)
    found = semantic.denoise(np.zeros((20, 30, 3), np.uint8), scores_of(predicted), [(5, 5, 15, 15)], [2], crf=NO_CRF)
    expected = np.zeros((20, 30), np.uint8)
    expected[5:15, 5:15] = 2
    np.testing.assert_array_equal(found, expected)
    naive = semantic.denoise(np.zeros((20, 30, 3), np.uint8), scores_of(predicted), [(5, 5, 15, 15)], [2], crf=NO_CRF,
                             rules=())
    np.testing.assert_array_equal(naive, predicted)


def test_another_boxs_class_may_not_spread():
    """Class 1 may only be where a box of class 1 is, though it is inside a box of class 2."""
    predicted = np.ones((20, 30), np.uint8)
    found = semantic.denoise(np.zeros((20, 30, 3), np.uint8), scores_of(predicted), [(0, 0, 10, 20), (10, 0, 30, 20)],
                              [1, 2], crf=NO_CRF)
    assert (found[:, :10] == 1).all() and (found[:, 10:] == 2).all()  # nothing of class 2 there: reset to the box


@pytest.mark.parametrize(("filled", "reset"), [(0.45, True), (0.55, False)])
def test_an_object_under_half_of_its_box_is_reset(filled, reset):
    predicted = np.zeros((40, 40), np.uint8)
    predicted[10 : 10 + round(20 * filled), 10:30] = 3
    found = semantic.reset_small(predicted, [(10, 10, 30, 30)], [3], share=0.5)
    assert (found[10:30, 10:30] == 3).all() == reset
    assert reset or (found == predicted).all()


def test_what_a_smaller_box_hides_does_not_count():
    predicted = np.zeros((40, 40), np.uint8)
    predicted[0:30, 0:30], predicted[5:25, 5:25] = 1, 2
    boxes, labels = [(0, 0, 30, 30), (5, 5, 25, 25)], [1, 2]
    np.testing.assert_array_equal(semantic.reset_small(predicted, boxes, labels), predicted)


def test_the_crf_moves_borders_to_edges():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 220
    predicted = np.zeros((40, 60), np.uint8)
    predicted[:, 34:] = 1  # four pixels off the edge
    found = semantic.denoise(image, scores_of(predicted, 2), [(0, 0, 60, 40)], [1], crf=CRF(), share=0.1)
    assert (found[:, 31:] == 1).mean() > 0.98 and (found[:, :29] == 1).mean() < 0.02


def test_a_reset_box_gets_its_first_labels_back():
    predicted, initial = np.zeros((20, 30), np.uint8), np.full((20, 30), 255, np.uint8)
    initial[8:12, 8:12] = 2  # Box^i: the inner box, unknown around it
    found = semantic.reset_small(predicted, [(5, 5, 15, 15)], [2], 0.5, initial)
    assert (found[5:15, 5:15] == initial[5:15, 5:15]).all()
    found[5:15, 5:15] = 0
    assert not found.any()
    filled = semantic.reset_small(predicted, [(5, 5, 15, 15)], [2], 0.5)
    assert (filled[5:15, 5:15] == 2).all()


def test_bad_boxes_in_the_recursion():
    image, predicted = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint8)
    cases = {0: [], 1: [(0, 0, 1, 1)], 600: [(-5, -5, 300, 300)]}
    for count, boxes in [*cases.items(), (0, [(100, 100, 120, 120)])]:
        found = semantic.denoise(image, scores_of(predicted), np.array(boxes).reshape(-1, 4), [1] * len(boxes),
                                 crf=CRF(2))
        assert found.shape == (20, 30) and (found == 1).sum() == count


def test_the_presets_of_objects_and_inputs():
    full = np.array([[1, 1, 2], [2, 2, 3]])  # no background: the original drops object 1
    assert data.object_ids(full) == [2, 3] and data.object_ids(full, drop_first=False) == [1, 2, 3]
    assert data.object_ids(full * (full > 1)) == [2, 3] == data.object_ids(full * (full > 1), drop_first=False)
    image, box = np.full((1, 1, 3), 200, np.uint8), np.full((1, 1), 255, np.uint8)
    faithful, fixed = (instances.network_input(image, box, "vgg16", kind)[0, :, 0, 0] for kind in ("faithful", "fixed"))
    np.testing.assert_allclose(200 - faithful[:3], data.BGR_MEANS, rtol=1e-5)  # blue's mean from red, as the original
    np.testing.assert_allclose(200 - fixed[:3], data.SLIM_MEANS, rtol=1e-5)
    assert faithful[3] == fixed[3] == 255 - 128
    with pytest.raises(ValueError, match="choose faithful or fixed"):
        instances.network_input(image, box, "vgg16", "fix")


def test_the_decay_of_the_fixed_kernels_is_a_constant():
    """A kernel that enlarges s times has the square sum ((4 s^2 - 1) / 6 s)^2; a stage has one, and one for each of 16
    channels."""
    net = model.BoxNetwork(model.BackboneStages("tiny"))
    faithful, fixed = (losses.decay(net, 0.0002, kept).detach() for kept in (True, False))
    squares = sum(((4 * s**2 - 1) / (6 * s)) ** 2 for s in net.body.strides)
    assert float(faithful - fixed) == pytest.approx(0.0001 * 17 * squares, rel=1e-4)
    assert float(fixed) == pytest.approx(0.0001 * sum(float(k.square().sum()) for k in losses.kernels(net)), rel=1e-5)


@pytest.mark.parametrize("wrong", [([5, 3, 9], [4], [1, 2]), ([1, 2], [], [1]), ([1, 2, 3], [2], [1])])
def test_schedules_that_do_not_fit_are_refused(wrong):
    losses.check_schedule([15000, 30000, 50000], [10000, 15000], [1e-8, 1e-9, 1e-8])
    with pytest.raises(ValueError, match="last_steps|rates"):
        losses.check_schedule(*wrong)
