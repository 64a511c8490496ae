"""The real command on the real notebooks, made small."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SMALL = {
    "threads": 1,
    "workers": 0,
    "width": 16,
    "crop": 48,
    "batch": 4,
    "epochs": 8,
    "pretrain": 1,
    "validate_every": 1,
    "scales": "[1.0, 0.5]",
    "padded_side": 128,
    "crf_iterations": 2,
}


def environment():
    return {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


def command(data, runs, *more, experiment="single_stage/shapes", **overrides):
    """The words of `wsnb run` for a small experiment."""
    values = {**SMALL, **overrides}
    words = [
        sys.executable,
        "-m",
        "wsnb.run.cli",
        "run",
        experiment,
        "--data-root",
        str(data),
        "--runs",
        str(runs),
        *more,
    ]
    for name, value in values.items():
        words += ["-p", f"{name}={value}"]
    return words


def start(data, runs, *more, **overrides):
    """Start it; its lines can be read from .stdout."""
    words = command(data, runs, *more, **overrides)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(words, env=environment(), cwd=ROOT, text=True, **pipes)


def run(data, runs, *more, **overrides):
    """Run it to its end; its exit code and its text."""
    process = start(data, runs, *more, **overrides)
    text, _ = process.communicate(timeout=300)
    return SimpleNamespace(returncode=process.returncode, stdout=text)


def stage(runs, name, experiment="single_stage/shapes"):
    return Path(runs) / experiment / name


def manifest(runs, name):
    return json.loads((stage(runs, name) / "manifest.json").read_text())


def values(record):
    """(name, tags, CRF) -> value of a manifest's results."""
    return {
        (
            r["name"],
            (r["protocol"] or {}).get("method"),
            (r["protocol"] or {}).get("image_labels"),
            bool((r["protocol"] or {}).get("crf")),
        ): r["value"]
        for r in record["results"]
    }
