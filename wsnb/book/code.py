"""What code a notebook runs: its cells and the modules that they reach, hashed by meaning rather than by
text.
"""

import ast
import functools
import hashlib
import warnings
from pathlib import Path

import wsnb
from wsnb.book.notebook import Notebook
from wsnb.files import FileError

PACKAGE = Path(wsnb.__file__).resolve().parent
APART = ("wsnb.book.", "wsnb.plots.", "wsnb.interact.")  # how a result is kept or drawn does not change it
ASIDE = ("exercise", "solution")  # cells after the stage's end; an answer changes no result
DRAWING = ("views", "controls")  # nor do a paper's modules of these names, which only draw
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
            raise FileError(f"{where}: does not parse: {error}; mend that line") from error
        try:
            tree = _compile(_quote_magics(source), where)
        except (SyntaxError, ValueError):
            raise FileError(f"{where}: does not parse: {error}; mend that line") from error
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
    """(sha256, imported names) of a module's file; STATE tells an edited file from the one that was read before."""
    tree = parse(path.read_text(encoding="utf-8"), str(path))
    return _hash(text_of(tree)), sorted(imported(tree, module, is_package))


def _ours(module, folders) -> bool:
    top = module.split(".")[0]
    return top == "wsnb" or Path(folders[0], top + ".py").is_file() or Path(folders[0], top).is_dir()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
