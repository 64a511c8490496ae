"""What the tests of training parity share: the very cells of a notebook that train, in double precision and without
dropout, and a plain formulation of networks and optimisers on a dict of tensors."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from wsnb.models import training

ROOT = Path(__file__).parents[1]
TINY = tuple(zip((2, 2, 2, 1, 1), (1, 1, 1, 2, 4), strict=True))  # stride and dilation of the stages of "tiny"


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
    return SimpleNamespace(folder=folder, device="cpu", log=lambda text: None, progress=lambda those, *_, **__: those)


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


def copied(*modules) -> dict:
    """The tensors of MODULES under their names, apart from them; those that learn are leaves with a gradient."""
    learn = {name for module in modules for name, value in module.named_parameters() if value.requires_grad}
    return {name: value.clone().requires_grad_(name in learn)
            for module in modules for name, value in module.state_dict().items()}


def norm(w, name, x, training_mode=True, momentum=0.1, clamped=False):
    """Normalise a batch and move the running statistics in W; by these alone outside of training. CLAMPED: a batch's
    variance is at least 1e-5, not 1e-5 more."""
    mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    if training_mode:
        count = x.numel() // x.shape[1]
        mean, own = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        for kind, value in (("mean", mean), ("var", own * count / (count - 1))):
            old = w[f"{name}.running_{kind}"]
            w[f"{name}.running_{kind}"] = (1 - momentum) * old + momentum * value.detach()
        w[f"{name}.num_batches_tracked"] = w[f"{name}.num_batches_tracked"] + 1
        variance = own
    shape = (1, -1, 1, 1)
    safe = variance.clamp(min=1e-5) if clamped and training_mode else variance + 1e-5
    x = (x - mean.view(shape)) / safe.view(shape).sqrt()
    return x * w[f"{name}.weight"].view(shape) + w[f"{name}.bias"].view(shape)


def tiny(w, x, **of_norms):
    """The deepest feature map of the backbone "tiny"."""
    for i, (stride, dilation) in enumerate(TINY, start=1):
        for place, step in ((0, stride), (3, 1)):
            x = F.conv2d(x, w[f"stage{i}.{place}.weight"], None, step, dilation, dilation)
            x = norm(w, f"stage{i}.{place + 1}", x, **of_norms).relu()
    return x


def enlarged(x, size):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def pixel_entropy(logits, labels, n_classes):
    """Mean over the pixels of a class of -log of its probability, after enlargement."""
    known = labels < n_classes
    of_pixels = enlarged(logits, labels.shape[-2:]).softmax(1).permute(0, 2, 3, 1)[known]
    return -of_pixels[torch.arange(len(of_pixels)), labels[known]].log().mean()


def momentum_step(w, loss, state, rate_of, decay_of, inner=False):
    """A step of SGD with momentum 0.9 in place; INNER: the rate lies within the momentum."""
    names = [name for name, value in w.items() if value.requires_grad]
    with torch.no_grad():
        for name, gradient in zip(names, torch.autograd.grad(loss, [w[name] for name in names]), strict=True):
            change = (gradient + decay_of(name) * w[name]) * (rate_of(name) if inner else 1.0)
            state[name] = 0.9 * state.get(name, 0.0) + change
            w[name] -= state[name] * (1.0 if inner else rate_of(name))


def assert_equal(w, losses, found, *modules):
    """Losses to 1e-8, every tensor of the MODULES too, and that they have learned something."""
    torch.testing.assert_close(torch.tensor(found), torch.tensor(losses), rtol=1e-8, atol=1e-8)
    assert len(found) == len(losses) and len(set(found)) == len(found)
    ours = {name: value for module in modules for name, value in module.state_dict().items()}
    assert ours.keys() == w.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, w[name].detach(), rtol=1e-8, atol=1e-8, msg=f"{name} differs")
