"""The data commands as they are typed."""

import pytest

from tests.data import tree
from tests.data.test_twins import SMALL
from wsnb.data import sbd, synthetic
from wsnb.run.cli import main


@pytest.mark.parametrize("name", SMALL)
def test_make_a_layout(name, tmp_path, monkeypatch, capsys):
    maker, counts, size = SMALL[name]
    layout = synthetic.MAKERS[name][0]
    monkeypatch.setattr(maker, "COUNTS", counts)
    monkeypatch.setattr(maker.write, "__defaults__", (counts, size, *maker.write.__defaults__[2:]))
    assert main(["data", "make", "shapes", "--layout", layout, "--root", str(tmp_path / name)]) == 0
    assert main(["data", "doctor", layout, str(tmp_path / name)]) == 0
    assert "all files are sound" in capsys.readouterr().out
    victim = sorted(p for p in (tmp_path / name).rglob("*") if p.suffix in (".jpg", ".JPEG", ".png"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    assert main(["data", "doctor", layout, str(tmp_path / name)]) == 1
    assert str(victim) in capsys.readouterr().out


def test_sizes_are_for_voc(tmp_path, capsys):
    assert main(["data", "make", "shapes", "--layout", "sbd", "--train", "3", "--root", str(tmp_path)]) == 2
    assert "go with the layout voc" in capsys.readouterr().err
    assert main(["data", "make", "shapes", "--train", "2", "--val", "1", "--size", "32x48", "--root",
                 str(tmp_path / "voc")]) == 0
    assert main(["data", "doctor", "shapes", str(tmp_path / "voc")]) == 0


def test_convert(tmp_path, capsys):
    tree.sbd(tmp_path)
    assert main(["data", "convert", "sbd", str(tmp_path)]) == 0
    assert "4 masks" in capsys.readouterr().out and len(list((sbd.dataset(tmp_path) / "cls_png").iterdir())) == 4
    assert main(["data", "convert", "densepose", str(tmp_path)]) == 2
    assert "densepose_coco_2014_" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sbd", "cityscapes", "densepose", "imagenet_det", "voc12-test"])
def test_where_to_register(name, capsys):
    assert main(["data", "fetch", name]) == 0  # only says where: no folder is asked for
    said = capsys.readouterr().out
    assert "http" in said and "ROOT/" in said


@pytest.mark.parametrize("layout", ["sbd", "cityscapes", "densepose", "imagenet_det", "voc12"])
def test_a_root_that_is_no_such_set(layout, tmp_path, capsys):
    assert main(["data", "doctor", layout, str(tmp_path)]) in (1, 2)
    said = capsys.readouterr()
    assert str(tmp_path) in said.out + said.err
    assert main(["data", "doctor", layout, str(tmp_path / "nothing")]) == 2
