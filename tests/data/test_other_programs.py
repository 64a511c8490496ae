"""Files of other programs that are easily misread: each comes out right, or is refused in words of our own."""

import argparse
import io
import json

import numpy as np
import pytest
import scipy.io
import torch

from tests.data import tree
from tests.data.test_bad_input import said_by
from tests.run.test_data_check import FIRST, HELD, SECOND
from wsnb.files import FileError, load_json
from wsnb.papers.student import sources

MAPS = np.full(tree.SIZE, 0.5, np.float32)


def looked_at(root, capsys, experiment, *given, code=1):
    words = [word for one in given for word in ("-p", one)]
    return json.loads(said_by(capsys, "data", "doctor", "experiment", experiment, "--data-root", root, "--json", *words,
                              code=code))["problems"]


@pytest.fixture
def root(tmp_path):
    tree.voc(tmp_path / "VOCdevkit")
    (tmp_path / "given").mkdir()
    return tmp_path / "VOCdevkit"


def of(**changes):
    return json.dumps([{"class": "person", "box": [1, 2, 9, 9], "score": 0.9, **changes}])


def table(array):
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"found": array})
    return stream.getvalue()


ROW = np.array([[15, 1, 2, 9, 9, 0.9]])
DETECTIONS = {
    "no class": (".json", of(**{"class": None}), "'None' is no class of 21"),
    "a class of true": (".json", of(**{"class": True}), "'True' is no class"),
    "an endless class": (".json", of(**{"class": float("inf")}), "'inf' is no class"),
    "a list for a class": (".json", of(**{"class": [1]}), "'[1]' is no class"),
    "corners as one text": (".json", of(box="1299"), "a box is a list of four corners"),
    "a corner of 400 digits": (".json", of(box=[0, 0, 10**400, 5]), "is no number of pixels"),
    "no score": (".json", of(score=None), "'None' is no number"),
    "a score of true": (".json", of(score=True), "'True' is no number"),
    "corners exchanged": (".json", of(box=[9, 9, 1, 1]), "a box from [9.0, 9.0] to [1.0, 1.0]"),
    "an object": (".json", '{"a": 1}', "not a list of objects"),
    "null": (".json", "null", "not a list of objects"),
    "numbers as of Python": (".txt", "person 1_0 2 19 9 0.9\n", "'1_0' is no number"),
    "words": (".txt", "person a b c d e\n", "'a' is no number"),
    "five columns": (".mat", table(ROW[:, :5]), "no N x 6 numbers"),
    "six rows of five": (".mat", table(np.ones((6, 5))), "no N x 6 numbers"),
    "text in a MAT file": (".mat", table("hello"), "no N x 6 numbers"),
    "a struct": (".mat", table({"x": 1}), "no N x 6 numbers"),
    "complex numbers": (".mat", table(ROW * 1j), "no N x 6 numbers"),
}


@pytest.mark.parametrize("name", DETECTIONS)
def test_detections(root, capsys, name):
    ending, content, words = DETECTIONS[name]
    path = root.parent / f"given/{HELD}{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (said,) = looked_at(root, capsys, "panoptic/shapes", "layout=voc", "detections=[files]",
                        f"detections_dir={path.parent}")
    assert said.startswith(f"detections_dir: {path}: ") and words in said


CAMS = {  # of the student's labels_dir
    "text": np.array("abc"), "a number": np.float64(3), "nothing": None, "no maps": {"keys": [1]},
    "maps of several sizes": {1: MAPS, 2: MAPS[:5]}, "a class of 1.5": {1.5: MAPS}, "a class of true": {True: MAPS},
    "a class twice": {"keys": np.array([1, 1]), "cam": np.stack([MAPS, MAPS])}, "complex maps": {1: MAPS * 1j},
    "empty maps": {1: np.zeros((0, 0))}, "classes in two dimensions": {"keys": [[1]], "cam": MAPS[None]},
    "maps within maps": {"cam": {"a": MAPS}, "keys": [1]},
}


@pytest.mark.parametrize("name", CAMS)
def test_class_maps_of_other_programs(root, capsys, name):
    for one in (FIRST, SECOND):
        np.save(root.parent / f"given/{one}.npy", CAMS[name], allow_pickle=True)
    said = looked_at(root, capsys, "student/shapes_full", f"labels_dir={root.parent / 'given'}")
    assert [one.split(": ")[1] for one in said] == [f"{root.parent}/given/{one}.npy" for one in (FIRST, SECOND)]
    assert all("neither maps of numbers" in one or "give a map [h, w]" in one for one in said), said


@pytest.mark.parametrize("content, words", [
    ({1: MAPS * 500}, "maps from 0 to 1"), ({1: MAPS * np.nan}, "maps from 0 to 1"), ({"1": MAPS}, "the class '1'"),
    ({True: MAPS}, "the class True"), ({20: MAPS}, "the class 20"), ({1: [[1], [1, 2]]}, "maps from 0 to 1")])
def test_official_cams(root, capsys, content, words):
    for one in (FIRST, SECOND):
        np.save(root.parent / f"given/{one}.npy", content, allow_pickle=True)
    said = looked_at(root, capsys, "spml/shapes_tag", f"cam_dir={root.parent / 'given'}")
    assert len(said) == 2 and words in said[0]


def cell(*values):
    found = np.empty((len(values), 1), object)
    found[:, 0] = values
    return found


ONES = np.ones(tree.SIZE, np.uint16)


@pytest.mark.parametrize("superpixels, labels", [
    (ONES * np.nan, cell([[1.0]])), (ONES * 1e9, cell([[1.0]])), (ONES * 1.5, cell([[1.0]])), (ONES, cell([[1.5]])),
    (ONES, cell("x")), (ONES, "abc"), (ONES * 0, cell([[1.0]]))])
def test_proposals(root, capsys, superpixels, labels):
    for one in (FIRST, SECOND):
        scipy.io.savemat(root.parent / f"given/{one}.mat", {"superpixels": superpixels, "labels": labels})
    said = looked_at(root, capsys, "simple_does_it/shapes_semantic", f"mcg_dir={root.parent / 'given'}")
    assert len(said) == 2 and "fetch it again" in said[0] and "again" in said[1]


def test_a_coco_file_that_changes_is_read_anew(tmp_path):
    """A notebook that stays open reads the file twice."""
    path = tmp_path / "all.json"
    for label in (1, 2):
        path.write_text(json.dumps([{"image_id": "a", "category_id": label, "segmentation": [[0, 0, 9, 0, 9, 9]]}]))
        assert sources.outlines(path, ("background", "cat", "dog"))[0]["a"][0][0] == label


def coco(image=None, **changes):
    """A data set of two pictures and an outline."""
    images = [{"id": k, "file_name": f"{one}.jpg", "height": 12, "width": 16} for k, one in enumerate((FIRST, SECOND))]
    images[0] |= image or {}
    outline = {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]], **changes}
    return {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": [outline]}


RESULT = {"image_id": FIRST, "category_id": 15, "segmentation": [[0, 0, 9, 0, 9, 9]]}
COCO = {
    "another size": (coco({"width": 32, "height": 24}), "with 32x24 pixels, but the picture has 16x12"),
    "an unknown image": (coco(image_id=9), "no image has the id 9"),
    "a list for an image": (coco(image_id=[1]), "no image has the id [1]"),
    "no annotations": ({**coco(), "annotations": None}, "annotations is no list of objects"),
    "numbers": ({**coco(), "annotations": [1]}, "annotations is no list of objects"),
    "text": ("x", "results is no list of objects"),
    "categories of one id": ({**coco(), "categories": [{"id": 1, "name": "cat"}] * 2}, "two categories have one id"),
    "no outline": (coco(segmentation=None), "a polygon is a list"),
    "results of other pictures": ([{**RESULT, "image_id": 42}], "no result is of one of the 2 pictures"),
    "no results": ([], "no result is of one of the 2 pictures"),
}


@pytest.mark.parametrize("name", COCO)
def test_coco_labels_of_the_student(root, capsys, name):
    content, words = COCO[name]
    path = root.parent / "given/all.json"
    for one, said in ((coco(), None), ([RESULT], None), (content, words)):
        path.write_text(json.dumps(one))
        found = looked_at(root, capsys, "student/shapes_full", f"labels_dir={path.parent}", code=int(bool(said)))
        assert len(found) == int(bool(said)) and (not said or f"{path}: " in found[0] and said in found[0])


@pytest.mark.parametrize("text, words", [
    ('{"a": 1, "b": {"c": 2, "c": 3}}', "the key 'c' stands twice"), ("[" * 100_000, "lists within lists"),
    ("9" * 6000, "a number of thousands of digits"), ('{"a": 1,}', "line 1, column"), ("<html>", "line 1, column 1")])
def test_json(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FileError, match=words):
        load_json(path)


TAGS = {"one is a list of lists": {"a": [[1], [1, 2]]}, "all of them": {"a": [[1], [1, 2]], "b": [[1], [2, 3]]}}


@pytest.mark.parametrize("name", TAGS)
def test_tables_of_tags_without_a_shape(tmp_path, capsys, name):
    np.save(tmp_path / "tags.npy", TAGS[name], allow_pickle=True)
    assert "no vector of 0 and 1" in said_by(capsys, "data", "doctor", "tags", tmp_path / "tags.npy", code=1)


ONE = torch.ones(2)
SOUND = {"half": ONE.bfloat16(), "of 8 bits": ONE.to(torch.float8_e4m3fn), "parameter": torch.nn.Parameter(ONE)}
FOREIGN = {"sparse": torch.eye(3).to_sparse(), "of no device": ONE.to("meta")}


@pytest.mark.parametrize("name", [*SOUND, *FOREIGN])
def test_the_doctor_of_weights_reads_every_kind_of_tensor(tmp_path, capsys, name):
    torch.save({"a": {**SOUND, **FOREIGN}[name], "b": ONE}, tmp_path / "net.pth")
    said = said_by(capsys, "data", "doctor", "weights", tmp_path / "net.pth", code=int(name in FOREIGN))
    assert ("no plain arrays" in said and "the first is a;" in said) is (name in FOREIGN)


def test_weights_that_hold_themselves(tmp_path, capsys):
    state = {"a": ONE}
    torch.save({**state, "again": state}, tmp_path / "net.pth")
    state["self"] = state
    torch.save(state, tmp_path / "net.pth")
    assert "tensors" in said_by(capsys, "data", "doctor", "weights", tmp_path / "net.pth", code=0)


@pytest.mark.parametrize("content, words", [
    (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ({"a": ONE, "args": argparse.Namespace(b=1)}, "argparse.Namespace"),
    ({"a": ONE, "epoch": np.float64(3)}, "numpy")], ids=["module", "arguments", "number"])
def test_checkpoints_with_more_than_tensors(tmp_path, capsys, content, words):
    torch.save(content, tmp_path / "net.pth")
    said = said_by(capsys, "data", "doctor", "weights", tmp_path / "net.pth", code=1)
    assert words in said and "torch.save(model.state_dict(), FILE)" in said and "\\x1b" not in said


# roots of VOC, and folders of one's own

XML = tree.XML.format(id=FIRST)
VOC = {
    "two boxes of one object": (f"Annotations/{FIRST}.xml", XML.replace("<part>", "<bndbox/><part>", 1),
                                "more than one"),
    "a number as of Python": (f"Annotations/{FIRST}.xml", XML.replace("<xmax>16", "<xmax>1_6"),
                              "'1_6', not a number of pixels"),
    "no class": ("classes.txt", "background\n", "name one besides"),
    "256 classes": ("classes.txt", "background\n" + "".join(f"c{k}\n" for k in range(255)), "255 at most with"),
    "tags of some": ("tags.json", json.dumps({FIRST: ["person"]}), f"the first is {SECOND}"),
    "tags twice": ("tags.json", f'{{"{FIRST}": ["cat"], "{FIRST}": ["dog"], "{SECOND}": []}}', "stands twice"),
    "a name too long": ("ImageSets/Segmentation/train.txt", f"{FIRST}\n{'a' * 500}\n", "File name too long"),
}


@pytest.mark.parametrize("name", VOC)
def test_a_voc_root(root, capsys, name):
    place, content, words = VOC[name]
    tree.text(root / "VOC2012" / place, content)
    said = said_by(capsys, "data", "doctor", "voc12", root, code=1)
    assert words in said, said


def test_difficult_in_any_writing(root):
    from wsnb.data import voc

    path = root / f"VOC2012/Annotations/{FIRST}.xml"
    path.write_text(XML.replace("<difficult>1", "<difficult> True"))
    assert voc.read_boxes(voc.items(root, "train")[0])[2].tolist() == [False, True]


@pytest.mark.parametrize("place, text, words", [
    ("points.csv", "a.jpg,cat,3,4\na.jpg,dog,3,4\nb.jpg,cat,1,1\n", "line 2: a has a mark of cat at this very place"),
    ("points.csv", "a.jpg,cat,1_0,4\nb.jpg,cat,1,1\n", "is not NAME,class,x,y"),
    ("tags.csv", "a.jpg,\"['cat', 'dog']\"\nb.jpg,cat\n", "seems to be several tags"),
    ("labels/a.txt", "0 0.5 0.5 0.2 0_2\n", "correct it"),
])
def test_own_labels(tmp_path, capsys, place, text, words):
    for one in "ab":
        tree.picture(tmp_path / f"{one}.jpg", (30, 40))
    tree.text(tmp_path / place, text)
    if place.startswith("labels"):
        tree.text(tmp_path / "labels/classes.txt", "cat\n")
    for command in (("data", "doctor", "own"), ("data", "new")):
        assert words in said_by(capsys, *command, tmp_path, code=1 if "own" in command else 2)
