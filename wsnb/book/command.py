"""`wsnb run`: experiments one after the other, with exit codes that a scheduler can read."""

import contextlib
import dataclasses
import os
import sys
import time
from pathlib import Path

from wsnb.book import builtin, experiments, locks, manifest, plan, root, runner
from wsnb.book.interrupts import Interrupts
from wsnb.files import FileError

NOT_RUN = "not run"  # what `status` says of a stage, or of a whole experiment
DONE, FAILED, BAD, LOCKED, INTERRUPTED = 0, 1, 2, 3, 75


@dataclasses.dataclass(frozen=True)
class Options:
    """What `wsnb run` was asked for besides the experiment."""

    project: Path
    runs: Path
    until: str | None = None
    overrides: tuple = ()
    data_root: str | None = None
    device: str | None = None
    workers: int | None = None
    verify: bool = False
    only: str | None = None  # one stage, whose experiment the caller has locked


def say(text: str) -> None:
    """Print a line at once; a closed pipe (`wsnb run | head`) does not stop the run."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - serves until the process ends


def say_in_handler(text: str) -> None:
    """The same from a signal handler, which may have interrupted a print."""
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())


def load(options: Options, title: str) -> experiments.Experiment:
    """The experiment TITLE with the options' values. Raises ParamsError, FileError, BadName."""
    experiment = experiments.load(options.project, *root.split_experiment(title))
    plan.last_stage(experiment, options.only or options.until)
    return plan.resolve(
        options.project,
        experiment,
        options.runs,
        options.overrides,
        options.data_root,
        options.device,
        options.workers,
    )


def run(options: Options, titles: list) -> int:
    """Run experiments; returns the exit code of the worst."""
    interrupts, worst, memory = Interrupts(say_in_handler), DONE, {}
    with interrupts.installed():
        try:
            with interrupts.immediate():
                loaded = [load(options, title) for title in titles]  # all, before the first one starts
            for experiment in loaded:
                worst = max(worst, run_one(options, experiment, interrupts, memory))
        except KeyboardInterrupt:
            say("interrupted; the same command continues")
            return INTERRUPTED
    return worst


def lock(options: Options, experiment) -> locks.Lock:
    """The experiment's run folder for this process alone. Raises LockedError."""
    place = root.run_folder(options.runs, experiment.paper, experiment.name)
    return locks.acquire(place / ".lock", f"{experiment.title} in {place}")


def wanted(options: Options, experiment, memory: dict) -> list:
    """The experiment's stages as they stand (plan.Wanted); its built-in data set is made if it is not there."""
    data_root = experiment.values.get("data_root")
    if data_root and builtin.is_builtin(options.project, data_root):
        builtin.ensure(options.project, lambda text: say(f"[{experiment.title}] {text}"), data_root)
    place = root.run_folder(options.runs, experiment.paper, experiment.name)
    until = options.only or options.until
    return plan.wanted(options.project, experiment, place, until, options.verify, memory)


def run_one(options: Options, experiment, interrupts, memory: dict) -> int:
    """Run one resolved experiment under its lock. Returns DONE, FAILED or LOCKED; raises KeyboardInterrupt."""
    try:
        with contextlib.nullcontext() if options.only else lock(options, experiment):
            with interrupts.immediate():
                items = wanted(options, experiment, memory)
            count = len(items)
            for number, item in enumerate(_chosen(options, items), count if options.only else 1):
                if not _run_or_skip(options, experiment, item, f"{number}/{count}", interrupts):
                    return FAILED
    except locks.LockedError as error:
        say(f"{error}")
        return LOCKED
    return DONE


def _chosen(options, items) -> list:
    """All stages, or the one that was asked for. Raises FileError if what that one needs is not finished."""
    if not options.only:
        return items
    last = items[-1]
    for item in items[:-1]:
        if item.stage.name in last.stage.needs and not item.done:
            raise FileError(f"{last.stage.name} needs {item.stage.name}, which is not finished: {'; '.join(item.why)}")
    return [last]


def _run_or_skip(options, experiment, item, count, interrupts) -> bool:
    """One stage; False if it failed."""
    stage = f"{experiment.title} {item.stage.name}"  # in each line: several experiments may run at a time
    name = f"{stage} ({count})"
    if item.done:
        say(f"{name}: done already{summary(item.manifest)}")
        return True
    with interrupts.immediate():
        say(f"{name}: runs, because {'; '.join(item.why[:3])}{' ...' if len(item.why) > 3 else ''}")
    started = time.monotonic()
    try:
        record = runner.run_stage(
            options.project, experiment, item, lambda text: say(f"[{stage}] {text}"), interrupts
        )
    except runner.StageFailed as error:
        first, *others = str(error).splitlines()
        say(f"{name}: FAILED after {time.monotonic() - started:.0f} s")
        say("\n".join(f"  {line}" for line in (first, *others)))
        say(
            f"  continue  the same command takes it from here; what was finished is kept in {item.folder.parent}"
        )
        return False
    say(f"{name}: done in {time.monotonic() - started:.1f} s{summary(record)}")
    return True


def summary(record: dict) -> str:
    """', mIoU 45.31 %, ...': the first few results of a manifest."""
    results = [result for result in record["results"] if result["value"] is not None][:4]
    return "".join(
        f", {manifest.title(result)} {result['value']:.2f} {result['unit']}".rstrip() for result in results
    )


def dry_run(options: Options, titles: list) -> int:
    """Say for each stage whether it is done or why it would run."""
    memory = {}
    for title in titles:
        experiment = load(options, title)
        place = root.run_folder(options.runs, experiment.paper, experiment.name)
        data_root = experiment.values.get("data_root")
        if data_root and builtin.is_builtin(options.project, data_root) and not builtin.is_whole(
            options.project / data_root
        ):
            say(f"{title}: would make the synthetic data set, then run all its stages")
            continue
        for item in plan.wanted(
            options.project, experiment, place, options.only or options.until, options.verify, memory
        ):
            say(
                f"{title} {item.stage.name}: "
                + ("done" if item.done else f"would run: {'; '.join(item.why)}")
            )
    return DONE


def status(project: Path, runs: Path, titles: list) -> int:
    """A line a stage: whether its record and files are there, when and how long it ran, what came out. One line for an
    experiment that was never begun."""
    for title in titles:
        paper, name = root.split_experiment(title)
        experiment = experiments.load(project, paper, name)
        place = root.run_folder(runs, paper, name)
        running = f" (running: {locks.holder(place / '.lock')})" if locks.is_held(place / ".lock") else ""
        standing = [(stage.name, _standing(place / stage.name)) for stage in experiment.stages]
        if not running and all(said == NOT_RUN for _, said in standing):
            say(f"{title}: {NOT_RUN}")
            continue
        say(f"{title}{running}")
        for stage, said in standing:
            say(f"  {stage:24} {said}")
    return DONE


def _standing(place):
    record = manifest.read(place)
    if record is None:
        return "begun, not finished" if (place / manifest.PARAMS).is_file() else NOT_RUN
    damaged = manifest.problems(place, record)
    state = f"damaged: {damaged[0]}" if damaged else "finished"
    return f"{state} {record['started']}, {record['seconds']:.0f} s{summary(record)}"
