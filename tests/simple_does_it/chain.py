"""The real command on the real notebooks of this paper, made small."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SEMANTIC = {"threads": 1, "workers": 0, "jitter_runs": 2, "epochs": 1, "batch": 4, "crop": 48, "width": 16,
            "crf_iterations": 2, "train_labels": "[full, rectangles]", "crf_at_test": "true"}
INSTANCE = {"threads": 1, "workers": 0, "last_steps": "[2, 4, 6]", "boundaries": "[5]", "samples": 2, "overlays": 0}


def environment():
    return {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


def start(experiment, data, runs, *more, **overrides):
    """Start a small run; its lines can be read from .stdout."""
    small = SEMANTIC if "semantic" in experiment else INSTANCE
    words = [sys.executable, "-m", "wsnb.run.cli", "run", f"simple_does_it/{experiment}", "--data-root", str(data),
             "--runs", str(runs), *more]
    for name, value in {**small, **overrides}.items():
        words += ["-p", f"{name}={value}"]
    return subprocess.Popen(words, env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def run(experiment, data, runs, *more, **overrides):
    """Run it to its end; its exit code and its text."""
    process = start(experiment, data, runs, *more, **overrides)
    text, _ = process.communicate(timeout=600)
    return SimpleNamespace(returncode=process.returncode, stdout=text)


def stage(runs, experiment, name):
    return Path(runs) / "simple_does_it" / experiment / name


def manifest(runs, experiment, name):
    return json.loads((stage(runs, experiment, name) / "manifest.json").read_text())
