"""The code that a notebook runs: its cells and the modules that they reach, hashed by meaning rather than by text.

The key of a stage: a hash of everything that its result depends on, and nothing else.
"""

import ast
import functools
import hashlib
import json
import os
import warnings
from pathlib import Path

import wsnb
from wsnb.files import FileError, load_json, sha256
from wsnb.run import manifest, params
from wsnb.run.notebooks import Notebook

PACKAGE = Path(wsnb.__file__).resolve().parent
APART = ("wsnb.run.", "wsnb.report.", "wsnb.viz.")  # how a result is kept or drawn does not change it
ASIDE = ("exercise", "solution")  # cells after the stage's end; an answer changes no result
DRAWING = ("figures",)  # nor do the modules of this name, which only draw
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def text_of(node) -> str:
    """A syntax tree as text, without positions, comments, docstrings, and without fields that are empty.

    Leaving out empty fields keeps the text alike over Python versions that add new ones.
    """
    if isinstance(node, ast.AST):
        fields = {
            name: value for name, value in ast.iter_fields(node) if value not in (None, []) and name != "kind"
        }
        if isinstance(node, DOCUMENTED) or getattr(node, "is_file", False):
            fields["body"] = _without_docstring(fields.get("body", []))
        return (
            f"{type(node).__name__}({','.join(f'{name}={text_of(value)}' for name, value in fields.items())})"
        )
    if isinstance(node, list):
        return f"[{','.join(map(text_of, node))}]"
    return repr(node)


def _without_docstring(body):
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body


def parse(source: str, where: str, is_file=True):
    """Syntax tree of a file or a cell (where IPython's % and ! lines stand as text). Raises FileError naming
    the line.
    """
    try:
        tree = _compile(source, where)
    except (SyntaxError, ValueError) as error:
        if is_file:
            raise FileError(f"{where}: does not parse: {error}; correct that line") from error
        try:
            tree = _compile(_quote_magics(source), where)
        except (SyntaxError, ValueError):
            raise FileError(f"{where}: does not parse: {error}; correct that line") from error
    tree.is_file = is_file
    return tree


def _compile(source, where):
    with warnings.catch_warnings():  # an invalid escape is for its author's editor to complain about
        warnings.simplefilter("ignore")
        return compile(
            source, where, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )


def _quote_magics(source):
    lines = (
        f"{_indent(line)}{line.strip()!r}" if line.lstrip()[:1] in ("%", "!", "?") else line
        for line in source.split("\n")
    )
    return "\n".join(lines)


def _indent(line):
    return line[: len(line) - len(line.lstrip())]


def imported(tree, module: str, is_package: bool) -> set:
    """Dotted names that a syntax tree imports, also inside functions: `a.b` and, for `from a import b`, `a`
    and `a.b`.

    MODULE is the name of the module itself, for relative imports.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parts, *([base] if base else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def find_module(name: str, folders) -> tuple | None:
    """(file, is_package) of a dotted name below one of FOLDERS (which stand for sys.path), else None."""
    for folder in folders:
        path = Path(folder, *name.split("."))
        if (path / "__init__.py").is_file():
            return path / "__init__.py", True
        if path.with_name(path.name + ".py").is_file():
            return path.with_name(path.name + ".py"), False
    return None


def reached(notebook: Notebook, package=PACKAGE) -> dict:
    """{part: sha256} of all code that a notebook runs: each code cell in order as `cells`, and each module of
    wsnb or beside the notebook that is imported from there, however far. Modules APART from results are left
    out, and cells ASIDE after the one that finishes the stage.

    A module that is imported under a name computed at run time is not seen. Raises FileError.
    """
    folders = (notebook.path.parent, Path(package).parent)
    end = min((cell.index for cell in notebook.cells if ".finish(" in cell.source), default=10**9)
    trees = [
        parse(cell.source, f"{notebook.path}, cell {cell.index}", is_file=False)
        for cell in notebook.cells
        if "parameters" not in cell.tags and not (set(ASIDE) & set(cell.tags) and cell.index > end)
    ]
    parts = {"cells": _hash("\n".join(map(text_of, trees)))}
    waiting = sorted(set().union(*(imported(tree, "__main__", False) for tree in trees)))
    while waiting:
        name = waiting.pop()
        steps = name.split(".")
        for i in range(1, len(steps) + 1):  # importing a.b.c runs a and a.b first
            module = ".".join(steps[:i])
            if module in parts or f"{module}.".startswith(APART) or steps[i - 1] in DRAWING:
                continue
            file = find_module(module, folders) if _ours(module, folders) else None
            if file is None:
                continue
            stat = file[0].stat()
            parts[module], names = _module(*file, module, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
            waiting.extend(names)
    return parts


@functools.cache
def _module(path, is_package, module, state):
    """(sha256, imported names) of a module's file; STATE differs for an edited file."""
    tree = parse(path.read_text(encoding="utf-8"), str(path))
    return _hash(text_of(tree)), sorted(imported(tree, module, is_package))


def _ours(module, folders) -> bool:
    top = module.split(".")[0]
    return top == "wsnb" or Path(folders[0], top + ".py").is_file() or Path(folders[0], top).is_dir()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


LISTS = (".txt", ".json", ".csv")  # lists of pictures and labels count by their content, up to 10 MB


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

    SBD and the test pictures of VOC may lie beside the folder instead of in it; what the reader would find there
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
    Returns {"key", "code", "params", "upstream", "data", "modules", "values"}: the last two explain the hashes
    "code" and "params".
    """
    modules = reached(notebook)
    entering = params_values(declared, values, root, known_files)
    parts = {"code": digest(modules), "params": digest(entering), "upstream": dict(upstream), "data": data}
    return {"key": digest(parts), **parts, "modules": modules, "values": entering}


def changes(old: dict, new: dict) -> list:
    """Differences between the parts OLD and NEW of two keys, one phrase each; empty if the keys are equal."""
    found = []
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
            found.append(f"code of {what} changed{state}")
    before, after = old.get("values", {}), new["values"]
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            found.append(f"{name}: {_short(before.get(name, 'none'))} -> {_short(after.get(name, 'none'))}")
    before, after = old.get("upstream", {}), new["upstream"]
    found += [
        f"upstream {name} changed"
        for name in sorted(set(before) | set(after))
        if before.get(name) != after.get(name)
    ]
    if old.get("data") != new["data"]:
        found.append("files of the data set changed")
    if not found and old.get("key") != new["key"]:
        found.append("the record is of another version of wsnb")
    return found


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
