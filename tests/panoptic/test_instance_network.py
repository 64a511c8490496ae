"""Detections, unaries, mean field, matching and id maps of the instance network, on hand-made arrays."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat

from tests.panoptic import every_pair
from wsnb.files import FileError
from wsnb.ops import detections, instance_crf
from wsnb.ops.crf import CRF
from wsnb.ops.detections import Detections, clean, from_segmentation, from_truth, joined, whole_picture
from wsnb.papers.panoptic import instance_network
from wsnb.papers.panoptic.label_space import Space

SPACE = Space(("road", "sky", "car", "person"), (0, 1), (2, 3))
PLAIN = instance_network.Settings(field=CRF(iterations=0))
PICTURE = np.zeros((20, 30, 3), np.uint8)


def certain(labels, n=4, share=0.7):
    """Probabilities [C, H, W] that give each pixel's label SHARE."""
    maps = np.full((n, *labels.shape), (1 - share) / (n - 1), np.float32)
    np.put_along_axis(maps, labels[None], share, 0)
    return maps


def street():
    """Road below sky, two touching cars in front."""
    labels = np.ones((20, 30), np.int64)
    labels[10:] = 0
    labels[8:16, 4:12], labels[8:16, 12:20] = 2, 2
    cars = Detections.of([2, 2], [[4, 8, 12, 16], [12, 8, 20, 16]], [0.9, 0.8])
    return labels, cars


def test_terms_by_hand():
    q = certain(np.zeros((2, 3), np.int64))
    found = Detections.of([0, 2], [[1, 0, 3, 1], [0, 0, 9, 9]], [0.5, 1.0])
    box, anywhere = instance_crf.box_term(q, found), instance_crf.global_term(q, found)
    assert box[0] == pytest.approx(np.array([[0, 0.35, 0.35], [0, 0, 0]])) and box[1] == pytest.approx(0.1)
    assert anywhere[0] == pytest.approx(0.7) and anywhere[1] == pytest.approx(0.1)
    assert instance_crf.evidence(q, found, 3, 1) == pytest.approx((3 * box + anywhere) / 4)
    with pytest.raises(ValueError, match="one of them above"):
        instance_crf.evidence(q, found, 0, 0)


@pytest.mark.parametrize("field", [CRF(iterations=0), instance_crf.INSTANCES])
def test_touching_cars_are_parted_by_their_boxes(field):
    labels, cars = street()
    settings = instance_network.Settings(field=field)
    picture = (labels * 60).astype(np.uint8)[..., None].repeat(3, -1)
    ids, classes, scores = instance_network.instances(picture, certain(labels), cars, SPACE, settings)
    assert classes == [0, 1, 2, 2] and scores == pytest.approx([0.7] * 4, abs=0.02)
    assert len(np.unique(ids)) == 4 and (ids[labels == 0] == 1).all() and (ids[labels == 1] == 2).all()
    assert (ids[9:15, 5:11] == 3).all() and (ids[9:15, 13:19] == 4).all()


def test_a_car_outside_every_box_joins_a_car_through_the_global_term():
    labels, cars = street()
    labels[17:19, 24:28] = 2
    ids, classes, _ = instance_network.instances(PICTURE, certain(labels), cars, SPACE, PLAIN)
    assert (ids[17:19, 24:28] == 3).all() and classes == [0, 1, 2, 2]
    alone = instance_network.instances(PICTURE, certain(labels), cars.take([]), SPACE, PLAIN)
    assert alone[1] == [0, 1]  # no detection: the car's pixels go to stuff


def test_large_pictures_are_reduced_for_the_crf():
    labels, cars = street()
    large = labels.repeat(8, 0).repeat(8, 1)
    boxes = Detections(cars.classes, cars.boxes * 8, cars.scores)
    settings = instance_network.Settings(side=60)
    picture = (large * 60).astype(np.uint8)[..., None].repeat(3, -1)
    ids, classes, _ = instance_network.instances(picture, certain(large), boxes, SPACE, settings)
    whole = instance_network.instances(picture, certain(large), boxes, SPACE, PLAIN)[0]
    assert ids.shape == large.shape and classes == [0, 1, 2, 2] and (ids == whole).mean() > 0.95


def test_mean_field_against_every_pair_of_pixels():
    rng = np.random.default_rng(0)
    picture = np.full((24, 32, 3), 40, np.uint8)
    picture[:, 12:] = 180
    picture += rng.integers(0, 6, picture.shape).astype(np.uint8)
    evidence = rng.random((3, 24, 32)).astype(np.float32)
    quick, exact = instance_crf.marginals(picture, evidence), every_pair.marginals(picture, evidence).numpy()
    assert np.abs(quick - exact).mean() < 0.02 and (quick.argmax(0) == exact.argmax(0)).mean() > 0.97
    assert (exact.argmax(0) != evidence.argmax(0)).mean() > 0.1  # the CRF did something
    assert exact.sum(0) == pytest.approx(1, abs=1e-5)


def test_ids_are_renumbered_past_255_and_survive_their_files(tmp_path):
    winner = np.arange(600).reshape(20, 30) // 2 % 300  # 300 labels of two pixels
    found = Detections.of(np.full(300, 2), [[0, 0, 30, 20]] * 300)
    q = certain(np.full((20, 30), 2))
    ids, classes, scores = instance_crf.instance_map(winner, q, found)
    assert ids.dtype == np.uint16 and ids.max() == 301 and not (ids == 255).any() and len(np.unique(ids)) == 300
    detections.save_instances(tmp_path, "a", ids, classes, scores)
    read_ids, read_classes, read_scores = detections.load_instances(tmp_path, "a")
    assert (read_ids == ids).all() and read_classes == classes and read_scores == pytest.approx(scores, abs=1e-6)


def test_detections_without_pixels_vanish_and_the_background_is_zero():
    winner = np.zeros((20, 30), np.int64)
    winner[5:9] = 2
    found = Detections.of([0, 2, 3], [[0, 0, 30, 20]] * 3)
    ids, classes, scores = instance_crf.instance_map(winner, certain(winner + winner // 2), found, (0,))
    assert classes == [3] and scores == pytest.approx([0.7]) and (ids[5:9] == 1).all() and ids.sum() == 120


def test_a_picture_without_objects_is_its_stuff():
    labels = street()[0] % 2
    for found in (Detections.of(), from_segmentation(labels, SPACE.things)):
        assert len(found) == 0
        settings = instance_network.Settings()
        ids, classes, _ = instance_network.instances(PICTURE, certain(labels), found, SPACE, settings)
        assert classes == [0, 1] and set(np.unique(ids)) == {1, 2}


def test_damaged_and_unfitting_files_are_named(tmp_path):
    with pytest.raises(FileError, match="a.png"):
        detections.load_instances(tmp_path, "a")
    ids = np.array([[1, 2], [0, 255]], np.uint16)
    detections.save_instances(tmp_path, "a", ids, [1, 2], [0.5, 0.25])
    assert (tmp_path / "a.txt").read_text() == "1 0.500000\n2 0.250000\n"
    (tmp_path / "a.txt").write_text("1 0.5\n")
    with pytest.raises(FileError, match="1 lines for 2 ids"):
        detections.load_instances(tmp_path, "a")
    with pytest.raises(ValueError, match="one of each"):
        detections.save_instances(tmp_path, "b", ids, [1], [0.5])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(FileError, match="a.png"):
        detections.load_instances(tmp_path, "a")


def test_detections_of_every_format_agree(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"class": "car", "box": [4, 8, 12, 16], "score": 0.9}]))
    (tmp_path / "b.txt").write_text("car 4 8 11 15 0.9\n\n")
    savemat(tmp_path / "c.mat", {"detections": np.array([[2, 4, 8, 11, 15, 0.9]])})
    for name in "abc":
        found = detections.of_picture(tmp_path, name, SPACE.names)
        assert (found.classes.tolist(), found.boxes.tolist(), found.scores.tolist()) == ([2], [[4, 8, 12, 16]], [0.9])
    (tmp_path / "empty.txt").write_text("")
    savemat(tmp_path / "none.mat", {"detections": np.zeros((0, 6))})
    assert len(detections.read(tmp_path / "empty.txt", SPACE.names)) == 0
    assert len(detections.read(tmp_path / "none.mat", SPACE.names)) == 0
    names = ("traffic light", "car")
    (tmp_path / "d.txt").write_text("traffic light 0 0 1 1 1\n")
    assert detections.read(tmp_path / "d.txt", names).classes.tolist() == [0]


@pytest.mark.parametrize("text, what", [
    ("car 1 2 3 4\n", "5 of 6 parts"), ("tram 1 2 3 4 0.5\n", "'tram' is no class"),
    ("car 1 2 3 4 5\n", "probabilities"), ("9 1 2 3 4 0.5\n", "'9' is no class"),
    ("car a 2 3 4 0.5\n", "'a' is no number"), ("car nan 2 3 4 0.5\n", "'nan' is no number"),
    ("1.5 1 2 3 4 0.5\n", "'1.5' is no class"),
])
def test_wrong_detections_are_refused(tmp_path, text, what):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileError, match=what):
        detections.read(tmp_path / "a.txt", SPACE.names)


def test_missing_and_foreign_detections_are_refused(tmp_path):
    with pytest.raises(FileError, match="empty .txt"):
        detections.of_picture(tmp_path, "a", SPACE.names)
    for name, content in (("a.json", "[1]"), ("b.mat", "x"), ("c.xml", "<a/>"), ("d.json", "{")):
        (tmp_path / name).write_text(content)
        with pytest.raises(FileError, match=name):
            detections.read(tmp_path / name, SPACE.names)


def test_clean_cuts_drops_and_suppresses():
    found = Detections.of(
        [2, 2, 2, 3, 2, 2],
        [[-5, -5, 10, 10], [0, 0, 10, 9], [40, 0, 50, 5], [0, 0, 10, 10], [5, 5, 15.4, 15], [0, 0, 9, 9]],
        [0.9, 0.8, 1.0, 0.7, 0.6, 0.4],
    )
    kept = clean(found, (20, 30))
    assert kept.boxes.tolist() == [[0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 15, 15]]
    assert kept.classes.tolist() == [2, 3, 2]
    assert len(clean(Detections.of(), (20, 30))) == 0
    with pytest.raises(ValueError, match="one of each"):
        Detections.of([1], [])


def test_components_and_truth():
    labels, _ = street()
    labels[17:19, 24:28] = 2
    found = from_segmentation(labels, (2, 3), min_pixels=8)
    assert found.boxes.tolist() == [[4, 8, 20, 16], [24, 17, 28, 19]] and found.scores.tolist() == [1, 1]
    assert len(from_segmentation(labels, (2, 3), min_pixels=9)) == 1
    mask, instances = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.int32)
    mask[2:6, 2:6], instances[2:6, 2:6] = 2, 7
    mask[10:12], instances[10:12, :4] = 255, 9  # wholly in void
    truth = from_truth(mask, instances)
    assert truth.classes.tolist() == [2] and truth.boxes.tolist() == [[2, 2, 6, 6]]
    assert joined(truth, whole_picture([0], (20, 30))).boxes.tolist()[1] == [0, 0, 30, 20]


def test_unknown_detectors_are_refused():
    with pytest.raises(ValueError, match="choose of components"):
        instance_network.Settings(detector="tea leaves")
    with pytest.raises(ValueError, match="detections_dir"):
        instance_network.Settings(detector="files")


def test_a_picture_without_detections_is_told_before_the_others_are_computed(tmp_path):
    items = [SimpleNamespace(id=name) for name in ("a", "b")]
    (tmp_path / "a.txt").write_text("car 4 8 12 16 0.9\n")
    files = instance_network.Settings(detector="files", detections_dir=str(tmp_path))
    instance_network.need_detections(items, SPACE, [PLAIN])
    instance_network.need_detections(items[:1], SPACE, [PLAIN, files])
    with pytest.raises(FileError, match="detections_dir: .*b: no .json"):
        instance_network.need_detections(items, SPACE, [PLAIN, files])
