"""SIGKILLs at seeded moments of every chapter's miniature: the same artefacts come out as without them.

`python -m benchmarks.kills FOLDER [kills] [experiment ...]` runs each experiment once undisturbed, then again under
kills of the runner, of a kernel, of the process that forks kernels, of a worker, of Snakemake and its jobs, until the
kills are used up; hashes of all artefacts are compared. Runs that are told to stop (SIGTERM) have to save and end with
exit code 75; how long that takes is shown. FOLDER/kills.csv gets a row for each; the same command continues there.
"""

import csv
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil

from wsnb.files import load_json, save_json
from wsnb.run import kernel_forkserver, manifest, paths, schedule

CHAPTERS = ("single_stage/shapes", "simple_does_it/shapes_semantic", "panoptic/shapes", "spml/shapes_tag",
            "no_people_allowed/shapes")  # fmt: skip
APART = (manifest.PARAMS, manifest.RESULTS, "notebook.ipynb")  # hold times
COLUMNS = ("experiment", "struck", "engine", "after_s", "code", "ended_s")
STOPPED, EQUAL = "SIGTERM", "equal"
SEED, START, PATIENCE = 0, 4, 30  # seconds: until the first cell of a run, about; for a run that was struck


def start(title, runs, engine="local") -> subprocess.Popen:
    """`wsnb run TITLE` below RUNS, as a process of its own, with two workers."""
    words = [sys.executable, "-m", "wsnb.run.cli", "run", title, "--runs", runs, "--workers", "2", "--engine", engine]
    return subprocess.Popen(words, cwd=paths.find(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def whole(title, runs) -> dict:
    """{stage/file: sha256} of a run to its end."""
    process = start(title, runs)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{title}: exit code {process.returncode}\n{said}")
    found = {path.name: manifest.read(path) for path in sorted(Path(runs, title).glob("*")) if path.is_symlink()}
    return {f"{stage}/{name}": of["sha256"] for stage, record in found.items() for name, of in record["files"].items()
            if name not in APART}


def kind(process, runner) -> str:
    """What a PROCESS below the RUNNER does."""
    words, parent = " ".join(process.cmdline()), process.parent()
    if process.pid == runner:
        return "runner"
    if process.name() == kernel_forkserver.PROCESS_NAME and parent.name() != kernel_forkserver.PROCESS_NAME:
        return "kernel"
    if any(one.name() == kernel_forkserver.PROCESS_NAME for one in process.parents()):
        return "" if "resource_tracker" in words else "worker"
    known = {"kernel_forkserver.py": "fork server", "--only": "Snakemake's job", "snakemake": "Snakemake"}
    return next((name for word, name in known.items() if word in words), "")


def strike(process, struck: Counter, chance) -> str:
    """Kill a process at or below the runner PROCESS, of the kind that was struck least; says which. "" without any."""
    found = {}
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        try:
            found.setdefault(kind(one, process.pid), []).append(one)
        except (psutil.NoSuchProcess, AttributeError):  # it, or its parent, ended meanwhile
            continue
    found.pop("", None)
    name = min(sorted(found), key=lambda name: struck[name])
    try:
        chance.choice(found[name]).kill()
    except psutil.NoSuchProcess:
        return ""
    return name


def disturb(title, place, seconds, share, rows, note) -> None:
    """Strike runs of TITLE until ROWS, the earlier ones, and those that NOTE(row) got are SHARE kills and 2 stops."""
    kills = sum(row["struck"] != STOPPED for row in rows)
    stops, struck = len(rows) - kills, Counter(row["struck"] for row in rows)
    while kills < share or stops < 2:
        chance = random.Random(f"{SEED} {title} {kills} {stops}")
        engine = "snakemake" if kills % 3 == 2 else "local"
        process, after = start(title, place / "killed", engine), chance.uniform(1, START + 2 * seconds / max(1, share))
        below, end = [], time.monotonic() + after
        while process.poll() is None and time.monotonic() < end:
            below = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.05)
        if process.poll() is not None:  # it was finished: begin anew
            said, _ = process.communicate()
            if process.returncode:
                raise SystemExit(f"{title}: exit code {process.returncode}, and nobody had struck\n{said}")
            shutil.rmtree(place / "killed")
            continue
        stop = stops < 2 and kills >= share * (stops + 1) // 2
        began, name = time.monotonic(), STOPPED if stop else strike(process, struck, chance)
        if stop:
            process.send_signal(signal.SIGTERM)
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:  # it goes on without that process, or still saves
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate()
        ended = time.monotonic() - began
        if stop and process.returncode not in (schedule.DONE, schedule.INTERRUPTED):
            raise SystemExit(f"{title}: exit code {process.returncode} {ended:.1f} s after a SIGTERM\n{said}")
        _, left = psutil.wait_procs(below, timeout=60)
        if left:
            raise SystemExit(f"{title}: {left} outlived the {name} that was struck\n{said}")
        if name and process.returncode:
            note({"experiment": title, "struck": name, "engine": engine, "after_s": round(after, 1),
                  "code": process.returncode, "ended_s": round(ended, 1)})
            kills, stops, struck[name] = kills + (not stop), stops + stop, struck[name] + 1


def main(folder, kills=50, *titles):
    folder, titles = Path(folder).resolve(), titles or CHAPTERS
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "kills.csv"

    def note(row):
        with open(table, "a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
        print(row, flush=True)

    if not table.exists():
        table.write_text(",".join(COLUMNS) + "\n")
    for number, title in enumerate(titles):
        rows = [row for row in pd.read_csv(table).to_dict("records") if row["experiment"] == title]
        if any(row["struck"] == EQUAL for row in rows):
            continue
        place, share = folder / title, int(kills) // len(titles) + (number < int(kills) % len(titles))
        if not (place / "whole.json").exists():
            shutil.rmtree(place, ignore_errors=True)
            began = time.monotonic()
            right = whole(title, place / "whole")
            save_json(place / "whole.json", {"seconds": time.monotonic() - began, "files": right})
        right = load_json(place / "whole.json")
        disturb(title, place, right["seconds"], share, rows, note)
        found, right = whole(title, place / "killed"), right["files"]
        differing = sorted(key for key in right.keys() | found.keys() if right.get(key) != found.get(key))
        if differing:
            raise SystemExit(f"{title}: {len(differing)} of {len(right)} artefacts differ: {differing[:5]}")
        note({"experiment": title, "struck": EQUAL, "code": len(right)})
        shutil.rmtree(place)
    found = pd.read_csv(table)
    print(pd.crosstab(found.experiment, found.struck, margins=True).to_string())
    print(f"seconds from SIGTERM to the end: {found[found.struck == STOPPED].ended_s.tolist()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
