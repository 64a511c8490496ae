"""One's own pictures: every kind of label becomes files that the VOC reader reads; faults are told at once."""

import json
from pathlib import Path

import numpy as np
import papermill
import pytest
from PIL import Image

from tests.data import tree
from wsnb.data import doctor, read, voc
from wsnb.data import item as checked
from wsnb.data.own import dataset, example
from wsnb.files import FileError, save_json, save_png
from wsnb.run.cli import main

NAMES = ("cat 1", "dog-2", "empty_3", "both 4", "cat_5")
TAGS = "image,tags\ncat 1.jpg,cat\ndog-2.jpg,dog\nempty_3.jpg,\nboth 4.jpg,cat;dog\ncat_5.jpg,cat\n"


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        tree.picture(tmp_path / f"{name}.jpg", (30, 40))
    return tmp_path


def made_items(made, split="train"):
    return {item.id: item for item in voc.items(made.root, split)}


def everything(made):
    return {**made_items(made), **made_items(made, "val")}


def boxes_json(folder, **changes):
    content = {
        "images": [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate(NAMES)],
        "categories": [{"id": 3, "name": "dog"}, {"id": 9, "name": "cat"}],
        "annotations": [{"image_id": 0, "category_id": 9, "bbox": [2.0, 3.4, 10, 12]},
                        {"image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 30]},
                        {"image_id": 3, "category_id": 9, "bbox": [1, 1, 5, 5], "iscrowd": 1},
                        {"image_id": 3, "category_id": 3, "bbox": [20, 10, 20, 20]},
                        {"image_id": 4, "category_id": 9, "bbox": [7, 7, 1, 1]}], **changes}
    save_json(folder / "boxes.json", content)


def test_tags_alone(folder):
    (folder / "tags.csv").write_text(TAGS)
    made = dataset.make(folder, val=2)
    assert made.classes == ("background", "cat", "dog") and made.splits == {"train": 3, "val": 2}
    assert made.known == {"tags": 5} and not made.notes
    items = everything(made)
    assert sorted(items) == ["both_4", "cat_1", "cat_5", "dog-2", "empty_3"]
    assert read.tags("voc", items["both_4"], 3).tolist() == [1, 1] and not read.tags("voc", items["empty_3"], 3).any()
    assert np.unique(voc.read_mask(items["cat_1"], 3)).tolist() == [255], "nothing is known but the tag"
    assert np.unique(voc.read_mask(items["empty_3"], 3)).tolist() == [0], "a picture without objects is background"
    assert doctor.check(made.root).ok


def test_the_same_tags_as_text(folder):
    rows = "\ufeffcat 1;cat\r\ndog-2.jpg;dog\r\n# a remark;\r\nboth 4.jpg;dog;cat\r\n"  # as a spreadsheet saves it
    (folder / "tags.csv").write_text(rows, "utf-8")
    made = dataset.make(folder)
    assert made.notes == ["2 pictures have no label of any kind and are left out, the first is cat_5; after a run, "
                          "`wsnb predict` labels them"]
    tags = {name: item.tags for name, item in everything(made).items()}
    assert tags == {"cat_1": (1,), "dog-2": (2,), "both_4": (1, 2)}
    (folder / "list.txt").write_text("dog-2.jpg dog\nempty_3\ncat_5.jpg cat\n")
    (folder / "tags.csv").unlink()
    again = dataset.make(folder, folder / "b", tags=folder / "list.txt")
    assert {n: item.tags for n, item in everything(again).items()} == {"dog-2": (2,), "empty_3": (), "cat_5": (1,)}


def test_coco_boxes(folder):
    boxes_json(folder)
    made = dataset.make(folder)
    items = everything(made)
    boxes, labels, difficult = voc.read_boxes(items["both_4"], made.classes)
    assert boxes.tolist() == [[1, 1, 6, 6], [20, 10, 40, 30]] and labels.tolist() == [1, 2]
    assert difficult.tolist() == [True, False]
    assert voc.read_boxes(items["empty_3"], made.classes)[0].shape == (0, 4)
    mask = voc.read_mask(items["cat_1"], 3)
    assert (mask[3:15, 2:12] == 255).all() and (mask == 0).sum() == 1200 - 120
    assert read.tags("voc", items["dog-2"], 3).tolist() == [0, 1] and doctor.check(made.root).ok


@pytest.mark.parametrize("listed", [("classes.txt", "dog\ncat\n"), ("data.yaml", "names: [dog, cat]\n"),
                                    ("data.yaml", "names:\n  0: dog\n  1: cat\n")])
def test_boxes_of_yolo(folder, listed):
    """Shares of the picture, 40 x 30: a centre with a size, a polygon, and a picture without an object."""
    tree.text(folder / listed[0], listed[1])
    tree.text(folder / "labels/cat 1.txt", "1 0.25 0.5 0.25 0.4\n")
    tree.text(folder / "labels/both 4.txt", "0 0.5 0.5 0.9 0.5 0.9 1.0 0.5 1.0\n1 0.125 0.1 0.25 0.2\n")
    tree.text(folder / "labels/empty_3.txt", "")
    made = dataset.make(folder, val=1)
    items = everything(made)
    assert made.known["boxes"] == 3 and set(made.classes) == {"background", "cat", "dog"}
    boxes, labels, _ = voc.read_boxes(items["both_4"], made.classes)
    assert boxes.tolist() == [[20, 15, 36, 30], [0, 0, 10, 6]]
    assert [made.classes[label] for label in labels] == ["dog", "cat"]
    assert voc.read_boxes(items["cat_1"], made.classes)[0].tolist() == [[5, 9, 15, 21]]
    assert voc.read_boxes(items["empty_3"], made.classes)[0].shape == (0, 4)


def test_voc_boxes(folder):
    (folder / "boxes").mkdir()
    names = ("background", "cat", "bird")
    voc.save_xml(folder / "boxes/cat 1.xml", "x.jpg", (30, 40), [(2, 3, 12, 15)], [2], names)
    voc.save_xml(folder / "boxes/cat_5.xml", "x.jpg", (30, 40), [], [], names)
    made = dataset.make(folder)
    items = everything(made)
    assert made.classes == ("background", "bird") and sorted(items) == ["cat_1", "cat_5"]
    assert voc.read_boxes(items["cat_1"], made.classes)[0].tolist() == [[2, 3, 12, 15]]


def test_strokes_and_points(folder):
    (folder / "points.csv").write_text("name,class,x,y\ncat 1.jpg,cat,5,6\ncat 1,background,39,29\n")
    (folder / "scribbles.csv").write_text("cat 1,cat,10,10,20,10\ndog-2,dog,3,3,3,20,12,20\n")
    made = dataset.make(folder)
    item = everything(made)["cat_1"]
    points = checked.weak_map(item, "points", 3)
    assert points[6, 5] == 1 and points[29, 39] == 0 and (points != 255).sum() == 2
    scribble = checked.weak_map(item, "scribbles", 3)
    assert (scribble[10, 10:21] == 1).all() and (scribble != 255).sum() <= 13 * 5
    mask = voc.read_mask(item, 3)
    assert np.array_equal(mask != 255, (points != 255) | (scribble != 255))
    assert read.tags("voc", item, 3).tolist() == [1, 0] and doctor.check(made.root).ok


def test_label_maps_shrink_with_their_picture(folder):
    tree.picture(folder / "cat 1.jpg", (300, 400))
    thin = np.full((300, 400), 255, np.uint8)
    thin[100, 50:350] = 2
    (folder / "scribbles").mkdir()
    save_png(folder / "scribbles/cat 1.png", thin)
    full = np.zeros((30, 40), np.uint8)
    full[5:20, 5:20] = 1
    (folder / "masks").mkdir()
    save_png(folder / "masks/dog-2.png", full)
    (folder / "classes.txt").write_text("background\ncat\ndog\n")
    made = dataset.make(folder, longest=100)
    assert made.splits == {"train": 1, "val": 1} and made.known == {"scribbles": 1, "masks": 1}
    assert list(made_items(made, "val")) == ["dog-2"], "the picture with a full mask is held out"
    small = checked.weak_map(made_items(made)["cat_1"], "scribbles", 3)
    assert small.shape == (75, 100) and (small[25] == 2).sum() == 76 and (small != 255).sum() == 76
    assert np.array_equal(voc.read_mask(made_items(made, "val")["dog-2"], 3), full)
    assert doctor.check(made.root).ok


def test_upright_as_the_camera_says(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(folder / "cat 1.jpg", exif=exif)
    boxes_json(folder)
    made = dataset.make(folder)
    assert read.image(everything(made)["cat_1"]).shape == (30, 40, 3) and doctor.check(made.root).ok


@pytest.mark.parametrize("files, words", [
    ({}, ["no tags, boxes, scribbles"]),
    ({"tags.csv": "cat 1,cat\nnobody.jpg,cat\ncat 1,dog\n"}, ["nobody is no picture", "occurs twice"]),
    ({"points.csv": "cat 1,cat,5\ncat 1,cat,a,b\ncat_5,cat,40,2\n"}, ["line 1", "line 2"]),
    ({"points.csv": "cat 1,cat,5,5\ncat_5,cat,40,2\n"}, ["leaves the 40x30"]),
    ({"tags.csv": TAGS, "classes.txt": "cat\n"}, ["'dog' is used"]),
    ({"tags.csv": ""}, ["no tags in it"]),
    ({"tags.csv": "cat 1,cat\n"}, ["only one picture"]),
    ({"boxes.json": "{}"}, ["not COCO"]),
    ({"boxes.json": "{"}, ["JSON"]),
    ({"boxes/cat 1.xml": "<annotation>"}, ["no readable VOC"]),
])
def test_faults_are_told_before_anything_is_written(folder, files, words):
    for name, content in files.items():
        tree.text(folder / name, content)
    with pytest.raises(FileError) as caught:
        dataset.make(folder)
    for word in words:
        assert word in str(caught.value)
    assert not (folder / "VOCdevkit").exists() or not list((folder / "VOCdevkit").iterdir())


def test_boxes_outside_and_broken_pictures(folder):
    boxes_json(folder, annotations=[{"image_id": 0, "category_id": 9, "bbox": [35, 3, 10, 12]},
                                    {"image_id": 1, "category_id": 3, "bbox": [5, 5, 0, 4]}])
    with pytest.raises(FileError) as caught:
        dataset.make(folder)
    assert "box 35,3,45,15" in str(caught.value) and "box 5,5,5,9" in str(caught.value)
    (folder / "cat 1.jpg").write_bytes(b"no picture")
    with pytest.raises(FileError, match="cat 1.jpg: not a readable picture"):
        dataset.make(folder)


def test_names_that_would_meet(folder):
    tree.picture(folder / "cat_1.png", (30, 40))
    (folder / "tags.csv").write_text("cat 1,cat\ncat_1,cat\n")
    with pytest.raises(FileError, match="becomes cat_1"):
        dataset.make(folder)


def test_masks_of_foreign_labels(folder):
    (folder / "masks").mkdir()
    for name in NAMES[:2]:
        save_png(folder / "masks" / f"{name}.png", np.full((30, 40), 7, np.uint8))
    with pytest.raises(FileError, match="classes.txt: missing"):
        dataset.make(folder)
    (folder / "classes.txt").write_text("cat\n")
    with pytest.raises(FileError, match="label 7"):
        dataset.make(folder)
    save_png(folder / "masks/cat 1.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(FileError, match="4x3, but its picture is 40x30"):
        dataset.make(folder)


def test_the_command(folder, capsys):
    (folder / "tags.csv").write_text(TAGS)
    assert main(["data", "new", str(folder), "--val", "1"]) == 0
    said = capsys.readouterr().out
    assert "4 train, 1 val" in said and "cat, dog" in said and f"--data-root {folder / 'VOCdevkit'}" in said
    assert main(["data", "new", str(folder)]) != 0
    assert "is there already" in capsys.readouterr().err
    assert main(["data", "new", str(folder), "--root", str(folder / "b"), "--val", "5"]) != 0
    assert "hold out 1 to 4" in capsys.readouterr().err
    assert main(["data", "new", str(folder / "nothing")]) != 0
    assert json.loads((folder / "VOCdevkit/VOC2012/own.json").read_text())["known"] == {"tags": 5}


def test_the_example_has_every_kind_of_label(tmp_path):
    made = dataset.make(example.example(tmp_path / "mine", count=6, masks=2, size=(48, 64)))
    assert made.known == {"tags": 6, "boxes": 6, "scribbles": 6, "points": 6, "masks": 2, "objects": 2}
    assert made.splits == {"train": 4, "val": 2} and doctor.check(made.root).ok
    for item in made_items(made).values():
        boxes, labels, _ = voc.read_boxes(item, made.classes)
        drawn = checked.weak_map(item, "points", 6)
        for (x0, y0, x1, y1), label in zip(boxes, labels, strict=True):
            assert (drawn[y0:y1, x0:x1] == label).any(), "a thing's point lies in its box"


def test_the_notebook_runs_on_a_users_folder(tmp_path):
    mine = example.example(tmp_path / "mine", count=5, masks=1, size=(48, 64))
    notebook = Path(__file__).parents[2] / "notebooks/own_pictures.ipynb"
    source = notebook.read_text().replace("answer_2 = None", "answer_2 = 4").replace("answer_3 = None", "answer_3 = 60")
    (tmp_path / "in.ipynb").write_text(source)
    done = papermill.execute_notebook(str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), {"folder": str(mine)},
                                      progress_bar=False)
    said = "".join(output.get("text", "") for cell in done.cells for output in cell.get("outputs", ()))
    assert "4 train, 1 val" in said and "all files are sound" in said and (mine / "VOCdevkit/VOC2012").is_dir()
    assert said.count("Right.") == 2 and said.count("Not answered yet") == 1
