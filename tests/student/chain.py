"""The real command on the real notebooks of the student, made small."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = {"threads": 1, "workers": 0, "steps": 2, "batch": 4, "crop": 48, "width": 16, "crf_iterations": 2}
BOXES = {"label_methods": "[rectangles]", "labels_stage": "06_labels/labels/rectangles", "source": "Rectangles"}


def wsnb(*words):
    """Run `wsnb WORDS`; the finished process with its text."""
    environment = {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "wsnb.run.cli", *map(str, words)]
    return subprocess.run(command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=600)


def run(experiment, data, runs, *more, **overrides):
    """Run a small student to its end."""
    values = [word for name, value in {**SMALL, **overrides}.items() for word in ("-p", f"{name}={value}")]
    return wsnb("run", f"student/{experiment}", "--data-root", data, "--runs", runs, *more, *values)


def manifest(runs, experiment, stage):
    return json.loads((Path(runs) / "student" / experiment / stage / "manifest.json").read_text())
