"""Four steps of the book's own trainings against a plain formulation in double precision: losses, every tensor."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests import notebook_cells as notebook
from tests import plain
from tests.notebook_cells import losses  # noqa: F401
from wsnb.models import training
from wsnb.ops import segmentation, segmenter
from wsnb.papers.simple_does_it import instances, model

CLASSES, DECAY = 4, 0.004


@pytest.mark.parametrize("schedule", ["step", "poly"])
def test_the_segmenter(losses, monkeypatch, tmp_path, schedule):  # noqa: F811
    generator = torch.Generator().manual_seed(5)
    made = [{"x": torch.randn(3, 32, 32, generator=generator),
             "label": torch.randint(0, CLASSES + 1, (32, 32), generator=generator)} for _ in range(4)]
    for sample in made:
        sample["label"][sample["label"] == CLASSES] = 255
    recorded, lr = notebook.Recorded(made), 0.02
    monkeypatch.setattr(segmentation, "LabelledCrops", lambda *_, **__: recorded)
    p = SimpleNamespace(seed=2, threads=1, deterministic=False, head="largefov", head_rates=[2], backbone="tiny", lr=lr,
                        weights="random", output_stride=0, width=8, freeze=False, optimiser="sgd", bias_multiplier=2.0,
                        lr_schedule=schedule, lr_drop=3, weight_decay=DECAY, batch=2, epochs=2, crop=32, base=1.0,
                        train_scales=[0.5, 1.5], workers=0, gpus=1, speed="exact")
    training.seed_everything(p.seed, p.threads)
    w = plain.copied(segmenter.build(p, CLASSES)[0])
    stage = notebook.stage(tmp_path)
    net, _, _ = segmenter.train(p, made, None, CLASSES, tmp_path, "cpu", stage.progress, stage.log)
    state, expected = {}, []
    for t, batch in enumerate(recorded.batches(2)):
        x = plain.tiny(w, batch["x"])[-1]
        x = F.conv2d(x, w["head.layers.0.weight"], w["head.layers.0.bias"], 1, 2, 2).relu()
        x = F.conv2d(x, w["head.layers.3.weight"], w["head.layers.3.bias"]).relu()
        loss = plain.pixel_entropy(F.conv2d(x, w["head.fc8.weight"], w["head.fc8.bias"]), batch["label"], CLASSES)
        expected.append(float(loss.detach()))
        factor = (1 - t / 4) ** 0.9 if schedule == "poly" else (1, 1, 1, 0.1)[t]
        plain.momentum_step(w, loss, state, decay_of=lambda name: 0.0 if name.endswith("bias") else DECAY,
                            rate_of=lambda name, factor=factor: lr * factor * (10 if name.startswith("head") else 1)
                            * (2 if name.endswith("bias") else 1))
    assert len(expected) == 4
    plain.assert_equal(w, losses, expected, net)


SIZES = {1: (2, 4), 2: (2, 6), 3: (3, 8), 4: (3, 8), 5: (3, 10)}  # convolutions and channels of a small VGG-16


def bilinear(stride):
    centre, half = stride - 0.5, stride
    line = [1 - abs(i - centre) / half for i in range(2 * stride)]
    return torch.tensor(np.outer(line, line))


def to_picture(x, stride, size):
    """Enlarge channel by channel, then cut the middle out."""
    large = torch.cat([F.conv_transpose2d(x[:, [c]], bilinear(stride)[None, None], stride=stride)
                       for c in range(x.shape[1])], 1)
    top, left = ((have - want) // 2 for have, want in zip(large.shape[-2:], size, strict=True))
    return large[..., top:top + size[0], left:left + size[1]]


def logits_of(w, x):
    """Main and side logits as the original builds them: sixteen channels a stage are enlarged, then fused."""
    size, wide, sides = x.shape[-2:], [], []
    for stage, (count, _) in SIZES.items():
        if stage > 1:
            odd = [side % 2 for side in x.shape[-2:]]
            x = F.max_pool2d(F.pad(x, (0, odd[1], 0, odd[0]), value=-torch.inf), 2)
        for k in range(1, count + 1):
            x = F.conv2d(x, w[f"body.conv{stage}_{k}.weight"], w[f"body.conv{stage}_{k}.bias"], padding=1).relu()
        if stage > 1:
            i = stage - 2
            one = F.conv2d(x, w[f"side.{i}.weight"], w[f"side.{i}.bias"], padding=1)
            sides.append(to_picture(F.conv2d(one, w[f"score.{i}.weight"], w[f"score.{i}.bias"]), 2**(stage - 1), size))
            wide.append(to_picture(one, 2**(stage - 1), size))
    return F.conv2d(torch.cat(wide, 1), w["fuse.weight"], w["fuse.bias"]), sides


def balanced(z, y):
    """The class-balanced sum of cross-entropies."""
    share = y.mean()
    return -((1 - share) * z.sigmoid()[y > 0].log().sum() + share * (-z).sigmoid()[y == 0].log().sum())


def test_the_instance_network(losses, monkeypatch, tmp_path):  # noqa: F811
    """A step in each stage of supervision and one more, two samples a step, as in tfwss: the factors of its variables,
    the decay with the fixed kernels, a rate whose boundary belongs to the left piece."""
    monkeypatch.setattr(model, "VGG_STAGES", SIZES)
    monkeypatch.setattr(model.VGGStages, "channels", tuple(channels for _, channels in SIZES.values())[1:])
    generator = torch.Generator().manual_seed(7)
    made = [(torch.randn(1, 4, 21, 18, generator=generator),
             (torch.rand(1, 1, 21, 18, generator=generator) > 0.7).double(), str(k)) for k in range(3)]
    asked = []

    class Samples:
        def __init__(self, *_):
            pass

        def __len__(self):
            return len(made)

        def __getitem__(self, k):
            asked.append(k)
            return made[k]

    monkeypatch.setattr(instances, "Samples", Samples)
    p = SimpleNamespace(samples=2, last_steps=[1, 2, 4], rate_steps=[1, 2], rates=[0.003, 0.001, 0.0005], side=0,
                        momentum=0.9, optimiser="momentum", weight_decay=DECAY, preset="faithful", backbone="vgg16",
                        workers=0, gpus=1, speed="exact")
    training.seed_everything(4, 1)
    net = instances.build("vgg16")
    for parameter in net.parameters():  # the first kernels of score and fuse are too small to be seen to learn
        parameter.data += 0.1 * torch.randn(parameter.shape)
    w = plain.copied(net)
    known = notebook.imports("simple_does_it/03", p=p, pairs=made, items={}, prepare_folder=tmp_path,
                             stage=notebook.stage(tmp_path))
    notebook.cells("simple_does_it/03", known, "learn", "train")["train"]("weak", net)

    def factor(name):
        weights, biases = {"score": (0.1, 0.2), "fuse": (0.01, 0.02)}.get(name.split(".")[0], (1, 2))
        return biases if name.endswith("bias") else weights

    fixed = sum(17 * (bilinear(stride) ** 2).sum() for stride in (2, 4, 8, 16))
    state, expected = {}, []
    for t in range(4):
        names, total = [name for name, value in w.items() if value.requires_grad], 0
        for k in asked[2 * t:2 * t + 2]:
            x, y, _ = made[k]
            main, sides = logits_of(w, x)
            loss = balanced(main, y) + (1, 0.5, 0, 0)[t] * sum(balanced(side, y) for side in sides)
            loss = loss + DECAY / 2 * (fixed + sum((w[name] ** 2).sum() for name in names if name.endswith("weight")))
            expected.append(float(loss.detach()))
            total = total + loss / 2
        used = {name: value for name, value in w.items() if t < 2 or not name.startswith("score") or "weight" in name}
        plain.momentum_step(used, total, state, decay_of=lambda name: 0.0,
                            rate_of=lambda name, t=t: factor(name) * (0.003, 0.003, 0.001, 0.0005)[t])
    assert len(asked) == 8
    plain.assert_equal(w, losses, expected, net)
