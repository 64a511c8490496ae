"""Four steps of each training, by the notebook's own cells and by plain formulations: losses and every tensor."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import log, sigmoid

from tests.notebook_cells import Cells
from tests.plain import Plain, scaled

CLASSES = ["background", "one", "two", "three"]
NO_CHARTS = SimpleNamespace(sweep_figure=lambda *_, **__: None, loss_figure=lambda *_, **__: None)


def batches(size, **labels):
    """Four batches of four made-up pictures."""
    rng = np.random.default_rng(0)
    return [{"x": torch.from_numpy(rng.standard_normal((4, 3, *size))), "id": list("abcd"),
             **{name: torch.from_numpy(make(rng)) for name, make in labels.items()}} for _ in range(4)]


def poly(step, steps):
    return (1 - step / steps) ** 0.9


def tags(rng):
    return rng.integers(0, 2, (4, 3)).astype(float)


def likelihood(scores, wanted):
    return wanted * log(sigmoid(scores)) + (1 - wanted) * log(1 - sigmoid(scores))


CLASSIFIERS = {
    "no_people_allowed/imagenet_det": {"output_stride": 0, "extra": 8, "step_every": 1},
    "no_people_allowed/voc12_irn": {"output_stride": 0},
    "no_people_allowed/voc12_irn_fixed": {"output_stride": 0},
}


@pytest.mark.parametrize("title", CLASSIFIERS)
def test_classifier(title, tmp_path):
    """NoPeopleAllowed: Adam, two devices, a fifth of the rates (here every epoch, not every third). IRN: statistics of
    BatchNorm fixed, layer3 and layer4 learn, rates that fall at every step, the decay in the momentum's place (its
    fixed twin: momentum 0.9, a tenth of the rates)."""
    irn, fixed = "voc12_irn" in title, title.endswith("_fixed")
    cells = Cells(title, "01_classifier", tmp_path, batches((24, 28), tags=tags), backbone="tiny", weights="random",
                  batch=4, epochs=2, **CLASSIFIERS[title])
    cells.run("from wsnb.data import read")
    cells.names |= {"classes": CLASSES, "train_items": range(8), "charts": NO_CHARTS}
    net = cells.network("net, origin = model.build(")
    plain = Plain(net, fixed=lambda name: irn)

    def rate_of(name):
        if "running" in name or "num_batches" in name or irn and name[:6] in ("stage1", "stage2", "stage3"):
            return 0
        rate = (0.01 if fixed else 0.1) if irn else 1e-4 * (2 if "bias" in name else 1)
        rate *= 10 if name.startswith("extra") else 1
        return rate * (poly(plain.step - 1, 4) if irn else 0.2 ** ((plain.step - 1) // 2))

    def scores(x):
        deep = plain.tiny(x)[-1]
        for k in () if irn else (0, 2, 4):
            deep = plain.conv(deep, f"extra_convs.{k}", padding=1).relu()
        bias = 0 if irn else plain.t["extra_linear.bias"]
        return deep.mean((2, 3)) @ plain.t["extra_linear.weight"].T + bias

    def loss(batch):
        found = likelihood(torch.cat(plain.in_parts(scores, batch["x"], 1 if irn else 2)), batch["tags"])
        return -found.mean(1).mean() if irn else -found.sum(1).mean()

    update = plain.sgd(0.9 if fixed else 1e-4, lambda name: 1e-4) if irn else plain.adam(1e-5)
    wanted = [plain.learn(partial(loss, batch), rate_of, update) for batch in cells.batches]
    cells.train("groups = model.learning_groups", "loss_of = losses", "segmentation.fit(run")
    assert cells.losses == pytest.approx(wanted, abs=1e-8)
    plain.assert_same(net)


SIZE = (20, 24)


def label(rng):
    return rng.choice([0, 1, 2, 255], (4, *SIZE))


def group_norm(plain, x, name, groups):
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, groups, -1)
    parts = (parts - parts.mean(2, keepdim=True)) / (parts.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return scaled(plain.t, parts.reshape(batch, channels, height, width), name)


def branches(plain, taps, npa):
    """Both branches on taps at the strides 4, 4, 8, 8, 8: every 1x1 convolution is normalised, enlarged, cut and
    rectified. NoPeopleAllowed gives each picture's displacements mean 0 and variance 1."""
    def part(x, name, groups, grow):
        x = group_norm(plain, plain.conv(x, f"branches.{name}.0"), f"branches.{name}.1", groups)
        return (F.interpolate(x, scale_factor=grow, mode="bilinear") if grow > 1 else x).relu()

    height, width = taps[1].shape[-2:]
    edges = [part(x, f"fc_edge{k}", 4, grow)[..., :height, :width]
             for k, (x, grow) in enumerate(zip(taps, (1, 1, 2, 2, 2), strict=True), start=1)]
    edge = plain.conv(torch.cat(edges, 1), "branches.fc_edge6")
    one, two, *deep = (part(x, f"fc_dp{k}", groups, 1)
                       for k, (x, groups) in enumerate(zip(taps, (8, 16, 16, 16, 16), strict=True), start=1))
    deep = part(torch.cat(deep, 1), "fc_dp6", 16, 2)[..., :height, :width]
    moved = plain.conv(torch.cat([one, two, deep], 1), "branches.fc_dp7.0")
    moved = plain.conv(group_norm(plain, moved, "branches.fc_dp7.1", 16).relu(), "branches.fc_dp7.3")
    if npa:
        mean, count = moved.mean((2, 3)), height * width
        variance = moved.var((2, 3), unbiased=False)
        plain.remember("branches.fc_dp7.4", mean.mean(0), variance.mean(0) * count / (count - 1))
        moved = (moved - mean[..., None, None]) / (variance[..., None, None] + 1e-5).sqrt()
    return edge, moved


def pairs(size, radius):
    """(start, end, pixels of the straight line between them) of all pairs of pixels closer than RADIUS, each once."""
    steps = [(0, x) for x in range(1, radius)]
    steps += [(y, x) for y in range(1, radius) for x in range(1 - radius, radius) if y * y + x * x < radius * radius]
    for dy, dx in steps:
        line = [(y, x) for y in range(dy + 1) for x in range(min(dx, 0), max(dx, 0) + 1)
                if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]
        for y in range(size[0] - radius + 1):
            for x in range(radius - 1, size[1] - radius + 1):
                yield (y, x), (y + dy, x + dx), [(y + py, x + px) for py, px in line]


def irnet_loss(edges, moved, labels, radius):
    """The loss of IRNet pair by pair (paper, equations 4 to 9)."""
    terms = {"background": [], "object": [], "different": []}
    for edge, field, label in zip(edges[:, 0].sigmoid(), moved, labels, strict=True):
        for start, end, line in pairs(label.shape, radius):
            one, other = int(label[start]), int(label[end])
            if 255 in (one, other):
                continue
            kind = "different" if one != other else "object" if one else "background"
            terms[kind].append((start, end, line, edge, field))

    def counted(number):
        return float(np.float32(number) + np.float32(1e-5))  # pairs are counted in float32, as in the original

    def affinities(kind):
        return torch.stack([1 - torch.stack([edge[pixel] for pixel in line]).max()
                            for _, _, line, edge, _ in terms[kind]])

    def errors(kind):
        found = []
        for (y, x), (to_y, to_x), _, _, field in terms[kind]:
            wanted = torch.tensor([to_y - y, to_x - x]) if kind == "object" else 0
            found.append((field[:, y, x] - field[:, to_y, to_x] - wanted).abs().sum())
        return torch.stack(found).sum() / counted(2 * len(found))

    def mean(values):
        return values.sum() / counted(len(values))

    together = sum(mean(-log(affinities(kind) + 1e-5)) for kind in ("background", "object")) / 2
    apart = mean(-log(1 + 1e-5 - affinities("different")))
    return (together + apart) / 2 + (errors("background") + errors("object")) / 2


@pytest.mark.parametrize("title", ["no_people_allowed/imagenet_det", "no_people_allowed/voc12_irn",
                                   "no_people_allowed/voc12_irn_fixed"])
def test_irnet(title, tmp_path):
    """NoPeopleAllowed: the backbone's BatchNorms on the batch's statistics, loss and norms of two devices, rates that
    fall once an epoch. IRN: all of the backbone fixed, the decay in the momentum's place (fixed: as above)."""
    npa, fixed = title.endswith("imagenet_det"), title.endswith("_fixed")
    cells = Cells(title, "04_irnet", tmp_path, batches(SIZE, label=label), irnet_backbone="tiny",
                  irnet_output_stride=0, irnet_weights="random", irnet_batch=4, irnet_epochs=2, irnet_radius=3)
    cells.run("from wsnb.data import read")
    cells.names |= {"classes": CLASSES[:3], "items": range(8), "labels": tmp_path, "charts": NO_CHARTS}
    net = cells.network("net, origin = irnet.build_untrained")
    plain = Plain(net, fixed=lambda name: not npa)

    def rate_of(name):
        if not name.startswith("branches") or "running" in name or "num_batches" in name:
            return 0
        rate = (0.005 if npa else 0.1) if "fc_edge" in name else (0.05 if npa else 1.0)
        rate /= 10 if fixed else 1
        return rate * (poly((plain.step - 1) // 2, 2) if npa else poly(plain.step - 1, 4))

    def forward(x):
        with torch.no_grad():
            first, *taps = plain.tiny(x)
        return branches(plain, [F.avg_pool2d(first, 2), *taps], npa)

    def loss(batch):
        corner = 0 if npa else 2
        labels = batch["label"][:, corner::4, corner::4].chunk(2 if npa else 1)
        found = plain.in_parts(forward, batch["x"], len(labels))
        return sum(irnet_loss(*one, label, 3) for one, label in zip(found, labels, strict=True)) / len(labels)

    update = plain.sgd(0.9 if npa or fixed else 1e-4, lambda name: 1e-4)
    wanted = [plain.learn(partial(loss, batch), rate_of, update) for batch in cells.batches]
    cells.train("optimiser = optimisation.optimiser", "segmentation.fit(run")
    assert cells.losses == pytest.approx(wanted, abs=1e-8)
    plain.assert_same(net)


def deeplab(plain, taps, size):
    """DeepLabV3+ on the small backbone: five views of the last map, joined with the map of stride 4."""
    def layer(x, name, kernel=1, rate=1):
        x = plain.conv(x, f"{name}.0", padding=0 if kernel == 1 else rate, dilation=rate)
        return plain.batch_norm(x, f"{name}.1").relu()

    low, deep = layer(taps[1], "head.project"), taps[-1]
    views = [layer(deep, "head.aspp.convs.0")]
    views += [layer(deep, f"head.aspp.convs.{k}", 3, rate) for k, rate in ((1, 12), (2, 24), (3, 36))]
    pooled = plain.conv(deep.mean((2, 3), keepdim=True), "head.aspp.convs.4.1")
    views.append(plain.batch_norm(pooled, "head.aspp.convs.4.2").relu().expand_as(views[0]))
    deep = F.interpolate(layer(torch.cat(views, 1), "head.aspp.project"), low.shape[-2:], mode="bilinear")
    found = plain.conv(layer(torch.cat([low, deep], 1), "head.classifier", 3), "head.classifier.3")
    return F.interpolate(found, size, mode="bilinear")


def test_segmenter(tmp_path):
    """SGD of momentum 0.9, the head ten times as fast, two devices, rates that fall once an epoch; 255 is left out."""
    cells = Cells("no_people_allowed/imagenet_det", "06_segmenter", tmp_path, batches(SIZE, label=label),
                  seg_backbone="tiny", seg_output_stride=0, seg_weights="random", seg_width=16, seg_batch=4,
                  seg_epochs=2, seg_weight_decay=1e-3)
    cells.run("from wsnb.data import read")
    cells.names |= {"classes": CLASSES[:3], "items": range(8), "masks": tmp_path, "charts": NO_CHARTS}
    net = cells.network("net, origin = segmenter.build_untrained")
    plain = Plain(net)

    def rate_of(name):
        learns = not ("running" in name or "num_batches" in name)
        return learns * (1e-2 if name.startswith("head") else 1e-3) * poly((plain.step - 1) // 2, 2)

    def loss(batch):
        logits = torch.cat(plain.in_parts(lambda x: deeplab(plain, plain.tiny(x), SIZE), batch["x"], 2))
        chances = logits.exp() / logits.exp().sum(1, keepdim=True)
        known = batch["label"] != 255
        right = chances.gather(1, torch.where(known, batch["label"], 0)[:, None])[:, 0]
        return -log(right)[known].mean()

    update = plain.sgd(0.9, lambda name: 1e-3)
    wanted = [plain.learn(partial(loss, batch), rate_of, update) for batch in cells.batches]
    cells.train("optimiser = segmenter.optimiser", "segmentation.fit(run")
    assert cells.losses == pytest.approx(wanted, abs=1e-8)
    plain.assert_same(net)
