"""SBD as a data set of its own: classes, instances beyond 255, boxes of instances."""

import numpy as np
import pytest

from tests.data import tree
from wsnb.data import doctor, read, sbd
from wsnb.files import FileError


def test_behind_the_door(tmp_path):
    tree.sbd(tmp_path)
    names = read.class_names("sbd", tmp_path)
    assert len(names) == 21
    item, *others = read.items("sbd", tmp_path, "train")
    assert len(others) == 1 and set(np.unique(read.mask("sbd", item, 21))) == {0, 7}
    assert np.unique(read.instances("sbd", item)).tolist() == [0, 1, 2]
    boxes, labels, difficult = read.boxes("sbd", item, names)
    assert boxes.tolist() == [[4, 3, 7, 8], [7, 3, 10, 8]] and labels.tolist() == [7, 7] and not difficult.any()
    assert read.tags("sbd", item, 21).nonzero()[0].tolist() == [6]
    tree.text(tmp_path / "mine.txt", "2008_000004\n")
    assert [i.id for i in read.items("sbd", tmp_path, str(tmp_path / "mine.txt"))] == ["2008_000004"]
    tree.text(sbd.dataset(tmp_path) / "classes.txt", "background\ndisc\n")
    with pytest.raises(FileError, match="label 7"):
        read.mask("sbd", item, len(read.class_names("sbd", tmp_path)))
    with pytest.raises(FileError, match="category 7"):
        read.boxes("sbd", item, read.class_names("sbd", tmp_path))


def test_three_hundred_instances(tmp_path):
    tree.sbd(tmp_path)
    item = sbd.items(tmp_path, "train")[0]
    many = np.zeros((20, 16), np.uint16)
    many.ravel()[:300] = np.arange(1, 301)
    tree.picture(item.image, many.shape)
    tree.mat(item.instances, "GTinst", Segmentation=many, Categories=np.full((300, 1), 7, np.uint8))
    assert sbd.read_instances(item).dtype == np.uint16 and sbd.read_instances(item).max() == 300
    assert len(sbd.read_boxes(item)[1]) == 300  # 255 is an instance too
    tree.mat(item.instances, "GTinst", Segmentation=many, Categories=np.full((299, 1), 7, np.uint8))
    with pytest.raises(FileError, match="instance 300 of 299"):
        sbd.read_instances(item)


def test_doctor(tmp_path):
    tree.sbd(tmp_path)
    item = sbd.items(tmp_path, "val")[0]
    item.mask.write_bytes(item.mask.read_bytes()[:150])
    tree.mat(item.instances, "GTinst", Segmentation=np.ones((5, 5), np.uint8), Categories=np.uint8([[7]]))
    report = doctor.check(tmp_path, layout="sbd")
    assert len(report.problems) == 2 and "no readable MAT file" in report.problems[0] and "5x5" in report.problems[1]


def test_hidden_files_are_not_converted(tmp_path):
    tree.sbd(tmp_path)
    folder = sbd.dataset(tmp_path) / "cls"
    count = len(list(folder.glob("*.mat")))
    (folder / "._2007_000001.mat").write_bytes(b"\0\5\26\7")
    assert sbd.to_png(tmp_path) == count
