"""The notebooks of this paper, run by the real command on small synthetic data: results, kills, odd data sets."""

import hashlib
from functools import partial

import numpy as np
import pytest
import torch

from tests import command
from tests.kernels import killed, logged
from tests.no_people_allowed import chain
from tests.predicted import agrees_with_its_run
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch, read_index, save_png
from wsnb.ops import cam

EXPERIMENTS = {"faithful": chain.EXPERIMENT, "fixed": chain.FIXED}
TWO = {"epochs": 2, "irnet_epochs": 2}  # that a training can be killed between two epochs


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("data") / "VOCdevkit", train=8, val=3, size=(64, 80))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Uninterrupted runs of the whole chain, of both experiments."""
    runs = tmp_path_factory.mktemp("whole")
    for experiment in EXPERIMENTS.values():
        done = chain.run(data, runs, experiment=experiment, **TWO)
        assert done.returncode == 0, done.stdout
    return runs


def hashes(folder, pattern):
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern))}
    assert found
    return found


def same_weights(a, b):
    one, other = load_torch(a), load_torch(b)
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("preset", EXPERIMENTS)
def test_predictions_are_the_label_maps_of_the_run(data, whole, preset):
    agrees_with_its_run(whole, EXPERIMENTS[preset], data)


@pytest.mark.parametrize("preset", EXPERIMENTS)
def test_every_stage_is_done_and_reports(whole, preset):
    stage, manifest = (partial(of, whole, experiment=EXPERIMENTS[preset]) for of in (chain.stage, chain.manifest))
    assert len(list((stage("02_cam") / "cams").glob("*.npz"))) == 8
    for folder in (stage("03_labels") / "labels", stage("05_walk") / "masks"):
        labels = [read_index(path) for path in sorted(folder.glob("*.png"))]
        assert len(labels) == 8 and all(set(np.unique(label)) <= {*range(6), 255} for label in labels)
    assert not any((label == 255).any() for label in labels)  # pseudo masks are dense
    assert len(list((stage("07_inference") / "labels").glob("*.png"))) == 3
    assert (stage("07_inference") / "submission.zip").exists()
    results = manifest("08_evaluate")
    found = chain.values(results)
    for score in ("mIoU", "mean accuracy", "pixel accuracy"):
        assert 0 <= found[score, "three-step (final)", preset] <= 100
    assert 0 < found["mIoU", "all background", "faithful"] < 100 / 5
    assert set(results["notes"]["ladder"]) == {"all background", "CAM", "CAM + CRF", "confident labels", "walk",
                                               "pseudo masks", "segmentation"}
    assert [bool(row.get("counts")) for row in manifest("09_instances")["results"]] == [True] * 2  # of single pictures
    scored = ("03_labels", "05_walk", "08_evaluate", "09_instances")
    rows = [row for name in scored for row in manifest(name)["results"]]
    assert {row["protocol"]["preset"] for row in rows if row.get("role") != "bound"} == {preset}
    steps = {row["step"] for row in rows if row.get("role") == "ladder"}  # as in published records
    names = ("CAM", "CAM + CRF", "confident labels", "pseudo masks", "segmentation")
    assert steps >= {f"{name}, {preset}, train" for name in names} | {f"walk, {preset}, best threshold, train"}


def test_the_presets_differ_where_they_should(whole):
    assert chain.manifest(whole, "03_labels")["notes"]["shares"]["unsure"] < 0.01  # reversed thresholds leave none open
    one, other = (load_torch(chain.stage(whole, "04_irnet", experiment) / "network.pth")
                  for experiment in EXPERIMENTS.values())
    assert any("fc_dp7.4" in key for key in one) and any("mean_shift" in key for key in other)
    norms = [key for key in one if "running_mean" in key and "branches" not in key]
    trained = load_torch(chain.stage(whole, "01_classifier") / "network.pth")
    assert all(torch.equal(other[key], trained[key]) for key in norms)
    assert not all(torch.equal(one[key], trained[key]) for key in norms)  # they drift although "frozen"


def test_the_presets_share_the_class_maps(whole):
    for name in ("01_classifier", "02_cam"):
        keys = {chain.manifest(whole, name, experiment)["key"] for experiment in EXPERIMENTS.values()}
        assert len(keys) == 1


def test_nothing_is_done_twice(data, whole):
    again = chain.run(data, whole, **TWO)
    assert again.returncode == 0 and again.stdout.count("done already") == 9, again.stdout


def test_other_workers_same_files(data, whole, tmp_path):
    done = chain.run(data, tmp_path, "--until", "03_labels", workers=2, **TWO)
    assert done.returncode == 0, done.stdout
    for name, folder, pattern in (("02_cam", "cams", "*.npz"), ("03_labels", "labels", "*.png")):
        assert hashes(chain.stage(tmp_path, name) / folder, pattern) == hashes(chain.stage(whole, name) / folder,
                                                                              pattern)


def test_killed_in_training(data, whole, tmp_path):
    """IRNet's; the classifier and the segmenter train by the same `segmentation.fit`, and so does single_stage."""
    def start(runs):
        command.give([chain.stage(whole, stage) for stage in ("01_classifier", "02_cam", "03_labels")], runs)
        return chain.start(data, runs, "--until", "04_irnet", **TWO)

    runs, _ = killed(start, partial(chain.stage, name="04_irnet"), logged("epoch 1 of 2"), tmp_path)
    done = chain.run(data, runs, "--until", "04_irnet", **TWO)
    assert done.returncode == 0, done.stdout
    found = sorted(chain.stage(runs, "04_irnet").glob("*.pth"))
    assert found and all(same_weights(path, chain.stage(whole, "04_irnet") / path.name) for path in found)


def only(data, train):
    lists = data / "VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("\n".join(train) + "\n")


def test_odd_data_sets(tmp_path):
    """Eleven pictures, which fill no second batch; one has only background, another only void."""
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=11, val=1, size=(64, 80))
    for k, value in ((0, 0), (1, 255)):
        path = data / f"VOC2012/SegmentationClass/train_{k:06d}.png"
        save_png(path, np.full_like(read_index(path), value))
        (data / f"VOC2012/Annotations/train_{k:06d}.xml").unlink(missing_ok=True)
    done = chain.run(data, tmp_path / "runs", batch=8, experiment=chain.FIXED)
    assert done.returncode == 0, done.stdout
    found = chain.values(chain.manifest(tmp_path / "runs", "08_evaluate", chain.FIXED))
    assert 0 <= found["mIoU", "three-step (final)", "fixed"] <= 100


def test_one_picture_whose_maps_are_zero_everywhere(tmp_path):
    """Trained on one picture, and then without a positive weight: all stages after it run, and nothing is NaN."""
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=2, val=1, size=(64, 80))
    only(data, ["train_000000"])
    done = chain.run(data, tmp_path, "--until", "01_classifier")
    assert done.returncode == 0, done.stdout
    weights = load_torch(chain.stage(tmp_path, "01_classifier") / "network.pth")
    weights["extra_linear.weight"] = torch.zeros_like(weights["extra_linear.weight"])
    torch.save(weights, tmp_path / "zero.pth")
    done = chain.run(data, tmp_path, checkpoint=tmp_path / "zero.pth")
    assert done.returncode == 0, done.stdout
    keys, maps = cam.read(chain.stage(tmp_path, "02_cam") / "cams", "train_000000")
    assert len(keys) and (maps == 0).all()
    assert (read_index(chain.stage(tmp_path, "05_walk") / "masks/train_000000.png") == 0).all()
    found = chain.values(chain.manifest(tmp_path, "08_evaluate"))
    assert np.isfinite(found["mIoU", "three-step (final)", "faithful"])
