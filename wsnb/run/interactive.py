"""Stages without the runner (JupyterLab, plain papermill): which stage this is, and whether the notebook ran as it is.

Such a run counts as done only if exactly the notebook's cells ran, in order, with the code that is on disk.
"""

import sys
import time
from pathlib import Path

from wsnb.files import sha256
from wsnb.run import experiments, fingerprint, locks, manifest, params, paths, store
from wsnb.run.contents import Contents
from wsnb.run.notebooks import Notebook

NOTE = locks.INTERACTIVE  # in the lock of a key
IMPORTED = time.time()  # in the kernel: about when the notebook's second cell ran


def needs(project, paper: str, experiment: str, notebook: Notebook, stage: str) -> tuple:
    """Names of the earlier stages that a stage needs, by the experiment that its run folder is named after; without
    one, by the paper's notebooks.
    """
    path = Path(project, "params", paper, f"{paths.split_seed(experiment)[0]}.yaml")
    stages = experiments.stage_names(params.load_yaml(path), path) if path.is_file() else []
    if stage not in stages:
        stages = sorted(file.stem for file in Path(project, "notebooks", paper).glob("[0-9]*.ipynb"))
        if stage not in stages:
            stages = sorted([*stages, stage])
    return experiments.needed(notebook, stage, stages)


def parts(notebook: Notebook, values: dict, upstream: dict, project, data_root, memory) -> dict:
    """fingerprint.stage_parts of a stage with VALUES; UPSTREAM is {stage: its folder}, DATA_ROOT a folder or None,
    MEMORY the folder of Contents."""
    known = Contents(memory)
    return fingerprint.stage_parts(
        notebook,
        params.declared(notebook),
        values,
        {name: _upstream_key(folder) for name, folder in upstream.items()},
        project,
        data_root and fingerprint.data_fingerprint(data_root, known),
        known,
    )


def _upstream_key(folder: Path) -> str:
    """Key of an earlier stage as it is on disk; text that is no key if it is not finished."""
    record, faults = store.examine(folder)
    if record is not None:
        return f"damaged: {faults[0]}" if faults else record["key"]
    results = folder / manifest.RESULTS
    return f"not counted as done: {sha256(results)}" if results.is_file() else "missing"


class Cells:
    """The cells that an interactive kernel ran since Stage.begin, against those of the notebook.

    MARK is called before the first cell that differs. Outside IPython nothing is seen, and is_whole() is false.
    """

    def __init__(self, notebook: Notebook, namespace: dict, mark):
        sources = [cell.source for cell in notebook.cells]
        begin = next((i for i, source in enumerate(sources) if "Stage.begin(" in source), 0)
        finish = next((i for i, source in enumerate(sources) if ".finish(" in source), len(sources) - 1)
        self._expected = [text for source in sources[begin : finish + 1] if (text := _meaning(source))]
        self._ran, self._mark, self._events = [], mark, None
        if "get_ipython" in namespace:
            shell = namespace["get_ipython"]()
            self._ran = [_meaning(shell.history_manager.input_hist_raw[-1])]  # the present cell
            self._events = shell.events
            self._events.register("pre_run_cell", self._see)

    def _see(self, info):
        text = _meaning(info.raw_cell)
        if text and text != self._expected[0]:  # that one begins anew
            self._ran.append(text)
            if self._ran != self._expected[: len(self._ran)]:
                self._mark()

    def is_whole(self) -> bool:
        """Whether exactly the notebook's cells ran, in order, up to the one that calls finish."""
        return self._ran == self._expected

    def close(self) -> None:
        """Look at no further cell."""
        if self._events is not None:
            self._events.unregister("pre_run_cell", self._see)
            self._events = None


def _meaning(source: str) -> str:
    """A cell's text without comments and layout, "" if it does nothing; the text itself if it does not parse."""
    try:
        tree = fingerprint.parse(source, "cell", is_file=False)
    except ValueError:
        return source.strip()
    return fingerprint.text_of(tree) if tree.body else ""


def code_doubts(notebook: Notebook, parts: dict) -> list:
    """Phrases: upstream that is not finished, code that differs from the code that PARTS were made of."""
    found = [
        f"stage {name} is {key.split(':')[0]}" for name, key in parts["upstream"].items() if len(key) != 64
    ]
    if fingerprint.digest(fingerprint.reached(notebook)) != parts["code"]:
        found.append("code was edited meanwhile")
    for name in parts["modules"]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).stat().st_mtime > IMPORTED:
            found.append(f"{name} was edited after this kernel loaded it")
    return found


def experiment_of(run_dir: str, project, paper: str) -> tuple[Path, str]:
    """(folder, name) of the experiment of a run_dir; empty is runs/PAPER/interactive.

    Relative ones stay below the project. Raises FileError or BadName.
    """
    if Path(run_dir).is_absolute():
        folder = Path(run_dir).resolve()
    else:
        folder = paths.inside(project, run_dir or f"runs/{paper}/interactive")
    return folder, paths.check_experiment(folder.name)
