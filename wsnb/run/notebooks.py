"""Read a notebook file: its code cells, its parameters cell, the stages that it needs."""

import dataclasses
import json
from pathlib import Path

from wsnb.files import FileError


@dataclasses.dataclass(frozen=True)
class Cell:
    """One code cell: its place in the notebook, its text, its tags."""

    index: int
    source: str
    tags: tuple


@dataclasses.dataclass(frozen=True)
class Notebook:
    """A notebook as far as it is known without running it."""

    path: Path
    cells: tuple  # code cells only, in order, without injected parameters
    needs: tuple | None  # names of earlier stages, or None for all of them


def read(path) -> Notebook:
    """Read a .ipynb file (format 4). Raises FileError naming file and remedy."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = []
        for index, cell in enumerate(content["cells"]):
            tags = tuple(cell.get("metadata", {}).get("tags", ()))
            if cell["cell_type"] == "code" and "injected-parameters" not in tags:
                source = cell["source"]
                cells.append(Cell(index, source if isinstance(source, str) else "".join(source), tags))
        needs = content.get("metadata", {}).get("wsnb", {}).get("needs")
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such notebook; check the stage's name") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path}: not a notebook of format 4 ({error!r}); restore it from git") from error
    if needs is not None and not (isinstance(needs, list) and all(isinstance(need, str) for need in needs)):
        raise FileError(f"{path}: metadata wsnb.needs is {needs!r}; expected a list of stage names")
    return Notebook(path, tuple(cells), None if needs is None else tuple(needs))


def parameters_cell(notebook: Notebook) -> Cell:
    """The code cell tagged `parameters`; exactly one, and the first code cell. Raises FileError."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise FileError(
            f"{notebook.path}: {len(tagged)} cells are tagged 'parameters'; tag exactly the first code cell"
        )
    if tagged[0] is not notebook.cells[0]:
        raise FileError(
            f"{notebook.path}: the cell tagged 'parameters' must be the first code cell; move it up"
        )
    return tagged[0]
