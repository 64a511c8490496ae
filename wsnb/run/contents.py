"""Hashes of files by their content. A file that did not change is not read again, by no process.

What was read is remembered below the store: size, times and inode of a file beside its hash. A file that was written a
moment before it was read is not remembered, for a second change may leave the same times. A lost or damaged memory
costs time only.
"""

import hashlib
import json
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wsnb.files import FileError, load_json, sha256, write

FOLDER = ".contents"  # in the store
AT_REST = 2_000_000_000  # ns since the last change of a file that is remembered: no clock of a file system is coarser
LARGE = 10**9  # bytes; reading more than that is announced
THREADS = 4


class Contents:
    """Hashes of the files of folders, each read once for this object.

    MEMORY is the folder of what earlier processes read, or None. With VERIFY every file is read, whatever is
    remembered.
    """

    def __init__(self, memory=None, verify: bool = False):
        self._memory, self._verify, self._found = memory and Path(memory), verify, {}

    def hash(self, place) -> str:
        """SHA-256 of a file, or of the names and the content of a folder's files. Hidden files are left out, links are
        followed, each folder once. Raises FileError for a file that cannot be read."""
        real = os.path.realpath(place)
        if real not in self._found:
            found = self._read(real)
            lines = "".join(f"{name}\0{found[name]}\n" for name in sorted(found))
            of_all = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
            self._found[real] = found.get("", of_all)
        return self._found[real]

    def _read(self, real: str) -> dict:
        """{relative path: sha256} of the files below a folder, or {"": sha256} of a file."""
        file = self._memory and self._memory / f"{hashlib.sha256(os.fsencode(real)).hexdigest()[:32]}.json"
        before, now = _remembered(file, real), dict(_states(real))
        trusted = {} if self._verify else before
        same = {name: trusted[name][1] for name, state in now.items() if trusted.get(name, [None])[0] == state}
        new = [name for name in now if name not in same]
        size = sum(now[name][0] for name in new)
        if size > LARGE:
            sys.stderr.write(f"wsnb: reads {size / 1e9:.1f} GB below {real}, to see later what changes there\n")
        start, hashes = time.time_ns(), same
        with ThreadPoolExecutor(THREADS) as pool:
            for found in pool.map(lambda part: _hashes(real, part), [new[k::THREADS] for k in range(THREADS)]):
                hashes |= found
        if file and (new or len(before) != len(now)):
            kept = {name: [state, hashes[name]] for name, state in now.items() if max(state[1:3]) < start - AT_REST}
            _remember(file, real, kept)
        return hashes


def _states(real: str):
    """(relative path, [size, times of the last change of content and of anything, inode]) of the files below a folder,
    or of a file under the name ""."""
    if not os.path.isdir(real):
        yield "", _state(os.stat(real))
        return
    seen, waiting = set(), [("", real)]
    while waiting:
        prefix, folder = waiting.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:  # a link to nothing
                    continue
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((f"{prefix}{entry.name}/", entry.path))
                elif stat.S_ISREG(status.st_mode):
                    yield f"{prefix}{entry.name}", _state(status)


def _hashes(real: str, names) -> dict:
    return {name: sha256(os.path.join(real, name) if name else real) for name in names}


def _state(status) -> list:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _remembered(file: Path | None, real: str) -> dict:
    """{relative path: [state, sha256]} that an earlier process left in FILE; {} if there is nothing usable."""
    try:
        content = load_json(file) if file and file.exists() else {}
        found = content["files"] if content["root"] == real else {}
        return found if all(len(state) == 4 and len(sha) == 64 for state, sha in found.values()) else {}
    except (FileError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def _remember(file: Path, real: str, kept: dict) -> None:
    """Write the memory whole. Of two processes the later one wins: each has read all files. Where nobody may write, the
    files are read again."""
    try:
        with write(file, "w") as out:
            json.dump({"root": real, "files": kept}, out)
    except OSError:
        return
