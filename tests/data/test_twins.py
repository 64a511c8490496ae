"""The built-in sets of every layout: seeded, resumable, exact, read by the real readers, sound to the doctor."""

import shutil

import numpy as np
import pytest

from tests.data.test_shapes import hashes
from wsnb.data import cityscapes, densepose, doctor, read, synthetic
from wsnb.data import item as checked
from wsnb.data.synthetic import (
    make_cityscapes,
    make_coco,
    make_densepose,
    make_imagenet_det,
    make_sbd,
    people,
    shapes,
    streets,
)
from wsnb.files import FileError
from wsnb.run import experiments

SMALL = {
    "cityscapes": (make_cityscapes, {"train": 3, "val": 1, "train_extra": 1}, (48, 96)),
    "imagenet_det": (make_imagenet_det, {"train": 5, "val": 2}, (48, 64)),
    "semantic_boundaries": (make_sbd, {"train": 3, "val": 1}, (48, 64)),
    "coco": (make_coco, {"train2017": 6, "val2017": 2}, (48, 64)),
    "densepose": (make_densepose, {"train": 3, "minival": 2}, (64, 96)),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("twins")
    for name, (maker, counts, size) in SMALL.items():
        maker.write(root / name, counts, size)
    return root


@pytest.mark.parametrize("name", SMALL)
def test_doctor_is_content(made, name):
    layout = synthetic.MAKERS[name][0]
    report = doctor.check(made / name, doctor.usual_splits(made / name, layout), layout=layout)
    assert report.ok, report.text()
    assert sum(report.pictures.values()) >= sum(SMALL[name][1].values()) and not report.official


@pytest.mark.parametrize("name", SMALL)
def test_continues_to_the_same_bytes(made, tmp_path, name):
    maker, counts, size = SMALL[name]
    again = shutil.copytree(made / name, tmp_path / name)
    files = sorted(path for path in again.rglob("*") if path.is_file() and path.name != maker.RECORD)
    for path in files[::3]:  # as after a kill
        path.unlink()
    maker.write(again, counts, size)
    assert hashes(again) == hashes(made / name)
    with pytest.raises(FileError, match="choose another root"):
        maker.write(again, counts, size, seed=5)


@pytest.mark.parametrize("name", SMALL)
def test_whole_or_not(made, tmp_path, monkeypatch, name):
    maker, counts, size = SMALL[name]
    monkeypatch.setattr(maker, "COUNTS", counts)
    monkeypatch.setattr(maker.identity, "__defaults__", (size, *maker.identity.__defaults__[1:]))
    again = shutil.copytree(made / name, tmp_path / name)
    assert synthetic.is_whole(again)
    for path in sorted(path for path in again.rglob("*") if path.suffix in (".jpg", ".JPEG", ".png", ".mat"))[::4]:
        moved = path.rename(path.with_suffix(".away"))
        assert not synthetic.is_whole(again), path
        moved.rename(path)
    (again / maker.PLACE / maker.RECORD).write_text("{")
    assert not synthetic.is_whole(again)


@pytest.mark.parametrize("name", SMALL)
def test_made_on_demand_for_an_experiment(tmp_path, monkeypatch, capsys, name):
    maker, counts, size = SMALL[name]
    monkeypatch.setattr(maker, "COUNTS", counts)
    monkeypatch.setattr(maker.write, "__defaults__", (counts, size, *maker.write.__defaults__[2:]))
    monkeypatch.setattr(maker.identity, "__defaults__", (size, *maker.identity.__defaults__[1:]))
    place = f"data/shapes/{name}"
    assert experiments.is_builtin(tmp_path, place) and not experiments.is_builtin(tmp_path, f"data/{name}")
    experiments.ensure(tmp_path, print, place)
    assert "making the synthetic data set" in capsys.readouterr().out and experiments.is_whole(tmp_path / place)
    experiments.ensure(tmp_path, print, place)
    assert not capsys.readouterr().out
    victim = sorted(path for path in (tmp_path / place).rglob("*") if path.suffix in (".mat", ".png"))[-1]
    before = victim.read_bytes()
    victim.unlink()
    experiments.ensure(tmp_path, print, place)
    assert victim.read_bytes() == before


def test_streets_are_read_as_drawn(made):
    names = cityscapes.CLASSES
    for index, item in enumerate(cityscapes.items(made / "cityscapes", "train")):
        scene = streets.street(index, "train", (48, 96))
        assert np.array_equal(read.image(item), scene.image)
        assert np.array_equal(cityscapes.read_mask(item), cityscapes.TRAIN_IDS[scene.labels])
        ids = cityscapes.read_instance_train_ids(item)
        assert (ids >= 1000).sum() == (scene.instances >= 1000).sum()
        boxes, labels, _ = cityscapes.read_boxes(item, names)
        assert set(labels.tolist()) <= set(cityscapes.THINGS) and (boxes[:, 2:] > boxes[:, :2]).all()


def test_streets_hold_what_the_chain_needs():
    scenes = [streets.street(index) for index in range(16)]
    present = {int(k) for scene in scenes for k in np.unique(scene.labels)}
    assert present >= {7, 8, 11, 17, 21, 23, 24, 25, 26, 27, 28, 32, 33, 0, 1, 4}
    groups = sum(any((scene.instances == k).any() for k in (24, 33)) for scene in scenes)
    assert groups >= 2, "people or bicycles that nobody parted"
    assert np.median([len(np.unique(scene.instances[scene.instances >= 1000])) for scene in scenes]) >= 4
    first, again = streets.street(3), streets.street(3)
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in vars(first))
    assert not np.array_equal(first.image, streets.street(3, seed=1).image)


def test_coarse_labels_are_true_where_they_are():
    scene = streets.street(0)
    rough = streets.coarse(scene, np.random.default_rng(0))
    known = rough.labels > 0
    assert np.array_equal(rough.labels[known], scene.labels[known])
    assert 0.3 < known.mean() < 0.95 * (scene.labels > 0).mean()


def test_figures_come_back_from_run_lengths(made):
    for index, item in enumerate(densepose.items(made / "densepose", "train2014")):
        drawn = people.figures(index, "train", (64, 96))
        mask = densepose.read_mask(item)
        known = mask != 255
        assert np.array_equal(mask[known], drawn.parts[known])
        points = checked.weak_map(item, "points", 15)
        marked = points != 255
        assert marked.any() and np.array_equal(points[marked], mask[marked])


def test_figures_know_right_from_left():
    """Who faces us has the right hand on the picture's left, and the other way round from behind."""
    ways = []
    for index in range(30):
        drawn = people.figures(index)
        for person in range(1, drawn.people.max() + 1):
            x = [np.flatnonzero(((drawn.parts == part) & (drawn.people == person)).any(0)) for part in (11, 10)]
            if all(len(where) for where in x):
                ways.append(x[0].mean() < x[1].mean())
    assert 0.4 < np.mean(ways) < 0.9 and len(ways) > 30


def test_lid_masks_carry_the_ids(made):
    root = made / "imagenet_det"
    names = read.class_names("imagenet_det", root)
    item = read.items("imagenet_det", root, "train")[2]
    assert set(np.unique(read.mask("imagenet_det", item, 201))) == {0, *item.tags, 255}
    assert all(names[k] in shapes.CLASSES for k in item.tags)
    assert not any(item.tags for item in read.items("imagenet_det", root, "unlabelled"))
    assert {item.mask is None for item in read.items("imagenet_det", root, "val")} == {False}


def test_sbd_has_no_void(made):
    for item in read.items("sbd", made / "semantic_boundaries", "train"):
        mask, instances = read.mask("sbd", item, 6), read.instances("sbd", item)
        assert mask.max() <= 5 and np.array_equal(mask > 0, instances > 0)
        boxes, labels, _ = read.boxes("sbd", item, shapes.CLASSES)
        assert len(labels) == instances.max()
