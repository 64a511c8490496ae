"""The built-in synthetic set: made when missing, made whole when cut off, refused when it is something else."""

import json

import pytest

from wsnb.book import builtin, keys
from wsnb.data import make
from wsnb.files import FileError


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "TRAIN", 3)
    monkeypatch.setattr(make, "VAL", 1)
    monkeypatch.setattr(make.shapes, "__defaults__", (3, 1, make.SIZE, 0, None))
    builtin.ensure(tmp_path, print)
    return tmp_path


def test_made_once_and_mended(project, capsys):
    voc = project / builtin.PLACE / "VOC2012"
    before = (voc / "JPEGImages/train_000001.jpg").read_bytes()
    capsys.readouterr()
    builtin.ensure(project, print)
    assert not capsys.readouterr().out
    (voc / "JPEGImages/train_000001.jpg").unlink()
    assert not builtin.is_whole(project / builtin.PLACE)
    builtin.ensure(project, print)
    assert (voc / "JPEGImages/train_000001.jpg").read_bytes() == before


def test_another_drawing_is_not_taken_for_it(project):
    record = project / builtin.PLACE / "VOC2012" / make.RECORD
    record.write_text(json.dumps({**make.identity(), "version": 0}))
    assert not builtin.is_whole(project / builtin.PLACE)
    with pytest.raises(FileError, match="move .* away"):
        builtin.ensure(project, print)


def test_a_shorter_list_is_made_whole(project):
    listed = project / builtin.PLACE / "VOC2012/ImageSets/Segmentation/train.txt"
    listed.write_text("train_000000\n")
    assert not builtin.is_whole(project / builtin.PLACE)
    builtin.ensure(project, print)
    assert len(listed.read_text().split()) == 3


def test_lists_beside_the_data_are_part_of_it(tmp_path):
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "sbd").mkdir()
    before = keys.data_fingerprint(tmp_path / "VOCdevkit")
    (tmp_path / "sbd/train.txt").write_text("a")
    after = keys.data_fingerprint(tmp_path / "VOCdevkit")
    (tmp_path / "sbd/train.txt").write_text("b")  # as long as before
    assert len({before, after, keys.data_fingerprint(tmp_path / "VOCdevkit")}) == 3
