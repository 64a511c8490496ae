"""Plain formulations for training parity: layers, norms, losses and optimisers, written down from their definitions on
a dict of tensors. Only torch's convolution, interpolation and gradients are shared with what is tested."""

import torch
import torch.nn.functional as F

TINY = ((2, 1), (2, 1), (2, 1), (1, 2), (1, 4))  # stride and dilation of the small backbone's stages


def copied(*modules) -> dict:
    """The tensors of MODULES under their names, apart from them; those that learn are leaves with a gradient."""
    learn = {name for module in modules for name, value in module.named_parameters() if value.requires_grad}
    return {name: value.clone().requires_grad_(name in learn)
            for module in modules for name, value in module.state_dict().items()}


def norm(w, name, x, training_mode=True, momentum=0.1, clamped=False, remembers=True):
    """Normalise a batch by its own mean and variance and move the running statistics in W (REMEMBERS), or by these
    alone outside of training. CLAMPED: a batch's variance is at least 1e-5, not 1e-5 more."""
    mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    if training_mode:
        count = x.numel() // x.shape[1]
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        if remembers:
            remember(w, name, mean, variance * count / (count - 1), momentum)
            w[f"{name}.num_batches_tracked"] = w[f"{name}.num_batches_tracked"] + 1
    shape = (1, -1, 1, 1)
    safe = variance.clamp(min=1e-5) if clamped and training_mode else variance + 1e-5
    return scaled(w, (x - mean.view(shape)) / safe.view(shape).sqrt(), name)


def scaled(w, x, name):
    """Scale and shift of a norm, where it has them."""
    if f"{name}.weight" not in w:
        return x
    return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def remember(w, name, mean, variance, momentum=0.1):
    """Move the running statistics of a norm in W."""
    for kind, value in (("mean", mean), ("var", variance)):
        w[f"{name}.running_{kind}"] = (1 - momentum) * w[f"{name}.running_{kind}"] + momentum * value.detach()


def tiny(w, x, norm_of=None, **of_norms):
    """The five feature maps of the backbone "tiny". norm_of(x, name): its norms, else `norm` with OF_NORMS."""
    taps, norm_of = [], norm_of or (lambda x, name: norm(w, name, x, **of_norms))
    for i, (stride, dilation) in enumerate(TINY, start=1):
        for place, step in ((0, stride), (3, 1)):
            x = F.conv2d(x, w[f"stage{i}.{place}.weight"], None, step, dilation, dilation)
            x = norm_of(x, f"stage{i}.{place + 1}").relu()
        taps.append(x)
    return taps


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


class Plain:
    """A network's tensors and the layers that read them. fixed(name): whether the BatchNorm NAME keeps its statistics.
    """

    def __init__(self, network, fixed=lambda name: False):
        self.t = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.fixed, self.first_part, self.buffers, self.step = fixed, True, {}, 0

    def conv(self, x, name, **how):
        return F.conv2d(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"), **how)

    def batch_norm(self, x, name):
        return norm(self.t, name, x, not self.fixed(name), remembers=self.first_part)

    def remember(self, name, mean, variance):
        if self.first_part:  # DataParallel keeps the statistics of the first device
            remember(self.t, name, mean, variance)

    def tiny(self, x):
        """The five feature maps of the small backbone."""
        return tiny(self.t, x, self.batch_norm)

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
