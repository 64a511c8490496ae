"""The real command on the real notebooks, made small: six street scenes, one epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SMALL = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 1, "later_epochs": 1,
         "cam_epochs": 1, "cam_flip": "false", "crop_input": "[28, 35]", "limit": 4, "val_limit": 2,
         "crf_iterations": 1, "detections": "[components]"}


def environment():
    return {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


def command(data, runs, *more, experiment="panoptic/shapes", without=(), **overrides):
    """The words of `wsnb run` for a small experiment; parameters in WITHOUT are not set."""
    words = [sys.executable, "-m", "wsnb.run.cli", "run", experiment, "--data-root", str(data), "--runs", str(runs)]
    for name, value in {**SMALL, **overrides}.items():
        if name not in without:
            words += ["-p", f"{name}={value}"]
    return [*words, *more]


def start(data, runs, *more, **overrides):
    """Start it; its lines can be read from .stdout."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command(data, runs, *more, **overrides), env=environment(), cwd=ROOT, text=True, **pipes)


def run(data, runs, *more, **overrides):
    """Run it to its end; its exit code and its text."""
    process = start(data, runs, *more, **overrides)
    text, _ = process.communicate(timeout=900)
    return SimpleNamespace(returncode=process.returncode, stdout=text)


def stage(runs, name, experiment="panoptic/shapes"):
    return Path(runs) / experiment / name


def manifest(runs, name, experiment="panoptic/shapes"):
    return json.loads((stage(runs, name, experiment) / "manifest.json").read_text())
