"""What an experiment reads is looked at before its first stage: labels of every kind, and files of other programs."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from tests.data.test_bad_input import said_by
from wsnb.files import save_npz, save_png
from wsnb.papers.panoptic import boxes

FIRST, SECOND, HELD = "2007_000001", "2007_000002", "2007_000009"


@pytest.fixture
def root(tmp_path):
    """A sound VOC root with scribbles and points of all pictures."""
    tree.voc(tmp_path / "VOCdevkit")
    for kind in ("Scribbles", "Points"):
        for name in (FIRST, SECOND, HELD):
            marked = np.full(tree.SIZE, 255, np.uint8)
            marked[4, 5], marked[0, 0] = 15, 0
            save_png(tmp_path / "VOCdevkit/VOC2012" / kind / f"{name}.png", marked)
    return tmp_path / "VOCdevkit"


def damaged_xml(path):
    path.write_text(path.read_text().replace("<xmax>16", "<xmax>17"))


def of_another_size(path):
    save_png(path, np.zeros((12, 15), np.uint8))


KINDS = {  # the experiment, what it is given, the file in VOC2012, what is made of it, what is said of it
    "boxes": ("simple_does_it/shapes_semantic", [], f"Annotations/{SECOND}.xml", damaged_xml, "leaves the 16x12"),
    "boxes of SPML": ("spml/shapes_box", [], f"Annotations/{SECOND}.xml", damaged_xml, "leaves the 16x12"),
    "boxes of things": ("panoptic/shapes", ["layout=voc"], f"Annotations/{SECOND}.xml", damaged_xml, "leaves the"),
    "objects": ("simple_does_it/shapes_instance", ["layout=voc", "train_split=train", "val_split=val"],
                f"SegmentationObject/{HELD}.png", of_another_size, "15x12, but its picture is 16x12"),
    "objects that are scored": ("spml/shapes_tag", [], f"SegmentationObject/{HELD}.png", of_another_size, "15x12, but"),
    "scribbles": ("spml/shapes_scribble", ["weak_source=dataset"], f"Scribbles/{FIRST}.png", of_another_size, "15x12"),
    "points": ("spml/shapes_point", ["weak_source=dataset"], f"Points/{FIRST}.png", lambda path: path.write_bytes(b""),
               "empty, 0 bytes"),
}


def run_of(experiment, root, more, *words, code, capsys):
    given = [word for one in more for word in ("-p", one)]
    return said_by(capsys, "run", experiment, "--data-root", root, "--runs", root.parent / "runs", *given, *words,
                   code=code)


@pytest.mark.parametrize("name", KINDS)
def test_labels_are_looked_at_by_what_reads_them(root, capsys, name):
    experiment, more, place, damage, words = KINDS[name]
    damage(root / "VOC2012" / place)
    save_png(root / f"VOC2012/SegmentationClass/{HELD}.png", tree.mask(77))
    said = run_of(experiment, root, more, code=2, capsys=capsys)
    assert f"{place}: " in said and words in said and f"{HELD}.png: label 77" in said, said
    save_png(root / f"VOC2012/SegmentationClass/{HELD}.png", tree.mask())
    said = run_of("single_stage/shapes", root, [], "--dry-run", code=0, capsys=capsys)  # it reads masks alone
    assert "would run" in said


def folder_of(root, kind):
    """A sound folder of other programs' files of all pictures."""
    made = root.parent / kind
    made.mkdir()
    for name in (FIRST, SECOND, HELD):
        WRITERS[kind](made, name)
    return made


def cams(folder, name):
    np.save(folder / f"{name}.npy", {14: np.full(tree.SIZE, 0.5, np.float32)}, allow_pickle=True)


def bad_cams(folder, name):
    np.save(folder / f"{name}.npy", {20: np.full(tree.SIZE, 0.5, np.float32)}, allow_pickle=True)


def mcg(folder, name):
    labels = np.empty((2, 1), object)
    labels[:, 0] = [np.uint16([[1]]), np.uint16([[1, 2]])]
    superpixels = np.ones(tree.SIZE, np.uint16)
    superpixels[:, 8:] = 2
    boxes.save_mat(folder / f"{name}.mat", {"superpixels": superpixels, "labels": labels})


def bad_mcg(folder, name):
    labels = np.empty((1, 1), object)
    labels[0, 0] = np.uint16([[9]])
    boxes.save_mat(folder / f"{name}.mat", {"superpixels": np.ones(tree.SIZE, np.uint16), "labels": labels})


def grey(folder, name):
    save_png(folder / f"{name}.png", tree.mask())


def edges(folder, name):
    Image.fromarray(tree.mask()).save(folder / f"{name}.png")


def detected(folder, name):
    (folder / f"{name}.txt").write_text("person 1 2 9 9 0.9\n")


def bad_detected(folder, name):
    (folder / f"{name}.txt").write_text("person 1 2 9 9 9\n")


WRITERS = {"cam_dir": cams, "mcg_dir": mcg, "labels_dir": grey, "boundaries": edges, "detections_dir": detected,
           "regions_dir": grey, "weak_dir": grey, "mandg_dir": grey, "pred_dir": grey}
FOLDERS = {  # the parameter, the experiment, what it is given besides, the file of the first picture, what is said
    "cam_dir": ("spml/shapes_tag", [], bad_cams, ".npy: a map of the class 20"),
    "cam_dir of labels": ("panoptic/shapes", ["layout=voc"],
                          lambda folder, name: save_png(folder / f"{name}.png", tree.mask(77)), ".png: label 77"),
    "mcg_dir": ("simple_does_it/shapes_semantic", [], bad_mcg, ".mat: its labels name superpixels that are not there"),
    "labels_dir": ("student/shapes_full", [], lambda folder, name: of_another_size(folder / f"{name}.png"),
                   ".png: 15x12, but"),
    "labels_dir of maps": ("student/shapes_full", [], bad_cams, ".npy: maps"),
    "labels_dir of archives": ("student/shapes_full", [],
                               lambda folder, name: save_npz(folder / f"{name}.npz", keys=np.array([3])), ".npz: "),
    "boundaries": ("simple_does_it/shapes_semantic", [],
                   lambda folder, name: Image.new("L", (15, 12)).save(folder / f"{name}.png"), ".png: 15x12, its"),
    "boundaries of regions": ("spml/shapes_tag", [], grey, ".png: mode P; write boundary strengths as grey"),
    "detections_dir": ("panoptic/shapes", ["layout=voc", "detections=[files]"], bad_detected, ".txt: scores 9"),
    "regions_dir": ("spml/shapes_tag", ["regions_source=folder"],
                    lambda folder, name: of_another_size(folder / f"{name}.png"), ".png: 15x12, its picture"),
    "weak_dir": ("spml/shapes_point", ["weak_source=folder"],
                 lambda folder, name: of_another_size(folder / f"{name}.png"), ".png: 15x12, its picture"),
    "mandg_dir": ("panoptic/shapes", ["layout=voc"],
                  lambda folder, name: save_png(folder / f"{name}.png", tree.mask(77)), ".png: label 77"),
    "pred_dir": ("panoptic/shapes", ["layout=voc"],
                 lambda folder, name: save_png(folder / f"{name}.png", tree.mask(77)), ".png: label 77"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_files_of_other_programs(root, capsys, name):
    parameter = name.split()[0]
    experiment, more, damage, words = FOLDERS[name]
    if name == "cam_dir of labels":
        folder = root.parent / "labels"
        folder.mkdir()
        for one in (FIRST, SECOND, HELD):
            grey(folder, one)
    else:
        folder = folder_of(root, parameter)
    given = [*more, f"{parameter}={folder}"]
    asked = ["data", "doctor", "experiment", experiment, "--data-root", root,
             *(word for one in given for word in ("-p", one)), "--json"]
    said = json.loads(said_by(capsys, *asked, code=0))
    assert said["ok"] and parameter in said["pictures"]
    bad = HELD if parameter == "detections_dir" else SECOND
    for path in folder.glob(f"{bad}.*"):
        path.unlink()
    (said,) = json.loads(said_by(capsys, *asked, code=1))["problems"]
    assert str(folder) in said and bad in said, said
    damage(folder, bad)
    (said,) = json.loads(said_by(capsys, *asked, code=1))["problems"]
    assert str(folder) in said and bad in said and words in said, said
    said = run_of(experiment, root, given, "--dry-run", code=2, capsys=capsys)
    assert words in said and "nothing was run" in said


def test_one_file_for_all_is_told_once(root, capsys):
    """A folder with one broken COCO file for all pictures: no list of a fault a picture."""
    folder = root.parent / "labels"
    folder.mkdir()
    (folder / "all.json").write_text("[")
    said = said_by(capsys, "data", "doctor", "experiment", "student/shapes_full", "--data-root", root, "-p",
                   f"labels_dir={folder}", code=1)
    assert said.count("all.json") == 1 and "1 problem" in said
