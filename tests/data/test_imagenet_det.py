"""ImageNet DET: the challenge's lists, tags, masks; the rules that make lists from lists."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from wsnb import files
from wsnb.data import doctor, imagenet_det, imagenet_lists, read
from wsnb.data.synthetic.writing import grey
from wsnb.files import FileError, save_json, save_npz
from wsnb.run import experiments, paths

ENTRIES = [["2013/a/x_1", [3, 1]], ["2013/b/x_2", []], ["2014/x_3", [200]]]


@pytest.fixture
def root(tmp_path):
    train, val = tmp_path / "ILSVRC/Data/DET/train", tmp_path / "LID_track1/val"
    for name, _ in ENTRIES:
        tree.picture(train / f"{name}.JPEG")
    save_json(train / "train.json", ENTRIES)
    for folder in (train, val):
        save_json(folder / "idx_to_name.json", {str(k): f"class {k}" for k in range(1, 201)})
    for name in ("v_1", "v_2"):
        tree.picture(val / f"{name}.JPEG")
        mask = np.zeros(tree.SIZE, np.uint8)
        mask[2:5, 3:9], mask[0] = 200, 255
        (val / "masks").mkdir(exist_ok=True)
        grey(val / "masks" / f"{name}.png", mask)
    tree.text(val / "val.txt", "v_1 0 0\nv_2 1\n")
    return tmp_path


def test_lists_and_tags(root):
    items = imagenet_det.items(root, "train")
    assert [item.id for item in items] == ["x_1", "x_2", "x_3"] and items[0].image.name == "x_1.JPEG"
    assert items[0].mask is None and items[0].tags == (1, 3)
    tags = read.tags("imagenet_det", items[0], 201)
    assert tags.shape == (200,) and tags.nonzero()[0].tolist() == [0, 2]
    assert not read.tags("imagenet_det", items[1], 201).any()  # unknown: the chain predicts them
    val = imagenet_det.items(root, "val")
    assert [item.id for item in val] == ["v_1", "v_2"] and val[0].tags is None
    assert read.tags("imagenet_det", val[0], 201).nonzero()[0].tolist() == [199]
    assert set(np.unique(imagenet_det.read_mask(val[0]))) == {0, 200, 255}
    assert len(imagenet_det.class_names(root)) == 201
    assert imagenet_det.items(root, str(root / "LID_track1/val/val.txt")) == val


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_by_cv2_and_their_masks_are_not(tmp_path, orientation):
    """The original reads pictures by `cv2.imread`, which turns them; the readers of VOC's pictures do not."""
    exif, ramp = Image.Exif(), np.zeros((24, 40, 3), np.uint8)
    exif[0x0112] = orientation
    ramp[..., 0], ramp[..., 1] = np.arange(24)[:, None] * 8, np.arange(40) * 5
    Image.fromarray(ramp).save(tmp_path / "v_1.JPEG", exif=exif, quality=98, subsampling=0)
    save_json(tmp_path / "idx_to_name.json", {"1": "one"})
    tree.text(tmp_path / "val.txt", "v_1\n")
    (tmp_path / "masks").mkdir()
    (item,) = imagenet_det.items(tmp_path, "val")
    seen = read.image(item)
    theirs = cv2.cvtColor(cv2.imread(str(item.image)), cv2.COLOR_BGR2RGB)
    assert seen.shape == theirs.shape and np.abs(seen.astype(int) - theirs).max() < 6
    assert read.image(replace(item, by_exif=False)).shape == ramp.shape  # as by Pillow: VOC
    for shape, fits in ((seen.shape[:2], True), (seen.shape[1::-1], False)):
        grey(item.mask, np.zeros(shape, np.uint8))
        if fits:
            assert not imagenet_det.read_mask(item).any()
        else:
            with pytest.raises(FileError, match="picture's size"):
                imagenet_det.read_mask(item)


def test_person_lists(root):
    save_json(root / "ILSVRC/Data/DET/train/people.json", [["2013/a/x_1", 1], ["2014/x_3", 0]])
    assert [item.tags for item in imagenet_det.items(root, "people")] == [(1,), ()]


@pytest.mark.parametrize("entries, word", [
    ([["a", [201]]], "class 201"), ([["a", ["1"]]], "class '1'"), ([["a", [True]]], "class True"),
    ([["../a", [1]]], "leaves"), ([["/a", [1]]], "leaves"), (["a"], "is not"), ({"a": 1}, "not a JSON list"),
    ([["d/a", [1]], ["e/a", [1]]], "two pictures")])
def test_bad_lists(root, entries, word):
    save_json(root / "ILSVRC/Data/DET/train/bad.json", entries)
    with pytest.raises(FileError, match=word):
        imagenet_det.items(root, "bad")
    report = doctor.check(root, ["bad"], layout="imagenet_det")
    assert any(word in problem for problem in report.problems)


def test_doctor(root):
    assert doctor.check(root, layout="imagenet_det").ok
    bad = [*ENTRIES, ["q/x_9", [7]], ["q/x_1", [1]], ["z", [999]]]
    save_json(root / "ILSVRC/Data/DET/train/train.json", bad)
    (root / "LID_track1/val/masks/v_1.png").unlink()
    grey(root / "LID_track1/val/masks/v_2.png", np.full(tree.SIZE, 201, np.uint8))
    report = doctor.check(root, layout="imagenet_det")
    text = report.text()
    assert len(report.problems) == 5, text
    for word in ("x_9.JPEG: missing", "two pictures", "class 999", "v_1.png: missing", "label 201"):
        assert word in text
    assert "official list: 4,690" in text and report.pictures == {"train": 4, "val": 2}
    with pytest.raises(FileError, match="idx_to_name"):
        doctor.check(root / "LID_track1/val/masks", layout="imagenet_det")
    with pytest.raises(FileError, match="there are people, train, unknown|there are train, val"):
        imagenet_det.items(root, "trian")


def test_the_rule_for_lists_that_is_written_down(root, tmp_path, monkeypatch):
    """The lines in the module's docstring, as they stand there, and lists under the names that the paper's file has."""
    monkeypatch.chdir(tmp_path)
    save_npz("scores.npz", scores=np.eye(200, dtype=np.float32)[[2, 0]])
    train = root / "ILSVRC/Data/DET/train"
    save_json(train / "train.json", [[name, tags[:1]] for name, tags in ENTRIES if tags])
    lines = [line[4:] for line in imagenet_lists.__doc__.splitlines() if line.startswith("    ")]
    known = {"imagenet_det": imagenet_det, "imagenet_lists": imagenet_lists, "files": files, "root": root}
    exec("\n".join(lines), known)
    values = experiments.load(paths.find(), "no_people_allowed", "imagenet_det").values
    assert [item.id for item in imagenet_det.items(root, values["classifier_split"])] == ["x_1", "x_3"]
    (sure,) = imagenet_det.items(root, values["train_split"])
    assert sure.id == "x_1" and sure.image.exists() and sure.tags == (3,)


def test_pictures_of_which_nothing_is_known_have_no_tags(root):
    shutil.rmtree(root / "LID_track1/val/masks")
    (item, _) = imagenet_det.items(root, "val")
    assert item.mask is None and not read.tags("imagenet_det", item, 201).any()


def test_list_rules(tmp_path):
    entries = [("a", (1,)), ("b", (1, 2)), ("c", (1,)), ("d", (1,)), ("e", (2, 3)), ("f", ()), ("g", (1,))]
    assert imagenet_lists.without(entries, [2]) == [entries[k] for k in (0, 2, 3, 5, 6)]
    chosen = imagenet_lists.balanced(entries, 2, seed=0)
    assert chosen == imagenet_lists.balanced(entries, 2, seed=0)
    counts = {k: sum(k in tags for _, tags in chosen) for k in (1, 2, 3)}
    assert counts == {1: 2, 2: 2, 3: 1} and ("f", ()) not in chosen
    many = [(f"{k}", (1 + k % 3,) if k % 5 else (1, 2)) for k in range(300)]
    per_class = imagenet_lists.per_class_of(many, pictures=90, seed=0)
    sizes = [len(imagenet_lists.balanced(many, n, seed=0)) for n in (per_class, per_class + 1)]
    assert sizes[0] <= 90 < sizes[1] and 30 <= per_class < 40
    assert len(imagenet_lists.balanced(many, imagenet_lists.per_class_of(many, 1000, 0), 0)) == 300
    assert "pictures=72_000" in imagenet_lists.__doc__  # the team's slides
    scores = np.array([[.9, 0, 0], [.9, .7, 0], [.1, .9, 0], [.85, .9, 0], [.9, .9, .9], [0, 0, .9], [.2, .3, .4]])
    sure = imagenet_lists.confident(entries, scores, 0.8)
    assert sure == [("a", (1,)), ("d", (1,)), ("e", (2, 3)), ("f", (3,))]
    corrected = imagenet_lists.confident(entries, scores, 0.8, correct=True)
    assert ("d", (1, 2)) in corrected and ("c", (2,)) in corrected and ("b", (1,)) in corrected and len(corrected) == 6
    with pytest.raises(ValueError, match="rows"):
        imagenet_lists.confident(entries, scores[:2])
    imagenet_lists.save(tmp_path / "list.json", sure)
    assert json.loads((tmp_path / "list.json").read_text())[2] == ["e", [2, 3]]
    assert imagenet_det.read_entries(tmp_path / "list.json") == sure
