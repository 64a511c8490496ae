"""The data commands as they are typed."""

import json

import numpy as np
import pytest

from tests.data import tree
from tests.data.test_twins import SMALL
from wsnb.data import sbd, synthetic
from wsnb.data.synthetic import make_voc
from wsnb.files import save_npz, save_torch
from wsnb.models import backbones
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


@pytest.mark.parametrize("name", ["sbd", "cityscapes", "coco", "densepose", "imagenet_det", "voc12-test"])
def test_where_to_register(name, capsys):
    assert main(["data", "fetch", name]) == 0  # only says where: no folder is asked for
    said = capsys.readouterr().out
    assert "http" in said and "ROOT/" in said


@pytest.mark.parametrize("layout", ["sbd", "cityscapes", "coco", "densepose", "imagenet_det", "voc12"])
def test_a_root_that_is_no_such_set(layout, tmp_path, capsys):
    assert main(["data", "doctor", layout, str(tmp_path)]) in (1, 2)
    said = capsys.readouterr()
    assert str(tmp_path) in said.out + said.err
    assert main(["data", "doctor", layout, str(tmp_path / "nothing")]) == 2


def test_the_doctor_as_json(tmp_path, capsys):
    made = make_voc.shapes(tmp_path / "VOCdevkit", train=2, val=1, size=(32, 48))
    capsys.readouterr()
    assert main(["data", "doctor", "shapes", str(made), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] and said["pictures"] == {"train": 2, "val": 1} and said["problems"] == []
    (victim := next((made / "VOC2012/JPEGImages").iterdir())).unlink()
    assert main(["data", "doctor", "shapes", str(made), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"] and [victim.name in one for one in said["problems"]] == [True]


def test_the_doctor_looks_at_weights(tmp_path, capsys):
    state = backbones.build("mobilenet_v2").state_dict()
    save_torch(tmp_path / "net.pth", state)
    assert main(["data", "doctor", "weights", str(tmp_path / "net.pth")]) == 0
    assert f"note: {len(state)} tensors, " in capsys.readouterr().out
    next(iter(state.values())).view(-1)[0] = float("nan")
    save_torch(tmp_path / "net.pth", state)
    assert main(["data", "doctor", "weights", str(tmp_path / "net.pth"), "--json"]) == 1
    assert "1 tensors hold NaN or Inf" in json.loads(capsys.readouterr().out)["problems"][0]
    save_npz(tmp_path / "other.npz", a=np.zeros(3))
    assert main(["data", "doctor", "weights", str(tmp_path / "other.npz")]) == 0
    assert "1 tensors, 3 numbers" in capsys.readouterr().out
    for content in (b"", b"no weights"):
        (tmp_path / "bad.pth").write_bytes(content)
        assert main(["data", "doctor", "weights", str(tmp_path / "bad.pth")]) == 1
        assert "bad.pth: not a readable file of tensors" in capsys.readouterr().out
