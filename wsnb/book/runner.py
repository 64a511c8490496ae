"""Running stages: each notebook in a fresh kernel, its record written only when all of it is true."""

import contextlib
import datetime
import json
import os
import sys
from pathlib import Path

from wsnb.book import byhand, code, driven, engine, folder, gpus, keys, locks, manifest, plan, warm
from wsnb.book import notebook as notebooks
from wsnb.files import FileError, load_json, write

STAGE_WAIT = 5  # seconds: the kernel of a killed runner may take one or two to notice


class StageFailed(RuntimeError):
    """A stage that did not finish; the message is its reason, and what there is to look at."""


def run_stage(project: Path, experiment, wanted: plan.Wanted, say, interrupts) -> dict:
    """Run one stage and return its manifest. SAY is called with each line that the stage logs.

    Raises StageFailed, LockedError, or KeyboardInterrupt if it was asked to stop.
    """
    place, stage = wanted.folder, wanted.stage
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = place.parent / f".{stage.name}.lock"
    wait = 0.3 if byhand.BY_HAND in locks.holder(lock) else STAGE_WAIT
    with locks.acquire(lock, str(place), wait):
        moved = folder.prepare(place, wanted.parts["key"])
    if moved:
        say(moved)
        done, _, record = plan.state(place, wanted.parts)
        if done:
            return record
    with interrupts.immediate():
        slot, variables = gpus.take(
            stage.values.get("device", "cpu"), f"{experiment.title} {stage.name}", say
        )
    told = {
        "root": str(project),
        "paper": experiment.paper,
        "experiment": experiment.name,
        "stage": stage.name,
        "notebook": stage.notebook.path.stem,
        "values": manifest.plain(stage.values),
        "needs": list(stage.needs),
        "parts": wanted.parts,
    }
    paths = [str(code.PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **variables,
        **driven.environment(wanted.parts["key"], told),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    driver = engine.Driver(say, environment, interrupts)
    try:
        with interrupts.immediate(), contextlib.suppress(RuntimeError):  # the engine tries again, and says why
            warm.ready({**os.environ, **environment})
        engine.execute(stage.notebook.path, stage.values, driver)
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
        now = code.reached(notebooks.read(stage.notebook.path))
        if keys.digest(now) != wanted.parts["code"]:
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
    if isinstance(error, StageFailed | FileError | engine.KernelDied | engine.Unfinished):
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
