"""`wsnb run --engine snakemake`: the stages that are not finished as jobs of Snakemake, on a cluster or here."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from wsnb.files import FileError, save_json
from wsnb.run import overview, params, schedule
from wsnb.run.interrupts import Interrupts
from wsnb.run.locks import LockedError


def run(options: schedule.Options, titles: list, jobs: int, profile: str | None = None) -> int:
    """Run experiments with at most JOBS stages at a time; PROFILE is Snakemake's (a name, or a folder) and says where
    jobs run; without one they run here. Returns an exit code. Raises ParamsError if Snakemake is not installed.

    The experiments stay locked until the end. What Snakemake keeps lies in runs/.snakemake, and is left there if a
    job failed, for the logs of a cluster's scheduler.
    """
    snakefile = _snakefile(options)
    interrupts = Interrupts(schedule.say_in_handler)
    with interrupts.installed(), contextlib.ExitStack() as locked:
        try:
            with interrupts.immediate():
                stages = _stages(options, titles, locked, profile)
                if not stages:
                    return schedule.DONE
                home = options.runs / ".snakemake"
                home.mkdir(parents=True, exist_ok=True)
                place = Path(tempfile.mkdtemp(prefix="", dir=home))
                save_json(place / "plan.json", {"stages": stages})
            code = _snakemake(_words(snakefile, place, jobs, profile, "--quiet", "host", "rules"), interrupts)
        except LockedError as error:
            schedule.say(f"{error}")
            return schedule.LOCKED
        except KeyboardInterrupt:
            return schedule.INTERRUPTED
    if interrupts.asked:
        schedule.say("interrupted; the same command continues")
        return schedule.INTERRUPTED
    if code:
        schedule.say(f"not all stages ended well: see above, or the logs below {place}; the same command continues")
        return schedule.FAILED
    shutil.rmtree(place)
    schedule.say(f"done; results are in {options.runs}")
    return schedule.DONE


def dry_run(options: schedule.Options, titles: list, jobs: int, profile: str | None = None) -> int:
    """Show Snakemake's plan: each stage that is not finished with its threads and resources, and why it would run.
    Nothing is made or locked. Returns an exit code. Raises ParamsError if Snakemake is not installed."""
    snakefile, rows = _snakefile(options), overview.plan(options, titles)["stages"]
    if not rows:
        schedule.say("nothing to run: all stages are finished")
        return schedule.DONE
    with tempfile.TemporaryDirectory() as place:
        save_json(Path(place) / "plan.json", {"stages": rows})
        words = _words(snakefile, Path(place), jobs, profile, "--dry-run", "--printshellcmds")
        return schedule.FAILED if subprocess.run(words, stdin=subprocess.DEVNULL).returncode else schedule.DONE


def _snakefile(options) -> Path:
    """The project's Snakefile. Raises ParamsError without Snakemake, FileError without the file."""
    if importlib.util.find_spec("snakemake") is None:
        raise params.ParamsError("--engine snakemake: it is not installed; pip install -e '.[cluster]'")
    path = options.project / "Snakefile"
    if not path.is_file():
        raise FileError(f"{path}: missing; restore it from git")
    return path


def _stages(options, titles, locked, profile) -> list:
    """The plan's rows, with LOCKED experiments and their data in place. A cluster is given the threads of each stage;
    here a stage counts as one, so that as many run as were asked for."""
    for experiment in [schedule.load(options, title) for title in titles]:
        locked.enter_context(schedule.lock(options, experiment))
        schedule.ensure_data(options, experiment)
    rows = overview.plan(options, titles, schedule.say)["stages"]
    schedule.need_room(options, ", ".join(titles), 2**20 * sum(row["disk_mb"] or 0 for row in rows))
    return rows if profile else [{**row, "threads": 1} for row in rows]


def _words(snakefile, place, jobs, profile, *more) -> list:
    """The command of Snakemake for the plan in the folder PLACE."""
    return [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--configfile", place / "plan.json",
            "--directory", place, "--jobs", str(jobs), "--keep-going", "--rerun-incomplete", "--nolock", *more,
            *(["--profile", profile] if profile else [])]


def _snakemake(words, interrupts) -> int:
    """Snakemake's exit code; its jobs print through. Signals go to all of its processes."""
    process = subprocess.Popen(words, start_new_session=True, stdin=subprocess.DEVNULL)

    def stop(kill=False):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)

    interrupts.kernels.add(stop)
    try:
        with _stopped_without_us(process.pid):
            code = process.wait()
        if code < 0:  # it was killed: its jobs would go on without it
            stop()
        return code
    finally:
        interrupts.kernels.discard(stop)


@contextlib.contextmanager
def _stopped_without_us(group):
    """Inside, the process group GROUP gets a SIGTERM when this process is killed: a shell waits for the end of a pipe
    that nobody else writes to."""
    words = ["sh", "-c", 'read _; kill -s TERM -- "-$0"', str(group)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as watcher:
        try:
            yield
        finally:
            watcher.kill()
