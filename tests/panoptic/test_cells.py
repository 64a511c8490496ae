"""What the notebooks decide, cell by cell on five street scenes: what is refused early, what a round begins with, which
pictures are shown and scored, and what the results say of themselves."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.panoptic import cells
from wsnb.data import read
from wsnb.data.synthetic import make_cityscapes
from wsnb.files import FileError, load_torch, save_png
from wsnb.ops import segmentation
from wsnb.papers.panoptic import boxes, cams, iterate, label_space
from wsnb.papers.panoptic import data as panoptic
from wsnb.papers.panoptic.label_space import CITYSCAPES

SMALL = {"workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 2, "later_epochs": 1, "cam_flip": False,
         "cam_epochs": 1, "crop_input": [28, 35], "crf_iterations": 0, "detections": ["components"], "val_limit": 3}


def go(patch, name, data, runs=None, **values):
    """The names of a notebook after it has run on DATA with small parameters and VALUES."""
    return cells.run(patch, name, runs or data / "runs", **{**SMALL, "data_root": str(data / "city"), **values})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    make_cityscapes.write(folder / "city", counts={"train": 4, "val": 3, "train_extra": 0}, size=(64, 128))
    return folder


@pytest.fixture(scope="module")
def chain(data):
    """{stage: names of its cells} of a chain with given CAM labels, whose second round does not train, and with a
    picture of val of whose objects nothing is known."""
    with pytest.MonkeyPatch.context() as patch:
        known = read.items
        patch.setattr(read, "items", lambda *words: [
            replace(item, instances=None) if item.id == "shapes_000001_000000" else item for item in known(*words)])
        patch.setattr(cams, "stitched_maps", lambda *_: pytest.fail("Grad-CAM of a classifier that never learned"))
        items = read.items("cityscapes", data / "city", "train")
        for item in items:
            save_png(data / "cam" / f"{item.id}.png", read.mask("cityscapes", item, 19))
        found = {"01": go(patch, "01", data), "02": go(patch, "02", data, cam_dir=str(data / "cam"))}
        found |= {name: go(patch, name, data) for name in ("03", "04", "05", "06", "07", "08")}
        kept = json.loads((data / "runs/06_train/results.json").read_text())
        kept["notes"]["losses"] = [1.0, 1.1]  # as if there had been a round before it, and it was no better
        (data / "runs/06_train/results.json").write_text(json.dumps(kept))
        found["06@2"] = go(patch, "06", data, stop_when_flat=True, warm_start=False, round=2)
        found["07@2"] = go(patch, "07", data, round=2)
        return found | {name: go(patch, name, data) for name in ("09", "10", "11")}


def test_a_flat_round_keeps_the_earlier_weights_though_it_would_start_anew(chain, data):
    first, second = (load_torch(data / "runs" / name / "network.pth") for name in ("06_train", "06_train@2"))
    assert chain["06@2"]["flat"] and all(torch.equal(first[key], value) for key, value in second.items())


def test_the_bound_trains_as_long_as_the_rounds_did(chain):
    assert chain["06"]["epochs"] == 2 and chain["06@2"]["epochs"] == 0 and chain["11"]["epochs"] == 2


def test_weak_and_full_are_scored_on_the_same_pictures(chain):
    weak, full = ({(row["protocol"]["split_hash"], row["protocol"]["dataset_size"]) for row in chain[name]["results"]
                   if "protocol" in row} for name in ("10", "11"))
    assert weak == full and [size for _, size in weak] == [2]


def test_the_bound_can_have_fewer_masks(chain, data, monkeypatch):
    found = go(monkeypatch, "11", data, bound_limit=1)
    assert len(found["items"]) == 1 and {row["protocol"]["train_size"] for row in found["results"]
                                         if "protocol" in row} == {1}


def test_results_say_what_was_chosen_with_masks_unless_the_class_maps_were_given(chain, data, monkeypatch, tmp_path):
    def annotations(names):
        return {row["protocol"]["annotation"] for row in names["results"] if "protocol" in row}

    assert annotations(chain["10"]) == {""} == annotations(chain["11"])
    shutil.copytree(data / "runs", tmp_path / "runs")
    own = json.loads((tmp_path / "runs/02_cams/results.json").read_text())
    own["notes"]["given"] = False
    (tmp_path / "runs/02_cams/results.json").write_text(json.dumps(own))
    assert annotations(go(monkeypatch, "10", data, tmp_path / "runs")) == {
        "threshold of the class maps chosen on up to 16 training pictures with their masks"}


def test_the_price_of_boxes_and_tags_says_what_the_crops_had(chain):
    tags = sum(int(np.sum(tags)) for tags in chain["01"]["tags_of"].values())
    assert any(f"{tags} tags of crops" in line for line in chain["03"]["stage"].lines)
    assert chain["03"]["drawn"]["tags"] == int(chain["03"]["total"].stuff) < tags


def test_every_stage_shows_the_same_picture_first(chain, data):
    items = read.items("cityscapes", data / "city", "train")
    space = chain["01"]["space"]
    busy = [int((~one.stuff & ~one.groups).sum()) for one in (
        panoptic.objects_of("cityscapes", item, space) for item in items)]
    assert busy[0] < max(busy), "the first picture must not be the busiest"
    busiest = items[int(np.argmax(busy))].id
    assert {chain[name]["shown"][0].id for name in ("01", "02", "03", "07")} == {busiest}
    assert {chain[name]["item"].id for name in ("04", "05", "08")} == {busiest}


@pytest.mark.parametrize("name, values, what", [
    ("01", {"val_split": "vall"}, "val_split 'vall'.*no such folder"),
    ("01", {"boxes_dir": ".mat"}, "boxes_dir: .*000002.mat: missing.*complete the folder"),
    ("01", {"mandg_dir": ".png"}, "mandg_dir: .*000002.png: missing.*complete the folder"),
    ("02", {"cam_dir": ".png"}, "cam_dir: .*000002.png: missing.*complete the folder"),
])
def test_missing_files_are_named_before_anything_is_trained(chain, data, monkeypatch, tmp_path, name, values, what):
    for key, suffix in values.items():
        if suffix.startswith("."):
            for item in read.items("cityscapes", data / "city", "train", 2):
                (tmp_path / f"{item.id}_leftImg8bit{suffix}").write_bytes(b"")
            values = {key: str(tmp_path)}
    shutil.copytree(data / "runs/01_crops", tmp_path / "runs/01_crops")
    monkeypatch.setattr(segmentation, "fit", lambda *_: pytest.fail("trained first"))
    with pytest.raises(FileError, match=what):
        go(monkeypatch, name, data, tmp_path / "runs", **values)


def test_followed_pictures_have_known_instances_first_then_most_things(monkeypatch):
    counts = {"a": 1, "b": 9, "c": 3, "d": 3, "far": 20}
    items = [SimpleNamespace(id=name, boxes=True, instances=name != "b" or None) for name in counts]
    monkeypatch.setattr(panoptic, "objects_of", lambda layout, item, space: boxes.objects(
        [(13, 0, 0, 4, 4, 0, 0)] * counts[item.id] + [(13, 0, 0, 9, 9, 1, 0)] * 5))
    pictures = panoptic.Pictures(CITYSCAPES, tuple(items), (), ())
    assert [item.id for item in panoptic.followed(pictures, 9, among=4)] == ["c", "d", "a", "b"]
    elsewhere = panoptic.Pictures(label_space.of("voc", ("background", "x")), tuple(SimpleNamespace(
        id=name, boxes=None, instances=None) for name in "ab"), (), ())  # their boxes come from boxes_dir
    assert [item.id for item in panoptic.followed(elsewhere, 2)] == ["a", "b"]


@pytest.mark.parametrize("stop, warm, losses, found", [
    (True, False, [1.0, 1.1], (True, True, 0)), (True, True, [1.0, 1.1], (True, True, 0)),
    (True, False, [1.0, 0.9], (False, False, 5)), (False, True, [1.0, 1.1], (False, True, 2)),
])
def test_how_a_later_round_begins(stop, warm, losses, found):
    p = SimpleNamespace(round=3, stop_when_flat=stop, warm_start=warm, epochs=5, later_epochs=2)
    assert iterate.beginning(p, losses) == found
    first = SimpleNamespace(**{**vars(p), "round": 1})
    assert iterate.beginning(first, []) == (False, False, 5)
