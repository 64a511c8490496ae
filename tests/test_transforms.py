"""Augmentation: distributions of the two crop samplers, ranges of the jitter, functions of (seed, epoch, index)."""

import numpy as np
import pytest
import torch
from PIL import Image

from wsnb.data import transforms as tf

DRAWS = 4000
SIZES = [(500, 375), (375, 500), (500, 333), (500, 500), (37, 50)]


def boxes(sampler, size, draws=DRAWS, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([sampler(*size, rng) for _ in range(draws)])


def central_square(width, height):
    side = min(width, height)
    return [(width - side) // 2, (height - side) // 2, side, side]


def expected_fallback(width, height):
    """Probability of ten misses, by integration over the uniform area and aspect ratio."""
    area = (np.arange(1000) + 0.5)[:, None] / 1000 * 0.1 + 0.9
    ratio = 0.75 + (np.arange(1000) + 0.5) / 1000 * (4 / 3 - 0.75)
    w, h = np.rint(np.sqrt(area * width * height * ratio)), np.rint(np.sqrt(area * width * height / ratio))
    fits = ((w <= width) & (h <= height)).mean() / 2 + ((h <= width) & (w <= height)).mean() / 2
    return (1 - fits) ** 10


@pytest.mark.parametrize("size, rate", [((500, 375), 0.36), ((500, 333), 1.0), ((500, 500), 0.13)])
def test_old_sampler_falls_back_as_often_as_the_original(size, rate):
    exact = expected_fallback(*size)
    assert exact == pytest.approx(rate, abs=0.01)
    observed = (boxes(tf.old_crop_box, size) == central_square(*size)).all(1).mean()
    assert abs(observed - exact) <= 4 * np.sqrt(exact * (1 - exact) / DRAWS) + 1e-3


@pytest.mark.parametrize("sampler", tf.CROPS.values(), ids=tf.CROPS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_boxes_lie_inside_with_area_and_aspect_in_range(sampler, size):
    left, top, w, h = boxes(sampler, size, 1000).T
    assert (left >= 0).all() and (top >= 0).all() and (w > 0).all() and (h > 0).all()
    assert (left + w <= size[0]).all() and (top + h <= size[1]).all()
    fallback = (central_square(*size) if sampler is tf.old_crop_box
                else list(tf.new_crop_box(*size, np.random.default_rng(0), area=(9, 9))))
    drawn = ~(np.stack([left, top, w, h], 1) == fallback).all(1)
    slack = (w + h)[drawn] / 2 + 1  # both sides are rounded
    assert (abs((w * h)[drawn] / (size[0] * size[1]) - 0.95) <= 0.05 + slack / (size[0] * size[1])).all()
    assert ((w / h)[drawn] <= 4 / 3 + 2 / min(size)).all() and ((w / h)[drawn] >= 3 / 4 - 2 / min(size)).all()


def test_positions_of_the_old_sampler_reach_the_borders():
    left, top, w, h = boxes(tf.old_crop_box, (500, 500), 2000).T
    assert left.min() == 0 and top.min() == 0
    assert (left + w).max() == 500 and (top + h).max() == 500 and len(np.unique(left)) > 20


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_new_sampler_never_takes_the_central_square(size):
    found = boxes(tf.new_crop_box, size, 1500)
    assert not (found == central_square(*size)).all(1).any()
    assert (found[:, 2] * found[:, 3]).min() >= 0.88 * size[0] * size[1]  # the old squares cover 67 or 75 %


def test_new_sampler_falls_back_to_the_whole_picture_with_a_clamped_ratio():
    rng = np.random.default_rng(0)
    for size, box in [((500, 333), (28, 0, 444, 333)), ((333, 500), (0, 28, 333, 444)), ((500, 375), (0, 0, 500, 375))]:
        assert tf.new_crop_box(*size, rng, area=(9, 9)) == box


def test_a_sample_is_a_function_of_seed_epoch_and_index():
    def draw(*key):
        return tf.sample_generator(*key).random(4).tolist()

    assert draw(3, 1, 2) == draw(3, 1, 2)
    keys = [(s, e, i) for s in range(3) for e in range(3) for i in range(3)]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_augmentation_repeats_and_leaves_the_global_generators_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    results = []
    for key in ((0, 0, 5), (0, 0, 5), (0, 1, 5)):
        rng = tf.sample_generator(*key)
        image, mask = tf.crop_and_flip(noise(50, 37), None, 24, rng)
        results.append(np.array(tf.jitter(image, rng)))
        assert mask is None and image.size == (24, 24)
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


@pytest.mark.parametrize("sampler", tf.CROPS)
def test_mask_follows_the_picture(sampler):
    column = np.tile(np.arange(60, dtype=np.uint8)[:, None] // 20, (1, 40)).T  # labels 0, 1, 2 from left to right
    image, mask = Image.fromarray(np.stack([column * 100] * 3, -1)), Image.fromarray(column)
    flips = 0
    for i in range(30):
        out, labels = tf.crop_and_flip(image, mask, 30, np.random.default_rng(i), sampler)
        labels = np.array(labels)
        assert set(np.unique(labels)) <= {0, 1, 2}  # nearest: no new labels
        flips += labels[0, 0] > labels[0, -1]
        assert (abs(np.array(out)[..., 0].astype(int) - labels * 100) < 30).mean() > 0.8
    assert 5 <= flips <= 25


def test_jitter_in_range_and_in_every_order(monkeypatch):
    seen, orders, call = {}, set(), []
    for name in ("brightness", "contrast", "saturation", "hue"):
        def change(image, factor, name=name):
            call.append(name)
            seen.setdefault(name, []).append(factor)
            return image
        monkeypatch.setattr(f"torchvision.transforms.functional.adjust_{name}", change)
    rng = np.random.default_rng(0)
    for _ in range(600):
        call.clear()
        tf.jitter(None, rng)
        orders.add(tuple(call))
    assert len(orders) == 24 and all(len(set(order)) == 4 for order in orders)
    assert sorted(seen) == ["brightness", "contrast", "hue", "saturation"]
    for name, factors in seen.items():
        low, high = (-0.1, 0.1) if name == "hue" else (0.7, 1.3)
        factors, width = np.array(factors), high - low
        assert low <= factors.min() <= low + 0.05 * width and high - 0.05 * width <= factors.max() <= high
        assert abs(factors.mean() - (low + high) / 2) < 4 * width / np.sqrt(12 * 600)


def test_normalise_by_hand_and_back():
    unit = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    normal = tf.normalise(unit)
    assert normal[1, 2, 3, 1].item() == pytest.approx((unit[1, 2, 3, 1].item() - 0.406) / 0.225, abs=1e-6)
    assert torch.allclose(tf.denormalise(normal), unit, atol=1e-6)


def test_uint8_survives_normalisation_bit_for_bit():
    levels = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, -1)
    unit = tf.denormalise(tf.normalise(tf.to_unit(levels)))
    back = (unit * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.array_equal(back, levels)
