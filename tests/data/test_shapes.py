"""The synthetic set: seeded, resumable, true to its masks, read by the real reader."""

import hashlib

import numpy as np
import pytest

from wsnb.data import doctor, voc
from wsnb.data.synthetic import make_voc, shapes
from wsnb.files import FileError


def hashes(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("shapes") / "a", train=5, val=2, size=(48, 64))


def test_a_scene_depends_on_its_arguments_alone():
    first, again = shapes.scene(3), shapes.scene(3)
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in vars(first))
    for other in (shapes.scene(4), shapes.scene(3, "val"), shapes.scene(3, seed=1)):
        assert not np.array_equal(first.image, other.image)


def test_masks_fit_the_picture():
    for index in range(25):
        scene = shapes.scene(index)
        assert scene.image.shape == (96, 128, 3) and scene.mask.shape == scene.instances.shape == (96, 128)
        assert np.array_equal(scene.mask == 255, scene.instances == 255)
        assert set(np.unique(scene.mask)) == {0, *scene.labels.tolist(), 255}, "each object is seen, beside its border"
        assert set(np.unique(scene.instances)) == {0, *range(1, len(scene.labels) + 1), 255}
        for k, (label, box) in enumerate(zip(scene.labels, scene.boxes, strict=True), 1):
            mine = scene.instances == k
            assert (scene.mask[mine] == label).all()
            x0, y0, x1, y1 = box
            assert 0 <= x0 < x1 <= 128 and 0 <= y0 < y1 <= 96
            assert mine[y0:y1, x0:x1].sum() == mine.sum()


def test_classes_take_turns():
    for start in (0, 7):
        seen = {int(label) for index in range(start, start + 5) for label in shapes.scene(index, size=(48, 64)).labels}
        assert len(seen) >= 4  # a class may find no place once


def test_colour_alone_does_not_solve_it():
    """Nearest class mean in RGB, fitted to the very pictures: better than all-background, no segmentation."""
    scenes = [shapes.scene(index) for index in range(20)]
    known = [scene.mask != 255 for scene in scenes]
    pixels = np.concatenate([scene.image[k] for scene, k in zip(scenes, known, strict=True)]).astype(float)
    labels = np.concatenate([scene.mask[k] for scene, k in zip(scenes, known, strict=True)])
    means = np.stack([pixels[labels == label].mean(0) for label in range(6)])
    guess = ((pixels[:, None] - means) ** 2).sum(2).argmin(1)
    count = np.bincount(labels.astype(int) * 6 + guess, minlength=36).reshape(6, 6)
    score = np.mean(np.diag(count) / (count.sum(0) + count.sum(1) - np.diag(count)))
    assert 0.15 < score < 0.45, score


def test_the_real_reader_reads_it(root):
    names = voc.class_names(root)
    assert names == shapes.CLASSES
    items = voc.items(root, "train")
    assert [item.id for item in items] == [f"train_{k:06d}" for k in range(5)]
    scene = shapes.scene(2, size=(48, 64))
    assert np.array_equal(voc.read_mask(items[2], len(names)), scene.mask)
    assert np.array_equal(voc.read_instances(items[2]), scene.instances)
    boxes, labels, _ = voc.read_boxes(items[2], names)
    assert np.array_equal(boxes, scene.boxes) and np.array_equal(labels, scene.labels)
    assert np.abs(voc.read_image(items[2]).astype(int) - scene.image).mean() < 8  # JPEG
    assert doctor.check(root).ok


def test_main_lists(root):
    lines = (root / "VOC2012/ImageSets/Main/ring_train.txt").read_text().splitlines()
    assert len(lines) == 5
    for line, item in zip(lines, voc.items(root, "train"), strict=True):
        name, flag = line.split()
        assert name == item.id and (flag == "1") == (2 in voc.read_boxes(item, shapes.CLASSES)[1])


def test_continues_and_grows_to_the_same_bytes(root, tmp_path):
    whole = make_voc.shapes(tmp_path / "whole", train=5, val=2, size=(48, 64))
    assert hashes(whole) == hashes(root)
    (whole / "VOC2012/SegmentationClass/train_000001.png").unlink()  # as after a kill
    kept = whole / "VOC2012/JPEGImages/train_000000.jpg"
    before = kept.stat().st_mtime_ns
    make_voc.shapes(whole, train=5, val=2, size=(48, 64))
    assert hashes(whole) == hashes(root) and kept.stat().st_mtime_ns == before
    grown = make_voc.shapes(tmp_path / "grown", train=2, val=1, size=(48, 64))
    make_voc.shapes(grown, train=5, val=2, size=(48, 64))
    assert hashes(grown) == hashes(root)


def test_refuses_another_set_in_the_same_place(root, tmp_path):
    with pytest.raises(FileError, match="choose another root"):
        make_voc.shapes(root, train=5, val=2, size=(48, 64), seed=1)
    (tmp_path / "VOC2012").mkdir()
    (tmp_path / "VOC2012/mine.txt").write_text("precious")
    with pytest.raises(FileError, match="choose another root"):
        make_voc.shapes(tmp_path)


def test_progress_and_bad_arguments(tmp_path):
    seen = []
    make_voc.shapes(
        tmp_path / "a", train=1, val=1, size=(32, 32), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]
    with pytest.raises(ValueError, match="train=0"):
        make_voc.shapes(tmp_path / "b", train=0)
    with pytest.raises(ValueError, match="at least 32"):
        shapes.scene(0, size=(16, 64))
    with pytest.raises(ValueError, match="split"):
        shapes.scene(0, "tarin")
