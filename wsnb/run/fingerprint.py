"""The key of a stage: a hash of all that its result depends on, and of nothing else.

Code counts by its meaning: the cells of the notebook and the modules that they reach, without comments, docstrings and
layout.
"""

import ast
import functools
import hashlib
import json
import os
import stat
import warnings
from pathlib import Path

import wsnb
from wsnb.files import FileError
from wsnb.run import manifest, params, store
from wsnb.run.contents import Contents
from wsnb.run.notebooks import Notebook

PACKAGE = Path(wsnb.__file__).resolve().parent
APART = ("wsnb.run.", "wsnb.report.", "wsnb.viz.")  # how a result is kept or drawn does not change it
ASIDE = ("exercise", "solution", "aside")  # cells after the stage's end; an answer changes no result
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
    """(file, is_package, state) of a dotted name below one of FOLDERS (which stand for sys.path), else None; STATE
    differs for an edited file."""
    for folder in folders:
        path = os.path.join(folder, *name.split("."))
        for file, is_package in ((os.path.join(path, "__init__.py"), True), (f"{path}.py", False)):
            try:
                status = os.stat(file)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                return file, is_package, (status.st_ino, status.st_size, status.st_mtime_ns)
    return None


def reached(notebook: Notebook, package=PACKAGE) -> dict:
    """{part: sha256} of all code that a notebook runs: each code cell in order as `cells`, and each module of
    wsnb or beside the notebook that is imported from there, however far. Modules APART from results are left
    out, and cells ASIDE after the one that finishes the stage.

    A module that is imported under a name computed at run time is not seen. Raises FileError.
    """
    folders = (str(notebook.path.parent), str(Path(package).parent))
    beside = {name.removesuffix(".py") for name in os.listdir(folders[0])} if os.path.isdir(folders[0]) else set()
    end = min((cell.index for cell in notebook.cells if ".finish(" in cell.source), default=10**9)
    cells = [
        _cell(cell.source, f"{notebook.path}, cell {cell.index}")
        for cell in notebook.cells
        if "parameters" not in cell.tags and not (set(ASIDE) & set(cell.tags) and cell.index > end)
    ]
    parts = {"cells": _hash("\n".join(text for text, _ in cells))}
    waiting, packages = sorted(set().union(*(names for _, names in cells))), {}
    while waiting:
        steps = waiting.pop().split(".")
        if steps[0] != "wsnb" and steps[0] not in beside:
            continue
        for i in range(1, len(steps) + 1):  # importing a.b.c runs a and a.b first
            module = ".".join(steps[:i])
            if module in packages or f"{module}.".startswith(APART) or steps[i - 1] in DRAWING:
                continue
            if not packages.get(".".join(steps[: i - 1]), True):  # a name in a module
                break
            packages[module] = False
            if file := find_module(module, folders):
                path, packages[module], state = file
                parts[module], names = _module(path, packages[module], module, state)
                waiting.extend(names)
    return parts


@functools.cache
def _cell(source, where):
    """(text, imported names) of a notebook's cell."""
    tree = parse(source, where, is_file=False)
    return text_of(tree), imported(tree, "__main__", False)


@functools.cache
def _module(path, is_package, module, state):
    """(sha256, imported names) of a module's file; STATE differs for an edited file."""
    tree = parse(Path(path).read_text(encoding="utf-8"), path)
    return _hash(text_of(tree)), sorted(imported(tree, module, is_package))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest(value) -> str:
    """SHA-256 of a value as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def params_values(declared: dict, values: dict, root, contents: Contents) -> dict:
    """The parameters as they enter the key: machine parameters left out, files and folders by their content.

    Raises FileError for one of a finished stage that was damaged.
    """
    result = {}
    for name, param in declared.items():
        if name in params.MACHINE:
            continue
        file = params.existing_file(name, param.type, values[name], root)
        if file is None:
            result[name] = values[name]
        else:
            result[name] = params.with_file(name, values[name], f"sha256:{file_fingerprint(file, contents)}")
    return result


def file_fingerprint(path, contents: Contents) -> str:
    """SHA-256 of a file, or of the names and hashes of a folder's files; of a finished stage's folder, its key and the
    place in it. Raises FileError for a product of a finished stage whose files do not match its record."""
    path = Path(path).resolve()
    stage = next((place for place in (path, *path.parents) if place.parent.name == store.FOLDER), None)
    if stage is not None and (stage / manifest.NAME).exists():
        record, faults = store.examine(stage)
        if faults:
            raise FileError(f"{path}: not as its stage left it: {'; '.join(faults[:3])}; run that stage again first")
        if path.is_dir():
            return digest([record["key"], path.relative_to(stage).as_posix()])
    return contents.hash(path)


BESIDE = [f"{up}/{name}" for up in ("..", "../..") for name in ("benchmark_RELEASE", "sbd", "voc_test")]


def data_fingerprint(root, contents: Contents) -> str:
    """Fingerprint of a data set on disk: relative paths and the content of every file.

    SBD and the test pictures of VOC may lie beside the folder instead of in it; what the reader would find there
    belongs to it. Hidden files are left out. Raises FileError if ROOT is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileError(f"data_root {root}: no such folder; pass --data-root DIR, or see `wsnb data --help`")
    there = [name for name in BESIDE if (root / name).is_dir()]
    return digest([contents.hash(root), *([name, contents.hash(root / name)] for name in there)])


def stage_parts(
    notebook: Notebook, declared: dict, values: dict, upstream: dict, root, data: str | None, contents: Contents
) -> dict:
    """All that a stage's key is made of, and the key.

    UPSTREAM is {stage: key}, DATA the fingerprint of the data set or None for a stage without data_root.
    Returns {"key", "code", "params", "upstream", "data", "modules", "values"}: the last two explain the hashes
    "code" and "params".
    """
    modules = reached(notebook)
    entering = params_values(declared, values, root, contents)
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
