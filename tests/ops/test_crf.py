"""The dense CRF: which classes it sees, its limits, and that both backends agree."""

from dataclasses import replace

import numpy as np
import pytest

from tests.pretended import NAME, Pretended
from wsnb.ops.crf import CRF, LABEL_CRF, crf_labels, dense_crf, refine_labels
from wsnb.ops.instance_crf import INSTANCES

FEW = CRF(iterations=3)


def scene(classes=4, size=(14, 18), seed=0):
    """Picture of two halves, and noisy scores of CLASSES classes of which only 0 and 2 are present."""
    rng = np.random.default_rng(seed)
    image = np.full((*size, 3), 60, np.uint8)
    image[:, size[1] // 2:] = 190
    truth = np.where(np.arange(size[1]) >= size[1] // 2, 2, 0) * np.ones(size, int)
    scores = np.zeros((classes, *size), np.float32)
    for label in (0, 2):
        scores[label] = np.clip(0.5 + 0.3 * (2 * (truth == label) - 1) + rng.normal(0, 0.25, size), 0.01, 0.99)
    return image, truth, scores


def test_absent_classes_change_nothing():
    image, _, scores = scene()
    present = scores[[0, 2]]
    np.testing.assert_allclose(dense_crf(image, scores, FEW)[[0, 2]], dense_crf(image, present, FEW), atol=1e-3)
    assert np.array_equal(crf_labels(image, scores, FEW), dense_crf(image, scores, FEW).argmax(0))
    assert set(np.unique(crf_labels(image, scores, FEW))) <= {0, 2}


def test_it_follows_the_picture():
    image, truth, scores = scene()
    refined = crf_labels(image, scores)
    assert refined.dtype == np.uint8
    assert (refined == truth).mean() > max(0.98, (scores.argmax(0) == truth).mean())


def test_marginals_sum_to_one_and_inputs_stay():
    image, _, scores = scene()
    copies = image.copy(), scores.copy()
    marginals = dense_crf(image, scores, FEW)
    assert marginals.dtype == np.float32 and marginals.shape == scores.shape
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-4)
    assert np.array_equal(image, copies[0]) and np.array_equal(scores, copies[1])


def test_without_iterations_the_scores_are_only_clipped_and_normalised():
    image, _, scores = scene()
    clipped = np.clip(scores * 1.5, 1e-5, 1)  # scores need not sum to 1
    np.testing.assert_allclose(dense_crf(image, scores * 1.5, CRF(iterations=0)), clipped / clipped.sum(0), rtol=1e-4)


def test_the_result_repeats_and_views_are_fine():
    image, _, scores = scene()
    wide = np.repeat(scores, 2, axis=2)
    assert np.array_equal(dense_crf(image, scores, FEW), dense_crf(image[::-1][::-1], wide[..., ::2], FEW))


def test_one_class():
    image, _, scores = scene()
    marginals = dense_crf(image, scores[:1])
    assert marginals.dtype == np.float32 and marginals.shape == (1, 14, 18) and (marginals == 1).all()
    only = np.zeros_like(scores)
    only[3] = 0.2
    assert (crf_labels(image, only) == 3).all()


def test_no_positive_score_is_background():
    image, _, scores = scene()
    found = crf_labels(image, 0 * scores)
    assert found.shape == (14, 18) and found.dtype == np.uint8 and not found.any()


def test_one_pixel():
    assert dense_crf(np.zeros((1, 1, 3), np.uint8), np.float32([[[0.7]], [[0.3]]]), FEW).argmax() == 0


def test_sizes_must_agree():
    image, _, scores = scene()
    for function in (dense_crf, crf_labels):
        with pytest.raises(ValueError, match=r"\(13, 18\).*\(14, 18\).*resize"):
            function(image[1:], scores, FEW)


CHAPTERS = [CRF(), LABEL_CRF, CRF(5, 1, 3, 67, 3, 4), INSTANCES]


@pytest.mark.parametrize("settings", CHAPTERS, ids=["single_stage", "labels", "spml", "panoptic"])
def test_torch_gives_the_same_labels(settings):
    image, truth, scores = scene(size=(40, 60))
    image = (image + np.random.default_rng(1).integers(-40, 40, image.shape)).astype(np.uint8)
    in_torch = replace(settings, backend="torch")
    np.testing.assert_allclose(dense_crf(image, scores, in_torch), dense_crf(image, scores, settings), atol=2e-3)
    assert (crf_labels(image, scores, in_torch) == crf_labels(image, scores, settings)).mean() >= 0.995
    maps = [truth // 2, scores[[0, 2]].argmax(0)]
    ours, oracle = (np.stack(refine_labels(image, maps, 2, one)) for one in (in_torch, settings))
    assert (ours == oracle).mean() >= 0.995


def test_torch_computes_where_it_is_told():
    image, truth, scores = scene()
    here, there = replace(FEW, backend="torch"), replace(FEW, backend="torch", device=NAME)
    for refine in (lambda settings: dense_crf(image, scores, settings),
                   lambda settings: refine_labels(image, [truth // 2, truth % 2], 2, settings)):
        with Pretended() as device:
            found = refine(there)
        assert device.calls > 100 and np.array_equal(found, refine(here))


def test_a_backend_is_one_of_two():
    with pytest.raises(ValueError, match="crf_backend 'cuda': choose one of pydensecrf, torch"):
        CRF(backend="cuda")


def test_kernels_too_narrow_for_a_lattice_are_refused():
    image, _, scores = scene(size=(60, 80))
    with pytest.raises(ValueError, match="raise crf_bilateral_srgb"):
        dense_crf(image, scores, CRF(1, 3, 3, 1e-4, 1e-4, 10, backend="torch"))
