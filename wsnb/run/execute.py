"""SIGINT and SIGTERM: passed to the kernel once, so that it can save; a second one ends it at once.

Running stages: each notebook in a fresh kernel, its record written only when all of it is true.

`wsnb run`: experiments one after the other, with exit codes that a scheduler can read.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import signal
import sys
import time
from pathlib import Path

from wsnb.files import FileError, load_json, write
from wsnb.run import (
    experiments,
    fingerprint,
    interactive,
    kernel,
    kernel_forkserver,
    locks,
    manifest,
    notebooks,
    paths,
    plan,
    store,
)
from wsnb.run.stage import environment as stage_environment


class Interrupts:
    """Whether somebody asked us to stop, and whom to tell.

    asked    the number of the first signal, or 0
    kernel   called as kernel() on the first signal and kernel(kill=True) on the second, if set
    at_once  True where no kernel runs and a KeyboardInterrupt does no harm
    """

    def __init__(self, say):
        self.asked, self.kernel, self.at_once, self._say = 0, None, False, say

    def _handle(self, number, _frame):
        first, self.asked = not self.asked, self.asked or number
        if self.kernel is not None:
            self._say(
                "stopping: the stage may save its state (once more kills it)"
                if first
                else "killing the stage"
            )
            self.kernel(**({} if first else {"kill": True}))
        elif self.at_once or not first:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def installed(self):
        """Handle both signals inside; the former handlers come back afterwards."""
        former = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def immediate(self):
        """Inside, a signal raises KeyboardInterrupt. Raises it also if one came before."""
        if self.asked:
            raise KeyboardInterrupt
        self.at_once = True
        try:
            yield
        finally:
            self.at_once = False


class StageFailed(RuntimeError):
    """A stage that did not finish; the message is its reason, and what there is to look at."""


def run_stage(project: Path, experiment, wanted: plan.Wanted, say, interrupts) -> dict:
    """Run one stage and return its manifest. SAY is called with each line that the stage logs.

    Of two runs that want one key at a time, one computes; the other waits and takes the result. Raises StageFailed,
    LockedError for a key that an interactive notebook holds, or KeyboardInterrupt if it was asked to stop.
    """
    place, lock = wanted.folder, store.run_lock(wanted.folder)
    shown = str(wanted.link or place)
    if wanted.link is not None:
        store.link(wanted.link, place)
    with interrupts.immediate():
        held = (
            locks.acquire(lock, shown)
            if interactive.NOTE in locks.holder(lock)
            else locks.acquire_when_free(lock, shown, say)
        )
    with held:
        verify = wanted.manifest is not None  # some of its files may be damaged
        record, faults = store.examine(place, verify)
        if record is not None and not faults:
            return record
        with locks.acquire(store.kernel_lock(place), shown, wait=5):  # the kernel of a killed runner may need a second
            if aside := store.open_folder(place, verify):
                say(aside)
                _log(place, aside)
        return _compute(project, experiment, wanted, say, interrupts)


def _compute(project, experiment, wanted, say, interrupts) -> dict:
    """run_stage under the key's lock."""
    place, stage = wanted.folder, wanted.stage
    experiment = stage.source or experiment
    with interrupts.immediate():
        slot, variables = locks.take(
            stage.values.get("device", "cpu"), f"{experiment.title} {stage.name}", say
        )
    instructions = {
        "root": str(project),
        "paper": experiment.paper,
        "experiment": experiment.name,
        "stage": stage.name,
        "notebook": stage.notebook.path.stem,
        "values": manifest.plain(stage.values),
        "parts": wanted.parts,
        "folder": str(place),
        "shown": str(wanted.link or place),
    }
    paths = [str(fingerprint.PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **variables,
        **stage_environment(wanted.parts["key"], instructions),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    driver = kernel.Driver(say, environment, interrupts)
    try:
        with interrupts.immediate(), contextlib.suppress(RuntimeError):  # the engine tries again, and says why
            kernel_forkserver.ready({**os.environ, **environment})
        kernel.execute(stage.notebook.path, stage.values, driver)
    except KeyboardInterrupt:
        _log(place, "interrupted")
        raise
    except Exception as error:  # whatever it is, it is this stage's failure, and is reported with its name
        raise _failed(project, place, driver, error) from error
    finally:
        if slot is not None:
            slot.close()
    return _complete(project, wanted, driver)


def _complete(project, wanted, driver) -> dict:
    """All cells ran: keep the executed notebook and write the manifest."""
    place, stage = wanted.folder, wanted.stage
    try:
        if not (place / manifest.RESULTS).is_file():
            raise StageFailed("its last cells never call stage.finish(...); add that")
        record = load_json(place / manifest.RESULTS)
        if record.get("key") != wanted.parts["key"]:
            raise StageFailed(f"{manifest.RESULTS} is of another key; run the stage again")
        now = fingerprint.reached(notebooks.read(stage.notebook.path))
        if fingerprint.digest(now) != wanted.parts["code"]:
            changed = [
                name
                for name in {*now, *wanted.parts["modules"]}
                if now.get(name) != wanted.parts["modules"].get(name)
            ]
            raise StageFailed(f"{', '.join(sorted(changed))} was edited while the stage ran; run it again")
        _save_notebook(project, driver.notebook, place / "notebook.ipynb", stage.notebook.path)
        return manifest.write(place, {**record, "by": "runner"})
    except (StageFailed, FileError, OSError) as error:
        raise _failed(project, place, driver, error) from error


def _save_notebook(project, notebook, path, source):
    for name, value in (("input_path", str(source.relative_to(project))), ("output_path", None)):
        if "papermill" in notebook.metadata:
            notebook.metadata.papermill[name] = value
    with write(path, "w") as file:
        json.dump(notebook, file, indent=1, ensure_ascii=False)
        file.write("\n")


def _failed(project, place, driver, error) -> StageFailed:
    """What to tell about a failed stage; its notebook is kept beside the log."""
    lines = [reason(error)]
    if (place / manifest.LOG).is_file():
        lines.append(f"log       {place / manifest.LOG}")
    if driver.notebook is not None:
        try:
            _save_notebook(project, driver.notebook, place / manifest.FAILED_NOTEBOOK, Path(project, "-"))
            lines.append(f"notebook  {place / manifest.FAILED_NOTEBOOK}")
        except OSError as problem:
            lines.append(f"notebook  could not be kept: {problem}")
    _log(place, f"failed: {lines[0]}")
    return StageFailed("\n".join(lines))


def reason(error) -> str:
    """What an error says, without where it came from; at most six lines of it."""
    if hasattr(error, "ename"):  # papermill's
        lines = error.evalue.strip().splitlines()
        return "\n".join([f"{error.ename}: {lines[0]}", *lines[1:][-5:]]) if lines else error.ename
    if isinstance(error, StageFailed | FileError | kernel.KernelDied | kernel.Unfinished):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _log(place, text):
    """A line of the runner's own in the stage's log, where there is one; a full disk must not hide the first
    error.
    """
    try:
        if place.is_dir():
            with open(place / manifest.LOG, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{datetime.datetime.now():%H:%M:%S} {text}\n")
    except OSError as error:
        print(f"{place / manifest.LOG}: {error}", file=sys.stderr)


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
    experiment = experiments.load(options.project, *paths.split_experiment(title))
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
    place = paths.run_folder(options.runs, experiment.paper, experiment.name)
    return locks.acquire(place / ".lock", f"{experiment.title} in {place}")


def wanted(options: Options, experiment, memory: dict) -> list:
    """The experiment's stages as they stand (plan.Wanted), those that are done linked; built-in data sets are made if
    they are not there."""
    for data_root in sorted(experiments.data_roots(experiment)):
        if experiments.is_builtin(options.project, data_root):
            experiments.ensure(options.project, lambda text: say(f"[{experiment.title}] {text}"), data_root)
    place = paths.run_folder(options.runs, experiment.paper, experiment.name)
    until = options.only or options.until
    found = plan.wanted(options.project, experiment, place, until, options.verify, memory)
    for item in found:
        if item.done:
            store.link(item.link, item.folder)
    return found


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
    """One stage, after those of another experiment that it needs; False if it failed."""
    before = () if item.done else item.before
    if not all(_run_or_skip(options, item.stage.source, one, count, interrupts) for one in before):
        return False
    stage = f"{experiment.title} {item.stage.name}"  # in each line: several experiments may run at a time
    name = f"{stage} ({count})"
    if item.done:
        say(f"{name}: done already{summary(item.manifest)}")
        return True
    with interrupts.immediate():
        say(f"{name}: runs, because {'; '.join(item.why[:3])}{' ...' if len(item.why) > 3 else ''}")
    started = time.monotonic()
    try:
        record = run_stage(
            options.project, experiment, item, lambda text: say(f"[{stage}] {text}"), interrupts
        )
    except StageFailed as error:
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
        place = paths.run_folder(options.runs, experiment.paper, experiment.name)
        missing = [
            data_root
            for data_root in experiments.data_roots(experiment)
            if experiments.is_builtin(options.project, data_root)
            and not experiments.is_whole(options.project / data_root)
        ]
        if missing:
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
        paper, name = paths.split_experiment(title)
        experiment = experiments.load(project, paper, name)
        place = paths.run_folder(runs, paper, experiment.name)
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
