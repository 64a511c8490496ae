"""The five floors import only downwards, files stay small, notebooks carry no outputs."""

import ast
import graphlib
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (  # as README draws them, from the ground up
    ("wsnb", "wsnb.files"),
    ("wsnb.data", "wsnb.metrics", "wsnb.viz"),
    ("wsnb.models", "wsnb.ops"),
    ("wsnb.papers",),
    ("wsnb.run", "wsnb.report"),
)
SOURCES = sorted((ROOT / "wsnb").rglob("*.py"))
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module):
    floors = {name: level for level, names in enumerate(FLOORS) for name in names}
    while module not in floors:
        module = module.rpartition(".")[0]
    return floors[module]


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "wsnb")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wsnb":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_go_downwards(path):
    own, names = module_of(path), list(imported(ast.parse(path.read_text())))
    above = [name for name in names if floor(name) > floor(own)]
    assert not above, f"{own} imports from a floor above: {above}"
    if own.startswith(("wsnb.run", "wsnb.report")):
        assert not [n for n in names if n.startswith(("wsnb.papers", "wsnb.models", "wsnb.ops"))], (
            "run and report find papers by path"
        )
    if own.startswith("wsnb.papers."):
        paper = own.split(".")[2]
        assert not [n for n in names if n.startswith("wsnb.papers.") and n.split(".")[2] != paper], (
            "papers do not import each other: move it down to models or ops"
        )


def test_no_module_waits_for_itself():
    """Imports at the top of modules have an order; which one is imported first must not matter."""
    modules, waits = {module_of(path): path for path in SOURCES}, {}
    for name, path in modules.items():
        top = ast.Module([node for node in ast.parse(path.read_text()).body if not isinstance(node, DEFINITIONS)], [])
        found = {one if one in modules else one.rpartition(".")[0] for one in imported(top)}
        waits[name] = (found & modules.keys()) - {name}
    graphlib.TopologicalSorter(waits).prepare()  # raises CycleError with the modules in their order


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 500


def test_ruff_is_content():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "wsnb", "tests", "benchmarks", "notebooks"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_clean(path):
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert not [c for c in cells if c["outputs"] or c["execution_count"]], "strip the outputs: nbstripout"
    assert sum("parameters" in c["metadata"].get("tags", []) for c in cells) == 1
    long = [
        c
        for c in cells
        if len("".join(c["source"]).splitlines()) > 15 and "parameters" not in c["metadata"].get("tags", [])
    ]
    assert not long, f"cells over 15 lines: {[''.join(c['source'])[:60] for c in long]}"


def test_the_filter_of_git_leaves_every_notebook_as_it_is(tmp_path):
    """As the Makefile calls it, whose words for JupyterLab's additions are among them."""
    call = ["make", "-s", '--eval=words: ; @echo "$(STRIP)"', "words"]
    words = shlex.split(subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    copies = {path: tmp_path / f"{path.parent.name}_{path.name}" for path in ROOT.glob("notebooks/**/[!.]*.ipynb")}
    for path, copy in copies.items():
        shutil.copy(path, copy)
    assert "metadata.language_info.version" in words[-1]
    subprocess.run([sys.executable, *words[1:], *copies.values()], check=True)
    assert [path.name for path, copy in copies.items() if path.read_bytes() != copy.read_bytes()] == []


def test_torchvision_is_loaded_only_where_it_is_needed():
    modules = [module_of(path) for path in SOURCES if not module_of(path).startswith(("wsnb.run", "wsnb.report"))]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stdout.split() and "torchvision" not in done.stdout.split()
