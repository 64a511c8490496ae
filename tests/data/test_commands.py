"""The data commands as they are typed."""

import json

import numpy as np
import pytest
import torch

from tests.data import tree
from tests.data.test_twins import SMALL
from wsnb.data import doctor, sbd, synthetic
from wsnb.data.own.example import example
from wsnb.data.synthetic import make_voc
from wsnb.files import save_npz, save_torch
from wsnb.models import backbones
from wsnb.papers.single_stage import model
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
    assert main(["data", "doctor", layout, str(tmp_path / name), "--json"]) == 1
    assert str(victim) in json.loads(capsys.readouterr().out)["problems"][0]


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
    save_torch(tmp_path / "vgg16_20M.pth", {"embedding_model": {f"{k}": torch.zeros(1) for k in range(29)}, "epoch": 3})
    assert main(["data", "doctor", "weights", str(tmp_path / "vgg16_20M.pth")]) == 1
    assert "29 tensors without counters, the released file of this name has 30" in capsys.readouterr().out
    save_npz(tmp_path / "other.npz", a=np.zeros(3))
    assert main(["data", "doctor", "weights", str(tmp_path / "other.npz")]) == 0
    assert "1 tensors, 3 numbers" in capsys.readouterr().out
    for content in (b"", b"no weights"):
        (tmp_path / "bad.pth").write_bytes(content)
        assert main(["data", "doctor", "weights", str(tmp_path / "bad.pth")]) == 1
        assert "bad.pth: not a readable file of tensors" in capsys.readouterr().out


@pytest.mark.parametrize("backbone, file", [("resnet38", "model_enc_e020Xs0.928.pth"), ("vgg16", None)])
def test_tensors_of_released_networks(backbone, file):
    """The published program's networks: 309 and 111 tensors, of which 50 and 13 are counters."""
    with torch.device("meta"):
        network = model.build("single_stage", backbone)[0]
    names = list(network.state_dict())
    counters = sum(name.endswith("num_batches_tracked") for name in names)
    assert (len(names), len(names) - counters) == {"resnet38": (309, doctor.RELEASED.get(file)), "vgg16": (111, 98)}[
        backbone]


def test_the_doctor_looks_at_own_labels_of_every_kind(tmp_path, capsys):
    """Tags, boxes, scribbles, points, masks: of the example's folder, as it is and with a fault in each."""
    example(tmp_path, count=4, masks=2)
    assert main(["data", "doctor", "own", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] and set(said["pictures"]) == {"tags", "boxes", "scribbles", "points", "masks"}
    assert not (tmp_path / "VOCdevkit").exists()
    with open(tmp_path / "tags.csv", "a") as file:
        file.write("nobody.jpg,disc\n")
    with open(tmp_path / "points.csv", "a") as file:
        file.write("nobody else.jpg,disc,1,1\n")
    for kind in ("scribbles", "masks"):
        victim = sorted((tmp_path / kind).glob("*.png"))[0]
        victim.write_bytes(victim.read_bytes()[:-20])
    content = json.loads((tmp_path / "boxes.json").read_text())
    content["annotations"][0]["bbox"] = []
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    assert main(["data", "doctor", "own", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "5 problems" in said and all(f"/{kind}" in said for kind in ("tags.csv", "boxes.json", "masks", "scribbles"))
    assert main(["data", "doctor", "own", str(tmp_path / "nothing")]) == 2


def test_the_doctor_looks_at_a_table_of_tags(tmp_path, capsys):
    place = tmp_path / "cls_labels.npy"
    np.save(place, {2007000032: np.float32([0, 1]), 2007000039: np.float32([1, 0])}, allow_pickle=True)
    assert main(["data", "doctor", "tags", str(place)]) == 0
    assert "2 pictures, vectors of (2,)" in capsys.readouterr().out
    for vector in ([0, 0.5], [0, -1], [1], [np.nan, 1], ["0", "1"]):
        np.save(place, {1: np.float32([0, 1]), 2: np.asarray(vector)}, allow_pickle=True)
        assert main(["data", "doctor", "tags", str(place), "--json"]) == 1
        assert "1 of 2 pictures" in json.loads(capsys.readouterr().out)["problems"][0]
    place.write_bytes(b"x")
    assert main(["data", "doctor", "tags", str(place)]) == 1


def test_official_counts(tmp_path):
    """VOC's lists and SBD's, as many entries as published: 10,252 pictures of SBD and 330 of VOC make trainaug."""
    val, train, extra = ([f"{kind}_{k:06d}" for k in range(count)]
                         for kind, count in (("v", 1449), ("t", 1464), ("s", 9118)))
    lists = {"train": train, "val": val, "test": [f"x_{k:06d}" for k in range(1456)]}
    for name, listed in lists.items():
        tree.text(tmp_path / f"VOC2012/ImageSets/Segmentation/{name}.txt", "\n".join(listed))
    of_sbd = [*extra, *train[:1134], *val[:1103]]
    for name, listed in (("train", of_sbd[:8498]), ("val", of_sbd[8498:])):
        tree.text(tmp_path / f"benchmark_RELEASE/dataset/{name}.txt", "\n".join(listed))
    (tmp_path / "benchmark_RELEASE/dataset/cls").mkdir()
    report = doctor.check(tmp_path, ("train", "val", "test", "trainaug"), workers=1)
    assert report.pictures == report.official == {"train": 1464, "val": 1449, "test": 1456, "trainaug": 10582}
    report = doctor.check(tmp_path, ("train", "val"), workers=1, layout="sbd")
    assert report.pictures == report.official == {"train": 8498, "val": 2857}
    tree.text(tmp_path / "VOC2012/ImageSets/Segmentation/train.txt", "\n".join(train[:-64]))
    report = doctor.check(tmp_path, ("train",), workers=1)
    assert "train: 1,400 pictures (official list: 1,464)" in report.text()
    assert {name: doctor.read.of(name).OFFICIAL for name in ("cityscapes", "imagenet_det", "densepose")} == {
        "cityscapes": {"train": 2975, "val": 500, "test": 1525, "train_extra": 19998},
        "imagenet_det": {"train": 456567, "val": 4690, "test": 10000},
        "densepose": {"train2014_sub": 3000, "minival2014": 1508, "valminusminival2014": 5984}}
