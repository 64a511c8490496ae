"""All hot spots beside their plain ways, into one page: `python -m benchmarks [FOLDER] [NAME ...]`.

Each benchmark runs in a process of its own. What is measured is kept in FOLDER (default: runs/benchmarks), so that a
call that was killed goes on; figures/performance.md is written anew from all of it after each. NAMEs are measured
again.
"""

import datetime
import importlib
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from wsnb.files import load_json, save_json, save_text
from wsnb.run import manifest, paths

WHY = {  # of a row that is not reached: what stands in the way
    "walk": "The clock counts the other work of the machine, and there is no plain way beside it that it also slows.",
    "many_files": "The clock counts the other work of the machine; the seconds of a processor are the command's own.",
    "grabcut": "Both cores are taken by other work of this machine, which leaves the second process little.",
    "panoptic_labels": "Both cores are taken by other work of this machine, which leaves the second process little.",
    "pamr": "Memory: 21 classes are carried through at once where all are asked for; the stages ask for those present.",
}
BENCHMARKS = {  # with arguments that keep all of them within half an hour of one core
    "pamr": (), "walk": (), "spml_walk": (), "contrastive": (), "retrieval": (), "crf": (), "cam_store": (),
    "evaluation": (), "sweep": (), "inference": (), "overhead": (), "many_files": (), "grabcut": (6,),
    "panoptic_labels": (12,),
}
PAGE = """# Hot spots

Each measured beside the plain way of doing it: the published formulation, written straight down, on the same inputs and
threads, in the same run. `python -m benchmarks` wrote this page.

{table}

{why}
{machine}
"""


def measure(name: str, path: Path) -> None:
    """Run a benchmark and keep its rows, and how busy the machine was, in PATH."""
    began, load = datetime.datetime.now().astimezone().isoformat(timespec="minutes"), os.getloadavg()[0]
    rows = importlib.import_module(f"benchmarks.{name}").main(*BENCHMARKS[name])
    save_json(path, {"began": began, "load": [load, os.getloadavg()[0]], "rows": [asdict(row) for row in rows],
                     "environment": manifest.environment(paths.find())})


def page(found: dict) -> str:
    """The page of {name: what `measure` kept}."""
    rows, why = [], []
    for name, kept in found.items():
        rows += [{"hot spot": row["hot_spot"], "plain way": row["plain"], "ours": row["ours"], "ratio": row["ratio"],
                  "agreement": row["agreement"], "to reach": row["reach"], "reached": "yes" if row["reached"] else "no"}
                 for row in kept["rows"]]
        missed = [row["hot_spot"] for row in kept["rows"] if not row["reached"]]
        if missed:
            why.append(f"Not reached: {'; '.join(missed)}. {WHY.get(name, 'No reason is known.')}\n")
    last = max(found.values(), key=lambda kept: kept["began"])
    cores, loads = last["environment"]["cpu_count"], [load for kept in found.values() for load in kept["load"]]
    busy = (f" Other work ran on them at the same time (load {min(loads):.1f} to {max(loads):.1f}): seconds on the "
            "clock are too long, ratios are of measurements side by side." if max(loads) > 1.5 * cores else "")
    machine = (f"Measured up to {last['began'][:10]} with torch {last['environment']['torch']} on {cores} cores of "
               f"{platform.machine()}.{busy}")
    return PAGE.format(table=pd.DataFrame(rows).to_markdown(index=False), why="\n".join(why), machine=machine)


def main(folder=None, *again) -> None:
    root = paths.find()
    folder, out, failed = Path(folder or root / "runs/benchmarks"), root / "figures/performance.md", []
    for name in BENCHMARKS:
        path = folder / f"{name}.json"
        if not path.is_file() or name in again:
            print(f"---- {name}", flush=True)
            done = subprocess.run([sys.executable, "-m", "benchmarks", "--one", name, str(path)], cwd=root)
            failed += [name] if done.returncode else []
        kept = {one: load_json(folder / f"{one}.json") for one in BENCHMARKS if (folder / f"{one}.json").is_file()}
        if kept:
            save_text(out, page(kept))
    print(f"wrote {out}; measurements are in {folder}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*sys.argv[1:])
