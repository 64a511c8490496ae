"""The real command on the real notebooks, made small."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SMALL = {"threads": 1, "workers": 0, "limit": 6, "val_limit": 3, "batch": 3, "crop": 48, "dim": 8, "iterations": 4,
         "clusters": "[3, 3]", "retrieval_clusters": "[4, 4]", "crf_iterations": 1, "classifier_iterations": 3,
         "classifier_batch": 3}


def run(experiment, data, runs, *more, only=tuple(SMALL), **overrides):
    """`wsnb run` to its end; its exit code and its text. ONLY: those of SMALL that the experiment has."""
    command = [sys.executable, "-m", "wsnb.run.cli", "run", f"spml/{experiment}", "--data-root", str(data), "--runs",
             str(runs), *more]
    for name, value in {**{key: SMALL[key] for key in only}, **overrides}.items():
        command += ["-p", f"{name}={value}"]
    environment = {**os.environ, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600)
    return SimpleNamespace(returncode=done.returncode, stdout=done.stdout)


def folder(runs, experiment, stage):
    return Path(runs) / "spml" / experiment / stage


def manifest(runs, experiment, stage):
    return json.loads((folder(runs, experiment, stage) / "manifest.json").read_text())
