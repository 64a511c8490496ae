"""Both chains of this paper by the real command on small synthetic data: results, workers, kills, odd data sets."""

import hashlib
import re
import shutil
from functools import partial

import numpy as np
import pytest
import scipy.io
import torch

import wsnb
from tests import command
from tests.kernels import killed
from tests.predicted import agrees_with_its_run
from tests.simple_does_it import chain
from wsnb.data.synthetic import make_sbd, make_voc
from wsnb.files import FileError, load_torch, read_index, save_png
from wsnb.papers.simple_does_it import box_labels, evaluate, semantic

BEFORE_TRAINING = ("01_prepare", "02_surgery")

@pytest.fixture(scope="module")
def voc_data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("voc") / "VOCdevkit", train=6, val=3, size=(64, 80))


@pytest.fixture(scope="module")
def sbd_data(tmp_path_factory):
    return make_sbd.write(tmp_path_factory.mktemp("sbd") / "sbd", {"train": 5, "val": 3}, size=(64, 80))


@pytest.fixture(scope="module")
def semantic_runs(voc_data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("semantic")
    done = chain.run("shapes_semantic", voc_data, runs)
    assert done.returncode == 0, done.stdout
    return runs


@pytest.fixture(scope="module")
def instance_runs(sbd_data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("instance")
    done = chain.run("shapes_instance", sbd_data, runs)
    assert done.returncode == 0, done.stdout
    return runs


def hashes(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.png")}


def killed_in(experiment, stage, data, pattern, folder, before=(), **more):
    """A run killed as soon as STAGE has a file of PATTERN: its runs, the stage's folder. BEFORE: finished stages."""
    place = partial(chain.stage, experiment=experiment, name=stage)

    def start(runs):
        command.give(before, runs)
        return chain.start(experiment, data, runs, "--until", stage, **more)

    runs, _ = killed(start, place, lambda folder: any(folder.glob(pattern)), folder)
    return runs, place(runs)


def whole_pictures(place, pattern):
    """{path: time} of the files of a killed stage: some pictures, each of them whole, and no manifest."""
    assert not (place / "manifest.json").exists()
    left = {p: p.stat().st_mtime_ns for p in place.glob(pattern)}
    assert left
    for path in left:
        read_index(path)
    return left


def test_predictions_are_the_label_maps_of_the_run(semantic_runs, voc_data):
    agrees_with_its_run(semantic_runs, "simple_does_it/shapes_semantic", voc_data)


def test_predictions_fill_boxes_as_the_run_does(instance_runs, sbd_data):
    model = wsnb.load("simple_does_it/shapes_instance", instance_runs, "cpu")
    stage, folder = model.predictor.same_as
    place = instance_runs / "simple_does_it/shapes_instance"
    for picture, mask, box in evaluate.read_split(place / "01_prepare", "val"):
        image, = sbd_data.rglob(picture)
        own = read_index(place / stage / folder / mask) > 0
        assert np.array_equal(model.predict(image, [box]) == 1, own)
    with pytest.raises(FileError, match="give --box"):
        model.predict(image)


def test_labels_of_every_method_are_scored(semantic_runs):
    results = chain.manifest(semantic_runs, "shapes_semantic", "06_labels")["results"]
    assert {r["protocol"]["method"] for r in results} == {f"labels: {semantic.title(n)}" for n in box_labels.NAMES}
    values = {r["protocol"]["method"]: r["value"] for r in results}
    assert values["labels: GrabCut+"] > values["labels: Rectangles"] > 20


def test_networks_of_all_rounds_are_scored(semantic_runs):
    record = chain.manifest(semantic_runs, "shapes_semantic", "08_evaluate")
    scored = {(r["protocol"]["method"].removeprefix("Simple Does It: ").rpartition(",")[0], bool(r["protocol"]["crf"]))
              for r in record["results"] if r.get("protocol") and "Simple" in r["protocol"]["method"]}
    assert scored == {(n, c) for n in ("masks", "Rectangles", "Box, round 2") for c in (False, True)}
    second = chain.stage(semantic_runs, "shapes_semantic", "07_train@2")
    maps = list((second / "denoised/rectangles@2").glob("*.png"))
    assert len(maps) == 6 and all(read_index(p).max() <= 5 for p in maps)


def test_an_absurd_learning_rate_scores_nothing(voc_data, semantic_runs, tmp_path):
    shutil.copytree(semantic_runs, tmp_path / "runs", symlinks=True)
    done = chain.run("shapes_semantic", voc_data, tmp_path / "runs", lr="1e30")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert re.search(r"scores are not finite|loss is (nan|inf)|tensors are not finite", done.stdout), done.stdout
    assert "07_train" in done.stdout and "08_evaluate" not in done.stdout


def test_labelling_killed_and_with_other_workers_gives_the_same_files(voc_data, semantic_runs, tmp_path):
    """SIGKILL of runner and kernel in the middle of the pictures: their files are whole and are kept."""
    runs, place = killed_in("shapes_semantic", "06_labels", voc_data, "labels/*/*.png", tmp_path, workers=2)
    before = whole_pictures(place, "labels/*/*.png")
    done = chain.run("shapes_semantic", voc_data, runs, "--until", "06_labels", workers=2)
    assert done.returncode == 0, done.stdout
    assert {p: p.stat().st_mtime_ns for p in before} == before  # kept, not computed again
    whole = hashes(chain.stage(semantic_runs, "shapes_semantic", "06_labels") / "labels")
    assert len(whole) == 6 * len(box_labels.NAMES) and hashes(place / "labels") == whole


def test_instances_are_scored(instance_runs):
    record = chain.manifest(instance_runs, "shapes_instance", "05_evaluate")
    names = {(r["name"], r["protocol"]["method"].removeprefix("Simple Does It: ")) for r in record["results"]}
    kinds = ("Rectangle", "Ellipse", "MCG", "GrabCut", "GrabCut+", "network, boxes", "network, masks")
    assert names == {(m, k) for m in ("mAP^r@0.5", "mAP^r@0.75", "ABO") for k in kinds} | {
        ("mAP^r@0.5, ranked", k) for k in kinds[-2:]}
    assert all(r["counts"] for r in record["results"])  # of single pictures
    values = {(r["name"], r["protocol"]["method"].removeprefix("Simple Does It: ")): r["value"]
              for r in record["results"]}
    assert values["ABO", "GrabCut+"] > values["ABO", "Rectangle"] > 0


def test_what_the_presets_do(instance_runs, sbd_data, tmp_path):
    """Faithful: the last picture is never drawn. Fixed: it is; the protocol names the preset of every row."""
    command.give([chain.stage(instance_runs, "shapes_instance", name) for name in BEFORE_TRAINING], tmp_path)
    done = chain.run("shapes_instance", sbd_data, tmp_path, preset="fixed", train_on="[weak]", overlays=0)
    assert done.returncode == 0, done.stdout
    for runs, dropped in ((instance_runs, 1), (tmp_path, 0)):
        folder = chain.stage(runs, "shapes_instance", "04_test") / "img_with_predicted_inst_masks/weak"
        lines = (chain.stage(runs, "shapes_instance", "01_prepare") / "val_img_mask_pairs.txt").read_text().splitlines()
        pictures = list(dict.fromkeys(line.split(".jpg")[0] for line in lines))
        assert len(pictures) > 1
        assert {p.stem for p in folder.glob("*.png")} == set(pictures[: len(pictures) - dropped])
        rows = chain.manifest(runs, "shapes_instance", "05_evaluate")["results"]
        assert {r["protocol"]["preset"] for r in rows} == {"faithful" if dropped else "fixed"}
        assert {f"{len(lines)} objects" in r["protocol"]["matching"] for r in rows} == {True}
    refused = chain.run("shapes_instance", sbd_data, tmp_path, preset="fix")
    assert refused.returncode != 0 and "use one of faithful, fixed" in refused.stdout


@pytest.mark.parametrize("split, said", [("train", "take a train_split that has some"),
                                         ("val", "take a val_split that has some")])
def test_instances_of_pictures_without_objects_are_refused_in_words(split, said, tmp_path):
    data = make_sbd.write(tmp_path / "sbd", {"train": 2, "val": 1}, size=(64, 80))
    nothing = {"Segmentation": np.zeros((64, 80), np.uint8), "Categories": np.zeros((0, 1), np.uint8)}
    for name in (data / make_sbd.PLACE / f"{split}.txt").read_text().split():
        for kind, field in (("inst", "GTinst"), ("cls", "GTcls")):
            scipy.io.savemat(data / make_sbd.PLACE / kind / f"{name}.mat",
                             {field: {**nothing, "CategoriesPresent": nothing["Categories"]}})
    done = chain.run("shapes_instance", data, tmp_path / "runs", "--until", "04_test", train_on="[weak]")
    assert done.returncode != 0 and said in done.stdout, done.stdout


def test_training_killed_goes_on_to_the_same_weights(sbd_data, instance_runs, tmp_path):
    before = [chain.stage(instance_runs, "shapes_instance", name) for name in BEFORE_TRAINING]
    runs, place = killed_in("shapes_instance", "03_train", sbd_data, "weak/training.pt", tmp_path, before)
    done = chain.run("shapes_instance", sbd_data, runs, "--until", "03_train")
    assert done.returncode == 0 and "continuing from training.pt" in done.stdout, done.stdout
    whole = chain.stage(instance_runs, "shapes_instance", "03_train")
    for kind in ("weak", "full"):
        one, other = (load_torch(folder / kind / "network.pth") for folder in (place, whole))
        assert list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_odd_data_sets(tmp_path):
    """One picture without foreground to learn from, one that is all void to test on."""
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=1, val=1, size=(64, 80))
    for name, value in (("train_000000", 0), ("val_000000", 255)):
        path = data / f"VOC2012/SegmentationClass/{name}.png"
        save_png(path, np.full_like(read_index(path), value))
    for path in (data / "VOC2012/Annotations").glob("*.xml"):
        text = path.read_text()
        path.write_text(text[: text.index("<object>")] + "</annotation>" if "<object>" in text else text)
    done = chain.run("shapes_semantic", data, tmp_path / "runs", train_labels="[rectangles]")
    assert done.returncode == 0, done.stdout
    record = chain.manifest(tmp_path / "runs", "shapes_semantic", "08_evaluate")
    assert all(r["value"] is None or 0 <= r["value"] <= 100 for r in record["results"])
    assert {r["value"] for r in record["results"] if r["name"] == "mIoU"} == {None}  # undefined without an object


def test_unknown_methods_are_refused_at_once(voc_data, tmp_path):
    done = chain.run("shapes_semantic", voc_data, tmp_path, "--until", "06_labels", label_methods="[watershed]")
    assert done.returncode != 0 and "label_methods is 'watershed'; use one of rectangles" in done.stdout
