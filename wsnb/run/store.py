"""A stage's folder: whose work lies in it, and putting work of another key aside. No work is ever deleted."""

import os
from pathlib import Path

from wsnb.files import FileError, clear_half_written, load_json, save_json
from wsnb.run import manifest

OLD = "old"


def key_of(folder) -> str | None:
    """The key whose work lies in a stage folder; "" for files of unknown origin, None for an empty or missing
    folder.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(not path.name.startswith(".") for path in folder.iterdir()):
        return None
    try:
        return str(load_json(folder / manifest.PARAMS)["key"])
    except (FileError, KeyError, TypeError):
        return ""


def parts_of(folder) -> dict | None:
    """The parts behind the key of the work in a folder, or None if they are not known."""
    try:
        return dict(load_json(Path(folder) / manifest.PARAMS)["parts"])
    except (FileError, KeyError, TypeError, ValueError):
        return None


def prepare(folder, key: str) -> str:
    """Make FOLDER hold work of KEY, or nothing: other work goes to old/, work of KEY comes back from there.

    Returns in words what was moved, or "".
    """
    folder = Path(folder)
    found, said = key_of(folder), []
    if found == key:
        return ""
    if found is not None:
        said.append(f"earlier work moved to {OLD}/{_move(folder, _free(folder, found)).name}")
    parked = next((path for path in _parked(folder) if key_of(path) == key), None)
    if parked is not None:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if not folder.exists():
            _move(parked, folder)
            said.append(f"earlier work brought back from {OLD}/{parked.name}")
    folder.mkdir(parents=True, exist_ok=True)
    return "; ".join(said)


def _parked(folder):
    return sorted((folder.parent / OLD).glob(f"{folder.name}-*"))


def _free(folder, key):
    base = folder.parent / OLD / f"{folder.name}-{key[:8] or 'unknown'}"
    names = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 10000))]
    return next(path for path in names if not path.exists())


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    return target


def reopen(folder, record: dict) -> None:
    """Mark the folder as being worked on under RECORD's key: no manifest or results of an earlier attempt
    count, and what a killed attempt had only half written is cleared away. The caller holds the folder's lock.
    """
    folder = Path(folder)
    clear_half_written(folder)
    for name in (manifest.NAME, manifest.RESULTS, manifest.FAILED_NOTEBOOK):
        if (folder / name).exists():
            os.replace(folder / name, folder / f".previous.{name}")
    save_json(folder / manifest.PARAMS, record)
