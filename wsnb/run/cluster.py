"""`wsnb run --engine snakemake`: the stages that are not finished as jobs of Snakemake, side by side where none needs
the other, on a cluster or on this machine.
"""

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from wsnb.files import FileError, save_json
from wsnb.run import execute, params
from wsnb.run.execute import Interrupts
from wsnb.run.locks import LockedError


def run(options: execute.Options, titles: list, jobs: int, profile: str | None = None) -> int:
    """Run experiments with at most JOBS stages at a time; PROFILE is Snakemake's (a name, or a folder) and says where
    jobs run; without one they run here. Returns an exit code of `command`. Raises ParamsError if Snakemake is not
    installed.

    The experiments stay locked until the end. What Snakemake keeps lies in runs/.snakemake, and is left there if a
    job failed, for the logs of a cluster's scheduler.
    """
    snakefile = options.project / "Snakefile"
    if importlib.util.find_spec("snakemake") is None:
        raise params.ParamsError("--engine snakemake: it is not installed; pip install -e '.[cluster]'")
    if not snakefile.is_file():
        raise FileError(f"{snakefile}: missing; restore it from git")
    interrupts, memory = Interrupts(execute.say_in_handler), {}
    with interrupts.installed(), contextlib.ExitStack() as locked:
        try:
            with interrupts.immediate():
                loaded = [execute.load(options, title) for title in titles]
                stages = []
                for experiment in loaded:
                    locked.enter_context(execute.lock(options, experiment))
                    stages += _stages(options, experiment, execute.wanted(options, experiment, memory), profile)
                if not stages:
                    return execute.DONE
                place = _folder(options.runs)
                for number, stage in enumerate(stages, 1):  # a rule's name is a word, and its only one
                    stage["rule"] = f"{re.sub(r'[^A-Za-z0-9]', '_', stage['title'])}_{number}"
                save_json(place / "stages.json", {"stages": stages})
            code = _snakemake(snakefile, place, jobs, profile, interrupts)
        except LockedError as error:
            execute.say(f"{error}")
            return execute.LOCKED
        except KeyboardInterrupt:
            return execute.INTERRUPTED
    if interrupts.asked:
        execute.say("interrupted; the same command continues")
        return execute.INTERRUPTED
    if code:
        execute.say(f"not all stages ended well: see above, or the logs below {place}; the same command continues")
        return execute.FAILED
    shutil.rmtree(place)
    execute.say(f"done; results are in {options.runs}")
    return execute.DONE


def _stages(options, experiment, wanted, profile) -> list:
    """Rows for the Snakefile: the stages of an experiment that are not finished. A cluster is told how many threads
    they have; here a stage counts as one, so that as many run as were asked for."""
    rows, open_ = [], {item.stage.name for item in wanted if not item.done}
    for item in wanted:
        title = f"{experiment.title} {item.stage.name}"
        execute.say(f"{title}: " + ("done already" if item.done else f"will run, because {'; '.join(item.why[:3])}"))
        if not item.done:
            values = item.stage.values
            rows.append({
                "title": title,
                "after": [f"{experiment.title}/{name}" for name in item.stage.needs if name in open_],
                "done": f"{experiment.title}/{item.stage.name}",
                "command": _job(options, experiment.title, item.stage.name),
                "gpus": 0 if values.get("device", "cpu") == "cpu" else values.get("gpus", 1),
                "threads": max(1, values.get("workers", 1), values.get("threads", 1)) if profile else 1,
            })
    return rows


def _job(options, title, stage) -> str:
    """The shell command of one stage; the shell becomes it, so that a signal reaches the runner."""
    more = [word for text in options.overrides for word in ("-p", text)]
    for name in ("data_root", "device", "workers"):
        if (value := getattr(options, name)) is not None:
            more += [f"--{name.replace('_', '-')}", str(value)]
    words = ["env", f"WSNB_ROOT={options.project}", sys.executable, "-m", "wsnb.run.cli", "run", title,
             "--only", stage, "--runs", str(options.runs), *more]
    return f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(words)}"


def _folder(runs) -> Path:
    """A new folder for one call of Snakemake."""
    home = Path(runs) / ".snakemake"
    home.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="", dir=home))


def _snakemake(snakefile, place, jobs, profile, interrupts) -> int:
    """Snakemake's exit code; its jobs print through. Signals go to all of its processes."""
    words = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--configfile", place / "stages.json",
             "--directory", place, "--jobs", str(jobs), "--keep-going", "--rerun-incomplete", "--nolock",
             "--quiet", "host", "rules", *(["--profile", profile] if profile else [])]
    process = subprocess.Popen(words, start_new_session=True, stdin=subprocess.DEVNULL)

    def stop(kill=False):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)

    interrupts.kernel = stop
    try:
        with _stopped_without_us(process.pid):
            return process.wait()
    finally:
        interrupts.kernel = None


@contextlib.contextmanager
def _stopped_without_us(group):
    """Inside, the process group GROUP gets a SIGTERM when this process is killed: a shell waits for the end of a pipe
    that nobody else writes to."""
    words = ["sh", "-c", 'read _; kill -TERM -- "-$0"', str(group)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as watcher:
        try:
            yield
        finally:
            watcher.kill()
