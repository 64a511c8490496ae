"""The notebooks of this paper, run by the real command on small synthetic data: results, kills, odd data sets."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch

from tests.kernels import kernels_of
from tests.single_stage import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch, read_index, save_png


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("data") / "VOCdevkit", train=10, val=4, size=(64, 80))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of the whole chain."""
    runs = tmp_path_factory.mktemp("whole")
    done = chain.run(data, runs)
    assert done.returncode == 0, done.stdout
    return runs


def hashes(folder, pattern="*.png"):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern))}


def same_weights(a, b):
    one, other = load_torch(a / "network.pth"), load_torch(b / "network.pth")
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_every_stage_is_done_and_reports(whole):
    assert chain.manifest(whole, "01_train")["results"][0]["name"].startswith("tag mAP before epoch")
    kinds = chain.manifest(whole, "02_masks")["notes"]["folders"]
    assert kinds == ["masks", "masks_crf", "masks_clean", "masks_clean_crf"]
    for kind in kinds:
        masks = sorted((chain.stage(whole, "02_masks") / kind).glob("*.png"))
        assert len(masks) == 4 and all(read_index(p).max() <= 5 for p in masks)
    results = chain.values(chain.manifest(whole, "03_evaluate"))
    assert len(results) == 9  # two means of four kinds of masks, and all-background
    assert 0 < results["mIoU", "all background", "none", False] < 100 / 6
    protocols = [r["protocol"] for r in chain.manifest(whole, "03_evaluate")["results"]]
    assert {p["image_labels"] for p in protocols} == {"predicted", "ground truth", "none"}


def test_nothing_is_done_twice(data, whole):
    start = time.monotonic()
    again = chain.run(data, whole)
    seconds = time.monotonic() - start
    print(f"nothing to do: {seconds:.2f} s")
    assert again.returncode == 0 and again.stdout.count("done already") == 3, again.stdout
    assert seconds < 5  # 2 s alone on the machine


def test_plain_papermill_gives_the_same(data, whole, tmp_path):
    """No wrapper: papermill with the experiment's own file; and another number of workers changes nothing."""
    for name in ("01_train", "02_masks", "03_evaluate"):
        words = [
            sys.executable,
            "-m",
            "papermill",
            str(chain.ROOT / f"notebooks/single_stage/{name}.ipynb"),
            str(tmp_path / "out.ipynb"),
            "-f",
            str(chain.ROOT / "params/single_stage/shapes.yaml"),
            "--no-progress-bar",
        ]
        for key, value in {
            **chain.SMALL,
            "workers": 2,
            "data_root": data,
            "run_dir": tmp_path / "by_papermill",
        }.items():
            words += ["-y", f"{key}: {value}"]
        done = subprocess.run(words, env=chain.environment(), cwd=tmp_path, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    own = tmp_path / "by_papermill"
    assert same_weights(own / "01_train", chain.stage(whole, "01_train"))
    for kind in ("masks", "masks_clean_crf"):
        assert hashes(own / "02_masks" / kind) == hashes(chain.stage(whole, "02_masks") / kind)


def killed_in_training(data, folder, kill):
    """Start the training in FOLDER and KILL(process, kernels) after the first of its epochs; what it wrote since then.

    The whole training takes a second, and its lines come late: if it was faster than the kill, another one is started.
    """
    for attempt in range(5):
        runs = folder / f"attempt{attempt}"
        process = chain.start(data, runs, "--until", "01_train")
        assert any("val loss" in line and "epoch 1:" in line for line in process.stdout), "training was never seen"
        kernels = kernels_of(process)
        kill(process, kernels)
        text = process.stdout.read()
        code = process.wait(timeout=60)
        psutil.wait_procs(kernels, timeout=10)
        if not (chain.stage(runs, "01_train") / "manifest.json").exists():
            assert code != 0
            return runs, text
    raise AssertionError("five trainings ended before they were killed")


def test_runner_killed_in_training(data, whole, tmp_path):
    delay = random.SystemRandom().uniform(0, 0.3)

    def kill(process, kernels):
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)

    tmp_path, _ = killed_in_training(data, tmp_path, kill)
    done = chain.run(data, tmp_path, "--until", "01_train")
    assert done.returncode == 0, done.stdout
    assert same_weights(chain.stage(tmp_path, "01_train"), chain.stage(whole, "01_train")), (
        f"killed {delay:.3f} s after validation"
    )


def test_kernel_killed_in_training(data, whole, tmp_path):
    def kill(process, kernels):
        if kernels:
            os.kill(kernels[0].pid, signal.SIGKILL)

    tmp_path, text = killed_in_training(data, tmp_path, kill)
    assert "kernel died" in text
    done = chain.run(data, tmp_path, "--until", "01_train")
    assert done.returncode == 0, done.stdout
    assert same_weights(chain.stage(tmp_path, "01_train"), chain.stage(whole, "01_train"))


def test_interrupt_writes_a_checkpoint(data, whole, tmp_path):
    codes, seconds = [], []

    def kill(process, kernels):
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        codes.append(process.wait(timeout=30))
        seconds.append(time.monotonic() - start)

    tmp_path, _ = killed_in_training(data, tmp_path, kill)
    assert codes[-1] == 75 and seconds[-1] < 10
    assert (chain.stage(tmp_path, "01_train") / "training.pt").exists()
    done = chain.run(data, tmp_path, "--until", "01_train")
    assert done.returncode == 0 and "continuing from training.pt" in done.stdout
    assert same_weights(chain.stage(tmp_path, "01_train"), chain.stage(whole, "01_train"))


def only(data, train, val=None):
    """A list of pictures for each split."""
    lists = data / "VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("\n".join(train) + "\n")
    (lists / "val.txt").write_text("\n".join(val or train) + "\n")


@pytest.mark.parametrize("case", ["one picture", "19 pictures", "no foreground", "all void"])
def test_odd_data_sets(case, tmp_path):
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=19, val=1, size=(64, 80))
    masks = sorted((data / "VOC2012/SegmentationClass").glob("*.png"))
    if case == "one picture":
        only(data, ["train_000000"])
    for path in masks:
        if case in ("no foreground", "all void"):
            save_png(path, np.full_like(read_index(path), 255 if case == "all void" else 0))
    done = chain.run(data, tmp_path / "runs", epochs=1, batch=8)
    assert done.returncode == 0, done.stdout
    record = chain.manifest(tmp_path / "runs", "03_evaluate")
    found = chain.values(record)["mIoU", "single-stage", "predicted", False]
    if case == "all void":
        assert found is None and len(record["notes"]["undefined"]) == 6  # undefined, and named
    else:
        assert 0 <= found <= 100


def test_cam_baseline(data, tmp_path):
    done = chain.run(data, tmp_path, model="cam_baseline", backbone="mobilenet_v2", background_power=1.0)
    assert done.returncode == 0, done.stdout
    results = chain.values(chain.manifest(tmp_path, "03_evaluate"))
    assert results["mIoU", "CAM baseline", "ground truth", False] > 0


def test_a_checkpoint_replaces_training(data, whole, tmp_path):
    weights = chain.stage(whole, "01_train") / "network.pth"
    done = chain.run(data, tmp_path, checkpoint=weights)
    assert done.returncode == 0, done.stdout
    assert same_weights(chain.stage(tmp_path, "01_train"), chain.stage(whole, "01_train"))
    refused = chain.run(data, tmp_path / "other", checkpoint=weights, width=32)
    assert refused.returncode == 1 and "of another shape" in refused.stdout
