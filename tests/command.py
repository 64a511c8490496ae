"""The command `wsnb` on the real notebooks. It runs in this process: one other process loads the libraries for the
kernels of all tests."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from wsnb.run import cli

ROOT = Path(__file__).parents[1]


def environment() -> dict:
    """Variables of a command on this project, the same for every test."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**kept, "WSNB_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}


def wsnb(*arguments) -> SimpleNamespace:
    """`wsnb ARGUMENTS` to its end: its returncode, and as stdout all of its text."""
    text = io.StringIO()
    with mock.patch.dict(os.environ, environment(), clear=True), contextlib.redirect_stdout(text):
        with contextlib.redirect_stderr(text):
            code = cli.main([str(word) for word in arguments])
    return SimpleNamespace(returncode=code, stdout=text.getvalue())


def start(*arguments) -> subprocess.Popen:
    """`wsnb ARGUMENTS` as a process of its own, to be killed; its lines can be read from .stdout."""
    words = [sys.executable, "-m", "wsnb.run.cli", *arguments]
    return subprocess.Popen(words, env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)  # fmt: skip


def run_words(experiment, data, runs, *more, **values) -> list:
    """Arguments that run an experiment on DATA with VALUES of its parameters; one that is None is not given."""
    given = [word for name, value in values.items() if value is not None for word in ("-p", f"{name}={value}")]
    return ["run", experiment, "--data-root", str(data), "--runs", str(runs), *given, *more]


def stage(runs, experiment, name) -> Path:
    """The folder of a stage."""
    return Path(runs) / experiment / name


def manifest(runs, experiment, name) -> dict:
    """The record of a finished stage."""
    return json.loads((stage(runs, experiment, name) / "manifest.json").read_text())


def give(stages, runs):
    """Have RUNS hold copies of finished STAGES, which are folders of other runs: the same stages are done already."""
    for folder in stages:
        shutil.copytree(folder.resolve(), Path(runs) / ".store" / folder.resolve().name)


class Chain:
    """An experiment of a chapter, made small by the values SMALL; `experiment` names another one of the same values."""

    def __init__(self, experiment, small):
        self.experiment, self.small = experiment, small

    def _words(self, data, runs, *more, experiment=None, **overrides):
        return run_words(experiment or self.experiment, data, runs, *more, **{**self.small, **overrides})

    def run(self, data, runs, *more, **overrides):
        """Run it to its end; its exit code and its text. None: a parameter is not given."""
        return wsnb(*self._words(data, runs, *more, **overrides))

    def start(self, data, runs, *more, **overrides):
        """Start it as a process of its own."""
        return start(*self._words(data, runs, *more, **overrides))

    def stage(self, runs, name, experiment=None):
        return stage(runs, experiment or self.experiment, name)

    def manifest(self, runs, name, experiment=None):
        return manifest(runs, experiment or self.experiment, name)
