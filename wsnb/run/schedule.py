"""`wsnb run`: the stages of experiments, some at a time, each as soon as what it needs is finished."""

import contextlib
import dataclasses
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from wsnb.files import FileError, load_json
from wsnb.run import (
    contents,
    data_check,
    execute,
    experiments,
    locks,
    manifest,
    params,
    paths,
    plan,
    progress_bar,
    store,
)
from wsnb.run.interrupts import Interrupts

DONE, FAILED, BAD, LOCKED, INTERRUPTED = 0, 1, 2, 3, 75  # exit codes
UNKNOWN_SECONDS = 60  # of a stage that was never recorded: longer chains begin first
ELSEWHERE = ("data_root", "run_dir", "device", "workers", "threads")  # parameters that say where, not how much


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
    quiet: bool = False  # without the lines that stages log
    verbose: bool = False  # all reasons of a stage, not the first three

    @property
    def last(self) -> str | None:
        """The stage to end with: `only` names a round, the first without "@"; `until` without it the latest."""
        return f"{self.only}@1" if self.only and "@" not in self.only else self.only or self.until


@dataclasses.dataclass(frozen=True)
class Job:
    """A stage that is not finished."""

    experiment: experiments.Experiment
    item: plan.Wanted
    label: str  # its title, and which of how many; begins each line about it: several experiments may run at a time
    needs: frozenset  # titles of other jobs
    recorded: dict  # of an earlier run: "seconds", "peak_cpu_bytes", ...; empty if none is known

    @property
    def title(self) -> str:
        return f"{self.experiment.title} {self.item.stage.name}"


def say(text: str) -> None:
    """Print a line at once; a closed pipe (`wsnb run | head`) does not stop the run."""
    try:
        with progress_bar.above():
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
    experiment = experiments.load(options.project, *experiments.split(options.project, title))
    plan.last_stage(experiment, options.last, "--only" if options.only else "--until")
    return plan.resolve(
        options.project, experiment, options.runs, options.overrides, options.data_root, options.device, options.workers
    )


def lock(options: Options, experiment):
    """The experiment's run folder for this process alone. Raises LockedError."""
    if options.only:
        return contextlib.nullcontext()
    place = paths.run_folder(options.runs, experiment.paper, experiment.name)
    return locks.acquire(place / ".lock", f"{experiment.title} in {place}")


def ensure_data(options: Options, experiment) -> None:
    """Make the built-in data sets of the experiment's stages if they are not there."""
    for data_root in sorted(experiments.data_roots(experiment)):
        if experiments.is_builtin(options.project, data_root):
            experiments.ensure(options.project, lambda text: say(f"[{experiment.title}] {text}"), data_root)


def known_contents(options: Options) -> contents.Contents:
    """The hashes of what the options' stages read, one object for all of them."""
    return contents.Contents(options.runs / store.FOLDER / contents.FOLDER, options.verify)


def wanted(options: Options, experiment, known: contents.Contents) -> list:
    """The experiment's stages as they stand (plan.Wanted). Raises FileError if one is to run on damaged data."""
    place = paths.run_folder(options.runs, experiment.paper, experiment.name)
    items = plan.wanted(options.project, experiment, place, options.last, options.verify, contents=known)
    if not all(item.done for item in items):
        data_check.before(options, experiment, known)
    return items


def link_finished(items: list) -> None:
    """Have the experiment's links lead to those of ITEMS that are finished. The caller has locked the experiment."""
    for item in items:
        if item.done:
            store.link(item.link, item.folder)


def jobs(options: Options, experiment, items: list) -> list:
    """The stages among ITEMS that are not finished, and those of other experiments that these need; with `only`, for
    that one alone. Raises FileError if what it needs is not finished.
    """
    made, names, last = [], set(), items[-1].stage
    for number, item in enumerate(items, 1):
        name, title = item.stage.name, f"{experiment.title} {item.stage.name} ({number}/{len(items)})"
        if options.only and name != last.name:
            if name in last.needs and not item.done:
                why = "; ".join(item.why)
                raise FileError(f"--only {last.name}: needs {name}, which is not finished ({why}); --until runs both")
        elif item.done:
            say(f"{title}: done already{summary(item.manifest)}")
        else:
            before = _jobs_before(options, item, title)
            needs = {f"{experiment.title} {need}" for need in item.stage.needs if need in names}
            needs |= {job.title for job in before}
            own = Job(experiment, item, title, frozenset(needs), recorded(options, experiment, item.stage))
            made += [*before, own]
            names.add(name)
    return made


def _jobs_before(options, item, title) -> list:
    """Jobs for the unfinished stages of another experiment that ITEM, a stage of that experiment, needs."""
    made, source = [], item.stage.source
    for one in item.before:
        made += _jobs_before(options, one, title)
        if not one.done:
            label = f"{source.title} {one.stage.name}, for {title}"
            needs = frozenset(job.title for job in made)
            made.append(Job(source, one, label, needs, recorded(options, source, one.stage)))
    return made


def recorded(options: Options, experiment, stage) -> dict:
    """The manifest of an earlier run of STAGE with the same parameters, or the published one; {} if none is known."""
    published = options.project / "figures" / experiment.paper / experiment.name / "record.json"
    values = {name: value for name, value in manifest.plain(stage.values).items() if name not in ELSEWHERE}
    with contextlib.suppress(FileError):
        found = manifest.read(paths.run_folder(options.runs, experiment.paper, experiment.name) / stage.name)
        if found is None and published.is_file():
            found = load_json(published)["stages"].get(stage.name)
        if found and all(found["params"].get(name, value) == value for name, value in values.items()):
            return found
    return {}


def bytes_of(record: dict) -> int:
    """Size of the files of a manifest, or of what is published of one."""
    files = record["files"]
    return files["bytes"] if isinstance(files.get("bytes"), int) else sum(of["size"] for of in files.values())


def need_disk(options: Options, experiment, stages) -> None:
    """Raise FileError if the disk of the runs has not the room that STAGES, which are not finished, will take: as an
    earlier run took, or as computed for published data sets; others count nothing."""
    needed = 0
    for stage in stages:
        of = stage.source or experiment
        if found := recorded(options, experiment, stage):
            needed += bytes_of(found)
        elif experiments.is_at_full_size(of):
            from wsnb.run import estimate  # it loads torch

            with contextlib.suppress(FileError, params.ParamsError):  # a split of one's own
                needed += estimate.disk_of(options.project, of, stage)
    need_room(options, experiment.title, needed)


def need_room(options: Options, what: str, needed: float) -> None:
    """Raise FileError if the disk of the runs has not NEEDED bytes of room, which WHAT will take."""
    place = next(folder for folder in (options.runs, *options.runs.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FileError(f"{place}: {what} will take about {needed / 1e9:.2g} GB, {free / 1e9:.2g} GB are "
                        "free; make room (`wsnb clean` lists what may go), or give --runs a folder of another disk")


def chain_seconds(made: list) -> dict:
    """{title: seconds from the begin of a job to the end of the longest chain that needs it}."""
    found = {}
    for job in reversed(made):  # in MADE, each comes after what it needs
        after = (found[other.title] for other in made if job.title in other.needs)
        found[job.title] = job.recorded.get("seconds", UNKNOWN_SECONDS) + max(after, default=0)
    return found


class Queue:
    """Jobs that wait and run. The longest chain begins first if LONGEST_FIRST, else jobs begin in their order."""

    def __init__(self, interrupts, longest_first: bool, bar):
        self.interrupts, self.longest_first, self.bar = interrupts, longest_first, bar
        self.changed = threading.Condition()
        self.waiting, self.running, self.seconds = [], [], {}
        self.open = True  # more may be added

    def add(self, made: list) -> None:
        with self.changed:
            self.waiting += made
            self.bar.add(len(made))
            self.seconds |= chain_seconds(made)
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.open = False
            self.changed.notify_all()

    def take(self) -> Job | None:
        """The next job, once there is one; None if there will be none, or somebody asked us to stop."""
        with self.changed:
            while not self.interrupts.asked and (self.open or self.waiting):
                ready = [job for job in self.waiting if self._is_ready(job)]
                if ready:
                    job = max(ready, key=lambda job: self.seconds[job.title]) if self.longest_first else ready[0]
                    self.waiting.remove(job)
                    self.running.append(job)
                    return job
                self.changed.wait()
        return None

    def _is_ready(self, job) -> bool:
        unfinished = {other.title for other in self.waiting + self.running}
        keys = {other.item.parts["key"] for other in self.running}  # one computes it, the other takes the result
        return not (job.needs & unfinished or job.item.parts["key"] in keys)

    def put_back(self, job: Job, done: bool) -> None:
        """JOB has ended; if it is not DONE, what needs it never begins."""
        with self.changed:
            self.running.remove(job)
            self.bar.advance()
            dropped = set() if done else {job.title}
            for other in list(self.waiting):
                if other.needs & dropped:
                    dropped.add(other.title)
                    self.waiting.remove(other)
            self.changed.notify_all()


def run(options: Options, titles: list, count: int = 1) -> int:
    """Run experiments with at most COUNT stages at a time; returns the exit code of the worst."""
    interrupts, codes = Interrupts(say_in_handler), [DONE]
    bar = progress_bar.Bar(options.quiet)
    queue = Queue(interrupts, count > 1, bar)
    workers = [threading.Thread(target=_work, args=(options, queue, codes), daemon=True) for _ in range(count)]
    with interrupts.installed(), bar, contextlib.ExitStack() as locked:
        try:
            with interrupts.immediate():
                loaded = [load(options, title) for title in titles]  # all, before the first one starts
                if count > 1:
                    loaded.sort(key=lambda experiment: -len(experiment.stages))
            for worker in workers:
                worker.start()
            try:
                _plan(options, loaded, queue, locked, codes)
            finally:
                queue.close()
                interrupts.join(workers)
        except KeyboardInterrupt:
            interrupts.asked = interrupts.asked or INTERRUPTED
        errors = [code for code in codes if isinstance(code, BaseException)]
        if errors:
            raise errors[0]
        if interrupts.asked:
            say("interrupted; the same command continues")
            return INTERRUPTED
    return max(codes)


def _plan(options, loaded, queue, locked, codes) -> None:
    """Fill the queue, one experiment after the other, while its first jobs run."""
    known = known_contents(options)
    for experiment in loaded:
        with queue.interrupts.immediate():
            try:
                locked.enter_context(lock(options, experiment))
                ensure_data(options, experiment)
                items = wanted(options, experiment, known)
                need_disk(options, experiment, [item.stage for item in items if not item.done])
                for item in items:
                    if not item.done:  # before an earlier stage takes its hours
                        locks.refuse_open_notebook(store.run_lock(item.folder), f"{experiment.title} {item.stage.name}")
            except locks.LockedError as error:
                say(f"{error}")
                codes.append(LOCKED)
                continue
            link_finished(items)
            queue.add(jobs(options, experiment, items))


def _work(options, queue, codes) -> None:
    """Run jobs until there are no more. CODES gets an exit code, or an error that is none of a stage."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            with queue.interrupts.immediate():
                job = queue.take()
            if job is None:
                return
            code = FAILED
            try:
                code = _run_job(options, job, queue.interrupts, queue.bar)
            except locks.LockedError as error:
                say(f"{error}")
                code = LOCKED
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                code = error
            finally:
                codes.append(code)
                queue.put_back(job, code == DONE)


def _run_job(options, job, interrupts, bar) -> int:
    """Run one stage, unless another job with its key has finished it meanwhile; DONE or FAILED."""
    why, (record, faults) = job.item.why, store.examine(job.item.folder, job.item.manifest is not None)
    if record is not None and not faults:
        if job.item.link is not None:
            store.link(job.item.link, job.item.folder)
        say(f"{job.label}: done already{summary(record)}")
        return DONE
    why = why if options.verbose else [*why[:3], *(["... (-v shows all)"] if len(why) > 3 else [])]
    say(f"{job.label}: runs, because {'; '.join(why)}")
    started = time.monotonic()
    try:
        record = execute.run_stage(
            options.project, job.experiment, job.item, _say_for(options, job, bar), interrupts
        )
    except execute.StageFailed as error:
        lines = "\n".join(f"  {line}" for line in str(error).splitlines())
        say(
            f"{job.label}: FAILED after {time.monotonic() - started:.0f} s\n{lines}\n"
            f"  continue  the same command takes it from here; what was finished is kept in {job.item.folder.parent}"
        )
        return FAILED
    log = paths.shown((job.item.link or job.item.folder) / manifest.LOG)
    say(f"{job.label}: done in {time.monotonic() - started:.1f} s{summary(record)}; log {log}")
    return DONE


def _say_for(options, job, bar):
    """What is called with each line that a stage logs."""
    return lambda text: None if options.quiet or bar.takes(job.title, text) else say(f"[{job.title}] {text}")


def summary(record: dict) -> str:
    """', mIoU 45.31 %, ...': the first few results of a manifest."""
    results = [result for result in record["results"] if result["value"] is not None][:4]
    return "".join(f", {manifest.title(result)} {result['value']:.2f} {result['unit']}".rstrip() for result in results)
