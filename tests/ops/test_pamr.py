"""PAMR against the published formulation written straight down."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks import plain
from wsnb.ops import pamr

CASES = {  # (batch, colours, classes, height, width), dilations, iterations
    "six dilations": ((1, 3, 5, 14, 30), pamr.DILATIONS, 2),
    "smaller than the dilation": ((2, 3, 4, 9, 5), pamr.DILATIONS, 10),
    "one class": ((2, 3, 1, 16, 15), (1, 2), 10),
    "many classes": ((1, 3, 25, 15, 12), (1, 4), 4),
    "one colour": ((3, 1, 3, 15, 11), (3,), 4),
    "one row": ((1, 3, 2, 1, 17), (1, 2), 3),
    "one pixel": ((1, 3, 2, 1, 1), (1, 24), 3),
}


def inputs(shape, seed=0):
    batch, colours, classes, height, width = shape
    own = torch.Generator().manual_seed(seed)
    return (torch.rand(batch, colours, height, width, generator=own),
            torch.randn(batch, classes, height, width, generator=own).softmax(1))


@pytest.mark.parametrize("band", [1, 7, None])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_published_form(case, band):
    shape, dilations, iterations = CASES[case]
    image, masks = inputs(shape)
    before = image.clone(), masks.clone()
    ours = pamr.pamr(image, masks, dilations, iterations, band)
    torch.testing.assert_close(ours, plain.pamr(image, masks, dilations, iterations), rtol=0, atol=1e-5)
    assert torch.equal(image, before[0]) and torch.equal(masks, before[1])


def test_masks_at_lower_resolution_are_enlarged_first():
    image, masks = inputs((1, 3, 6, 24, 33))
    small = F.interpolate(masks, size=(9, 13))
    enlarged = F.interpolate(small, size=(24, 33), mode="bilinear", align_corners=True)
    expected = plain.pamr(image, enlarged, (1, 2), 4)
    torch.testing.assert_close(pamr.pamr(image, small, (1, 2), 4), expected, rtol=0, atol=1e-5)


def test_pictures_and_classes_do_not_mix():
    image, masks = inputs((3, 3, 13, 14, 18))
    whole = pamr.pamr(image, masks, iterations=3, band=5)
    one = pamr.pamr(image[1:2], masks[1:2, 4:5], iterations=3)
    torch.testing.assert_close(whole[1:2, 4:5], one, rtol=0, atol=1e-6)


def test_channels_last_and_slices_are_fine():
    image, masks = inputs((2, 3, 4, 12, 16))
    expected = pamr.pamr(image, masks, (1, 2), 3)
    last = pamr.pamr(image.contiguous(memory_format=torch.channels_last),
                     masks.contiguous(memory_format=torch.channels_last), (1, 2), 3)
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-6)
    padded = torch.zeros(2, 9, 12, 16)
    padded[:, ::2][:, :4] = masks
    torch.testing.assert_close(pamr.pamr(image, padded[:, ::2][:, :4], (1, 2), 3), expected, rtol=0, atol=1e-6)


def test_constant_picture_gives_the_plain_mean_of_the_neighbours():
    _, masks = inputs((1, 3, 3, 10, 11))
    image = torch.full((1, 3, 10, 11), 0.3)
    padded = F.pad(masks, [1] * 4, mode="replicate")
    ring = [padded[..., 1 + y:11 + y, 1 + x:12 + x] for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    torch.testing.assert_close(pamr.pamr(image, masks, (1,), 1), torch.stack(ring).mean(0), rtol=0, atol=1e-6)
    weights = pamr.affinity(*pamr.prepared(image, (1, 3)), 0, 10, (1, 3))
    assert torch.allclose(weights, torch.full((1, 16, 10, 11), 1 / 16))


def test_no_iterations_only_enlarge():
    image, masks = inputs((1, 3, 3, 9, 11))
    assert torch.equal(pamr.pamr(image, masks, iterations=0), masks)
    small = masks[..., :4, :5]
    expected = F.interpolate(small, size=(9, 11), mode="bilinear", align_corners=True)
    assert torch.equal(pamr.pamr(image, small, iterations=0), expected)


def test_no_gradient():
    image, masks = inputs((1, 3, 3, 9, 11))
    assert not pamr.pamr(image.requires_grad_(), masks.requires_grad_(), (1, 2), 2).requires_grad


def test_masks_that_sum_to_one_still_do_and_stay_in_range():
    refined = pamr.pamr(*inputs((2, 3, 21, 17, 13)))
    torch.testing.assert_close(refined.sum(1), torch.ones(2, 17, 13), rtol=0, atol=1e-5)
    assert refined.min() >= 0 and refined.max() <= 1


def test_affinities_sum_to_one_and_stop_at_edges():
    image = torch.zeros(1, 3, 12, 12)
    image[..., 6:] = 1
    weights = pamr.affinity(*pamr.prepared(image, (1,)), 0, 12, (1,))
    torch.testing.assert_close(weights.sum(1), torch.ones(1, 12, 12))
    across = [i for i, (_, dx) in enumerate(pamr.offsets((1,))) if dx == 1]
    assert weights[0, across, 4, 5].max() < 1e-3 and weights[0, across, 4, 2].min() > 0.1


def test_offsets_row_by_row_dilations_outermost():
    assert pamr.offsets((1, 4)) == [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1),
                                    (-4, -4), (-4, 0), (-4, 4), (0, -4), (0, 4), (4, -4), (4, 0), (4, 4)]


def test_standard_deviation_counts_the_centre_once_per_dilation():
    image, _ = inputs((1, 2, 1, 7, 7))
    samples = [image[0, :, 3, 3]] * 2 + [image[0, :, 3 + dy, 3 + dx] for dy, dx in pamr.offsets((1, 2))]
    assert len(samples) == 18
    torch.testing.assert_close(pamr.local_std(image, (1, 2))[0, :, 3, 3], torch.stack(samples).std(0))
