"""The built-in synthetic set: made when missing, made whole when cut off, refused when it is something else."""

import json

import pytest

from wsnb.data.synthetic import make_voc
from wsnb.files import FileError
from wsnb.run import contents, experiments, fingerprint


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(make_voc, "TRAIN", 3)
    monkeypatch.setattr(make_voc, "VAL", 1)
    monkeypatch.setattr(make_voc.shapes, "__defaults__", (3, 1, make_voc.SIZE, 0, None))
    experiments.ensure(tmp_path, print)
    return tmp_path


def test_made_once_and_mended(project, capsys):
    voc = project / experiments.PLACE / "VOC2012"
    before = (voc / "JPEGImages/train_000001.jpg").read_bytes()
    capsys.readouterr()
    experiments.ensure(project, print)
    assert not capsys.readouterr().out
    (voc / "JPEGImages/train_000001.jpg").unlink()
    assert not experiments.is_whole(project / experiments.PLACE)
    experiments.ensure(project, print)
    assert (voc / "JPEGImages/train_000001.jpg").read_bytes() == before


def test_another_drawing_is_not_taken_for_it(project):
    record = project / experiments.PLACE / "VOC2012" / make_voc.RECORD
    record.write_text(json.dumps({**make_voc.identity(), "version": 0}))
    assert not experiments.is_whole(project / experiments.PLACE)
    with pytest.raises(FileError, match="move .* away"):
        experiments.ensure(project, print)


def test_a_shorter_list_is_made_whole(project):
    listed = project / experiments.PLACE / "VOC2012/ImageSets/Segmentation/train.txt"
    listed.write_text("train_000000\n")
    assert not experiments.is_whole(project / experiments.PLACE)
    experiments.ensure(project, print)
    assert len(listed.read_text().split()) == 3


def test_lists_beside_the_data_are_part_of_it(tmp_path):
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "sbd").mkdir()
    before = fingerprint.data_fingerprint(tmp_path / "VOCdevkit", contents.Contents())
    (tmp_path / "sbd/train.txt").write_text("a")
    after = fingerprint.data_fingerprint(tmp_path / "VOCdevkit", contents.Contents())
    (tmp_path / "sbd/train.txt").write_text("b")  # as long as before
    assert len({before, after, fingerprint.data_fingerprint(tmp_path / "VOCdevkit", contents.Contents())}) == 3
