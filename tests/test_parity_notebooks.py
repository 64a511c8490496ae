"""Every parity handler compares functions that a notebook of its paper calls, by the source of both."""

import ast
import functools
import importlib
from pathlib import Path

import pytest

from tests.parity.__main__ import PAPERS
from wsnb.data import read
from wsnb.files import load_json

ROOT = Path(__file__).parents[1]


class Module:
    """A module's names: {name: node} of what it defines, {name: dotted place} of what it imports."""

    def __init__(self, tree, package=""):
        self.defined, self.imported = {}, {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                self.imported |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
            elif isinstance(node, ast.Import):
                self.imported |= {one.asname: one.name for one in node.names if one.asname}
        for node in getattr(tree, "body", ()):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.defined |= {name.id: node for target in targets for name in ast.walk(target)
                                 if isinstance(name, ast.Name)}


@functools.cache
def module(name):
    """The Module of a dotted name; None if it is not of the project."""
    path = ROOT / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return Module(ast.parse(file.read_text(encoding="utf-8")))
    return None


def place(dotted):
    """(module, name) that a dotted name means: where it is defined, not where it is passed on."""
    head, _, name = dotted.rpartition(".")
    if module(dotted) or not head:
        return None
    found = module(head)
    if found is None:
        return None
    if name in found.defined:
        return head, name
    return place(found.imported[name]) if name in found.imported else None


def used(node, home, names) -> set:
    """(module, name) of all of the project's definitions that the code NODE in the module HOME with the Module NAMES
    speaks of."""
    found = set()
    for one in ast.walk(node):
        chain = []
        while isinstance(one, ast.Attribute):
            chain.append(one.attr)
            one = one.value
        if not isinstance(one, ast.Name):
            continue
        if one.id in names.defined:
            found.add((home, one.id))
        elif one.id in names.imported:
            dotted = names.imported[one.id]
            while chain and module(dotted):
                dotted = f"{dotted}.{chain.pop()}"
            found.add(place(dotted))
    return found - {None}


@functools.cache
def uses(home, name) -> frozenset:
    return frozenset(used(module(home).defined[name], home, module(home)))


def reached(start) -> set:
    """All definitions that START speaks of, however far."""
    seen, waiting = set(), set(start)
    while waiting:
        one = waiting.pop()
        seen.add(one)
        waiting |= uses(*one) - seen
    return seen


@functools.cache
def notebooks(paper) -> dict:
    """{name: the definitions that it reaches} of the notebooks of PAPER."""
    found = {}
    for path in sorted((ROOT / "notebooks" / paper).glob("*.ipynb")):
        cells = [cell for cell in load_json(path)["cells"] if cell["cell_type"] == "code"]
        tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells))
        start = used(tree, "", Module(tree)) - {("", name) for name in Module(tree).defined}
        if ("wsnb.data.read", "_READERS") in reached(start):  # whose functions are called by their names
            readers = [f"wsnb.data.{layout}" for layout in read.LAYOUTS]
            start |= {(reader, name) for reader in readers for name in module(reader).defined}
        found[path.stem] = reached(start)
    return found


def compared(function) -> set:
    """The definitions of wsnb that a handler calls, through helpers of tests/parity too."""
    function = getattr(function, "func", function)
    waiting, seen = {(function.__module__, function.__qualname__.partition(".")[0])}, set()
    while waiting:
        home, name = waiting.pop()
        seen.add((home, name))
        if home.startswith("tests."):
            waiting |= uses(home, name) - seen
    return {one for one in seen if one[0].startswith("wsnb.")}


@pytest.mark.parametrize("paper", PAPERS)
def test_what_a_handler_compares_is_what_a_notebook_calls(paper):
    handlers = importlib.import_module(f"tests.parity.{paper}").HANDLERS
    apart = {}
    for name, function in sorted(handlers.items()):
        calls = compared(function)
        where = [stem for stem, reach in notebooks(paper).items() if calls & reach]
        print(f"{paper}/{name}: {', '.join(where)}")
        apart |= {one: name for one in calls if not any(one in reach for reach in notebooks(paper).values())}
        assert where, name
    assert apart == {}
