"""The real command on the real notebooks of this paper, made small."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
EXPERIMENT = "no_people_allowed/shapes"
FIXED = "no_people_allowed/shapes_fixed"
SMALL = {"threads": 1, "workers": 0, "epochs": 1, "irnet_epochs": 1, "seg_epochs": 1, "side": 64, "picture_side": 64,
         "irnet_side": 64, "walk_side": 64, "seg_side": 64, "seg_width": 16, "irnet_radius": 3,
         "crf_iterations": 2, "walk_exp_times": 4, "centroid_steps": 20, "cam_scales": "[1.0, 0.5]",
         "test_scales": "[1.0]", "tune_every": 2, "batch": 4}


def environment():
    return {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


def start(data, runs, *more, experiment=EXPERIMENT, **overrides):
    """Start `wsnb run` of a small experiment; its lines can be read from .stdout. None: a parameter is not given."""
    command = [sys.executable, "-m", "wsnb.run.cli", "run", experiment, "--data-root", str(data), "--runs", str(runs)]
    for name, value in {**SMALL, **overrides}.items():
        more += ("-p", f"{name}={value}") if value is not None else ()
    return subprocess.Popen([*command, *more], env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def run(data, runs, *more, **overrides):
    """Run it to its end; its exit code and its text."""
    process = start(data, runs, *more, **overrides)
    text, _ = process.communicate(timeout=600)
    return SimpleNamespace(returncode=process.returncode, stdout=text)


def stage(runs, name, experiment=EXPERIMENT):
    return Path(runs) / experiment / name


def manifest(runs, name, experiment=EXPERIMENT):
    return json.loads((stage(runs, name, experiment) / "manifest.json").read_text())


def values(record):
    """(name, method, preset) -> value of a manifest's results."""
    return {(r["name"], r["protocol"]["method"], r["protocol"]["preset"]): r["value"] for r in record["results"]}
