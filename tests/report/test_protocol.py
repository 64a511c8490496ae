"""Protocols: strict, and compared only in what both sides state."""

import dataclasses
import json
import subprocess
import sys

import pytest

from wsnb.report.protocol import Protocol, ProtocolError, differences, split_hash

FULL = {
    "dataset": "VOC2012",
    "dataset_size": 1449,
    "split": "val",
    "split_hash": "ab",
    "image_labels": "predicted",
    "scales": [1, 0.5],
    "flip": True,
    "crf": "",
    "resolution": "original",
    "threshold": "0.1",
    "threshold_split": "train",
    "aggregation": "data set",
    "ignore_label": 255,
    "weights": "imagenet",
    "supervision": "image labels",
    "method": "single-stage",
    "backbone": "WideResNet38",
    "preset": "faithful",
    "label_source": "semi",
    "full_share": 0.1,
    "train_size": 10582,
    "annotation": "tags",
    "matching": "IoU > 0.5",
    "iou_thresholds": [0.5, 0.75],
}


def test_there_and_back():
    protocol = Protocol.from_dict(FULL)
    assert Protocol.from_dict(json.loads(json.dumps(protocol.as_dict()))) == protocol
    assert set(protocol.as_dict()) == {field.name for field in dataclasses.fields(Protocol)} == set(FULL)
    assert hash(protocol)
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.split = "test"


@pytest.mark.parametrize(
    "change, word",
    [
        ({"scale": [1]}, "unknown field scale"),
        ({"dataset_size": "1449"}, "dataset_size"),
        ({"dataset_size": True}, "dataset_size"),
        ({"flip": "yes"}, "flip"),
        ({"scales": [1, "2"]}, "scales"),
        ({"image_labels": "guessed"}, "image_labels"),
        ({"preset": "quirky"}, "preset"),
        ({"crf": None}, "crf"),
        ({"label_source": "half"}, "label_source"),
        ({"full_share": 10}, "full_share"),
        ({"full_share": "10 %"}, "full_share"),
        ({"train_size": 1.5}, "train_size"),
        ({"iou_thresholds": 0.5}, "iou_thresholds"),
    ],
)
def test_refused(change, word):
    with pytest.raises(ProtocolError, match=word):
        Protocol.from_dict({**FULL, **change})


def test_missing_field_is_named():
    with pytest.raises(ProtocolError, match="split is missing"):
        Protocol.from_dict({name: value for name, value in FULL.items() if name != "split"})


@pytest.mark.parametrize(
    "field, value",
    [
        ("dataset_size", 200),
        ("split_hash", "cd"),
        ("scales", [1.0]),
        ("flip", False),
        ("crf", "10 iterations"),
        ("image_labels", "ground truth"),
        ("preset", "fixed"),
    ],
)
def test_every_difference_is_named(field, value):
    a = Protocol.from_dict(FULL)
    assert differences(a, dataclasses.replace(a, **{field: value})) == [field]


def test_what_is_not_stated_does_not_differ():
    a = Protocol.from_dict(FULL)
    assert differences(a, dataclasses.replace(a, scales=(), flip=None, weights="", split_hash="")) == []
    assert differences(a, {"split": "val"}) == []
    assert differences(a, {"split": "test", "backbone": None}) == ["split"]


def test_crf_no_is_a_statement_and_yes_is_any():
    without, with_crf = Protocol.from_dict(FULL), Protocol.from_dict({**FULL, "crf": "10 iterations, sxy 3"})
    assert differences(without, {"crf": ""}) == differences(with_crf, {"crf": "yes"}) == []
    assert differences(without, {"crf": "yes"}) == differences(with_crf, {"crf": ""}) == ["crf"]


def test_spelling_does_not_differ():
    a = Protocol.from_dict({**FULL, "backbone": "resnet38", "dataset": "voc12", "method": "single_stage"})
    assert differences(a, FULL) == []


def test_split_hash():
    assert split_hash(["a", "b"]) == split_hash(("b", "a")) != split_hash(["ab"])
    assert len(split_hash([])) == 64


def test_no_torch():
    code = "import sys, wsnb.report.protocol, wsnb.report.match, wsnb.report.frame; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_records_from_before_the_newer_fields():
    newer = ("label_source", "full_share", "train_size", "annotation", "matching", "iou_thresholds")
    old = Protocol.from_dict({name: value for name, value in FULL.items() if name not in newer})
    assert [getattr(old, name) for name in newer] == ["", None, None, "", "", ()]
    assert differences(old, FULL) == []  # not stated is no difference


def test_newer_fields_count():
    assert differences(FULL, {**FULL, "full_share": 0.0}) == ["full_share"]
    assert differences(FULL, {**FULL, "iou_thresholds": (0.5, 0.75)}) == []
    assert differences(FULL, {**FULL, "matching": "COCO", "train_size": 600}) == ["train_size", "matching"]
