"""The code cells of a notebook in this process, without kernel or manifest: seconds where the real command takes
minutes."""

import json
from pathlib import Path
from types import SimpleNamespace

from matplotlib import pyplot

from wsnb.run import experiments, notebooks, params
from wsnb.run.manifest import plain
from wsnb.run.stage import Stage

ROOT = Path(__file__).parents[2]


class Stand:
    """What a notebook asks of its Stage. Stages lie side by side in a folder."""

    device = "cpu"

    def __init__(self, name, runs, values):
        read = notebooks.read(next((ROOT / "notebooks/panoptic").glob(f"{name}_*.ipynb")))
        declared = {key: param.default for key, param in params.declared(read).items()}
        self.params = SimpleNamespace(**{key: values.get(key, value) for key, value in declared.items()})
        again = getattr(self.params, "round", 1)
        self.runs, self.name = Path(runs), read.path.stem + (f"@{again}" if again > 1 else "")
        self.folder, self.data_root, self.lines = self.runs / self.name, Path(self.params.data_root), []
        self.folder.mkdir(parents=True, exist_ok=True)
        there = sorted(path.parent.name for path in self.runs.glob("*/results.json"))
        self.needs = tuple(name for name in there if any(name.startswith(need.rstrip("?")) for need in read.needs))

    def upstream(self, name):
        return self.runs / experiments.find_stage(name, self.needs)

    def upstream_params(self, name):
        return SimpleNamespace(**json.loads((self.upstream(name) / "params.json").read_text()))

    def log(self, text):
        self.lines.append(str(text))

    def progress(self, iterable, total=None, what="images"):
        return iterable

    def finish(self, results=(), notes=None):
        (self.folder / "params.json").write_text(json.dumps(vars(self.params)))
        (self.folder / "results.json").write_text(json.dumps({"results": plain(list(results)), "notes": plain(notes)}))


def run(monkeypatch, name, runs, **values):
    """The names of a notebook (its number NAME) after its cells, up to the exercises, have run with VALUES."""
    stage = Stand(name, runs, values)
    monkeypatch.setattr(Stage, "begin", classmethod(lambda cls, *_: stage))
    known = {"__name__": "__main__"}
    cells = json.loads(next((ROOT / "notebooks/panoptic").glob(f"{name}_*.ipynb")).read_text())["cells"]
    for cell in cells:
        tags = cell["metadata"].get("tags", ())
        if cell["cell_type"] == "code" and not {"exercise", "solution", "parameters"} & set(tags):
            exec(compile("".join(cell["source"]), f"{name}: {''.join(cell['source'])[:40]}", "exec"), known)  # noqa: S102
    pyplot.close("all")
    return known
