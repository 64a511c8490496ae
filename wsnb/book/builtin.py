"""The built-in synthetic data sets: made when an experiment wants one and it is not there, or not whole."""

import time
from pathlib import Path

from wsnb.book import locks
from wsnb.files import FileError

FOLDER = "data/shapes"
PLACE = f"{FOLDER}/VOCdevkit"  # the one that most experiments use


def is_builtin(project, data_root) -> bool:
    """Whether a data_root means a built-in set of this project."""
    from wsnb.data import twins

    place = (Path(project) / Path(data_root).expanduser()).resolve()
    return place.parent == (Path(project) / FOLDER).resolve() and place.name in twins.MAKERS


def is_whole(folder) -> bool:
    """Whether today's drawing lies in the built-in set FOLDER, with every file of its lists."""
    from wsnb.data import twins

    return twins.is_whole(folder)


def ensure(project, say, data_root=PLACE) -> None:
    """Make the built-in set at DATA_ROOT if it is missing or not whole; a second run at the same time waits for the
    first.

    Raises FileError if the folder holds something else.
    """
    from wsnb.data import twins

    folder = Path(project) / Path(data_root).expanduser()
    if twins.is_whole(folder):
        return
    with locks.acquire(
        folder.parent / f".making.{folder.name}.lock", f"the synthetic data set in {folder}", wait=900
    ):
        if twins.is_whole(folder):
            return
        say(f"making the synthetic data set in {folder}")
        last = [time.monotonic()]

        def progress(done, total):
            if time.monotonic() - last[0] >= 5 or done == total:
                last[0] = time.monotonic()
                say(f"{done}/{total} pictures")

        try:
            twins.maker(folder.name).write(folder, progress=progress)
        except FileError as error:
            raise FileError(f"{error}. The book keeps its own pictures there: move {folder} away") from error
