"""Files that ended in Python's exception text, in a hang, or in the loss of a report: each as commands meet it."""

import json
import os
import struct
import zlib

import pytest
from PIL import Image

from tests.data import tree
from wsnb.data import doctor, voc
from wsnb.run import paths
from wsnb.run.cli import main

FIRST = "2007_000001"
XML = "VOC2012/Annotations/2007_000001.xml"
PICTURE = "VOC2012/JPEGImages/2007_000001.jpg"
MASK = "VOC2012/SegmentationClass/2007_000001.png"


def said_by(capsys, *words, code):
    """What `wsnb WORDS` says before it ends with CODE."""
    assert main([*map(str, words)]) == code
    found = capsys.readouterr()
    text = found.out + found.err
    assert "Traceback" not in text and "Error:" not in text, text
    return text


def written(text):
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


def huge(path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(2501 * 20_000)))
                     + chunk(b"IEND", b""))


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


SET = {  # of a VOC root: the file, what is made of it, what the doctor says of it
    "unknown encoding": (XML, written(tree.XML.replace("<annotation>", "<?xml version='1.0' encoding='klingon'?>"
                                                       "<annotation>", 1)), "broken XML"),
    "a box of 1e299": (XML, written(tree.XML.replace("<xmax>16", "<xmax>1e299")), "not a number of pixels"),
    "a box of inf": (XML, written(tree.XML.replace("<xmax>16", "<xmax>inf")), "not a number"),
    "a size of 1e299": (XML, written(tree.XML.replace("<width>16", "<width>1e299")), "not a number of pixels"),
    "20,000 x 20,000 pixels": (PICTURE, huge, "not a readable picture"),
    "20,000 x 20,000 labels": (MASK, huge, "not a readable picture"),
    "truncated JPEG": (PICTURE, lambda path: path.write_bytes(path.read_bytes()[:-80]), "not a readable picture"),
    "a pipe for a picture": (PICTURE, pipe, "not a file"),
    "a pipe for a mask": (MASK, pipe, "not a file"),
    "a pipe for an XML": (XML, pipe, "not a file"),
    "a folder for a mask": (MASK, lambda path: (path.unlink(), path.mkdir()), "not a file"),
    "a pipe for the classes": ("VOC2012/classes.txt", pipe, "not a file"),
    "latin-1 classes": ("VOC2012/classes.txt", written("background\nc\xe9\n".encode("latin1")), "is not UTF-8"),
    "classes twice": ("VOC2012/classes.txt", written("background\ncat\ncat\n"), "stands there twice"),
    "no JSON of tags": ("VOC2012/tags.json", written("{"), "cannot be read as JSON"),
    "tags without a class": ("VOC2012/tags.json", written('{"a": ["martian"]}'), "no such class"),
}


@pytest.mark.parametrize("name", SET)
def test_the_doctor_names_it_and_what_else_is_wrong(tmp_path, capsys, name):
    place, spoil, words = SET[name]
    tree.voc(tmp_path)
    spoil(tmp_path / place)
    (tmp_path / "VOC2012/JPEGImages/2007_000009.jpg").unlink()
    said = said_by(capsys, "data", "doctor", "voc12", tmp_path, code=1)
    assert f"{place}: " in said and words in said and "2007_000009.jpg: missing" in said, said


def test_an_error_that_nobody_thought_of_does_not_end_the_report(tmp_path, monkeypatch):
    tree.voc(tmp_path)
    monkeypatch.setattr(voc, "read_instances", lambda item: 1 // 0)
    report = doctor.check(tmp_path)
    assert len(report.problems) == 3 and "2007_000001.png: cannot be read (ZeroDivisionError" in report.text()


@pytest.mark.parametrize("damaged, words", [(PICTURE, "not a readable picture"), (MASK, "label 77")])
def test_a_run_names_it_before_its_first_stage(tmp_path, capsys, monkeypatch, damaged, words):
    """A picture that only the last stages read, too; what was found sound is not looked at again."""
    root = tmp_path / "VOCdevkit"
    tree.voc(root, vals=("2007_000009", "2007_000010"))
    place = root / damaged.replace(FIRST, "2007_000010")
    sound, runs = place.read_bytes(), tmp_path / "runs"
    if damaged == PICTURE:
        place.write_bytes(sound[:-80])
    else:
        Image.fromarray(tree.mask(77)).save(place)
    words_ = ("run", "single_stage/shapes", "--data-root", root, "--runs", runs)
    for more in ((), ("--dry-run",)):
        said = said_by(capsys, *words_, *more, code=2)
        assert f"{place}: " in said and words in said and "runs, because" not in said
    place.write_bytes(sound)
    assert "would run" in said_by(capsys, *words_, "--dry-run", code=0)
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "check", lambda *_, **__: pytest.fail("looks at sound files again"))
        said_by(capsys, *words_, "--dry-run", code=0)
    for path in (root / "VOC2012/SegmentationClass").iterdir():
        path.unlink()  # nobody may have asked for masks: a stage that needs one says so
    assert "would run" in said_by(capsys, *words_, "--dry-run", code=0)


OWN = {  # of one's own folder
    "boxes.json, Infinity": ("boxes.json", lambda one: one.update(bbox=[1, 1, float("inf"), 5]), "its bbox is"),
    "boxes.json, 1e299": ("boxes.json", lambda one: one.update(bbox=[1, 1, 1e299, 5]), "its bbox is"),
    "boxes.json, NaN": ("boxes.json", lambda one: one.update(segmentation=[[float("nan"), 1, 5, 5, 9, 1]]), "outline"),
    "boxes.json, text": ("boxes.json", lambda one: one.update(segmentation=[["a", 1, 5, 5, 9, 1]]), "outline"),
    "boxes.json, word": ("boxes.json", lambda one: one.update(segmentation="abc"), "outline"),
    "a long field": ("tags.csv", written("a.jpg," + "x" * 200_000 + "\n"), "field larger than"),
    "latin-1": ("tags.csv", written("a.jpg,caf\xe9\n".encode("latin1")), "is not UTF-8"),
    "a pipe": ("tags.csv", pipe, "not a file"),
    "a pipe of boxes": ("boxes.json", pipe, "not a file"),
    "a pipe of points": ("points.csv", pipe, "not a file"),
    "a pipe of any name": ("export.json", pipe, "no tags, boxes"),
    "latin-1 classes": ("classes.txt", written("caf\xe9\n".encode("latin1")), "is not UTF-8"),
    "latin-1 of YOLO": ("labels/a.txt", written("\xe9\n".encode("latin1")), "is not UTF-8"),
    "unknown encoding": ("a.xml", written("<?xml version='1.0' encoding='klingon'?><annotation/>"), "no readable VOC"),
    "a truncated picture": ("a.jpg", lambda path: path.write_bytes(path.read_bytes()[:-80]), "a.jpg: not a readable"),
    "a picture of 20,000 x 20,000": ("a.jpg", huge, "a.jpg: not a readable"),
}


@pytest.mark.parametrize("name", OWN)
def test_data_new_names_it(tmp_path, capsys, name):
    place, spoil, words = OWN[name]
    for one in "abc":
        tree.picture(tmp_path / f"{one}.jpg", (30, 40))
    if place in ("a.jpg", "labels/a.txt", "classes.txt"):
        (tmp_path / "tags.csv").write_text("a.jpg,cat\nb.jpg,cat\n")
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    if name.startswith("boxes.json"):
        boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [1, 1, 5, 5]} for k in range(2)]
        spoil(boxes[0])
        images = [{"id": k, "file_name": f"{one}.jpg", "height": 30, "width": 40} for k, one in enumerate("ab")]
        text = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        path.write_text(json.dumps(text))
    else:
        spoil(path)
    if place == "labels/a.txt":
        (tmp_path / "tags.csv").unlink()
        (tmp_path / "labels/classes.txt").write_text("cat\n")
    said = said_by(capsys, "data", "new", tmp_path, code=2)
    assert words in said and not (tmp_path / "VOCdevkit").exists(), said


def test_a_latin_1_experiment_is_named(tmp_path, monkeypatch, capsys):
    project = paths.find()
    root = tmp_path / "book"
    root.mkdir()
    for name in ("notebooks", "pyproject.toml", "wsnb"):
        (root / name).symlink_to(project / name)
    (root / "params/toy").mkdir(parents=True)
    (root / "params/toy/bad.yaml").write_bytes("# caf\xe9\nstages: []\n".encode("latin1"))
    monkeypatch.setenv("WSNB_ROOT", str(root))
    said = said_by(capsys, "list", code=0)
    assert "bad.yaml: byte 5 is not UTF-8" in said
