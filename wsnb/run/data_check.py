"""What a run will read, looked at before its first stage: pictures and labels of all splits that its stages name, and
the files of other programs in the folders that its parameters name.

What was found sound is not looked at again until a file of it, or a reader, changes. The built-in sets are the book's
own drawings: they are whole once they are there.
"""

import dataclasses
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from wsnb.files import FileError, save_text, sha256
from wsnb.run import contents, experiments, fingerprint, papers, params, store

SHOWN = 20  # faults that are listed, then the number of the others


@dataclasses.dataclass(frozen=True)
class Part:
    """Some of what an experiment reads.

    root, files  the data set's folder; a folder or a list beside it
    drawn        whether it is a drawing of the book's own
    key          what the answer depends on besides these and the code of CODE, a folder of the package
    what         in words, for the progress
    look         function from a progress(done, total) to the doctor's report
    """

    root: Path
    files: Path | None
    drawn: bool
    key: list
    code: tuple
    what: str
    look: Callable


def before(options, experiment, known: contents.Contents) -> None:
    """Raise FileError, which lists what the doctor finds, if files that EXPERIMENT reads are missing or damaged.

    KNOWN holds the hashes of the data. Masks may be missing where no picture of a split has one: a stage that needs
    them says so, and tags, boxes or predictions may be all that is asked for.
    """
    from wsnb.run.data_commands import every_5_s

    problems = []
    for part in parts(options.project, experiment):
        if part.drawn:
            continue
        code = [sha256(path) for name in part.code for path in sorted((fingerprint.PACKAGE / name).rglob("*.py"))]
        files = known.hash(part.files) if part.files else ""
        key = fingerprint.digest([fingerprint.data_fingerprint(part.root, known), code, part.key, files])
        sound = options.runs / store.FOLDER / contents.FOLDER / f"sound-{key}"
        if not sound.exists():
            found = part.look(every_5_s(f"pictures of {part.what} looked at", sys.stderr)).problems
            problems += [problem for problem in found if problem not in problems]
            if not found:
                save_text(sound, "")
    if problems:
        more = [f"and {len(problems) - SHOWN} more: `wsnb data doctor experiment {experiment.title}`, with the same "
                "--data-root and -p, lists all"] if len(problems) > SHOWN else []
        raise FileError("\n".join([f"{experiment.title}: its data are not sound, and nothing was run",
                                   *problems[:SHOWN], *more]))


def report(project, experiment, progress=None):
    """Look at all that an EXPERIMENT reads: the doctor's report. PROGRESS(done, total) after each picture."""
    from wsnb.data import doctor

    made = doctor.Report(experiment.title)
    for part in parts(project, experiment):
        found = part.look(progress)
        made.pictures.update(found.pictures)
        made.official.update(found.official)
        made.problems += [problem for problem in found.problems if problem not in made.problems]
        made.notes += [note for note in found.notes if note not in made.notes]
    return made


def parts(project, experiment):
    """Yield the Parts that an experiment reads, and the experiments that its stages are of."""
    inputs = _inputs(experiment.paper)
    kinds = inputs.kinds(experiment.values) if hasattr(inputs, "kinds") else {}
    splits = set()
    for stage in experiment.stages:
        if not stage.source and stage.values.get("data_root"):
            splits |= {(stage.values["data_root"], _layout(experiment, stage.values), value,
                        kinds.get(name, ("image", "mask")))
                       for name, value in stage.values.items()
                       if name.rpartition("_")[2] == "split" and isinstance(value, str) and value}
    for root, layout, split, looked_at in sorted(splits):
        listed, place = Path(split.rpartition(":")[2]), Path(project) / root
        drawn = experiments.is_builtin(project, root)
        yield Part(place, listed if listed.is_file() else None, drawn, [layout, split, looked_at], ("data",), split,
                   lambda progress, of=(place, layout, split, looked_at): _look(*of, progress))
    if hasattr(inputs, "folders"):
        yield from _folders(project, experiment, inputs)
    for source in dict.fromkeys(stage.source.title for stage in experiment.stages if stage.source):
        yield from parts(project, next(one.source for one in experiment.stages
                                       if one.source and one.source.title == source))


def _inputs(paper: str):
    """The paper's module `inputs`; None where it has none."""
    there = (papers.PLACE / paper / "inputs.py").is_file()
    return importlib.import_module(f"wsnb.papers.{paper}.inputs") if there else None


def _layout(experiment, values) -> str:
    return values.get("layout") or experiment.values.get("layout", "voc")


def _look(place, layout, split, kinds, progress):
    from wsnb.data import doctor  # a second, where there is something to look at

    name = next(name for name, reader in doctor.LAYOUTS.items() if reader == layout)
    return doctor.check(place, (split,), progress=progress, layout=name, kinds=kinds, bare=True)


def _folders(project, experiment, inputs):
    """Yield the Parts of the folders that parameters of the experiment's own stages name."""
    own = {name: param for stage in experiment.stages if not stage.source for name, param in stage.params.items()}
    named = {name: params.existing_file(name, param.type, experiment.values[name], project)
             for name, param in own.items() if params.is_folder_param(name, param.type)}
    if not any(named.values()):
        return
    from wsnb.data import doctor, read

    values = {**experiment.values, **{name: str(path) for name, path in named.items() if path}}
    layout, root = _layout(experiment, values), Path(project) / values["data_root"]

    def pictures(parameter):
        limit = values.get("val_limit" if parameter == "val_split" else "limit", 0)
        return read.items(layout, root, values[parameter], limit) if values.get(parameter) else []

    try:
        found = list(inputs.folders(values, root, tuple(read.class_names(layout, root)), pictures))
    except ValueError as error:  # or a FileError, of the data set or of one file for all pictures
        yield Part(root, None, False, [str(error)], (), "its folders",
                   lambda _, said=str(error): doctor.Report("", problems=[said]))
        return
    for parameter, items, of_item in found:
        yield Part(root, named[parameter], False, [layout, parameter, [item.id for item in items]],
                   ("data", "ops", f"papers/{experiment.paper}"), parameter,
                   lambda progress, of=(parameter, items, of_item): doctor.folder(*of, progress=progress))
