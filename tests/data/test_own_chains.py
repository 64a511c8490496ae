"""Chains on one's own pictures, by the real commands: `wsnb data new`, then what it says fits the labels.

The whole chains of every kind of label run with WSNB_SLOW=1; else those that are short, and the others as far as the
labels have arrived.
"""

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import command
from tests.data import tree
from tests.no_people_allowed import chain as no_people_allowed
from tests.panoptic import chain as panoptic
from tests.simple_does_it import chain as simple_does_it
from tests.single_stage import chain as single_stage
from tests.spml import chain as spml
from wsnb.data import voc
from wsnb.data.own import dataset, example
from wsnb.data.synthetic import shapes
from wsnb.files import load_json, read_index, save_json
from wsnb.run import experiments, own_pictures, predict

SLOW = pytest.mark.skipif(not os.environ.get("WSNB_SLOW"), reason="a whole chain runs half a minute: set WSNB_SLOW=1")
SMALL = {
    "single_stage/shapes": single_stage.SMALL, "no_people_allowed/shapes": no_people_allowed.SMALL,
    "panoptic/shapes": {k: v for k, v in panoptic.SMALL.items() if k not in ("limit", "val_limit", "detections")},
    "simple_does_it/shapes_semantic": simple_does_it.SEMANTIC,
    "simple_does_it/shapes_instance": simple_does_it.INSTANCE,
    **{f"spml/shapes_{kind}": {**{k: v for k, v in spml.SMALL.items() if "limit" not in k}, "cam_epochs": 1}
       for kind in ("tag", "box", "scribble", "point")},
}
COUNT, SIZE = 6, (64, 80)
FILES = {"tags": ("tags.csv",), "COCO boxes": ("boxes.json",), "scribbles": ("scribbles", "classes.txt"),
         "points": ("points.csv",), "VOC boxes and masks": ("masks", "classes.txt"), "COCO outlines": (), "stuff": ()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of pictures a kind of label, as a user may bring them."""
    root = tmp_path_factory.mktemp("mine")
    every = example.example(root / "every", COUNT, 2, SIZE)
    scenes = [shapes.scene(k, "test", SIZE) for k in range(COUNT)]
    for kind, names in FILES.items():
        for path in (*every.glob("*.jpg"), *(every / name for name in names)):
            (root / kind).mkdir(exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, root / kind / path.name)
    for k, scene in enumerate(scenes):
        voc.save_xml(root / f"VOC boxes and masks/boxes/picture {k + 1:02d}.xml", "x.jpg", SIZE, scene.boxes,
                     scene.labels, shapes.CLASSES)
    coco = load_json(every / "boxes.json")
    tagged = {3, 5}  # what is only tagged is stuff
    rest = [one for one in coco["annotations"] if one["category_id"] not in tagged]
    save_json(root / "stuff/boxes.json", {**coco, "annotations": rest})
    shutil.copy(every / "tags.csv", root / "stuff")
    for one in coco["annotations"]:  # a triangle in each box
        x, y, width, height = one["bbox"]
        one["segmentation"] = [[x, y + height, x + width / 2, y, x + width, y + height]]
    save_json(root / "COCO outlines/boxes.json", coco)
    return root


@pytest.fixture(scope="module")
def made(place):
    """{kind: what `wsnb data new` said} of each folder."""
    return {kind: wsnb("data", "new", str(place / kind)) for kind in FILES}


def wsnb(*words) -> str:
    """What the command `wsnb` says; it has to succeed."""
    done = command.wsnb(*words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def run(place, kind, title, runs, *more) -> Path:
    """Run the command that the table of the chapter shows, with tiny settings; the chain's folder."""
    root = place / kind / "VOCdevkit"
    full = own_pictures.full_kinds(load_json(root / "VOC2012/own.json")["known"], COUNT)
    chain = next(one for one in own_pictures.CHAINS if title == one.tiny)
    words = shlex.split(own_pictures.command(title, root, chain.options(full, tiny=True)))[1:]
    words[words.index("my_runs")] = str(runs)
    have = experiments.load(command.ROOT, *title.split("/")).values
    set_already = {word.partition("=")[0] for word in words if "=" in word}
    for name, value in SMALL[title].items():
        if name in have and name not in set_already:
            words += ["-p", f"{name}={value}"]
    wsnb(*words, *more)
    return Path(runs) / title


def results(folder, stage) -> list:
    return json.loads((folder / stage / "results.json").read_text())["results"]


def labels(folder) -> np.ndarray:
    """All values of the label maps in a folder."""
    return np.unique(np.concatenate([read_index(path).ravel() for path in folder.glob("*.png")]))


def test_what_the_command_says(made):
    assert "labels: boxes of 6, masks of 2, masks of single objects of 2" in made["VOC boxes and masks"]
    assert "labels: boxes of 6, masks of 6, masks of single objects of 6" in made["COCO outlines"]
    assert "stuff, tagged and never boxed" in made["stuff"]
    for kind, said in made.items():
        fits = {line.split()[2] for line in said.splitlines() if line.startswith("  wsnb run")}
        boxes = {"spml/voc_small_box", "panoptic/voc_small", "simple_does_it/voc_small_semantic",
                 "simple_does_it/voc_small_instance"}
        strokes = {f"spml/voc_small_{name}" for name in ("scribble", "point")}
        fitting = {"tags": set(), "scribbles": {"spml/voc_small_scribble"}, "points": {"spml/voc_small_point"},
                   "COCO outlines": boxes | strokes}.get(kind, boxes)
        tags = {"single_stage/voc_small", "no_people_allowed/voc_small_irn", "spml/voc_small_tag"}
        assert fits == tags | fitting, kind


def test_a_label_counts_if_every_picture_has_it(tmp_path):
    for chain in own_pictures.CHAINS:
        tree.text(tmp_path / "params" / f"{chain.small}.yaml", "")
    fits = {title: options for title, _, options in own_pictures.fitting(tmp_path, {"scribbles": 9, "points": 8}, 9)}
    assert fits["spml/voc_small_scribble"] == "-p weak_source=dataset" and fits["spml/voc_small_point"] is None
    assert fits["panoptic/voc_small"] is None and fits["single_stage/voc_small"] == ""
    assert fits["no_people_allowed/voc_small_irn"] == "--until 08_evaluate"
    assert not own_pictures.fitting(tmp_path / "other", {"tags": 9}, 9), "only what the project has"


def test_few_pictures_train_for_as_many_iterations_as_the_books():
    known = {kind: 20 for kind in ("tags", "boxes", "scribbles", "points")}
    fits = {title: options for title, _, options in own_pictures.fitting(command.ROOT, known, 20, 16)}
    assert "-p epochs=494 -p pretrain=190" in fits["single_stage/voc_small"]  # 600 / 16 pictures are 38 passes more
    assert fits["spml/voc_small_point"] == "-p weak_source=dataset"  # counts iterations
    for chain in own_pictures.CHAINS:
        assert set(chain.per_epoch) <= set(experiments.load(command.ROOT, *chain.small.split("/")).values)
    large = {title: options for title, _, options in own_pictures.fitting(command.ROOT, known, 20, 600)}
    assert "epochs" not in " ".join(filter(None, large.values()))


@pytest.mark.parametrize("full", [{"tags"}, {"tags", "boxes", "scribbles", "points"}, {"tags", *dataset.KINDS}])
def test_every_command_of_the_table_is_one(full):
    """The experiments are there, and they have the parameters and stages that the commands name."""
    for chain in own_pictures.CHAINS:
        for title, tiny in ((chain.small, False), (chain.tiny, True)):
            have = experiments.load(command.ROOT, *title.split("/"))
            said = shlex.split(own_pictures.command(title, "x y", chain.options(full, tiny) or ""))
            assert {word.partition("=")[0] for word in said if "=" in word} <= set(have.values), said
            stages = [stage.name for stage in have.stages]
            assert "--until" not in said or said[said.index("--until") + 1] in stages, said


def test_tags_train_the_single_stage_network(place, made, tmp_path):
    folder = run(place, "tags", "single_stage/shapes", tmp_path)
    rows = results(folder, "03_evaluate")
    assert {row["protocol"]["dataset"] for row in rows if row["protocol"]} == {"own"}
    assert all(row["value"] is None for row in rows if row["name"] == "mIoU"), "nothing to score by"
    assert list((folder / "02_masks").rglob("*.png"))


def test_boxes_train_the_instance_network(place, made, tmp_path):
    """Without a single true mask: the labels come from the boxes, and there is nothing to score."""
    folder = run(place, "COCO boxes", "simple_does_it/shapes_instance", tmp_path)
    found = list((folder / "04_test/predicted_inst_masks/weak").glob("*.png"))
    assert found and results(folder, "05_evaluate") == []
    assert not list((folder / "01_prepare/inst_masks").glob("*.png"))


def test_pictures_without_labels_are_predicted(place, tmp_path):
    """Boxes of some pictures, none of others: a chain learns from the former and labels the latter."""
    new = tmp_path / "new ones"
    new.mkdir()
    for k in range(2):
        shutil.copy(place / f"COCO boxes/picture {k + 1:02d}.jpg", new / f"unseen {k}.jpg")
    root = tmp_path / "VOCdevkit"
    said = wsnb("data", "new", str(place / "COCO boxes"), "--root", str(root), "--unlabelled", str(new))
    assert "5 train, 1 val, 2 test pictures" in said and "labels: boxes of 6" in said
    small = {**SMALL["single_stage/shapes"], "epochs": 1, "dataset": "own", "split": "test",
             "tag_sources": "[predicted]"}
    words = [word for name, value in small.items() for word in ("-p", f"{name}={value}")]
    title, runs = "single_stage/shapes", str(tmp_path / "my_runs")
    wsnb("run", title, "--data-root", str(root), "--runs", runs, "--until", "02_masks", *words)
    line, = (line for line in said.splitlines() if "wsnb predict" in line)
    words = shlex.split(line.partition("wsnb ")[2].replace("EXPERIMENT", title).replace("my_runs", shlex.quote(runs)))
    wsnb(*words, "--out", str(tmp_path / "out"), "--device", "cpu")
    stage, kept = predict.load(title, runs, "cpu").predictor.same_as
    for k in range(2):
        own = read_index(tmp_path / "my_runs" / title / stage / kept / f"unseen_{k}.png")
        assert np.array_equal(read_index(tmp_path / f"out/unseen_{k}.png"), own)
    with pytest.raises(AssertionError, match="a labelled picture has the same name"):
        shutil.copy(place / "COCO boxes/picture 01.jpg", new)
        wsnb("data", "new", str(place / "COCO boxes"), "--root", str(tmp_path / "x"), "--unlabelled", str(new))


@pytest.mark.parametrize("kind, stage", [("scribbles", "04_embedding"), ("points", "03_weak_masks")])
def test_strokes_arrive_at_the_embedding(place, made, kind, stage, tmp_path):
    folder = run(place, kind, f"spml/shapes_{kind[:-1]}", tmp_path, "--until", stage)
    data = place / kind / "VOCdevkit/VOC2012" / kind.capitalize()
    found = list((folder / "03_weak_masks/weak").glob("*.png"))
    assert len(found) == COUNT - 1
    for path in found:
        marked, told = read_index(data / path.name), read_index(path)
        assert (told[marked < 6] == marked[marked < 6]).all() and (told < 6).mean() < 0.5


def test_boxes_and_tags_of_stuff_make_panoptic_labels(place, made, tmp_path):
    folder = run(place, "stuff", "panoptic/shapes", tmp_path, "--until", "05_labels")
    data, found = place / "stuff/VOCdevkit/VOC2012", set(labels(folder / "05_labels/labels").tolist())
    names = (data / "classes.txt").read_text().split()
    stuff = {names.index(name) for name in (data / "stuff.txt").read_text().split()}
    assert len(stuff) == 2 and found & (set(range(1, 6)) - stuff), "things are labelled, from their boxes"
    tags = [np.load(path)["tags"] for path in (folder / "01_crops/tags").glob("*.npz")]
    assert all(one[:, sorted(stuff)].all(0).any() or not one[:, sorted(stuff)].any() for one in tags)
    assert any(one[:, sorted(stuff)].any() for one in tags), "stuff is a tag of every crop of its picture"


def test_a_chain_that_does_not_fit_is_refused_at_once(place, made, tmp_path):
    root = str(place / "tags/VOCdevkit")
    with pytest.raises(AssertionError) as refused:
        wsnb("run", "panoptic/shapes", "--data-root", root, "--runs", str(tmp_path), "-p", "layout=voc")
    said = str(refused.value)
    assert "5 of 5 pictures have no boxes file (the first is picture_01); give boxes of every picture" in said
    assert not (tmp_path / "panoptic/shapes/02_cams").exists()


@SLOW
@pytest.mark.parametrize("kind, title, stage", [
    ("tags", "no_people_allowed/shapes", "08_evaluate"),
    ("tags", "spml/shapes_tag", "10_evaluate"),
    ("COCO boxes", "spml/shapes_box", "10_evaluate"),
    ("scribbles", "spml/shapes_scribble", "10_evaluate"),
    ("points", "spml/shapes_point", "10_evaluate"),
    ("VOC boxes and masks", "simple_does_it/shapes_semantic", "08_evaluate"),
    ("VOC boxes and masks", "simple_does_it/shapes_instance", "05_evaluate"),
    ("VOC boxes and masks", "panoptic/shapes", "10_evaluate"),
    ("COCO boxes", "panoptic/shapes", "10_evaluate"),
    ("stuff", "panoptic/shapes", "10_evaluate"),
    ("COCO outlines", "panoptic/shapes", "11_bound"),
    ("COCO outlines", "simple_does_it/shapes_instance", "05_evaluate"),
    ("COCO outlines", "no_people_allowed/shapes", "09_instances"),
])
def test_whole_chains(place, made, kind, title, stage, tmp_path):
    folder = run(place, kind, title, tmp_path)
    rows = results(folder, stage)
    scored = [row for row in rows if row["value"] is not None]
    assert all(0 <= row["value"] <= 100 for row in scored if row["unit"] == "%")
    assert bool(scored) or kind in ("tags", "COCO boxes", "stuff")
    assert {row["protocol"]["dataset"] for row in rows if row["protocol"]} <= {"own"}
