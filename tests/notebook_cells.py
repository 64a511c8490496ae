"""The cells of a notebook that train, run in this process on pictures made by hand, in double precision and without
dropout, for the tests of training parity."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from wsnb.models import training
from wsnb.run import experiments

ROOT = Path(__file__).parents[1]


@pytest.fixture
def losses(monkeypatch):
    """Double precision and no dropout; the list that every loss goes into when a training checks it."""
    found, check = [], training.Training.check
    monkeypatch.setattr(F, "dropout", lambda x, *_, **__: x)
    monkeypatch.setattr(F, "dropout2d", lambda x, *_, **__: x)
    monkeypatch.setattr(training.Training, "check", lambda run, loss, *more, **named: found.extend(
        loss.detach().flatten().tolist()) or check(run, loss, *more, **named))
    torch.set_default_dtype(torch.float64)
    yield found
    torch.set_default_dtype(torch.float32)


def imports(title, **names) -> dict:
    """What the notebook TITLE imports, and NAMES in place of some of it."""
    known = {}
    for source in sources(title):
        if all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body):
            exec(compile(source, title, "exec"), known)  # noqa: S102
    return {**known, **names}


def sources(title) -> list:
    """The code cells of the notebook TITLE but for its parameters."""
    path = next((ROOT / "notebooks").glob(f"{title}*.ipynb"))
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())]


def cells(title, known, *names) -> dict:
    """KNOWN after those code cells of the notebook TITLE have run in it, in their order, that bind one of NAMES."""
    left = set(names)
    for source in sources(title):
        bound = {getattr(node, "id", None) or node.name for node in ast.walk(ast.parse(source))
                 if isinstance(node, ast.FunctionDef) or isinstance(getattr(node, "ctx", None), ast.Store)
                 and isinstance(node, ast.Name)}
        if bound & left:
            exec(compile(source, f"{title}: {min(bound & left)}", "exec"), known)  # noqa: S102
            left -= bound
    assert not left, f"{title} binds no {', '.join(left)}"
    return known


def stage(folder):
    """What a training asks of its stage."""
    folder.mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(folder=folder, device="cpu", log=lambda text: None, upstream=lambda name: folder,
                           progress=lambda those, *_, **__: those)


class Recorded(torch.utils.data.Dataset):
    """Samples that note which of them were asked for: `batches(size)` are those that a training saw."""

    def __init__(self, samples):
        self.samples, self.asked = samples, []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, k):
        self.asked.append(k)
        return {**self.samples[k], "id": str(k)}

    def batches(self, size):
        chosen = [[self.samples[k] for k in self.asked[i:i + size]] for i in range(0, len(self.asked), size)]
        return [{key: torch.stack([sample[key] for sample in batch]) for key in batch[0]} for batch in chosen]


class Cells:
    """The training cells of a notebook, with the resolved values of PAPER/EXPERIMENT, but for VALUES. `names` holds
    what they make; `losses` those of all steps.

    The network is in float64 and has no dropout; the notebook's loader gives BATCHES, two an epoch.
    """

    def __init__(self, title, notebook, folder, batches, **values):
        paper, experiment = title.split("/")
        stages = {stage.name: stage for stage in experiments.load(ROOT, paper, experiment).stages}
        p = SimpleNamespace(**{**stages[notebook].values, "threads": 1, **values})
        self.code = sources(f"{paper}/{notebook}")
        self.names, self.batches, self.losses = {"p": p, "stage": stage(folder)}, batches, []

    def run(self, *texts):
        """Run the cells that hold TEXTS, one each."""
        for text in texts:
            (found,) = [cell for cell in self.code if text in cell]
            exec(compile(found, text, "exec"), self.names)  # noqa: S102

    def network(self, *texts):
        """The network that the cells with TEXTS build, ready to be compared."""
        self.run(*texts)
        network = self.names["net"].double()
        for module in network.modules():
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                module.p = 0.0
        return network

    def train(self, *texts):
        """Run the cells with TEXTS; the last of them trains by the notebook's own `step` and two batches an epoch."""
        self.run(*texts[:-1])
        step = self.names["step"]

        def recorded(batch):
            loss = step(batch)
            self.losses.append(float(loss.detach()))
            return loss

        def loader_of(epoch, first):
            return self.batches[2 * epoch + first:2 * epoch + 2]

        self.names |= {"step": recorded, "loader_of": loader_of, "loader": lambda _, *place, **__: loader_of(*place)}
        self.run(texts[-1])
