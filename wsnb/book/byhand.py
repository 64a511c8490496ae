"""Stages run by hand (JupyterLab, plain papermill): which stage this is, and whether the notebook was run as
it stands.

Such a run counts as done only if exactly the notebook's cells ran, in order, with the code that now lies on
disk.
"""

import sys
import time
from pathlib import Path

from wsnb.book import code, experiments, keys, manifest, params, root
from wsnb.book.notebook import Notebook
from wsnb.files import load_json

BY_HAND = "(a notebook run by hand)"
IMPORTED = time.time()  # in the kernel: about when the notebook's second cell ran


def needs(project, paper: str, experiment: str, notebook: Notebook, stage: str) -> tuple:
    """What a stage needs, by the experiment that its run folder is named after; without one, by the paper's
    notebooks.
    """
    path = Path(project, "params", paper, f"{experiment}.yaml")
    stages = experiments.stage_names(params.load_yaml(path), path) if path.is_file() else []
    if stage not in stages:
        stages = sorted(file.stem for file in Path(project, "notebooks", paper).glob("[0-9]*.ipynb"))
        if stage not in stages:
            stages = sorted([*stages, stage])
    return experiments.needed(notebook, stage, stages)


def upstream_keys(run_folder, names) -> dict:
    """{stage: key} of earlier stages as they lie on disk; a stage without manifest has a key that no runner
    wants.
    """
    found = {}
    for name in names:
        record = manifest.read(Path(run_folder, name))
        results = Path(run_folder, name, manifest.RESULTS)
        if record is not None:
            found[name] = record["key"]
        elif results.is_file():
            found[name] = f"not counted as done: {load_json(results)['key']}"
        else:
            found[name] = "missing"
    return found


def history(namespace: dict) -> list:
    """Texts of the cells that ran in a kernel, oldest first, as typed; empty outside IPython."""
    shell = namespace["get_ipython"]() if "get_ipython" in namespace else None
    return list(shell.history_manager.input_hist_raw) if shell is not None else []


def doubts(notebook: Notebook, parts: dict, history: list) -> list:
    """Why a run by hand does not count as done, in words; empty if it does.

    HISTORY holds the texts of the cells that the kernel ran, oldest first. Looked at are the cells from the
    one that calls Stage.begin to the one that calls finish.
    """
    found = [
        f"stage {name} is {key.split(':')[0]}" for name, key in parts["upstream"].items() if len(key) != 64
    ]
    wanted = [_meaning(cell.source) for cell in notebook.cells]
    begin = next((i for i, cell in enumerate(notebook.cells) if "Stage.begin(" in cell.source), 0)
    finish = next((i for i, cell in enumerate(notebook.cells) if ".finish(" in cell.source), len(wanted) - 1)
    run = [_meaning(text) for text in history if text.strip()]
    begins = [i for i, text in enumerate(run) if text == wanted[begin]]
    expected = [text for text in wanted[begin : finish + 1] if text]
    if not begins or [text for text in run[begins[-1] :] if text] != expected:
        found.append("its cells were changed or not run one after the other")
    if keys.digest(code.reached(notebook)) != parts["code"]:
        found.append("code was edited meanwhile")
    for name in parts["modules"]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).stat().st_mtime > IMPORTED:
            found.append(f"{name} was edited after this kernel loaded it")
    return found


def _meaning(source: str) -> str:
    """A cell's text as far as it does anything; its text itself if it does not parse."""
    try:
        tree = code.parse(source, "cell", is_file=False)
    except ValueError:
        return source.strip()
    return code.text_of(tree) if tree.body else ""


def experiment_of(run_dir: str, project, paper: str) -> tuple[Path, str]:
    """(folder, name) of the experiment that a run_dir stands for; empty means runs/PAPER/by_hand.

    Relative ones stay below the project. Raises FileError or BadName.
    """
    if Path(run_dir).is_absolute():
        folder = Path(run_dir).resolve()
    else:
        folder = root.inside(project, run_dir or f"runs/{paper}/by_hand")
    return folder, root.check_name("experiment (last part of run_dir)", folder.name)
