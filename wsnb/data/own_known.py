"""Which masks are whole: those of your own pictures hold what somebody marked, and all else is void."""

from functools import lru_cache
from pathlib import Path

from wsnb.files import FileError, load_json

RECORD = "own.json"  # beside the folders of a set that `wsnb data new` wrote


def whole(item) -> bool:
    """Whether the class mask of ITEM speaks of every pixel. It does in every set but those of `wsnb data new`."""
    names = None if item.mask is None else _whole(item.mask.parents[1] / RECORD)
    return names is None or item.id in names


def need_whole(items, what: str, mend: str) -> None:
    """Raise FileError if WHAT asks for whole masks that some ITEMS have not; MEND tells what to do instead."""
    missing = [item for item in items if not whole(item)]
    if missing:
        raise FileError(f"{what}: {len(missing)} of {len(items)} pictures have no whole mask (the first is "
                        f"{missing[0].id}), and their masks hold only what was marked; {mend}")


def _whole(path: Path) -> frozenset | None:
    """Names of the pictures with a whole mask that the record names; None without a record."""
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        return None
    return _names(path, written)


@lru_cache(maxsize=8)
def _names(path: Path, written: int) -> frozenset:
    """WRITTEN, the file's time, is there so that a set that was made anew is read anew."""
    content = load_json(path)
    return frozenset(content.get("whole", ()) if isinstance(content, dict) else ())
