"""Plain formulations for training parity: the layers, the norms and the optimisers of the papers, written down from
their definitions on a dict of tensors; and the cells of a notebook that train, run on batches made by hand.

Only torch's convolution, interpolation and gradients are shared with what is tested.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from wsnb.run import experiments

ROOT = Path(__file__).parents[1]
TINY = ((2, 1), (2, 1), (2, 1), (1, 2), (1, 4))  # stride and dilation of the small backbone's stages


class Plain:
    """A network's tensors and the layers that read them. fixed(name): whether the BatchNorm NAME keeps its statistics.
    """

    def __init__(self, network, fixed=lambda name: False):
        self.t = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.fixed, self.first_part, self.buffers, self.step = fixed, True, {}, 0

    def conv(self, x, name, **how):
        return F.conv2d(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"), **how)

    def scaled(self, x, name):
        """Scale and shift of a norm, where it has them."""
        if f"{name}.weight" not in self.t:
            return x
        return x * self.t[f"{name}.weight"][:, None, None] + self.t[f"{name}.bias"][:, None, None]

    def batch_norm(self, x, name):
        """The batch's mean and biased variance, whose running means take the unbiased one, or the fixed statistics."""
        mean, variance = self.t[f"{name}.running_mean"], self.t[f"{name}.running_var"]
        if not self.fixed(name):
            count = x.numel() // x.shape[1]
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            self.remember(name, mean, variance * count / (count - 1))
            self.t[f"{name}.num_batches_tracked"] += self.first_part
        return self.scaled((x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt(), name)

    def remember(self, name, mean, variance):
        if self.first_part:  # DataParallel keeps the statistics of the first device
            for key, value in (("running_mean", mean), ("running_var", variance)):
                self.t[f"{name}.{key}"] = 0.9 * self.t[f"{name}.{key}"] + 0.1 * value.detach()

    def tiny(self, x):
        """The five feature maps of the small backbone."""
        taps = []
        for stage, (stride, rate) in enumerate(TINY, start=1):
            for k, by in ((0, stride), (3, 1)):
                x = self.conv(x, f"stage{stage}.{k}", stride=by, padding=rate, dilation=rate)
                x = self.batch_norm(x, f"stage{stage}.{k + 1}").relu()
            taps.append(x)
        return taps

    def in_parts(self, forward, x, parts):
        """FORWARD of each part of a batch by itself, as on so many devices: the list of what it gives."""
        found = []
        for k, part in enumerate(x.chunk(parts)):
            self.first_part = k == 0
            found.append(forward(part))
        return found

    def learn(self, loss_of, rate_of, update):
        """One step: the gradients of LOSS_OF() for all tensors with a RATE_OF(name), then UPDATE(name, gradient, rate).
        Returns the loss."""
        self.step += 1
        names = [name for name in self.t if rate_of(name)]
        for name in names:
            self.t[name] = self.t[name].detach().requires_grad_()
        loss = loss_of()
        gradients = torch.autograd.grad(loss, [self.t[name] for name in names])
        for name, gradient in zip(names, gradients, strict=True):
            self.t[name] = self.t[name].detach() - update(name, self.t[name].detach(), gradient, rate_of(name))
        return float(loss.detach())

    def sgd(self, momentum, decay):
        """SGD: v <- momentum v + g + decay w, w <- w - rate v. decay(name) is a number."""
        def update(name, value, gradient, rate):
            speed = momentum * self.buffers.get(name, 0) + gradient + decay(name) * value
            self.buffers[name] = speed
            return rate * speed
        return update

    def adam(self, decay, one=0.9, two=0.999):
        """Adam (Kingma and Ba, algorithm 1), the decay added to the gradient."""
        def update(name, value, gradient, rate):
            gradient = gradient + decay * value
            m, v = self.buffers.get(name, (0, 0))
            m, v = one * m + (1 - one) * gradient, two * v + (1 - two) * gradient**2
            self.buffers[name] = m, v
            return rate * (m / (1 - one**self.step)) / ((v / (1 - two**self.step)).sqrt() + 1e-8)
        return update

    def assert_same(self, network):
        """Every tensor of NETWORK is the plain one."""
        found = network.state_dict()
        assert list(found) == list(self.t)
        for name, value in found.items():
            mine = self.t[name].detach()
            assert value.shape == mine.shape and float((value - mine).abs().max()) <= 1e-8, name


class Cells:
    """The training cells of a notebook, with the resolved values of PAPER/EXPERIMENT, but for VALUES. `names` holds
    what they make; `losses` those of all steps.

    The network is in float64 and has no dropout; the notebook's loader gives BATCHES, two an epoch.
    """

    def __init__(self, title, notebook, folder, batches, **values):
        paper, experiment = title.split("/")
        stages = {stage.name: stage for stage in experiments.load(ROOT, paper, experiment).stages}
        p = SimpleNamespace(**{**stages[notebook].values, "threads": 1, **values})
        stage = SimpleNamespace(device="cpu", folder=folder, upstream=lambda name: folder, log=lambda text: None,
                                progress=lambda iterable, *_, **__: iterable)
        cells = json.loads((ROOT / f"notebooks/{paper}/{notebook}.ipynb").read_text())["cells"]
        self.code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        self.names, self.batches, self.losses = {"p": p, "stage": stage}, batches, []

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
