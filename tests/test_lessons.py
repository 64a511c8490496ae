"""What the lessons show with a miniature does not hang on its seed: WSNB_SLOW=1, half an hour on two cores."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsnb.data import read
from wsnb.files import load_npz
from wsnb.papers.spml import data as spml
from wsnb.report import frame
from wsnb.viz import pictures

ROOT, SEEDS = Path(__file__).parents[1], range(5)
DATA = ROOT / "data/shapes/VOCdevkit"
pytestmark = pytest.mark.skipif(not os.environ.get("WSNB_SLOW"), reason="five runs of three chapters: set WSNB_SLOW=1")


def run(title, runs, *until) -> list:
    """The run folders of TITLE below RUNS, one a seed."""
    command = [sys.executable, "-m", "wsnb.run.cli", "run", title, "--runs", runs, "--seeds", f"0-{SEEDS[-1]}", *until]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return [Path(runs, f"{title}@seed{seed}" if seed else title) for seed in SEEDS]  # 0 is the experiment's own


def shown(label, values):
    """Print a line of values by seed."""
    print(f"{label}: {', '.join(f'{value:.1f}' for value in values)}")
    return np.array(values)


def overlap(items, masks, size, n_classes) -> float:
    """Mean IoU, in %, of the masks float [N, C, h, w] of some pictures with their objects, among the picture's tags."""
    found = []
    for item, mask in zip(items, masks.astype(np.float32), strict=True):
        truth = cv2.resize(read.mask("voc", item, n_classes), (size, size), interpolation=cv2.INTER_NEAREST)
        present = [0, *(c for c in np.unique(truth) if 0 < c < n_classes)]
        winner = np.array(present)[cv2.resize(mask[present].transpose(1, 2, 0), (size, size)).argmax(2)]
        found += [((winner == c) & (truth == c)).sum() / ((winner == c) | (truth == c))[truth != 255].sum()
                  for c in present[1:]]
    return 100 * float(np.mean(found))


def test_blobs_become_shapes(tmp_path):
    folders = run("single_stage/shapes", tmp_path, "--until", "01_train")
    n_classes = len(read.class_names("voc", DATA))
    items = pictures.book_pictures(read.items("voc", DATA, "val"), "voc", n_classes)
    first, last = (shown(f"IoU of the objects in the shown masks, {name}", [
        overlap(items, load_npz(folder / f"01_train/{name}.npz")["masks"], 96, n_classes) for folder in folders])
        for name in ("epoch_005", "epoch_end"))
    assert (last > first).all()


def test_a_network_can_be_better_than_its_labels(tmp_path):
    run("simple_does_it/shapes_semantic", tmp_path)
    results = frame.results(frame.records(tmp_path))
    labels, networks = (results[results.metric == name].pivot_table(index="seed", columns="method", values="value")
                        for name in ("label mIoU", "mIoU"))
    print(labels.round(1).to_string(), networks.round(1).to_string(), sep="\n")
    networks.columns = networks.columns.str.removeprefix("Simple Does It: ").str.partition(",")[0]
    labels.columns = labels.columns.str.removeprefix("labels: ")
    gain = networks - labels
    print(gain.round(1).to_string())
    assert len(gain) == len(SEEDS) and (gain.max(axis=1) > 0).all()


def explained(features, causes) -> float:
    """The share, in %, of the variance of FEATURES [N, D] that a linear function of CAUSES [N, K] explains."""
    centred = features - features.mean(0)
    fitted = causes @ np.linalg.lstsq(causes, centred, rcond=None)[0]
    return 100 * float(1 - ((centred - fitted) ** 2).sum() / (centred ** 2).sum())


def test_the_place_explains_a_small_embedding_better_than_the_class(tmp_path):
    """As notebook 04 says of the miniature: too few steps for the classes alone."""
    folders = run("spml/shapes_point", tmp_path, "--until", "04_embedding")
    items, n_classes = spml.example_pictures(read.items("voc", DATA, "train")), len(read.class_names("voc", DATA))
    by_class, by_place = [], []
    for folder in folders:
        found = load_npz(sorted((folder / "04_embedding").glob("embedding_*.npz"))[-1])
        features, classes, places = [], [], []
        for number, item in enumerate(items):
            embedding = found[str(number)].astype(np.float64)
            size = embedding.shape[:0:-1]
            truth = cv2.resize(read.mask("voc", item, n_classes), size, interpolation=cv2.INTER_NEAREST)
            y, x = (np.indices(truth.shape) / np.array(truth.shape)[:, None, None])[:, truth != 255]
            unit = embedding / np.linalg.norm(embedding, axis=0)
            features.append(unit[:, truth != 255].T)
            classes.append(np.eye(n_classes)[truth[truth != 255]])
            places.append(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1))
        by_class.append(explained(np.concatenate(features), np.concatenate(classes)))
        by_place.append(explained(np.concatenate(features), np.concatenate(places)))
    assert (shown("explained by the class, %", by_class) < shown("explained by the place, %", by_place)).all()
