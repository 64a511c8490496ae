"""What would run and what has run: `wsnb plan`, `wsnb run --dry-run`, `wsnb status`."""

import contextlib
import math
import os
import re
import shlex
import sys

from wsnb.files import FileError
from wsnb.run import experiments, locks, manifest, params, paths, schedule, store
from wsnb.run.schedule import say

NOT_RUN = "not run"  # of a stage, or of a whole experiment


def dry_run(options: schedule.Options, titles: list) -> int:
    """Say for each stage whether it is done or why it would run."""
    known = schedule.known_contents(options)
    for title in titles:
        experiment = schedule.load(options, title)
        if _lacks_data(options, experiment):
            say(f"{title}: would make the synthetic data set, then run all its stages")
            continue
        for item in schedule.wanted(options, experiment, known):
            say(f"{title} {item.stage.name}: " + ("done" if item.done else f"would run: {'; '.join(item.why)}"))
    return schedule.DONE


def _lacks_data(options, experiment) -> bool:
    return any(
        experiments.is_builtin(options.project, data_root) and not experiments.is_whole(options.project / data_root)
        for data_root in experiments.data_roots(experiment)
    )


def plan(options: schedule.Options, titles: list, tell=None) -> dict:
    """The plan for a scheduler: {"stages": rows of the stages that are not finished, see `row`}. TELL, if given, is
    called with a line a stage, and finished stages are linked: the caller has locked the experiments.
    """
    rows, known = [], schedule.known_contents(options)
    for title in titles:
        experiment = schedule.load(options, title)
        if _lacks_data(options, experiment):
            open_ = list(experiment.stages)
        else:
            items = schedule.wanted(options, experiment, known)
            open_ = [item.stage for item in items if not item.done]
            if tell:
                schedule.link_finished(items)
            for item in items if tell else ():
                why = "done already" if item.done else f"will run, because {'; '.join(item.why[:3])}"
                tell(f"{title} {item.stage.name}: {why}")
        rows += [row(options, experiment, stage, open_) for stage in open_]
    return {"stages": rows}


def row(options: schedule.Options, experiment, stage, open_: list) -> dict:
    """One stage as a job of a scheduler; OPEN_ are the stages of its experiment that are not finished.

    rule, title        its name, and the same to read
    after, done        names of files: those of the stages that it needs, and its own, made when it is finished
    command            a shell command; the shell becomes it, so that a signal reaches the runner
    threads            processes or threads that it uses, whichever are more
    gpus               how many
    mem_mb, runtime    MiB (half as much again) and minutes (three times as many, at least ten) of an earlier run with
                       these parameters, else as `estimate` computes them; None if neither is known
    disk_mb            MiB that it keeps, by the same run or estimate
    """
    values, found = stage.values, schedule.recorded(options, experiment, stage)
    names, needs = {other.name for other in open_}, _needs(options, experiment, stage, found)
    return {
        "rule": re.sub(r"\W", "_", f"{experiment.paper}__{experiment.name}__{stage.name}"),
        "title": f"{experiment.title} {stage.name}",
        "after": [f"{experiment.title}/{name}" for name in stage.needs if name in names],
        "done": f"{experiment.title}/{stage.name}",
        "command": _command(options, experiment.title, stage.name),
        "threads": max(1, values.get("workers", 1), values.get("threads", 1)),
        "gpus": 0 if stage.device == "cpu" else values.get("gpus", 1),
        "mem_mb": needs and math.ceil(needs[0] * 1.5 / 2**20),
        "runtime": needs and max(10, math.ceil(needs[1] * 3 / 60)),
        "disk_mb": needs and math.ceil(needs[2] / 2**20),
    }


def _needs(options, experiment, stage, found) -> tuple | None:
    """(bytes of memory, seconds, bytes of disk) of a stage: by the record FOUND, or computed; None if not known."""
    if found:
        return found["peak_cpu_bytes"], found["seconds"], schedule.bytes_of(found)
    of = stage.source or experiment
    if not experiments.is_at_full_size(of):
        return None
    from wsnb.run import estimate  # it loads torch

    with contextlib.suppress(FileError, params.ParamsError):  # a split of one's own, a stage that nobody estimated
        one = estimate.of_stage(options.project, of, stage)
        return one.memory, 3600 * one.hours, one.disk
    return None


def _command(options, title, stage) -> str:
    more = [word for text in options.overrides for word in ("-p", text)]
    for name in ("data_root", "device", "workers"):
        if (value := getattr(options, name)) is not None:
            more += [f"--{name.replace('_', '-')}", str(value)]
    words = ["env", f"WSNB_ROOT={options.project}", sys.executable, "-m", "wsnb.run.cli", "run", title,
             "--only", stage, "--runs", str(options.runs), *more]
    return f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(words)}"


def status(project, runs, titles: list) -> int:
    """A line a stage: whether its record and files are there, when and how long it ran, what came out. One line for an
    experiment that was never begun."""
    for title in titles:
        paper, name = experiments.split(project, title)
        experiment = experiments.load(project, paper, name)
        place = paths.run_folder(runs, paper, experiment.name)
        running = f" (running: {locks.holder(place / '.lock')})" if locks.is_held(place / ".lock") else ""
        standing = [(stage.name, _standing(place, stage)) for stage in experiment.stages]
        if not running and all(said == NOT_RUN for _, said in standing):
            say(f"{title}: {NOT_RUN}")
            continue
        say(f"{title}{running}")
        for stage, said in standing:
            say(f"  {stage:24} {said}")
    return schedule.DONE


def _standing(place, stage):
    """'finished ...' of a stage in the run folder PLACE; what differs from the experiment and the stages there."""
    folder = place / stage.name
    record, faults = store.examine(folder.resolve())
    if faults:
        return f"damaged: {faults[0]}"
    if record is None:
        return "begun, not finished" if (folder / manifest.PARAMS).is_file() else NOT_RUN
    return (f"finished {record['started']}, {record['seconds']:.0f} s{schedule.summary(record)}"
            f"{_others(record, stage)}{_stale(record, place)}")


def _others(record, stage) -> str:
    """'; with lr 0.02, not 0.01' of values that are not the experiment's."""
    values = manifest.plain(stage.values)
    found = [f"{name} {params.yaml_text(record['params'][name])}, not {params.yaml_text(value)}"
             for name, value in values.items()
             if name not in (*schedule.ELSEWHERE, "seed", "round") and record["params"].get(name, value) != value]
    return f"; with {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}" if found else ""


def _stale(record, place) -> str:
    """'; not of the present 01_train' where an earlier stage was replaced since."""
    found = []
    for name, key in record["parts"].get("upstream", {}).items():
        now = manifest.read(place / name)
        if now is None or now["key"] != key:
            found.append(name)
    return f"; not of the present {', '.join(found)}, run it again" if found else ""
