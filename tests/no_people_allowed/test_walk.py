"""Path index, affinities and the random walk: against plain formulations and what must always hold."""

import numpy as np
import pytest
import torch

from tests.parity.no_people_allowed import dense_walk
from tests.pretended import NAME, Pretended
from wsnb.data import read
from wsnb.data.item import Item
from wsnb.ops import affinity, cam, random_walk
from wsnb.ops.crf import CRF
from wsnb.papers.no_people_allowed import data, losses, pseudo_masks


def boundaries(seed, height, width):
    return np.random.default_rng(seed).random((height, width)).astype(np.float32) ** 3


@pytest.mark.parametrize("radius, count", [(3, 12), (5, 34), (10, 152)])
def test_as_many_directions_as_the_papers(radius, count):
    assert len(affinity.directions(radius)) == count
    for dy, dx in affinity.directions(radius):
        found = affinity.path(dy, dx)
        assert found[0].tolist() == [dy, dx] and found[-1].tolist() == [0, 0]
        assert len({tuple(point) for point in found.tolist()}) == len(found)


def test_too_small_a_map_is_named():
    with pytest.raises(ValueError, match="radius 5 wants 5 x 9"):
        affinity.path_index(5, 4, 20)


@pytest.mark.parametrize("size", [(9, 12), (1, 7), (3, 3), (14, 2)])
def test_the_walk_is_the_dense_one(size):
    edge, cam = boundaries(0, *size), np.random.default_rng(1).random((3, *size)).astype(np.float32)
    plain, _, _ = dense_walk(cam.astype(float), edge.astype(float), 4, 6, 5)
    assert np.abs(random_walk.random_walk(cam, edge, 4, 6, 5) - plain).max() < 1e-5


def test_columns_are_probabilities():
    matrix, sums = random_walk.transition(boundaries(2, 20, 30))
    columns = np.asarray((matrix / sums[None]).sum(0)).ravel()
    assert np.abs(columns - 1).max() < 1e-6
    assert abs(matrix - matrix.T).max() == 0
    assert np.diff(matrix.indptr).max() <= 69


def test_boundaries_everywhere_give_nothing():
    cam = np.ones((2, 8, 9), np.float32)
    matrix, sums = random_walk.transition(np.ones((8, 9)))
    assert abs(matrix - np.eye(72)).max() == 0 and (sums == 1).all()
    assert (random_walk.random_walk(cam, np.ones((8, 9))) == 0).all()


def test_paint_stays_behind_a_wall():
    edge = np.zeros((10, 21), np.float32)
    edge[:, 10] = 1
    cam = np.zeros((1, 10, 21), np.float32)
    cam[0, 2, 3] = 1
    found = random_walk.random_walk(cam, edge)[0]
    assert found[:, 11:].max() == 0 and found[:, :10].min() > 0


def test_sizes_must_agree_and_no_class_is_no_error():
    with pytest.raises(ValueError, match="differ in size"):
        random_walk.random_walk(np.ones((1, 4, 5)), np.zeros((4, 6)))
    assert random_walk.random_walk(np.zeros((0, 8, 8)), np.zeros((8, 8))).shape == (0, 8, 8)


def test_denormals_come_back():
    tiny = np.full(2, 1e-39, np.float32)
    with random_walk.flushed_denormals():
        assert (tiny * np.float32(0.5) == 0).all()
    assert (tiny * np.float32(0.5) > 0).all()


def test_affinity_of_a_pair_is_what_lies_between():
    edge = torch.zeros(1, 1, 6, 12)
    edge[0, 0, 2, 5] = 0.7
    found = affinity.edge_to_affinity(edge, 3)[0]
    index = affinity.path_index(3, 6, 12)
    for d, direction in enumerate(affinity.displacements(3).tolist()):
        crossed = {(2 - y, 5 - x) for y, x in affinity.path(*direction).tolist()}
        for k, source in enumerate(index.starts.tolist()):
            through = divmod(source, 12) in crossed
            assert float(found[d, k]) == pytest.approx(0.3 if through else 1.0)


def test_pairs_of_unsure_pixels_are_none():
    labels = np.full((8, 12), 255)
    assert all(float(pairs.sum()) == 0 for pairs in affinity.pair_labels(labels, 3))
    logits = torch.zeros(1, 1, 8, 12, requires_grad=True)
    loss = losses.irnet_loss(logits, torch.zeros(1, 2, 8, 12), labels[None], 3)
    loss.backward()
    assert float(loss.detach()) == 0 and torch.isfinite(logits.grad).all()


def test_a_field_that_points_to_the_centre_costs_nothing():
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(14.0), indexing="ij")
    field = torch.stack([4 - y, 6 - x])[None]
    parts = losses.irnet_loss_parts(torch.full((1, 1, 10, 14), -20.0), field,
                                affinity.pair_labels(np.ones((1, 10, 14), int), 4), 4)
    assert float(parts["dp_fg"]) < 1e-5 and float(parts["dp_bg"]) == 0


def test_replicas_normalise_apart():
    rng = torch.Generator().manual_seed(0)
    edge, move = torch.randn(4, 1, 8, 12, generator=rng), torch.randn(4, 2, 8, 12, generator=rng)
    labels = torch.randint(0, 3, (4, 8, 12), generator=rng)
    halves = [losses.irnet_loss(edge[k], move[k], labels[k], 3) for k in (slice(2), slice(2, 4))]
    assert float(losses.irnet_loss(edge, move, labels, 3, replicas=2)) == pytest.approx(float(sum(halves)) / 2)
    assert float(losses.irnet_loss(edge, move, labels, 3)) != pytest.approx(float(sum(halves)) / 2, abs=1e-6)


@pytest.mark.parametrize("rule", ["corner", "centre"])
@pytest.mark.parametrize("size", [(16, 24), (13, 18), (3, 5)])
def test_quarter_has_a_fourth_of_the_pixels(rule, size):
    labels = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)
    assert affinity.quarter(labels, rule).shape == tuple(-(-side // 4) for side in size)


def test_no_maximum_no_nan():
    for rule in cam.NORMALISE:
        for maps in (np.zeros((2, 4, 5), np.float32), -np.ones((1, 4, 5), np.float32), np.zeros((0, 4, 5), np.float32)):
            found = cam.normalised(maps, rule)
            assert found.shape == maps.shape and (found == 0).all()
    assert (cam.labels(np.zeros((2, 4, 5)), [3, 9], 0.3) == 0).all()
    with pytest.raises(ValueError, match="use joint or per class"):
        cam.normalised(np.zeros((1, 2, 2)), "sum")


@pytest.mark.parametrize("rule", ["corner", "centre"])
def test_batches_are_quartered_where_they_lie_as_pictures_are(rule):
    labels = np.random.default_rng(0).integers(0, 256, (2, 33, 47)).astype(np.uint8)
    found = data.quartered(torch.from_numpy(labels).long(), rule).numpy()
    assert (found == np.stack([affinity.quarter(one, rule) for one in labels])).all()


def test_a_last_crf_moves_the_masks_to_the_colours(tmp_path, monkeypatch):
    """Walked maps that reach four columns beyond a red half: without a CRF the threshold alone counts."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[:, :16, 0] = 255
    monkeypatch.setattr(read, "image", lambda item: image)
    maps = np.where(np.arange(32) < 20, 1.0, 0.0).astype(np.float32)[None, None].repeat(24, 1)
    cam.write(tmp_path, "a", [4], maps, (24, 32))
    plain, refined = (pseudo_masks.mask_of(Item("a", None, None), tmp_path, 0.5, crf=CRF(iterations=count))
                      for count in (0, 10))
    assert (plain == 5 * (maps[0] > 0.5)).all() and (refined == 5 * (image[..., 0] > 0)).all()


@pytest.mark.parametrize("count", [random_walk.FEW, random_walk.FEW + 1])
def test_maps_walk_together_as_each_alone(count):
    rng = np.random.default_rng(0)
    cam, edge = rng.random((count, 9, 12)).astype(np.float32), rng.random((9, 12)).astype(np.float32)
    each = np.concatenate([random_walk.random_walk(one[None], edge, 3, 2, 4) for one in cam])
    assert np.array_equal(random_walk.random_walk(cam, edge, 3, 2, 4), each)


@pytest.mark.parametrize("count", [1, random_walk.FEW + 1])
def test_on_a_gpu_the_walk_is_that_of_scipy(count):
    rng = np.random.default_rng(0)
    cam, edge = rng.random((count, 14, 18)).astype(np.float32), boundaries(1, 14, 18)
    wanted = random_walk.random_walk(cam, edge)
    with Pretended() as device:
        found = random_walk.random_walk(cam, edge, device=NAME)
    assert device.calls > 2**8
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.array_equal(found.argmax(0), wanted.argmax(0))
