"""A tiny project in a temporary folder: a copy of the book, three notebooks without torch, and the real
command.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import wsnb

PACKAGE = Path(wsnb.__file__).parent

HEAD = 'from wsnb.run.stage import Stage\nstage = Stage.begin("toy", "{name}", globals())'
PARAMETERS = """data_root: str = ""
run_dir: str = ""
device: str = "cpu"
workers: int = 0  # >= 0; processes
seed: int = 0  # of everything random
{own}"""

MAKE = [
    """items: int = 5  # pictures
pause: float = 0.0  # seconds an item""",
    """
import json, time
from wsnb.files import save_json, write
from wsnb.ops import toy
with open(stage.folder / ".computed", "a") as log:
    for i in stage.progress(range(items), what="items"):
        path = stage.folder / f"{i}.json"
        if not path.exists():
            print(i, file=log, flush=True)
            time.sleep(pause)
            while (stage.root / f"hold item {i}").exists():
                time.sleep(0.01)
            save_json(path, toy.item(seed, i))
""",
    'stage.log("made")\nstage.finish(results=[{"name": "items", "value": float(items), "unit": ""}])',
]

TRAIN = [
    """steps: int = 6
lr: float = 0.5  # step size
pause: float = 0.0""",
    """
import json, time
from wsnb.files import save_json, load_json
state = stage.folder / "state.json"
now = load_json(state) if state.exists() else {"step": 0, "w": 1.0}
made = [load_json(path)["value"] for path in sorted(stage.upstream("01_make").glob("[0-9]*.json"))]
try:
    for step in range(now["step"], steps):
        time.sleep(pause)
        while (stage.root / f"hold step {step}").exists():
            time.sleep(0.01)
        now = {"step": step + 1, "w": now["w"] - lr * (now["w"] - made[step % len(made)])}
        save_json(state, now)
except KeyboardInterrupt:
    stage.log("saved at an interrupt")
    raise
""",
    'save_json(stage.folder / "weights.json", now)\nstage.finish()',
]

SCORE = [
    "",
    """
from wsnb.files import load_json
score = load_json(stage.upstream("02_train") / "weights.json")["w"]
""",
    """
results = [{"name": "score", "value": score, "unit": "%"}, {"name": "none", "value": float("nan"), "unit": "%"}]
stage.finish(results=results, notes={"where": "toy"})""",
]

TOY = '''"""Toy method."""


def item(seed, i):
    """One item."""
    return {"value": (seed * 7 + i * 3) % 11 / 11}
'''


def notebook(name, parameters, *cells, needs=None):
    """A notebook as JSON: parameters cell, Stage.begin cell, the given code cells, prose between."""
    sources = [PARAMETERS.format(own=parameters), HEAD.format(name=name), *cells]
    made = [{"cell_type": "markdown", "metadata": {}, "source": f"# {name}\nprose", "id": "m0"}]
    for i, source in enumerate(sources):
        made.append(
            {
                "cell_type": "code",
                "metadata": {"tags": ["parameters"]} if i == 0 else {},
                "source": source.strip(),
                "outputs": [],
                "execution_count": None,
                "id": f"c{i}",
            }
        )
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    if needs is not None:
        metadata["wsnb"] = {"needs": needs}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": made}


YAML = """# toy, for the tests
stages: [01_make, 02_train, 03_score]
data_root: ""
run_dir: runs/toy/tiny
device: cpu
workers: 0
seed: 0
items: 5
pause: 0.0
steps: 6
lr: 0.5
"""


def without_libraries(path):
    """Change kernel_forkserver.py at PATH: the toy's notebooks need none of what it loads for kernels."""
    fewer = 'LIBRARIES = ("ipykernel.kernelapp",)'
    text, changed = re.subn(r"^LIBRARIES = \([^)]*\)", fewer, path.read_text(), flags=re.MULTILINE)
    assert changed
    path.write_text(text)


class Project:
    """The temporary project: edit its files, run its command."""

    def __init__(self, root: Path, name="tiny"):
        self.root, self.name = root, name
        for part in ("notebooks/toy", "params/toy", "wsnb/ops"):
            (root / part).mkdir(parents=True)
        for file in ("__init__.py", "files.py"):
            shutil.copy(PACKAGE / file, root / "wsnb" / file)
        for part in ("run", "report"):
            shutil.copytree(PACKAGE / part, root / "wsnb" / part, ignore=shutil.ignore_patterns("__pycache__"))
        without_libraries(root / "wsnb/run/kernel_forkserver.py")
        (root / "wsnb/ops/__init__.py").write_text('"""Operations."""\n')
        (root / "wsnb/ops/toy.py").write_text(TOY)
        self.write("01_make", notebook("01_make", *MAKE))
        self.write("02_train", notebook("02_train", *TRAIN, needs=["01_make"]))
        self.write("03_score", notebook("03_score", *SCORE, needs=["02_train"]))
        self.yaml(YAML)

    def write(self, stage, content):
        """Write a notebook."""
        (self.root / f"notebooks/toy/{stage}.ipynb").write_text(json.dumps(content))

    def edit(self, stage, old, new):
        """Replace text inside a notebook's file."""
        path = self.root / f"notebooks/toy/{stage}.ipynb"
        old, new = json.dumps(old)[1:-1], json.dumps(new)[1:-1]
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    def yaml(self, text, name="tiny"):
        """Write an experiment."""
        (self.root / f"params/toy/{name}.yaml").write_text(text)

    def hold(self, *places):
        """Have notebooks wait at PLACES, "item I" of 01_make and "step I" of 02_train, and no longer at others."""
        for path in self.root.glob("hold *"):
            path.unlink()
        for place in places:
            (self.root / f"hold {place}").touch()

    def single(self, *cells, parameters="", name="tiny"):
        """Make the experiment a single stage 01_make with the given cells."""
        self.write("01_make", notebook("01_make", parameters, *cells))
        extra = "".join(
            f"{line.split(':')[0]}: {line.split('=')[1].split('#')[0].strip()}\n"
            for line in parameters.splitlines()
        )
        lines = [
            line
            for line in YAML.splitlines()
            if line.split(":")[0] in ("data_root", "run_dir", "device", "workers", "seed")
        ]
        self.yaml("stages: [01_make]\n" + "\n".join(lines) + "\n" + extra, name)

    def environment(self, **more):
        """Environment of a command in this project."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WSNB_")}
        return {
            **kept,
            "PYTHONPATH": str(self.root),
            "OMP_NUM_THREADS": "1",
            "WSNB_ROOT": str(self.root),
            **more,
        }

    def start(self, *arguments, **options):
        """Start `wsnb ARGUMENTS`; returns the Popen."""
        environment = self.environment(**options.pop("environment", {}))
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": self.root, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "wsnb.run.cli", *arguments], env=environment, text=True, **options
        )

    def wsnb(self, *arguments, code=0, **options):
        """Run `wsnb ARGUMENTS`, check its exit code, return what it printed."""
        process = self.start(*arguments, **options)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == code, f"exit code {process.returncode} instead of {code}:\n{text}"
        return text

    def run(self, *arguments, **options):
        """`wsnb run toy/tiny ARGUMENTS`."""
        return self.wsnb("run", f"toy/{self.name}", *arguments, **options)

    @property
    def runs(self):
        """Run folder of the experiment."""
        return self.root / "runs/toy" / self.name

    def manifest(self, stage):
        """A stage's manifest, or None."""
        path = self.runs / stage / "manifest.json"
        return json.loads(path.read_text()) if path.exists() else None

    def hashes(self):
        """Content of every artefact that must not depend on when and how often it was interrupted."""
        names = {"params.json", "results.json", "notebook.ipynb"}
        return {
            (stage, name): record["sha256"]
            for stage in ("01_make", "02_train", "03_score")
            for name, record in self.manifest(stage)["files"].items()
            if name not in names
        }


def kill(process):
    """SIGKILL, and wait."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
