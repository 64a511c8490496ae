"""The notebooks of this paper, run by the real command on small synthetic data: results, kills, odd data sets."""

import hashlib
import os
import signal
import time

import numpy as np
import psutil
import pytest
import torch

from tests.kernels import kernels_of
from tests.no_people_allowed import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch, read_index, save_png
from wsnb.ops import cam

PRESETS = ("faithful", "fixed")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("data") / "VOCdevkit", train=8, val=3, size=(64, 80))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of the whole chain."""
    runs = tmp_path_factory.mktemp("whole")
    done = chain.run(data, runs)
    assert done.returncode == 0, done.stdout
    return runs


def hashes(folder, pattern):
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern))}
    assert found
    return found


def same_weights(a, b):
    one, other = load_torch(a), load_torch(b)
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_every_stage_is_done_and_reports(whole):
    cams = sorted((chain.stage(whole, "02_cam") / "cams").glob("*.npz"))
    assert len(cams) == 8
    for name in PRESETS:
        for folder in (chain.stage(whole, "03_labels") / name, chain.stage(whole, "05_walk") / name):
            labels = [read_index(path) for path in sorted(folder.glob("*.png"))]
            assert len(labels) == 8 and all(set(np.unique(label)) <= {*range(6), 255} for label in labels)
        assert not any((label == 255).any() for label in labels)  # pseudo masks are dense
        assert len(list((chain.stage(whole, "07_inference") / name).glob("*.png"))) == 3
        assert (chain.stage(whole, "07_inference") / f"{name}.zip").exists()
    results = chain.manifest(whole, "08_evaluate")
    found = chain.values(results)
    for name in PRESETS:
        for score in ("mIoU", "mean accuracy", "pixel accuracy"):
            assert 0 <= found[score, "three-step (final)", name] <= 100
    assert 0 < found["mIoU", "all background", "faithful"] < 100 / 5
    rungs = results["notes"]["ladder"]
    assert set(rungs) == {"all background", "CAM", "CAM + CRF", "confident labels", "walk", "pseudo masks",
                          "segmentation"}
    assert all(set(values) == set(PRESETS) for values in rungs.values())
    assert len(chain.manifest(whole, "09_instances")["results"]) == 1


def test_the_presets_differ_where_they_should(whole):
    shares = chain.manifest(whole, "03_labels")["notes"]["shares"]
    assert shares["faithful"]["unsure"] < 0.01  # the reversed thresholds leave nothing open
    one, other = (load_torch(chain.stage(whole, "04_irnet") / f"{name}.pth") for name in PRESETS)
    assert any("fc_dp7.4" in key for key in one) and any("mean_shift" in key for key in other)
    norms = [key for key in one if "running_mean" in key and "branches" not in key]
    trained = load_torch(chain.stage(whole, "01_classifier") / "network.pth")
    assert all(torch.equal(other[key], trained[key]) for key in norms)
    assert not all(torch.equal(one[key], trained[key]) for key in norms)  # they drift although "frozen"


def test_nothing_is_done_twice(data, whole):
    start = time.monotonic()
    again = chain.run(data, whole)
    print(f"nothing to do: {time.monotonic() - start:.2f} s")
    assert again.returncode == 0 and again.stdout.count("done already") == 9, again.stdout


def test_other_workers_same_files(data, whole, tmp_path):
    done = chain.run(data, tmp_path, "--until", "03_labels", workers=2)
    assert done.returncode == 0, done.stdout
    for name, folder, pattern in (("02_cam", "cams", "*.npz"), ("03_labels", "faithful", "*.png")):
        assert hashes(chain.stage(tmp_path, name) / folder, pattern) == hashes(chain.stage(whole, name) / folder,
                                                                              pattern)


@pytest.mark.parametrize("name, line, stage", [("04_irnet", "preset fixed", "04_irnet"),
                                               ("01_classifier", "steps of epoch", "01_classifier")])
def test_killed_in_training(data, whole, tmp_path, name, line, stage):
    process = chain.start(data, tmp_path, "--until", name, epochs=2)
    for text in process.stdout:
        if line in text or f"{stage}]" in text and "epoch 1 of" in text:
            break
    time.sleep(0.3)
    kernels = kernels_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(kernels, timeout=10)
    assert not (chain.stage(tmp_path, name) / "manifest.json").exists()
    done = chain.run(data, tmp_path, "--until", name, epochs=2)
    assert done.returncode == 0, done.stdout
    plain = chain.run(data, tmp_path / "plain", "--until", name, epochs=2)
    assert plain.returncode == 0, plain.stdout
    for path in chain.stage(tmp_path, name).glob("*.pth"):
        assert same_weights(path, chain.stage(tmp_path / "plain", name) / path.name), path.name


def only(data, train):
    lists = data / "VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("\n".join(train) + "\n")


@pytest.mark.parametrize("case", ["one picture", "19 pictures", "no tag"])
def test_odd_data_sets(case, tmp_path):
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=19, val=1, size=(64, 80))
    if case == "one picture":
        only(data, ["train_000000"])
    if case == "no tag":  # one picture of three has only background, another only void
        only(data, [f"train_{k:06d}" for k in range(3)])
        for k, value in ((0, 0), (1, 255)):
            path = data / f"VOC2012/SegmentationClass/train_{k:06d}.png"
            save_png(path, np.full_like(read_index(path), value))
            (data / f"VOC2012/Annotations/train_{k:06d}.xml").unlink(missing_ok=True)
    done = chain.run(data, tmp_path / "runs", batch=8)
    assert done.returncode == 0, done.stdout
    for name in PRESETS:
        assert 0 <= chain.values(chain.manifest(tmp_path / "runs", "08_evaluate"))["mIoU", "three-step (final)",
                                                                                 name] <= 100


def test_maps_that_are_zero_everywhere(data, whole, tmp_path):
    """A classifier whose maps are nowhere positive: all stages after it run, and nothing is NaN."""
    weights = load_torch(chain.stage(whole, "01_classifier") / "network.pth")
    weights["extra_linear.weight"] = torch.zeros_like(weights["extra_linear.weight"])
    torch.save(weights, tmp_path / "zero.pth")
    done = chain.run(data, tmp_path, checkpoint=tmp_path / "zero.pth")
    assert done.returncode == 0, done.stdout
    keys, maps = cam.read(chain.stage(tmp_path, "02_cam") / "cams", "train_000000")
    assert len(keys) and (maps == 0).all()
    assert (read_index(chain.stage(tmp_path, "05_walk") / "fixed/train_000000.png") == 0).all()
    assert np.isfinite(chain.values(chain.manifest(tmp_path, "08_evaluate"))["mIoU", "three-step (final)", "fixed"])
