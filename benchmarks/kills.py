"""SIGKILLs at seeded moments of every chapter's miniature: the same artefacts come out as without them.

`python -m benchmarks.kills [kills] [experiment ...]` runs each experiment once undisturbed, then again under kills of
the runner with its kernels, or of a kernel alone, until the kills are used up; hashes of all artefacts are compared.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from wsnb.files import load_torch
from wsnb.run import manifest, paths

CHAPTERS = ("single_stage/shapes", "simple_does_it/shapes_semantic", "panoptic/shapes", "spml/shapes_tag",
            "no_people_allowed/shapes")  # fmt: skip
APART = (manifest.PARAMS, manifest.RESULTS, "notebook.ipynb")  # hold times
SEED = 0


def start(title, runs) -> subprocess.Popen:
    """`wsnb run TITLE` below RUNS, as a process of its own."""
    words = [sys.executable, "-m", "wsnb.run.cli", "run", title, "--runs", str(runs)]
    return subprocess.Popen(words, cwd=paths.find(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def whole(title, runs) -> dict:
    """{(stage, file): sha256} of a run to its end."""
    process = start(title, runs)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{title}: exit code {process.returncode}\n{said}")
    found = {path.name: manifest.read(path) for path in sorted(Path(runs, title).glob("*")) if path.is_symlink()}
    return {(stage, name): of["sha256"] for stage, record in found.items() for name, of in record["files"].items()
            if name not in APART}


def same_values(one, other) -> bool:
    """Whether two checkpoints hold the same values: their bytes depend on what was read before they were written."""
    if one.suffix != ".pt" or not (one.is_file() and other.is_file()):
        return False
    return manifest.plain(load_torch(one)) == manifest.plain(load_torch(other))


def kill(process, chance) -> str:
    """Kill the runner, or one of its kernels, a worker or the process that starts them; says which."""
    below = psutil.Process(process.pid).children(recursive=True)
    victim = chance.choice([psutil.Process(process.pid), *below])
    name = "runner" if victim.pid == process.pid else "process below it"
    os.kill(victim.pid, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(below, timeout=30)
    return name


def main(kills=50, *titles):
    chance, titles = random.Random(SEED), titles or CHAPTERS
    for number, title in enumerate(titles):
        with tempfile.TemporaryDirectory() as place:
            began = time.monotonic()
            right = whole(title, Path(place, "whole"))
            seconds, struck = time.monotonic() - began, {}
            share = int(kills) // len(titles) + (number < int(kills) % len(titles))
            while sum(struck.values()) < share:
                process = start(title, Path(place, "killed"))
                time.sleep(chance.uniform(0.1, 2 * seconds / max(1, share)))
                if process.poll() is not None:  # it was finished: begin anew
                    process.communicate()
                    shutil.rmtree(Path(place, "killed"))
                    continue
                name = kill(process, chance)
                struck[name] = struck.get(name, 0) + 1
            found = whole(title, Path(place, "killed"))
            differing = [key for key in right.keys() | found.keys() if right.get(key) != found.get(key)
                         and not same_values(*(Path(place, name, title, *key) for name in ("whole", "killed")))]
            print(f"{title}: {struck}, {len(right)} artefacts, {len(differing)} differ {differing[:3]}", flush=True)
            if differing:
                raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
