"""`wsnb clean`: what may be deleted, with sizes."""

import contextlib
import shutil
from pathlib import Path

from wsnb.files import FileError, load_json
from wsnb.run import locks, manifest, params, store

SITE_MARK = ".wsnb-site"  # stands in a folder that `wsnb report` made
WHAT = ("runs", "build", "site")


def clean(project, runs, what: list, delete: bool, say) -> None:
    """Say how much WHAT takes; with DELETE remove it. Nothing named: look at all, delete runs.

    WHAT are some of "runs" (results that no experiment points to), "build" (working files of the HTML book), "site".

    Raises ParamsError for another word, LockedError for what is in use.
    """
    for word in what:
        if word not in WHAT:
            raise params.ParamsError(f"clean {word}: {params.nearest(word, WHAT)}")
    if "runs" in what or not what:
        _results(runs, delete, say)
    site = Path(project, "_site")
    working = Path(project, "build", site.name)
    for word, folder, is_ours in (("site", site, (site / SITE_MARK).is_file()), ("build", working, True)):
        if (what and word not in what) or not folder.is_dir() or not is_ours:
            continue
        is_named = delete and word in what
        said = "deleted" if is_named else f"`wsnb clean {word} --yes` deletes it, `wsnb report` makes it again"
        with locks.acquire(working / ".lock", f"the HTML book in {site}") if is_named else contextlib.nullcontext():
            say(f"{folder}  {_size(folder) / 1e6:.1f} MB  {said}")
            if is_named:
                shutil.rmtree(folder)


def unused(runs) -> list:
    """(folder, bytes) of the store's entries that no experiment links to, nor needs for a stage that one links to."""
    place = Path(runs).resolve() / store.FOLDER
    used, waiting = set(), [path.resolve() for path in Path(runs).glob("*/*/*") if path.is_symlink()]
    while waiting:
        folder = waiting.pop()
        if folder not in used and folder.parent == place:
            used.add(folder)
            waiting += [place / key for key in (store.parts_of(folder) or {}).get("upstream", {}).values()]
    entries = sorted(path for path in place.glob("[!.]*") if path not in used)
    return [(path, _size(path)) for path in entries]


def _size(folder) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))


def _results(runs, delete: bool, say) -> None:
    """Say which entries of the store nothing uses, with sizes in MB; with DELETE remove them.

    An entry that somebody computes is left. Raises LockedError if an experiment runs: it may be about to link some.
    """
    with contextlib.ExitStack() as held:
        for path in Path(runs).glob("*/*/.lock") if delete else ():
            held.enter_context(locks.acquire(path, str(path.parent)))
        for path in (Path(runs) / store.FOLDER).glob(".*.deleted") if delete else ():  # of a killed `clean`
            shutil.rmtree(path)
        total = 0
        for folder, size in unused(runs):
            lock = store.run_lock(folder)
            if locks.is_held(lock):
                say(f"{folder.name}: in use by {locks.holder(lock)}")
                continue
            total += size
            say(f"{folder.name}  {size / 1e6:10.1f} MB  {_title(folder)}")
            if delete:
                with locks.acquire(lock, str(folder)):  # renamed first: nothing half deleted can be continued
                    shutil.rmtree(folder.rename(folder.with_name(f".{folder.name}.deleted")))
        say(f"{total / 1e6:.1f} MB {'deleted' if delete else 'that no experiment points to; --yes deletes them'}")


def _title(folder) -> str:
    try:
        record = load_json(folder / manifest.PARAMS)
        return f"{record['paper']}/{record['experiment']} {record['stage']}"
    except (FileError, KeyError, TypeError):
        return "of unknown origin"
