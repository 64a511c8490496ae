"""Time of `wsnb run` on a finished book, and of `--dry-run` and `status` where a data set and a stage have many files.

`python -m benchmarks.many_files [files]` fills temporary folders with records and files without meaning; nothing is
computed.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row
from wsnb.files import save_json
from wsnb.run import experiments, manifest, paths, schedule, store

LARGE = "single_stage/shapes"  # the experiment on many files


def finish(item, experiment, files=1):
    """Fill the folder of a stage (plan.Wanted) as if it had run, with FILES artefacts."""
    folder, names = item.folder, {"paper": experiment.paper, "experiment": experiment.name, "stage": item.stage.name}
    if (folder / manifest.NAME).exists():
        return
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number:06d}.png").write_bytes(b"%d" % number)
    record = {"format": manifest.FORMAT, **names, "key": item.parts["key"],
              "parts": {name: value for name, value in item.parts.items() if name != "key"},
              "params": manifest.plain(item.stage.values), "results": [], "notes": {}, "seed": 0, "seconds": 1.0,
              "started": "2026-01-01T00:00:00+00:00", "peak_cpu_bytes": 1, "peak_gpu_bytes": 0,
              "environment": manifest.environment(paths.find())}  # fmt: skip
    save_json(folder / manifest.PARAMS, record)
    save_json(folder / manifest.RESULTS, record)
    manifest.write(folder, {**record, "by": "runner"})


def finish_all(options, titles, files=1) -> int:
    """Fill the folders of all stages of experiments, and link them; returns how many there are."""
    known, count = schedule.known_contents(options), 0
    for title in titles:
        experiment = schedule.load(options, title)
        schedule.ensure_data(options, experiment)
        for item in schedule.wanted(options, experiment, known):
            finish(item, item.stage.source or experiment, files)
            store.link(item.link, item.folder)
            count += 1
    return count


def show(what, reach, *arguments):
    """The row of `wsnb ARGUMENTS`: seconds of a processor and on the clock, for a first and for a second call. REACH is
    the most seconds that the second may take."""
    times = []
    for _ in range(2):
        start, used = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run([sys.executable, "-m", "wsnb.run.cli", *map(str, arguments)], check=True, cwd=paths.find(),
                       stdout=subprocess.DEVNULL)
        times += [sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - used, time.perf_counter() - start]
    said = "{:.2f} s of a processor ({:.2f} s on the clock), again {:.2f} s ({:.2f} s)".format(*times)
    print(f"{what}: {said}", flush=True)
    return Row(what, "", said, "", "", f"{reach} s", min(times[2:]) <= reach)


def main(files=100_000):
    with tempfile.TemporaryDirectory() as place:
        project, book, large, data = paths.find(), Path(place, "book"), Path(place, "large"), Path(place, "data")
        titles = [name for name in experiments.names(project) if name.split("/")[1].startswith(experiments.SYNTHETIC)]
        count = finish_all(schedule.Options(project, book), titles)
        rows = [show(f"wsnb run of {count} finished stages", 2, "run", *titles, "--runs", book)]
        for number in range(files):
            folder = data / f"VOC2012/{number // 10_000}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:06d}.xml").write_bytes(b"<annotation>%d</annotation>" % number)
        many = ("--runs", large, "--data-root", data)
        rows.append(show(f"wsnb run --dry-run, {files:,} files of data", 3, "run", "--dry-run", LARGE, *many))
        finish_all(schedule.Options(project, large, until="01_train", data_root=str(data)), [LARGE], files)
        rows.append(show(f"wsnb run --dry-run, a stage of {files:,} files", 3, "run", "--dry-run", LARGE, *many))
        rows.append(show(f"wsnb status, a stage of {files:,} files", 3, "status", LARGE, "--runs", large))
    return rows


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
