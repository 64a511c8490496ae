"""What a run will read, looked at before its first stage: the pictures and masks of all splits that its stages name.

A split that was found sound is not looked at again until a file of its set, or a reader, changes. The built-in sets
are the book's own drawings: they are whole once they are there.
"""

import sys
from pathlib import Path

from wsnb.files import FileError, save_text, sha256
from wsnb.run import contents, experiments, fingerprint, store

SHOWN = 20  # faults that are listed, then the number of the others


def before(options, experiment, known: contents.Contents) -> None:
    """Raise FileError, which lists what the doctor finds, if files that EXPERIMENT reads are missing or damaged.

    KNOWN holds the hashes of the data. Masks may be missing where no picture of a split has one: a stage that needs
    them says so, and tags, boxes or predictions may be all that is asked for.
    """
    problems, readers = [], [sha256(path) for path in sorted((fingerprint.PACKAGE / "data").rglob("*.py"))]
    for root, layout, split, kinds in sorted(_splits(experiment)):
        if experiments.is_builtin(options.project, root):
            continue
        place = options.project / root
        listed = Path(split.rpartition(":")[2])
        parts = [fingerprint.data_fingerprint(place, known), readers, layout, split, kinds,
                 known.hash(listed) if listed.is_file() else ""]
        sound = options.runs / store.FOLDER / contents.FOLDER / f"sound-{fingerprint.digest(parts)}"
        if sound.exists():
            continue
        found = _problems(place, layout, split, kinds)
        if not found:
            save_text(sound, "")
        problems += found
    if problems:
        more = [f"and {len(problems) - SHOWN} more: `wsnb data doctor`"] if len(problems) > SHOWN else []
        raise FileError("\n".join([f"{experiment.title}: its data are not sound, and nothing was run",
                                   *problems[:SHOWN], *more]))


def _problems(place, layout, split, kinds) -> list[str]:
    from wsnb.data import doctor  # a second, where there is something to look at
    from wsnb.run.data_commands import every_5_s

    name = next(name for name, reader in doctor.LAYOUTS.items() if reader == layout)
    progress = every_5_s(f"pictures of {split} looked at", sys.stderr)
    return doctor.check(place, (split,), progress=progress, layout=name, kinds=kinds, bare=True).problems


def _splits(experiment) -> set:
    """(data root, layout, split, what is looked at) of the splits that stages of an experiment name, and those of the
    experiments that they are of. Masks of a list of weak masks are no label maps: they hold marks of their own."""
    found, weak = set(), experiment.values.get("weak_source") == "list"
    for stage in experiment.stages:
        if stage.source:
            found |= _splits(stage.source)
        elif root := stage.values.get("data_root"):
            layout = stage.values.get("layout") or experiment.values.get("layout", "voc")
            found |= {(root, layout, value, ("image",) if weak and name == "train_split" else ("image", "mask"))
                      for name, value in stage.values.items()
                      if name.rpartition("_")[2] == "split" and isinstance(value, str) and value}
    return found
