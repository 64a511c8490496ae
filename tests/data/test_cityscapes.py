"""Cityscapes: official names, train ids and instance train ids made while reading, groups, void, coarse labels."""

import numpy as np
import pytest
from PIL import Image

from wsnb.data import cityscapes, doctor, read, weak
from wsnb.data.synthetic.writing import grey
from wsnb.files import FileError, save_png

SIZE = (10, 16)
LABELS = np.zeros(SIZE, np.uint8)  # unlabelled
LABELS[6:] = 7                     # road
LABELS[:3] = 23                    # sky
LABELS[4:7, 1:5] = LABELS[4:7, 6:9] = 26   # two cars
LABELS[4:8, 10:12] = 24            # people that nobody parted
LABELS[3:5, 13:15] = 29            # a caravan: no class that is scored
INSTANCES = LABELS.astype(np.uint16)
INSTANCES[4:7, 1:5], INSTANCES[4:7, 6:9], INSTANCES[3:5, 13:15] = 26000, 26001, 29000


def picture(root, split, name, kind="gtFine", labels=LABELS, instances=INSTANCES):
    city = name.split("_")[0]
    save_png(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", np.zeros((*SIZE, 3), np.uint8))
    base = root / kind / split / city
    base.mkdir(parents=True, exist_ok=True)
    grey(base / f"{name}_{kind}_labelIds.png", labels)
    grey(base / f"{name}_{kind}_instanceIds.png", instances)
    return base


@pytest.fixture
def root(tmp_path):
    for name in ("bonn_000000_000019", "aachen_000001_000019"):
        picture(tmp_path, "train", name)
    picture(tmp_path, "val", "ulm_000000_000019")
    picture(tmp_path, "train_extra", "trier_000000_000019", "gtCoarse")
    return tmp_path


def test_splits_and_lists(root):
    found = cityscapes.items(root, "train")
    assert [item.id for item in found] == ["aachen_000001_000019", "bonn_000000_000019"]
    assert cityscapes.items(root, "train", 1) == found[:1]
    extra, = cityscapes.items(root, "train_extra")
    assert extra.mask.name == "trier_000000_000019_gtCoarse_labelIds.png"
    (root / "mine.txt").write_text("bonn_000000_000019")
    listed, = cityscapes.items(root, f"train:{root / 'mine.txt'}")
    assert listed == found[1]
    (root / "mine.txt").write_text("bonn_000000_000020\n")
    with pytest.raises(FileError, match="bonn_000000_000020"):
        cityscapes.items(root, f"train:{root / 'mine.txt'}")
    with pytest.raises(FileError, match="there are train, train_extra, val"):
        cityscapes.items(root, "trian")


def test_hidden_files_are_no_pictures(root):
    before = cityscapes.items(root, "train")
    city = root / "leftImg8bit/train/bonn"
    (city / "._bonn_000000_000019_leftImg8bit.png").write_bytes(b"\0\5\26\7")
    picture(root, "train", "ghost_000000_000019")
    (city.parent / "ghost").rename(city.parent / ".ghost")
    assert cityscapes.items(root, "train") == before


def test_train_ids(root):
    item = cityscapes.items(root, "train")[0]
    mask = cityscapes.read_mask(item)
    assert {int(LABELS[y, x]): int(mask[y, x]) for y in range(10) for x in range(16)} == {
        0: 255, 7: 0, 23: 10, 26: 13, 24: 11, 29: 255}
    assert read.tags("cityscapes", item, 19).nonzero()[0].tolist() == [0, 10, 11, 13]
    assert read.background("cityscapes") is None and read.thing_classes("cityscapes", 19) == tuple(range(11, 19))


def test_instances(root):
    item = cityscapes.items(root, "train")[0]
    ids = cityscapes.read_instance_train_ids(item)
    assert ids.dtype == np.uint16
    assert np.unique(ids).tolist() == [0, 10, 11, 255, 13000, 13001]  # the group is the bare id, the caravan void
    numbers = cityscapes.read_instances(item)
    assert np.unique(numbers).tolist() == [0, 1, 2] and (numbers[4:7, 1:5] == 1).all()
    boxes, labels, difficult = cityscapes.read_boxes(item)
    assert boxes.tolist() == [[1, 4, 5, 7], [6, 4, 9, 7], [10, 4, 12, 8]]
    assert labels.tolist() == [13, 13, 11] and difficult.tolist() == [False, False, True]


def test_three_hundred_instances(root):
    many = np.full((20, 30), 7, np.uint16)
    many[::2, :] = 26000 + np.arange(300).reshape(10, 30)
    labels = np.where(many >= 1000, 26, 7).astype(np.uint8)
    base = picture(root, "val", "ulm_000000_000019", labels=labels, instances=many)
    save_png(root / "leftImg8bit/val/ulm/ulm_000000_000019_leftImg8bit.png", np.zeros((20, 30, 3), np.uint8))
    item, = cityscapes.items(root, "val")
    assert cityscapes.read_instances(item).max() == 300 and len(cityscapes.read_boxes(item)[1]) == 300
    things = weak.objects(cityscapes.read_mask(item), cityscapes.read_instances(item), background=None)
    assert len(things) == 300 and {label for label, _ in things} == {13}
    assert base.exists()


def test_official_train_ids_come_first(root):
    item = cityscapes.items(root, "train")[0]
    official = item.instances.with_name("aachen_000001_000019_gtFine_instanceTrainIds.png")
    moved = np.roll(cityscapes.read_instance_train_ids(item), 1, 1)
    grey(official, moved)
    grey(item.mask.with_name("aachen_000001_000019_gtFine_labelTrainIds.png"), cityscapes.read_mask(item))
    again = cityscapes.items(root, "train")[0]
    assert again.instances == official and np.array_equal(cityscapes.read_instance_train_ids(again), moved)
    assert np.array_equal(cityscapes.read_mask(again), cityscapes.read_mask(item))


@pytest.mark.parametrize("what, spoil, word", [
    ("mask", lambda p: grey(p, np.full(SIZE, 77, np.uint8)), "label id 77"),
    ("mask", lambda p: grey(p, LABELS[1:]), "16x9"),
    ("mask", lambda p: grey(p, INSTANCES), "mode I;16"),
    ("mask", lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "not a readable"),
    ("mask", lambda p: p.unlink(), "missing"),
    ("instances", lambda p: grey(p, np.full(SIZE, 61000, np.uint16)), "61"),
    ("instances", lambda p: p.write_bytes(b""), "0 bytes"),
    ("image", lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "not a readable"),
])
def test_damage_is_found_by_the_doctor(root, what, spoil, word):
    assert doctor.check(root, ("train", "val", "train_extra"), layout="cityscapes").ok
    path = getattr(cityscapes.items(root, "train")[0], what)
    spoil(path)
    report = doctor.check(root, ("train", "val"), layout="cityscapes")
    assert len(report.problems) == 1 and report.problems[0].startswith(f"{path}:") and word in report.problems[0]
    assert ";" in report.problems[0]


def test_test_pictures_may_have_no_labels(root):
    save_png(root / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png", np.zeros((*SIZE, 3), np.uint8))
    item, = cityscapes.items(root, "test")
    assert item.mask is None
    with pytest.raises(FileError, match="no mask file"):
        cityscapes.read_mask(item)
    (root / "gtFine/val").rename(root / "gtFine/away")
    with pytest.raises(FileError, match="unpack gtFine"):
        cityscapes.items(root, "val")


def test_sixteen_bits_survive(tmp_path):
    grey(tmp_path / "a.png", np.uint16([[65535, 1]]))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode.startswith("I")
    from wsnb.data.item import read_numbers

    assert read_numbers(tmp_path / "a.png").tolist() == [[65535, 1]]


def test_a_label_without_its_picture_is_noted(root):
    picture = cityscapes.items(root, "train")[0].image
    picture.unlink()
    notes = doctor.check(root, ["train"], layout="cityscapes").notes
    name = picture.name.removesuffix("_leftImg8bit.png")
    assert sum(f"train: 1 label files without a picture, the first is {name}" in note for note in notes) == 1
