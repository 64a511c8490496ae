"""The store: the folder of a stage lies once, under the stage's key; the stages of an experiment are links to it.

RUNS/.store/KEY holds the work of a key, finished (it has a manifest that its files match) or not.
RUNS/PAPER/EXPERIMENT/STAGE is a relative link there.
"""

import os
from pathlib import Path

from wsnb.files import FileError, clear_half_written, load_json
from wsnb.run import manifest

FOLDER = ".store"
CHANGED = ".changed"  # marks work of cells that differ from the notebook's


def folder_of(run_folder, paper: str, key: str) -> Path:
    """Folder of a key. Run folders RUNS/PAPER/EXPERIMENT share RUNS/.store, any other has a store inside."""
    run_folder = Path(run_folder)
    return (run_folder.parents[1] if run_folder.parent.name == paper else run_folder) / FOLDER / key


def run_lock(folder: Path) -> Path:
    """Lock of whoever computes a key, from before the stage begins until its manifest is written."""
    return folder.with_name(f".{folder.name}.lock")


def kernel_lock(folder: Path) -> Path:
    """Lock of the process that writes there: the kernel of a killed runner may live a moment longer."""
    return folder.with_name(f".{folder.name}.kernel.lock")


def examine(folder, verify=False) -> tuple[dict | None, list]:
    """(manifest, faults) of a key's folder: finished if there is a manifest and no fault.

    A folder with faults is neither finished nor to be continued. VERIFY compares the content of every file.
    """
    folder = Path(folder)
    try:
        record = manifest.read(folder)
    except FileError as error:
        return None, [str(error)]
    if record is None:
        return None, ["its cells were changed while they ran"] if (folder / CHANGED).exists() else []
    if record["key"] != folder.name:
        return None, [f"its {manifest.NAME} is of another key"]
    return record, manifest.problems(folder, record, verify)


def open_folder(folder, verify=False) -> str:
    """Make FOLDER ready to begin or continue its stage; the caller holds its locks. VERIFY as in examine.

    A folder with faults is set aside as KEY.N, whole: nothing of it is reused. Returns a line about that, or "".
    Raises FileError for one that is, or holds, a link: what it leads to is somebody else's.
    """
    folder, said = Path(folder), ""
    links = [path for path in (folder, *(folder.iterdir() if folder.is_dir() else ())) if path.is_symlink()]
    if links:
        raise FileError(f"{links[0]}: a link to {os.readlink(links[0])}, where a stage would write; remove the link, "
                        "or keep all runs there with --runs DIR")
    _, faults = examine(folder, verify)
    if faults:
        aside = next(path for n in range(1, 10**6) if not (path := folder.with_name(f"{folder.name}.{n}")).exists())
        os.rename(folder, aside)
        said = f"earlier work set aside as {FOLDER}/{aside.name}: {'; '.join(faults[:3])}"
    folder.mkdir(parents=True, exist_ok=True)
    clear_half_written(folder)
    return said


def link(path, folder) -> None:
    """Make PATH a relative link to FOLDER, in place of an earlier link. Raises FileError where that cannot be."""
    path = Path(path)
    target = os.path.relpath(folder, path.parent)
    if path.is_symlink() and os.readlink(path) == target:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.symlink_to(target, target_is_directory=True)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        remedy = (
            "it holds files, move it away"
            if path.is_dir() and not path.is_symlink()
            else "give a file system that has links with --runs DIR"
        )
        raise FileError(f"{path}: cannot become a link into {FOLDER} ({error.strerror}); {remedy}") from error


def parts_of(folder) -> dict | None:
    """The parts behind the key of the work in a folder, or None if they are not known."""
    try:
        return dict(load_json(Path(folder) / manifest.PARAMS)["parts"])
    except (FileError, KeyError, TypeError, ValueError):
        return None
