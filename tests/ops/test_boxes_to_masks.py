"""From a box to a mask: boundaries, hierarchies, proposals, GrabCut and GrabCut+, on pictures made by hand."""

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from wsnb.files import FileError
from wsnb.ops import boundaries, grabcut, hierarchies, proposals


@pytest.fixture(scope="module")
def disc():
    """A red disc on a blue-green ground with some noise: (picture, mask, box)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :80]
    mask = (x - 40) ** 2 + (y - 30) ** 2 < 18**2
    image = np.where(mask[..., None], (200, 60, 50), (40, 120, 130)) + rng.normal(0, 12, (60, 80, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask, (20, 10, 61, 51)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


BAD_BOXES = {"one pixel": (5, 5, 6, 6), "whole picture": (0, 0, 80, 60), "beyond the picture": (-20, -9, 200, 99),
             "outside": (100, 10, 120, 30), "left of it": (-30, 0, 0, 20), "a line": (0, 10, 80, 11),
             "empty": (30, 30, 30, 30), "inside out": (40, 40, 30, 30)}


# ---- boundaries


def test_boundaries_lie_on_the_border(disc):
    image, mask, _ = disc
    found = boundaries.boundary_map(image)
    assert found.dtype == np.float32 and found.shape == (60, 80) and 0 <= found.min() and found.max() <= 1
    y, x = np.mgrid[:60, :80]
    ring = np.abs(np.hypot(x - 40, y - 30) - 18) < 1.5
    assert found[ring].mean() > 2 * found[~ring].mean()


def test_boundaries_of_one_colour_and_of_wrong_input():
    assert boundaries.boundary_map(np.full((20, 30, 3), 77, np.uint8)).max() < 1e-3
    with pytest.raises(ValueError, match="uint8"):
        boundaries.boundary_map(np.zeros((20, 30, 3)))


def test_boundary_maps_of_other_programs(tmp_path):
    grey = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_allclose(boundaries.read_map(tmp_path / "a.png", (3, 4)), grey / 255.0, atol=1e-6)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b.png")
    np.testing.assert_allclose(boundaries.read_map(tmp_path / "b.png", (3, 4)), grey / 255.0, atol=1e-6)
    with pytest.raises(FileError, match="4x3"):
        boundaries.read_map(tmp_path / "a.png", (4, 3))
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(FileError, match="grey"):
        boundaries.read_map(tmp_path / "c.png", (3, 4))
    with pytest.raises(FileError, match="no boundary map"):
        boundaries.read_map(tmp_path / "d.png", (3, 4))


# ---- hierarchies


def test_a_wall_makes_two_regions_until_it_falls():
    boundary = np.zeros((6, 9))
    boundary[:, 4] = 0.8
    tree = hierarchies.ucm(boundary)
    two = hierarchies.regions(tree, 0.3)
    assert two.max() == 1 and two[0, 0] == 0 and len(np.unique(two[:, :4])) == len(np.unique(two[:, 5:])) == 1
    assert hierarchies.regions(tree, 1.0).max() == 0
    assert hierarchies.contours(tree).max() == pytest.approx(tree.heights[-1])


def test_regions_grow_only_with_the_threshold(disc):
    tree = hierarchies.ucm(boundaries.boundary_map(disc[0]))
    parents = tree.tree.parents()
    assert (np.diff(tree.heights) >= 0).all() and (parents[:-1] > np.arange(len(parents) - 1)).all()
    before = hierarchies.regions(tree, -1)
    assert before.max() == tree.leaves.max()
    for threshold in (0.1, 0.2, 0.4):
        after = hierarchies.regions(tree, threshold)
        pairs = np.unique(np.stack([before.ravel(), after.ravel()]), axis=1)
        assert pairs.shape[1] == before.max() + 1  # each finer region lies in one coarser region
        before = after


def test_contours_cut_where_regions_do(disc):
    tree = hierarchies.ucm(boundaries.boundary_map(disc[0]))
    strength, labels = hierarchies.contours(tree), hierarchies.regions(tree, 0.3)
    differs = np.zeros(labels.shape, bool)
    differs[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    differs[:-1] |= labels[:-1] != labels[1:]
    np.testing.assert_array_equal(strength > 0.3, differs)


@pytest.mark.parametrize("bad", [np.full((3, 3), np.nan), -np.ones((3, 3)), np.zeros(4)])
def test_hierarchies_refuse(bad):
    with pytest.raises(ValueError, match="boundary map"):
        hierarchies.ucm(bad)


# ---- proposals


def test_nodes_are_the_regions_of_the_tree(disc):
    tree = hierarchies.ucm(boundaries.boundary_map(disc[0]))
    found = proposals.nodes(tree)
    for k in (0, len(tree.heights) // 2, len(tree.heights) - 1):
        mask = found.mask(k)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert found.areas[k] == mask.sum()
        assert found.boxes[k].tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert found.areas[-1] == 60 * 80


def test_the_best_proposal_is_the_object(disc):
    image, mask, box = disc
    tree = hierarchies.ucm(boundaries.boundary_map(image))
    assert iou(proposals.best_for_box(tree, box), mask) > 0.85
    filled = grabcut.filled(mask.shape, box)
    assert iou(proposals.best_for_box(tree, box), mask) > iou(filled, mask)


@pytest.mark.parametrize("name", BAD_BOXES)
def test_proposals_for_bad_boxes(disc, name):
    box = BAD_BOXES[name]
    found = proposals.best_for_box(hierarchies.ucm(boundaries.boundary_map(disc[0])), box)
    inside = grabcut.filled((60, 80), box)
    assert not (found & ~inside).any() and found.any() == inside.any()


def test_official_mcg_files(tmp_path):
    superpixels = np.array([[1, 1, 2, 2], [1, 1, 2, 3], [4, 4, 4, 3]], np.uint16)
    labels = np.empty((3, 1), object)
    labels[:, 0] = [np.array([[1], [4]]), np.array([[2, 3]]), np.array([[3]])]
    savemat(tmp_path / "a.mat", {"superpixels": superpixels, "labels": labels, "scores": np.ones((3, 1))})
    found = proposals.read_mcg(tmp_path / "a.mat")
    np.testing.assert_array_equal(found.mask(1), np.isin(superpixels, [2, 3]))
    assert found.boxes[2].tolist() == [3, 1, 4, 3] and found.areas.tolist() == [7, 5, 2]
    np.testing.assert_array_equal(proposals.best_for_box(found, (2, 0, 4, 3), parts=1), np.isin(superpixels, [2, 3]))
    labels[2, 0] = np.array([[9]])
    savemat(tmp_path / "b.mat", {"superpixels": superpixels, "labels": labels})
    (tmp_path / "c.mat").write_bytes(b"no MATLAB file")
    for name in ("b", "c", "missing"):
        with pytest.raises(FileError, match=f"{name}.mat"):
            proposals.read_mcg(tmp_path / f"{name}.mat")


# ---- GrabCut


def test_grabcut_finds_the_object_and_repeats(disc):
    image, mask, box = disc
    first = grabcut.grabcut_label(image, box, seed=3)
    grabcut.grabcut_label(image[:, ::-1], (5, 5, 40, 40), seed=8)  # whatever was computed before
    np.testing.assert_array_equal(first, grabcut.grabcut_label(image, box, seed=3))
    assert iou(first, mask) > 0.95


@pytest.mark.parametrize("name", BAD_BOXES)
def test_grabcut_of_bad_boxes(disc, name):
    box = BAD_BOXES[name]
    found, inside = grabcut.grabcut_label(disc[0], box), grabcut.filled((60, 80), box)
    assert found.shape == (60, 80) and not (found & ~inside).any()
    if name == "one pixel":
        assert found.sum() == 1  # fewer than 9 pixels: the box is the label
    if not inside.any():
        assert not found.any()


def test_grabcut_of_pictures_that_leave_no_margin():
    tiny = np.zeros((4, 5, 3), np.uint8)
    assert grabcut.grabcut_label(tiny, (0, 0, 5, 4)).all()  # nothing would be left of a box shrunk by 3 pixels


def test_reduced_pictures_keep_every_box(disc):
    image, mask, box = disc
    small, boxes = grabcut.reduced(image, [box, (5, 5, 6, 6), (0, 0, 80, 60)], side=20)
    assert small.shape == (15, 20, 3) and ((boxes[:, 2:] - boxes[:, :2]) >= 1).all()
    assert boxes[2].tolist() == [0, 0, 20, 15]
    large = grabcut.enlarged(grabcut.grabcut_label(small, boxes[0]), mask.shape, box)
    assert iou(large, mask) > 0.8 and not (large & ~grabcut.filled(mask.shape, box)).any()
    assert grabcut.reduced(image, [box], 0)[0] is image


# ---- GrabCut+


def graph_of(image, boundary=None):
    boundary = boundaries.boundary_map(image) if boundary is None else boundary
    return grabcut.region_graph(image, boundary, hierarchies.ucm(boundary).leaves)


def test_grabcut_plus_finds_the_object(disc):
    image, mask, box = disc
    assert iou(grabcut.grabcut_plus_label(graph_of(image), box), mask) > 0.85


def test_moments_of_regions_are_those_of_their_pixels(disc):
    import cv2

    graph = graph_of(disc[0])
    colours = cv2.cvtColor(disc[0].astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    for k in (0, int(graph.sizes.argmax())):
        own = colours[graph.regions == k]
        np.testing.assert_allclose(graph.means[k], own.mean(0), atol=1e-4)
        np.testing.assert_allclose(graph.scatters[k], np.cov(own.T, bias=True) if len(own) > 1 else 0, atol=1e-2)


def test_the_cut_is_the_cheapest_of_all():
    """Against every labelling of a small graph."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        count = 7
        costs, sizes = rng.uniform(0, 3, (2, count)), rng.integers(1, 9, count).astype(float)
        free = rng.random(count) < 0.8
        pairs = np.array([(a, b) for a, b in itertools.combinations(range(count), 2) if rng.random() < 0.5])
        border = pairs[:, 0], pairs[:, 1], rng.uniform(0, 8, len(pairs))

        def energy(labels, costs=costs, sizes=sizes, border=border):
            data = np.where(labels, costs[1], costs[0]) @ sizes
            return data + border[2][labels[border[0]] != labels[border[1]]].sum()

        allowed = [np.array(bits) for bits in itertools.product((False, True), repeat=count)
                   if not (np.array(bits) & ~free).any()]
        best = min(energy(labels) for labels in allowed)
        found = grabcut.minimum_cut(costs, free, border, sizes)
        assert not (found & ~free).any() and energy(found) <= best + 1e-4  # capacities are whole millionths


def test_a_boundary_map_steers_the_cut():
    """Colours tell nothing apart; a boundary given as a map decides where the object ends."""
    rng = np.random.default_rng(2)
    image = rng.integers(90, 160, (40, 60, 3)).astype(np.uint8)
    image[10:30, 20:40] = (image[10:30, 20:40] * 0.55).astype(np.uint8)  # a dark square in a wider box
    boundary = np.full((40, 60), 0.02)
    boundary[9:31, [19, 40]] = boundary[[9, 30], 19:41] = 1.0
    regions = np.arange(40 * 60).reshape(40, 60)
    graph = grabcut.region_graph(image, boundary, (regions // 60 // 2) * 30 + (regions % 60) // 2)
    found = grabcut.grabcut_plus_label(graph, (14, 4, 46, 36))
    square = np.zeros((40, 60), bool)
    square[10:30, 20:40] = True
    assert iou(found, square) > 0.85


def test_pixels_have_eight_neighbours():
    boundary = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    graph = grabcut.pixel_graph(np.zeros((2, 3, 3), np.uint8), boundary)
    lengths = {tuple(sorted(pair)): length for pair, length in zip(graph.pairs.tolist(), graph.lengths, strict=True)}
    diagonal = [(0, 4), (1, 5), (1, 3), (2, 4)]
    assert len(lengths) == len(graph.pairs) == 11
    assert {pair: lengths[pair] for pair in diagonal} == dict.fromkeys(diagonal, 0.5**0.5)
    assert {length for pair, length in lengths.items() if pair not in diagonal} == {1}
    np.testing.assert_allclose(graph.strengths, boundary.ravel()[graph.pairs].mean(1))


def test_pixels_are_cut_where_the_watershed_has_no_line(disc):
    """The map knows the object's left half alone: its basins leak into the background on the right, pixels do not."""
    image, mask, box = disc
    boundary = boundaries.boundary_map(image)
    boundary[:, 40:] = 0
    found = {"regions": grabcut.grabcut_plus_label(graph_of(image, boundary), box, margin=0.4),
             "pixels": grabcut.grabcut_plus_label(grabcut.pixel_graph(image, boundary), box, margin=0.4)}
    assert iou(found["pixels"], mask) > 0.95 > 0.8 > iou(found["regions"], mask)


@pytest.mark.parametrize("name", BAD_BOXES)
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_grabcut_plus_of_bad_boxes(disc, name, margin):
    box = BAD_BOXES[name]
    found, inside = grabcut.grabcut_plus_label(graph_of(disc[0]), box, margin=margin), None
    inside = grabcut.filled((60, 80), box)
    assert not (found & ~inside).any()
    if name in ("one pixel", "whole picture", "beyond the picture"):
        np.testing.assert_array_equal(found, inside)  # nothing to cut: the box is the label


def test_one_colour_is_no_error():
    image = np.full((30, 40, 3), 128, np.uint8)
    regions = np.arange(1200).reshape(30, 40) // 100
    graph = grabcut.region_graph(image, np.zeros((30, 40)), regions.astype(np.int32))
    assert grabcut.grabcut_plus_label(graph, (5, 5, 30, 25)).shape == (30, 40)
