"""Four steps of both trainings, by the notebook's own cells and by a plain formulation: losses and every tensor."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import log, sigmoid

from tests.notebook_cells import Cells
from tests.plain import Plain

SIZE = (24, 28)
CLASSES = ["background", "one", "two", "three"]
SMALL = {"backbone": "tiny", "weights": "random", "width": 16, "pretrain": 1, "pamr_dilations": [1, 3],
         "batch": 4, "epochs": 1, "pamr_iterations": 2, "pseudo_background": 0.6, "pseudo_foreground": 0.5}


def batches():
    """Four batches of four made-up pictures."""
    rng = np.random.default_rng(0)
    drawn = [(rng.standard_normal((4, 3, *SIZE)), rng.random((4, 3, *SIZE)), rng.integers(0, 2, (4, 3)).astype(float))
             for _ in range(4)]
    return [{"id": list("abcd"), **dict(zip(("x", "image", "tags"), map(torch.from_numpy, one), strict=True))}
            for one in drawn]


def enlarged(x, size):
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


def logits_of(plain, x):
    """The network's logits at stride 4: pyramid, skip, cue, gate (in training), the background's constant 1."""
    def layer(x, conv, norm, **how):
        return plain.batch_norm(plain.conv(x, conv, **how), norm).relu()

    _, shallow, *_, deep = plain.tiny(x)
    views = [layer(deep, "aspp.aspp1.atrous_conv", "aspp.aspp1.bn")]
    views += [layer(deep, f"aspp.aspp{k}.atrous_conv", f"aspp.aspp{k}.bn", padding=rate, dilation=rate)
              for k, rate in ((2, 12), (3, 24), (4, 36))]
    pooled = layer(deep.mean((2, 3), keepdim=True), "aspp.global_avg_pool.1", "aspp.global_avg_pool.2")
    context = layer(torch.cat([*views, pooled.expand_as(views[0])], 1), "aspp.conv1", "aspp.bn1")
    context = enlarged(context, shallow.shape[2:])
    skip = layer(shallow, "fc8_skip.0", "fc8_skip.1")
    deep = layer(torch.cat([context, skip], 1), "fc8_x.0", "fc8_x.1", padding=1)
    cue = layer(deep, "shallow_mask.fc_deep.0", "shallow_mask.fc_deep.1").flatten(2).max(2).values[..., None, None]
    own = plain.batch_norm(plain.conv(shallow, "shallow_mask.fc_skip.0"), "shallow_mask.fc_skip.1")
    mixed = (own * (cue[:, :16] + 1) + cue[:, 16:]).relu()
    other = layer(mixed, "shallow_mask.fc_cls.0", "shallow_mask.fc_cls.1")
    coin = torch.bernoulli(torch.full_like(deep, 0.7))
    x = torch.where(coin > 0, (deep - 0.3 * other) / 0.7, other)
    x = layer(layer(x, "last_conv.0", "last_conv.1", padding=1), "last_conv.4", "last_conv.5", padding=1)
    x = plain.conv(x, "last_conv.8")
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def refined(image, masks, dilations, iterations):
    """PAMR: a softmax over the neighbours at all distances, whose values are averaged by it, again and again."""
    height, width = masks.shape[2:]

    def neighbours(x, centres=0):
        """The 8 neighbours at every distance, borders repeated, and the pixel itself CENTRES times a distance."""
        found = []
        for d in dilations:
            for dy in (-d, 0, d):
                for dx in (-d, 0, d):
                    rows = (torch.arange(height) + dy).clamp(0, height - 1)
                    columns = (torch.arange(width) + dx).clamp(0, width - 1)
                    found += [x[:, :, rows][..., columns]] * (1 if dy or dx else centres)
        return torch.stack(found, 2)

    spread = neighbours(image, 1).std(2, keepdim=True)
    distance = ((image[:, :, None] - neighbours(image)).abs() / (1e-8 + 0.1 * spread)).mean(1)
    weights = (-distance).softmax(1)[:, None]
    for _ in range(iterations):
        masks = (neighbours(masks) * weights).sum(2)
    return masks


def mask_loss(logits, image, tags):
    """Cross-entropy against the confident pixels of the refined masks, picture by picture."""
    kept = torch.cat([torch.ones(len(tags), 1), tags], 1)
    masks = logits.detach().softmax(1)
    masks = enlarged(refined(enlarged(image, masks.shape[2:]), masks, [1, 3], 2), SIZE) * kept[:, :, None, None]
    large, losses = enlarged(logits, SIZE).log_softmax(1), []
    for mask, chances, wanted in zip(masks, large, kept, strict=True):
        chosen = torch.stack([one > max(0.2, float(one.max()) * (0.5 if k else 0.6)) for k, one in enumerate(mask)])
        chosen &= chosen.sum(0) == 1
        pixels = chosen.sum((1, 2))
        if int((pixels > 0).sum()) == int(wanted.sum()):
            weight = (pixels.sum() - pixels) / (1 + pixels.sum()).double()
            losses.append((-chances * chosen * weight[:, None, None]).sum() / (SIZE[0] * SIZE[1]))
        else:
            losses.append(torch.zeros(()))
    return torch.stack(losses).mean(), sum(loss > 0 for loss in losses)


@pytest.mark.parametrize("title", ["single_stage/voc12_vgg16", "single_stage/voc12_cam_baseline"])
def test_training(title, tmp_path, monkeypatch):
    """SGD, new layers ten times as fast, biases twice as fast and without decay, two devices; the backbone's BatchNorms
    never learn, the pyramid's keep their first statistics; the mask loss joins in the second epoch."""
    baseline = title.endswith("baseline")
    cells = Cells(title, "01_train", tmp_path, batches(), **SMALL)
    cells.run("from wsnb.data import read")
    cells.names |= {"classes": CLASSES, "train_items": range(8)}
    net = cells.network("net, origin = build(")
    plain = Plain(net, fixed=lambda name: name.startswith(("stage", "aspp")))
    learning = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    norms = {name for name in plain.t if name.startswith("stage") and plain.t[name].ndim < 4}
    assert learning == {name for name in plain.t if name.endswith((".weight", ".bias"))} - norms

    def rate_of(name):
        if name not in learning:
            return 0
        return 1e-3 * (1 if name.startswith("stage") else 10) * (2 if name.endswith("bias") else 1)

    def decay(name):
        return 0 if name.endswith("bias") else 5e-4

    def loss(batch):
        tags = batch["tags"]
        if baseline:
            scores = plain.tiny(batch["x"])[-1].mean((2, 3)) @ plain.t["fc8.weight"][..., 0, 0].T
        else:
            logits = torch.cat(plain.in_parts(partial(logits_of, plain), batch["x"], 2))
            masks = logits.exp() / logits.exp().sum(1, keepdim=True)
            size = masks.mean((2, 3))
            scores = (logits * masks).sum((2, 3)) / (1 + masks.sum((2, 3))) + (1 - size) ** 3 * log(0.01 + size)
            scores = scores[:, 1:]
        found = -(tags * log(sigmoid(scores)) + (1 - tags) * log(1 - sigmoid(scores))).mean()
        if baseline or plain.step <= 2:
            return found
        more, pictures = mask_loss(logits, batch["image"], tags)
        taking_part.append(int(pictures))
        return found + more

    taking_part = []
    torch.manual_seed(1)
    wanted = [plain.learn(partial(loss, batch), rate_of, plain.sgd(0.9, decay)) for batch in cells.batches]
    assert baseline or 0 < sum(taking_part) < 8
    monkeypatch.setattr(cells.names["steps"], "snapshot", lambda *_: None)
    cells.names |= {"shown": (), "validate": lambda epoch: None}
    torch.manual_seed(1)
    cells.train("groups = backbone_wrapper", "settings = losses.settings_from", "def step(batch)",
                "segmentation.fit(run")
    assert cells.losses == pytest.approx(wanted, abs=1e-8)
    plain.assert_same(net)
