"""Cost in the number of pictures: every stage of every chain on 10, 100 and 1,000 tiny pictures, by the command itself.

`python -m benchmarks.growth [FOLDER] [COUNT ...]` keeps pictures and runs in FOLDER (default: runs/growth): a call that
was killed goes on. After each chain figures/growth.md is written anew: seconds and peak memory of each stage as its
record has them, the straight line through them, and what it gives for the numbers of pictures of the papers. Trainings
go through the pictures once, or take a fixed number of steps; tiny pictures and networks make all of it short, which
says how cost grows, not how large it is (that says `wsnb plan NAME --estimate`).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from wsnb.data import synthetic
from wsnb.files import save_text
from wsnb.run import experiments, manifest, papers, paths

SIZE, COUNTS = (48, 64), (10, 100, 1000)
PAPERS = {"VOC trainaug": 10_582, "Cityscapes, train_extra": 22_973, "DET 84 k": 84_000, "DET 456 k": 456_000}
ALL = {"threads": 1, "workers": 0}
CHAINS = {
    "single_stage/shapes": {"width": 16, "crop": 48, "epochs": 1, "pretrain": 0, "validate_every": 1, "scales": "[1.0]",
                            "padded_side": 64, "crf_iterations": 2, "head_rates": "[1, 2, 3]"},
    "spml/shapes_tag": {"cam_crop": 48, "cam_epochs": 1, "crop": 48, "dim": 8, "iterations": 10, "clusters": "[3, 3]",
                        "retrieval_clusters": "[4, 4]", "crf_iterations": 2, "classifier_iterations": 10},
    "no_people_allowed/shapes_det": {"limit": 0, "test_limit": 0, "epochs": 1, "irnet_epochs": 1, "seg_epochs": 1,
                                     "side": 64, "picture_side": 64, "irnet_side": 64, "walk_side": 64, "seg_side": 64,
                                     "seg_width": 16, "irnet_radius": 3, "crf_iterations": 2, "walk_exp_times": 4,
                                     "cam_scales": "[1.0, 0.5]", "test_scales": "[1.0]", "tune_every": 2},
    "no_people_allowed/shapes": {"epochs": 1, "irnet_epochs": 1, "seg_epochs": 1, "side": 64, "picture_side": 64,
                                 "irnet_side": 64, "walk_side": 64, "seg_side": 64, "seg_width": 16, "irnet_radius": 3,
                                 "crf_iterations": 2, "walk_exp_times": 4, "cam_scales": "[1.0, 0.5]",
                                 "centroid_steps": 20, "test_scales": "[1.0]", "tune_every": 2},
    "panoptic/shapes": {"width": 16, "crop": 48, "epochs": 1, "later_epochs": 1, "cam_epochs": 1, "cam_flip": "false",
                        "crop_input": "[28, 35]", "crf_iterations": 1, "detections": "[components]", "bound_epochs": 1,
                        "head_rates": "[1, 2, 3]"},
    "simple_does_it/shapes_instance": {"last_steps": "[5, 10, 15]", "boundaries": "[10]", "samples": 2, "overlays": 0},
    "simple_does_it/shapes_semantic": {"jitter_runs": 2, "epochs": 1, "crop": 48, "width": 16, "crf_iterations": 2,
                                       "train_labels": "[rectangles]", "recursive_labels": "[rectangles]",
                                       "crf_at_test": "true", "head_rates": "[1, 2, 3]"},
    "student/shapes": {"label_methods": "[rectangles]", "labels_stage": "06_labels/labels/rectangles", "steps": 10,
                       "source": "Rectangles", "crop": 48, "width": 16, "crf_iterations": 2},
}
PAGE = """# Growth

Seconds and peak memory of each stage on {counts} pictures of {height} x {width} to learn from, and as many to test on,
one process and one thread. `python -m benchmarks.growth` wrote this page. A training goes through the pictures once, or
takes a fixed number of steps. `ms a picture` is the slope of the straight line (least squares of relative errors), `off
it` the largest distance of a measurement from the line, in parts of the largest; the last columns are hours that the
line gives for pictures of this size. They say how cost grows with the number, not what the papers' pictures and
networks take: `wsnb plan NAME --estimate` computes that. Seconds are on the clock.{busy}

{table}
{left}"""


def pictures(folder, layout, count) -> Path:
    """The built-in set of a LAYOUT with COUNT pictures to learn from and as many to test on."""
    name = synthetic.folder_of(layout)
    root, maker = folder / f"data/{count}/{name}", synthetic.maker(name)
    if layout == "voc":
        return maker.shapes(root, count, count, SIZE)
    return maker.write(root, {split: count for split in maker.COUNTS if split != "train_extra"}, SIZE)


def records(folder, title, count) -> list:
    """The manifests of a chain's stages, None where one is not finished, after `wsnb run` of it."""
    experiment, runs = experiments.load(paths.find(), *title.split("/")), folder / f"runs/{count}"
    layout = experiment.values.get("layout", "cityscapes" if experiment.paper == "panoptic" else "voc")
    given = [word for name, value in {**ALL, **CHAINS[title]}.items() if name in experiments.union(experiment)
             for word in ("-p", f"{name}={value}")]
    subprocess.run([sys.executable, "-m", "wsnb.run.cli", "run", title, "--quiet", "--runs", runs, "--data-root",
                    pictures(folder, layout, count), *given], cwd=paths.find())
    return [manifest.read(runs / title / stage.name) for stage in experiment.stages]


def row(title, stage, counts, found) -> dict:
    """A stage's row: FOUND are its manifests for the COUNTS of pictures, None where there is none."""
    told = {f"s at {count:,}": round(one["seconds"], 1) for count, one in zip(counts, found, strict=True) if one}
    told |= {f"MiB at {count:,}": round(one["peak_cpu_bytes"] / 2**20) for count, one in zip(counts, found, strict=True)
             if one}
    if sum(one is not None for one in found) < 3:
        return {"stage": f"{title} {stage}", **told}
    x, y = np.array(counts), np.array([one["seconds"] for one in found])
    slope, constant = np.polyfit(x, y, 1, w=1 / y)
    off = np.abs(constant + slope * x - y).max() / y.max()
    hours = {f"h at {name}": round((constant + slope * count) / 3600, 2) for name, count in PAPERS.items()}
    return {"stage": f"{title} {stage}", **told, "ms a picture": round(1000 * slope, 1), "off it %": round(100 * off),
            **hours}


def write(counts, found) -> Path:
    """figures/growth.md of {(title, count): manifests}."""
    rows, short = [], []
    for title in CHAINS:
        stages = experiments.load(paths.find(), *title.split("/")).stages
        each = [found.get((title, count), [None] * len(stages)) for count in counts]
        for stage, of_stage in zip(stages, zip(*each, strict=True), strict=True):
            if any(of_stage):
                rows.append(row(title, stage.name, counts, of_stage))
            short += [f"{title} {stage.name}"] * (None in of_stage)
    left = f"\nNot measured with all numbers of pictures: {', '.join(short)}.\n" if short else ""
    table = pd.DataFrame(rows).to_markdown(index=False)
    out = paths.find() / "figures/growth.md"
    busy = os.getloadavg()[2] > 1.5 * len(os.sched_getaffinity(0))
    busy = " Other work kept the machine's cores busy meanwhile: they are too long, and uneven." if busy else ""
    save_text(out, PAGE.format(counts=" / ".join(f"{count:,}" for count in counts), height=SIZE[0], width=SIZE[1],
                               table=table, left=left, busy=busy))
    return out


def main(folder=None, *counts):
    folder, counts, found = Path(folder or paths.find() / "runs/growth"), counts or COUNTS, {}
    for count in counts:
        for title in sorted(CHAINS, key=lambda title: papers.find(title.split("/")[0]).order):
            began = time.monotonic()
            found[title, count] = records(folder, title, count)
            print(f"---- {title}, {count} pictures: {time.monotonic() - began:.0f} s", flush=True)
            out = write(counts, found)
    print(f"wrote {out}; pictures and runs are in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
