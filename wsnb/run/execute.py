"""Run one stage: its notebook in a fresh kernel, its record written only when all of it is true."""

import contextlib
import datetime
import json
import os
import sys
import threading
from pathlib import Path

from wsnb.files import FileError, load_json, readable, write
from wsnb.run import fingerprint, interactive, locks, manifest, notebooks, output_limits, plan, store
from wsnb.run import stage as stages


class StageFailed(RuntimeError):
    """A stage that did not finish; the message is its reason, and the places to look at."""


def run_stage(project: Path, experiment, wanted: plan.Wanted, say, interrupts) -> dict:
    """Run one stage and return its manifest. SAY is called with each line that the stage logs.

    Of two runs that want one key at a time, one computes; the other waits and takes the result. Raises StageFailed,
    LockedError for a key that an interactive notebook holds, or KeyboardInterrupt if it was asked to stop.
    """
    folder, lock, shown = wanted.folder, store.run_lock(wanted.folder), str(wanted.link or wanted.folder)
    if wanted.link is not None:
        store.link(wanted.link, folder)
    with interrupts.immediate():
        held = (
            locks.acquire(lock, shown)
            if interactive.NOTE in locks.holder(lock)
            else locks.acquire_when_free(lock, shown, say)
        )
    with held:
        verify = wanted.manifest is not None  # some of its files may be damaged
        record, faults = store.examine(folder, verify)
        if record is not None and not faults:
            return record
        with locks.acquire(store.kernel_lock(folder), shown, wait=5):  # the kernel of a killed runner may need a second
            if aside := store.open_folder(folder, verify):
                say(aside)
                _log(folder, aside)
        return _compute(project, experiment, wanted, say, interrupts)


def _compute(project, experiment, wanted, say, interrupts) -> dict:
    """run_stage under the key's lock."""
    place, stage = wanted.folder, wanted.stage
    experiment = stage.source or experiment
    with interrupts.immediate():
        try:
            slots, variables = locks.take(stage.device, f"{experiment.title} {stage.name}", say,
                                          stage.values.get("gpus", 1))
        except ValueError as error:
            raise StageFailed(f"{error}") from error
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
        **stages.environment(wanted.parts["key"], instructions),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    notebook = None
    try:
        with interrupts.immediate():
            from wsnb.run import kernel_forkserver

            kernel_forkserver.start({**os.environ, **environment})
            from wsnb.run import kernel  # a second, while the other process loads its libraries

            notebook = kernel.load(stage.notebook.path, stage.values)
        with follow(place / manifest.LOG, say):
            kernel.execute(notebook, stage.notebook.path.parent, {**os.environ, **environment}, interrupts)
    except KeyboardInterrupt:
        _log(place, "interrupted")
        raise
    except Exception as error:  # whatever it is, it is this stage's failure, and is reported with its name
        raise _failed(project, wanted, notebook, error) from error
    finally:
        if slots is not None:
            slots.close()
    return _complete(project, wanted, notebook)


@contextlib.contextmanager
def follow(path: Path, say):
    """Inside, SAY gets each line that is appended to the log at PATH; not the headings that begin with dashes."""
    position, rest, over = path.stat().st_size if path.is_file() else 0, b"", threading.Event()

    def read():
        nonlocal position, rest
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            file.seek(position)
            *lines, rest = (rest + file.read()).split(b"\n")
            position = file.tell()
            for line in lines:
                if not line.startswith(b"----"):
                    say(line.decode(errors="backslashreplace"))

    def watch():
        while not over.wait(0.2):
            read()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        read()


def _complete(project, wanted, notebook) -> dict:
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
                name for name in {*now, *wanted.parts["modules"]} if now.get(name) != wanted.parts["modules"].get(name)
            ]
            raise StageFailed(f"{', '.join(sorted(changed))} was edited while the stage ran; run it again")
        _save_notebook(project, notebook, place / "notebook.ipynb", stage.notebook.path)
        return manifest.write(place, {**record, "by": "runner"})
    except (StageFailed, FileError, OSError) as error:
        raise _failed(project, wanted, notebook, error) from error


def _save_notebook(project, notebook, path, source):
    for name, value in (("input_path", str(source.relative_to(project))), ("output_path", None)):
        if "papermill" in notebook.metadata:
            notebook.metadata.papermill[name] = value
    with write(path, "w") as file:
        json.dump(notebook, file, indent=1, ensure_ascii=False)
        file.write("\n")


def _failed(project, wanted, notebook, error) -> StageFailed:
    """The error of a failed stage, with the places to look at; its notebook is kept beside the log."""
    place, shown, lines = wanted.folder, wanted.link or wanted.folder, [reason(error)]
    if (place / manifest.LOG).is_file():
        lines.append(f"log       {shown / manifest.LOG}")
    if notebook is not None:
        try:
            _save_notebook(project, notebook, place / manifest.FAILED_NOTEBOOK, Path(project, "-"))
            lines.append(f"notebook  {shown / manifest.FAILED_NOTEBOOK}")
        except OSError as problem:
            lines.append(f"notebook  could not be kept: {problem}")
    _log(place, f"failed: {lines[0]}")
    return StageFailed("\n".join(lines))


def reason(error) -> str:
    """The message of an error, without its traceback; at most six lines of it."""
    return readable(_reason(error))


def _reason(error):
    if hasattr(error, "ename"):  # papermill's
        lines = error.evalue.strip().splitlines()
        return "\n".join([f"{error.ename}: {lines[0]}", *lines[1:][-5:]]) if lines else error.ename
    known = isinstance(error, StageFailed | FileError | output_limits.KernelDied | output_limits.Unfinished)
    return str(error) if known else f"{type(error).__name__}: {error}"


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
