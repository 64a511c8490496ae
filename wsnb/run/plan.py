"""What a run would do: values resolved, keys computed, and for each stage whether it is done or why not."""

import dataclasses
import re
from pathlib import Path

from wsnb.files import FileError
from wsnb.run import experiments, fingerprint, manifest, params, store
from wsnb.run.paths import run_folder


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A stage with its key and how its folder stands to it."""

    stage: experiments.StagePlan
    parts: dict  # of keys.stage_parts, "key" among them
    folder: Path
    done: bool
    why: tuple  # in words, why it has to run; empty if done
    manifest: dict | None


def resolve(
    project, experiment: experiments.Experiment, runs, overrides=(), data_root=None, device=None, workers=None
):
    """The experiment with the command line's wishes in it and paths made absolute.

    OVERRIDES are texts 'name=value'. Relative paths given there are relative to the current folder, those in
    the YAML file to the project. Raises ParamsError or FileError.
    """
    declared, changed = experiments.union(experiment), {}
    for text in overrides:
        name, value = params.parse_override(text, declared)
        if name in ("run_dir", "round"):
            raise params.ParamsError(
                f"-p {text}: {'use --runs DIR' if name == 'run_dir' else 'list the stage as NAME@2'}"
            )
        if name in changed:
            raise params.ParamsError(f"-p {text}: {name} is given twice; keep one")
        file = params.existing_file(name, declared[name].type, value, Path.cwd())
        changed[name] = params.with_file(name, value, file) if file else value
    given = {"data_root": data_root, "device": device, "workers": workers}
    changed |= {name: value for name, value in given.items() if value is not None and name in declared}
    if "data_root" in changed:
        changed["data_root"] = str(Path(changed["data_root"]).expanduser().absolute())
    elif experiment.values.get("data_root"):
        changed["data_root"] = str(Path(project) / Path(experiment.values["data_root"]).expanduser())
    if "run_dir" in declared:
        changed["run_dir"] = str(run_folder(runs, experiment.paper, experiment.name))
    resolved = experiments.with_values(experiment, changed)
    wish = resolved.values.get("device", "auto")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", wish):
        raise params.ParamsError(f"device {wish!r}: use auto, cpu, cuda or cuda:N")
    if resolved.values.get("workers", 0) < 0:
        raise params.ParamsError(f"workers {resolved.values['workers']}: use 0 (none) or more")
    for name, param in declared.items():
        value = resolved.values.get(name)
        file = value and params.is_file_param(name, param.type) and params.looks_like_a_file(name, value)
        folder = params.is_folder_param(name, param.type) and value
        if (file or folder) and params.existing_file(name, param.type, value, project) is None:
            kind = "folder" if folder else "file"
            raise params.ParamsError(
                f"{name}: no {kind} {params.file_part(name, value)}; give its path with -p {name}={kind.upper()}, or "
                + ("leave it empty" if folder else "a word that the notebook knows")
            )
    return resolved


def last_stage(experiment: experiments.Experiment, until: str | None) -> str:
    """The stage to stop after. Raises ParamsError if there is none called UNTIL."""
    names = [stage.name for stage in experiment.stages]
    found = names[-1] if until is None else experiments.find_stage(until, names)
    if found is None:
        raise params.ParamsError(f"--until {until}: no such stage; {params.nearest(until, names)}")
    return found


def wanted(
    project,
    experiment: experiments.Experiment,
    folder_: Path,
    until: str | None = None,
    verify=False,
    memory=None,
):
    """A list of Wanted, one a stage up to UNTIL, in order. EXPERIMENT is resolved, FOLDER_ its run folder.

    MEMORY is a dictionary that keeps fingerprints between calls. Raises FileError, ParamsError.
    """
    memory = {} if memory is None else memory
    names = [stage.name for stage in experiment.stages]
    last = last_stage(experiment, until)
    found, known = [], {}
    for stage in experiment.stages[: names.index(last) + 1]:
        data = None
        if stage.values.get("data_root"):
            place = Path(project) / stage.values["data_root"]
            if place not in memory:
                memory[place] = fingerprint.data_fingerprint(place)
            data = memory[place]
        upstream = {name: known[name] for name in stage.needs}
        parts = fingerprint.stage_parts(
            stage.notebook,
            stage.params,
            stage.values,
            upstream,
            project,
            data,
            memory.setdefault("files", {}),
        )
        known[stage.name] = parts["key"]
        found.append(Wanted(stage, parts, folder_ / stage.name, *state(folder_ / stage.name, parts, verify)))
    return found


def state(place: Path, parts: dict, verify=False) -> tuple:
    """(done, why, manifest) of a stage folder against the wanted parts."""
    key = store.key_of(place)
    if key is None:
        return False, ("it never ran",), None
    try:
        record = manifest.read(place)
    except FileError as error:
        return False, (str(error),), None
    if record is not None and record["key"] == parts["key"]:
        found = manifest.problems(place, record, verify)
        return not found, tuple(found), record
    if key == parts["key"]:
        return False, ("it did not finish; it continues",), None
    old = record["parts"] if record else store.parts_of(place)
    if old is None:
        return False, ("its folder holds files of unknown origin",), None
    return False, tuple(fingerprint.changes({**old, "key": key}, parts)), None
