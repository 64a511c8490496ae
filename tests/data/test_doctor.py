"""The doctor lists everything at once: what is missing, damaged, impossible."""

import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from wsnb.data import doctor, voc
from wsnb.data.synthetic import make_voc
from wsnb.files import save_png

NAMES = [f"2007_{k:06d}" for k in range(12)]


@pytest.fixture
def root(tmp_path):
    tree.voc(tmp_path, NAMES, ["2008_000001"])
    return tmp_path


def place(root, folder, name, suffix="png"):
    return root / "VOC2012" / folder / f"{name}.{suffix}"


def test_a_sound_set(root):
    report = doctor.check(root)
    assert report.ok and report.pictures == {"train": 12, "val": 1} and report.official["train"] == 1464
    assert "train: 12 pictures (official list: 1,464)" in report.text() and "all files are sound" in report.text()
    assert any("person 12" in note for note in report.notes)


def test_everything_wrong_is_listed_at_once(root):
    images, masks, xml = "JPEGImages", "SegmentationClass", "Annotations"
    larger = tree.XML.replace("<xmax>16", "<xmax>99").replace("<width>16", "<width>99")
    wrong = {
        place(root, images, NAMES[0], "jpg"): ("missing", lambda p: p.unlink()),
        place(root, images, NAMES[1], "jpg"): ("not a readable", lambda p: p.write_bytes(p.read_bytes()[:-60])),
        place(root, images, NAMES[2], "jpg"): ("0 bytes", lambda p: p.write_bytes(b"")),
        place(root, masks, NAMES[3]): ("missing", lambda p: p.unlink()),
        place(root, masks, NAMES[4]): ("not a readable", lambda p: p.write_bytes(p.read_bytes()[:-30])),
        place(root, masks, NAMES[5]): ("0 bytes", lambda p: p.write_bytes(b"")),
        place(root, masks, NAMES[6]): ("its picture is 16x12", lambda p: save_png(p, tree.mask()[:, 1:])),
        place(root, masks, NAMES[7]): ("16", lambda p: Image.fromarray(tree.mask().astype(np.uint16)).save(p)),
        place(root, masks, NAMES[8]): ("RGB", lambda p: save_png(p, voc.PALETTE[tree.mask()])),
        place(root, masks, NAMES[9]): ("label 99", lambda p: save_png(p, tree.mask(99))),
        place(root, xml, NAMES[10], "xml"): ("broken XML", lambda p: p.write_text("<annotation>")),
        place(root, xml, NAMES[11], "xml"): ("of a 99x12 picture", lambda p: p.write_text(larger)),
        place(root, "SegmentationObject", NAMES[11]): ("its picture", lambda p: save_png(p, tree.mask()[1:])),
    }
    for path, (_, spoil) in wrong.items():
        spoil(path)
    report = doctor.check(root)
    print(f"{len(report.problems)} of {len(wrong)} faults listed at once")
    assert len(report.problems) == len(wrong), report.text()
    for path, (word, _) in wrong.items():
        lines = [problem for problem in report.problems if problem.startswith(f"{path}:")]
        assert len(lines) == 1 and word in lines[0] and "\n" not in lines[0], (path, report.problems)
        assert ";" in lines[0] or " to " in lines[0], "says how to mend it"
    assert f"{len(wrong)} problems" in report.text()


def test_a_missing_picture_hides_no_bad_mask(root):
    place(root, "JPEGImages", NAMES[0], "jpg").unlink()
    save_png(place(root, "SegmentationClass", NAMES[0]), tree.mask(77))
    assert len(doctor.check(root).problems) == 2


def test_lists(root):
    lists = root / "VOC2012/ImageSets/Segmentation"
    tree.text(lists / "train.txt", "\n".join([NAMES[0], NAMES[0], "2009_999999", "../x", "2008_000001"]) + "\n")
    report = doctor.check(root, ("train", "val", "trianval"))
    text = report.text()
    assert f"{NAMES[0]} occurs twice" in text and "2009_999999.jpg" in text and "leaves the data folder" in text
    assert "1 pictures are in both" in text and "trianval.txt: no such list" in text
    assert report.pictures["train"] == 3


def test_remarks_that_are_no_problems(root):
    save_png(place(root, "SegmentationClass", NAMES[0]), np.zeros(tree.SIZE, np.uint8))
    save_png(place(root, "SegmentationClass", NAMES[1]), np.full(tree.SIZE, 255, np.uint8))
    place(root, "SegmentationObject", NAMES[2]).unlink()
    report = doctor.check(root, ["train"])
    assert report.ok
    assert any("2 pictures without any foreground" in note for note in report.notes)
    assert any("instances files for 11 of 12" in note for note in report.notes)
    assert any("no picture holds aeroplane" in note for note in report.notes)


def test_sbd_masks_are_looked_at(root):
    tree.sbd(root, (NAMES[0], NAMES[1]), ("2009_000001",))
    bad = root / "benchmark_RELEASE/dataset/cls/2009_000001.mat"
    bad.write_bytes(bad.read_bytes()[:200])
    report = doctor.check(root, ["trainaug"])
    assert len(report.problems) == 1 and str(bad) in report.problems[0]
    assert report.pictures == {"trainaug": 13} and report.official == {"trainaug": 10582}


def test_processes_see_the_same(tmp_path, monkeypatch):
    make_voc.shapes(tmp_path, train=10, val=2, size=(32, 32))
    place(tmp_path, "JPEGImages", "train_000007", "jpg").write_bytes(b"")
    monkeypatch.setattr(doctor, "_AT_HOME", 4)
    seen = []
    report = doctor.check(tmp_path, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k, 12) for k in range(1, 13)]
    assert report == doctor.check(tmp_path, workers=1) and len(report.problems) == 1


def test_read_only_root(root):
    folders = [path for path in root.rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    before = sorted(root.rglob("*"))
    assert doctor.check(root).ok
    assert voc.read_mask(voc.items(root, "train")[0]).shape == tree.SIZE
    assert sorted(root.rglob("*")) == before  # nothing is written, even where permissions would allow it
    for folder in folders:
        folder.chmod(0o755)


def test_sbd_by_itself(tmp_path):
    tree.sbd(tmp_path)
    report = doctor.check(tmp_path, layout="sbd")
    assert report.ok and report.pictures == {"train": 2, "val": 2} and report.official == {"train": 8498, "val": 2857}
    (tmp_path / "benchmark_RELEASE/dataset/inst/2008_000003.mat").unlink()
    report = doctor.check(tmp_path, ("train", "vla"), layout="sbd")
    assert len(report.problems) == 2 and "2008_000003.mat: missing" in report.text() and "vla.txt" in report.text()
    with pytest.raises(ValueError, match="layout"):
        doctor.check(tmp_path, layout="ade20k")
