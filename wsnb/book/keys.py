"""The key of a stage: a hash of everything that its result depends on, and nothing else."""

import hashlib
import json
import os
from pathlib import Path

from wsnb.book import code, manifest, params
from wsnb.book.notebook import Notebook
from wsnb.files import FileError, load_json, sha256

LISTS = (".txt", ".json", ".csv")  # what names pictures and labels is told apart by content, up to 10 MB


def digest(value) -> str:
    """SHA-256 of a value as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def params_values(declared: dict, values: dict, root, known_files=None) -> dict:
    """The parameters as they enter the key: machine parameters left out, files by their content.

    KNOWN_FILES is a dictionary path -> sha256 that spares hashing the same file twice.
    """
    known_files = {} if known_files is None else known_files
    result = {}
    for name, param in declared.items():
        if name in params.MACHINE:
            continue
        file = params.existing_file(name, param.type, values[name], root)
        if file is None:
            result[name] = values[name]
        else:
            if file not in known_files:
                known_files[file] = folder_fingerprint(file) if file.is_dir() else sha256(file)
            result[name] = params.with_file(name, values[name], f"sha256:{known_files[file]}")
    return result


def folder_fingerprint(folder) -> str:
    """Fingerprint of a folder of products: the key of the finished stage that it lies in and where, else the relative
    paths and sizes of its files and the content of lists."""
    folder = Path(folder).resolve()
    for place in (folder, folder.parent):
        if (place / manifest.NAME).is_file():
            return digest([load_json(place / manifest.NAME)["key"], str(folder.relative_to(place))])
    return digest(sorted(_walk(folder, "", set())))


def data_fingerprint(root) -> str:
    """Fingerprint of a data set on disk: relative paths with sizes, and the content of text lists.

    SBD and the test pictures of VOC may lie beside the folder instead of in it, so what the reader would find there
    belongs to it. Hidden files are left out. Raises FileError if ROOT is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileError(f"data_root {root}: no such folder; pass --data-root DIR, or see `wsnb data --help`")
    total = hashlib.sha256()
    beside = [f"{up}/{name}" for up in ("..", "../..") for name in ("benchmark_RELEASE", "sbd", "voc_test")]
    for name in ("", *beside):
        for line in sorted(_walk(root / name, f"{name}/" if name else "", set())):
            total.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return total.hexdigest()


def _walk(folder, prefix, seen):
    """Lines 'path size [sha256]' below a folder; links are followed, each folder once."""
    real = os.path.realpath(folder)
    if real in seen or not os.path.isdir(folder):
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/", seen)
            elif entry.is_file():
                small = entry.name.endswith(LISTS) and entry.stat().st_size < 10**7
                text = f" {sha256(entry.path)}" if small else ""
                yield f"{prefix}{entry.name} {entry.stat().st_size}{text}"


def stage_parts(
    notebook: Notebook, declared: dict, values: dict, upstream: dict, root, data: str | None, known_files=None
) -> dict:
    """All that a stage's key is made of, and the key.

    UPSTREAM is {stage: key}, DATA the fingerprint of the data set or None for a stage without data_root.
    Returns {"key", "code", "params", "upstream", "data", "modules", "values"}: the last two say what lies
    behind the hashes.
    """
    modules = code.reached(notebook)
    entering = params_values(declared, values, root, known_files)
    parts = {"code": digest(modules), "params": digest(entering), "upstream": dict(upstream), "data": data}
    return {"key": digest(parts), **parts, "modules": modules, "values": entering}


def changes(old: dict, new: dict) -> list:
    """In words, why parts OLD do not serve where NEW are wanted; empty if they do."""
    words = []
    before, after = old.get("modules", {}), new["modules"]
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            what = "the notebook's cells" if name == "cells" else name
            state = (
                ""
                if name in before and name in after
                else " (newly reached)"
                if name in after
                else " (no longer reached)"
            )
            words.append(f"code of {what} changed{state}")
    before, after = old.get("values", {}), new["values"]
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            words.append(f"{name}: {_short(before.get(name, 'none'))} -> {_short(after.get(name, 'none'))}")
    before, after = old.get("upstream", {}), new["upstream"]
    words += [
        f"upstream {name} changed"
        for name in sorted(set(before) | set(after))
        if before.get(name) != after.get(name)
    ]
    if old.get("data") != new["data"]:
        words.append("files of the data set changed")
    if not words and old.get("key") != new["key"]:
        words.append("the record is of another version of wsnb")
    return words


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
