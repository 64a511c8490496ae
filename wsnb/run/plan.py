"""The plan of a run: values resolved, keys computed, and for each stage whether it is done or why not."""

import dataclasses
import re
from pathlib import Path

from wsnb.run import experiments, fingerprint, manifest, params, store
from wsnb.run.contents import Contents
from wsnb.run.paths import run_folder, split_seed


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A stage with its key and the state of the key's folder."""

    stage: experiments.StagePlan
    parts: dict  # of fingerprint.stage_parts, "key" among them
    folder: Path  # in the store
    link: Path | None  # to it, in the experiment's run folder; None in BEFORE
    done: bool
    why: tuple  # phrases: why it has to run; empty if done
    manifest: dict | None
    before: tuple = ()  # for a stage of another experiment: the stages there that it needs


def resolve(
    project, experiment: experiments.Experiment, runs, overrides=(), data_root=None, device=None, workers=None
):
    """The experiment with the command line's values in it and paths made absolute.

    OVERRIDES are texts 'name=value'; they hold for stages of other experiments, too. Relative paths given there are
    relative to the current folder, those in the YAML file to the project. Raises ParamsError or FileError.
    """
    declared, changed = experiments.union(experiment), {}
    for text in overrides:
        name, value = params.parse_override(text, declared)
        if name in ("run_dir", "round"):
            raise params.ParamsError(
                f"-p {text}: {'use --runs DIR' if name == 'run_dir' else 'list the stage as NAME@2'}"
            )
        if name in changed or name == "seed" and split_seed(experiment.name)[1] is not None:
            raise params.ParamsError(f"-p {text}: {name} is given twice; keep one")
        file = params.existing_file(name, declared[name].type, value, Path.cwd())
        changed[name] = params.with_file(name, value, file) if file else value
    given = {"data_root": data_root, "device": device, "workers": workers}
    changed |= {
        name: params.check(declared[name], value, f"--{name.replace('_', '-')}")
        for name, value in given.items()
        if value is not None and name in declared
    }
    if "data_root" in changed:
        changed["data_root"] = str(Path(changed["data_root"]).expanduser().absolute())
    elif experiment.values.get("data_root"):
        changed["data_root"] = str(Path(project) / Path(experiment.values["data_root"]).expanduser())
    if "run_dir" in declared:
        changed["run_dir"] = str(run_folder(runs, experiment.paper, experiment.name))
    own = {name: value for name, value in changed.items() if name in experiment.values}
    resolved = experiments.with_values(experiment, own)
    wish = resolved.values.get("device", "auto")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", wish):
        raise params.ParamsError(f"device {wish!r}: use auto, cpu, cuda or cuda:N")
    for name, param in declared.items():
        value = resolved.values.get(name)
        file = value and params.is_file_param(name, param.type) and params.looks_like_a_file(name, value)
        folder = value and params.is_folder_param(name, param.type) and (name.endswith("_dir") or "/" in value)
        if (file or folder) and params.existing_file(name, param.type, value, project) is None:
            kind = "folder" if folder else "file"
            raise params.ParamsError(
                f"{name}: no {kind} {params.file_part(name, value)}; give its path with -p {name}={kind.upper()}, or "
                + ("leave it empty" if name.endswith("_dir") else "a word that the notebook knows")
            )

    def source_resolved(source):
        theirs = [text for text in overrides if text.partition("=")[0].strip() in experiments.union(source)]
        return resolve(project, source, runs, theirs, data_root, device, workers)

    return experiments.with_sources(resolved, source_resolved)


def last_stage(experiment: experiments.Experiment, until: str | None, option="--until") -> str:
    """The stage to stop after. Raises ParamsError, which names the OPTION, if there is none called UNTIL."""
    names = [stage.name for stage in experiment.stages]
    found = names[-1] if until is None else experiments.find_stage(until, names)
    if found is None:
        until = until.removesuffix("@1")
        raise params.ParamsError(f"{option} {until}: no such stage; {params.nearest(until, names)}")
    return found


def wanted(
    project,
    experiment: experiments.Experiment,
    run_folder: Path,
    until: str | None = None,
    verify=False,
    *,
    contents: Contents,
):
    """A list of Wanted, one a stage up to UNTIL, in order. EXPERIMENT is resolved.

    Raises FileError, ParamsError.
    """
    names = [stage.name for stage in experiment.stages]
    last = last_stage(experiment, until)
    found, known = [], {}
    for stage in experiment.stages[: names.index(last) + 1]:
        link = run_folder / stage.name
        if stage.source:
            of = stage.source
            theirs = run_folder.parents[1] / of.paper / of.name
            *others, item = wanted(project, of, theirs, stage.name, verify, contents=contents)
            item = dataclasses.replace(item, stage=stage, link=link, before=_needed(others, item.stage.needs))
        else:
            parts = _parts(project, stage, {name: known[name] for name in stage.needs}, contents)
            folder = store.folder_of(run_folder, experiment.paper, parts["key"])
            item = Wanted(stage, parts, folder, link, *state(folder, link, parts, verify))
        known[stage.name] = item.parts["key"]
        found.append(item)
    return found


def _parts(project, stage, upstream, contents) -> dict:
    """fingerprint.stage_parts of a StagePlan."""
    root = stage.values.get("data_root")
    data = fingerprint.data_fingerprint(Path(project) / root, contents) if root else None
    return fingerprint.stage_parts(stage.notebook, stage.params, stage.values, upstream, project, data, contents)


def _needed(items, needs) -> tuple:
    """Those of ITEMS, stages in order, that the stages NEEDS are or need."""
    names, found = set(needs), []
    for item in reversed(items):
        if item.stage.name in names:
            names |= set(item.stage.needs)
            found.insert(0, dataclasses.replace(item, link=None))
    return tuple(found)


def state(folder: Path, link: Path, parts: dict, verify=False) -> tuple:
    """(done, why, manifest) of a key's folder; LINK leads to the present stage of the experiment, if there is one."""
    record, faults = store.examine(folder, verify)
    if record is not None or faults:
        return not faults, tuple(faults), record
    if (folder / manifest.PARAMS).is_file():
        return False, ("it did not finish; it continues",), None
    old = store.parts_of(link)
    if old is None:
        return False, ("it never ran",), None
    return False, tuple(fingerprint.changes(old, parts)), None
