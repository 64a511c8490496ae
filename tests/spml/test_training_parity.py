"""Four steps of the notebooks' own trainings against a plain formulation in double precision: losses, every tensor. The
segments, their prototypes and the relations are written out pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests import notebook_cells as notebook
from tests import plain
from tests.notebook_cells import losses  # noqa: F401
from wsnb.papers.spml import model, steps

CLASSES, LR, DECAY, DIM, SIDE, VOID = 4, 0.02, 0.003, 6, 32, 255
TERMS = {"annotation": (6.0, 0.3), "co_occurrence": (8.0, 0.4), "image_similarity": (16.0, 0.1)}


def samples():
    """Eight pictures with labels in whole cells of the embedding; one has no foreground class, and void is in all."""
    rng = np.random.default_rng(3)
    found = []
    for k in range(8):
        cells = rng.choice([0, 1, 2, 254, VOID], (SIDE // 4, SIDE // 4), p=[0.3, 0.2, 0.1, 0.3, 0.1])
        if k == 5:
            cells[(cells > 0) & (cells < CLASSES)] = 0
        semantic, regions = (np.kron(those, np.ones((4, 4), int))
                             for those in (cells, rng.integers(0, 3, cells.shape)))
        tags = [int(c in cells) for c in range(1, CLASSES)]
        found.append({"x": torch.tensor(rng.normal(size=(3, SIDE, SIDE))), "semantic": torch.tensor(semantic),
                      "regions": torch.tensor(regions), "tags": torch.tensor(tags)})
    return found


def unit(x):
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def clustered(f, first, rounds):
    """Spherical k-means of unit rows F from the clusters FIRST."""
    centres = int(first.max()) + 1
    index = first
    for _ in range(rounds):
        means = torch.stack([unit(f[index == k].sum(0)) if (index == k).any() else torch.zeros(f.shape[1])
                             for k in range(centres)])
        index = (f @ means.T).argmax(1)
    return index


def first_clusters(height, width, rows, columns):
    y, x = (np.round(np.linspace(0, k - 1, n)).astype(int) for k, n in ((rows, height), (columns, width)))
    return torch.tensor(np.unique(y[:, None] + (y.max() + 1) * x[None], return_inverse=True)[1].reshape(height, width))


def segments_of(embedding, batch, clusters, rounds):
    """Rows (picture, own segment, semantic, region, unit embedding, unit feature) of the pixels that are not void."""
    height, width = embedding.shape[-2:]
    place = torch.stack(torch.meshgrid(torch.linspace(-0.5, 0.5, height), torch.linspace(-0.5, 0.5, width),
                                       indexing="ij"), -1)
    pixels, codes = [], []
    for n in range(len(embedding)):
        semantic, regions = batch["semantic"][n, ::4, ::4], batch["regions"][n, ::4, ::4]
        e = unit(embedding[n].permute(1, 2, 0))
        f = unit(torch.cat([e, place], -1))
        kept = semantic != VOID
        index = clustered(f[kept].detach(), first_clusters(height, width, *clusters)[kept], rounds)
        for row in zip(index.tolist(), semantic[kept].tolist(), regions[kept].tolist(), e[kept], f[kept], strict=True):
            codes.append((n, *row[:3]))
            pixels.append(row)
    numbers = {code: k for k, code in enumerate(sorted(set(codes)))}
    return [(code[0], numbers[code], code[2], code[3], row[3], row[4])
            for code, row in zip(codes, pixels, strict=True)]


def prototypes_of(values, own):
    return {k: unit(torch.stack([value for value, of in zip(values, own, strict=True) if of == k]).sum(0))
            for k in sorted(set(own))}


def contrast(pixel, own, rows, alike, kappa, faithful):
    """-log(attract / (attract + repel)) of a pixel; its own segment attracts only where nothing else does."""
    weight = torch.exp(kappa * (rows @ pixel))
    attract = weight[[k for k in range(len(rows)) if alike[k] and k != own]].sum()
    repel = weight[[k for k in range(len(rows)) if not alike[k] and (faithful or k != own)]].sum()
    attract = attract if attract > 0 else weight[own]
    return -torch.log(attract / (attract + repel))


def relations(pixels, tags, memory, faithful):
    """The weighted losses of the three relations, and the rows that the memory keeps: (embedding, label, tags)."""
    own = [row[1] for row in pixels]
    centres = prototypes_of([row[4] for row in pixels], own)
    of_segment = {row[1]: row for row in reversed(pixels)}
    current = [(centres[k], of_segment[k][2], tags[of_segment[k][0]]) for k in centres]
    rows = [*current, *memory]
    every = torch.stack([row[0] for row in rows])
    labelled = [k for k, row in enumerate(rows) if row[1] < CLASSES]
    kappa, found = {name: values[0] for name, values in TERMS.items()}, {}
    found["annotation"] = torch.stack([
        contrast(row[4], labelled.index(row[1]), every[labelled], [rows[k][1] == row[2] for k in labelled],
                 kappa["annotation"], faithful) for row in pixels if row[2] < CLASSES]).mean()
    found["co_occurrence"] = torch.stack([
        contrast(row[4], row[1], every, [bool((tags[row[0]] * other[2]).sum() > 0) for other in rows],
                 kappa["co_occurrence"], faithful) for row in pixels]).mean()
    means = []
    for n in sorted({row[0] for row in pixels}):
        here = [row for row in pixels if row[0] == n]
        features = prototypes_of([row[5] for row in here], [row[1] for row in here])
        names = list(features)
        beside = torch.stack(list(features.values()))
        means.append(torch.stack([
            contrast(row[5], names.index(row[1]), beside, [of_segment[k][3] == row[3] for k in names],
                     kappa["image_similarity"], faithful) for row in here]).mean())
    found["image_similarity"] = torch.stack(means).mean()
    return sum(TERMS[name][1] * value for name, value in found.items()), [(c.detach(), s, t) for c, s, t in current]


def softmax_head(w, embedding, prefix, clamped):
    name = f"{prefix}semantic_classifier."
    x = F.conv2d(embedding / embedding.norm(dim=1, keepdim=True), w[f"{name}0.weight"], padding=1)
    return F.conv2d(plain.norm(w, f"{name}1", x, clamped=clamped).relu(), w[f"{name}4.weight"], w[f"{name}4.bias"])


def rate(name, t, new):
    """Poly, under a line that rises over two steps; biases learn twice, new layers NEW times as fast."""
    factor = (1 - t / 4) ** 0.9
    factor = min(0.1 * (1 - t / 2) + t / 2, factor) if t < 2 else factor
    return LR * factor * (2 if name.endswith("bias") else 1) * new(name)


def no_bias(name):
    return 0.0 if name.endswith("bias") else DECAY


@pytest.mark.parametrize("preset", ["faithful", "fixed"])
def test_the_embedding_and_its_joint_head(losses, monkeypatch, tmp_path, preset):  # noqa: F811
    """With the memory of one batch, from the second step on, and BatchNorms as over several GPUs."""
    monkeypatch.setattr(steps, "write_embeddings", lambda *_: None)
    recorded, faithful = notebook.Recorded(samples()), preset == "faithful"
    p = SimpleNamespace(seed=1, threads=1, backbone="tiny", head="deeplab", dim=DIM, weights="random", norms="sync",
                        norm_momentum=0.0003, output_stride=0, head_width=8, checkpoint="", head_rates=[1, 2],
                        joint_multiplier=10.0,
                        crop=SIDE, gpus=1, devices=1, clusters=[2, 3], kmeans_iterations=4, colour_features=False,
                        memory=1, preset=preset, feature_affinity_kappa=0.0, feature_affinity_weight=0.0, lr=LR,
                        batch=2, weight_decay=DECAY, optimiser="inner_sgd", iterations=4, warm_up=2, workers=0,
                        base=1.0, speed="exact")
    for name, (kappa, weight) in TERMS.items():
        setattr(p, f"{name}_kappa", kappa), setattr(p, f"{name}_weight", weight)
    known = notebook.imports("spml/04", p=p, stage=notebook.stage(tmp_path), shown=[], crops=lambda epoch: recorded,
                             train=SimpleNamespace(classes=range(CLASSES), items=recorded.samples))
    notebook.cells("spml/04", known, "net", "settings")
    net, joint = known["net"], known["joint"]
    w = plain.copied(net, joint)
    notebook.cells("spml/04", known, "run", "loader", "step", "keep_epoch")
    exec(next(cell for cell in notebook.sources("spml/04") if "segmentation.fit(" in cell), known)  # noqa: S102
    state, expected, memory = {}, [], []
    for t, batch in enumerate(recorded.batches(2)):
        deep = plain.tiny(w, batch["x"], momentum=0.0003, clamped=True)[-1]
        small = sum(F.conv2d(deep, w[f"aspp.aspp_{k}.0.weight"], w[f"aspp.aspp_{k}.0.bias"], 1, r, r)
                    for k, r in ((1, 1), (2, 2)))
        embedding = plain.enlarged(small, (SIDE // 4, SIDE // 4))
        loss, memory = relations(segments_of(embedding, batch, (2, 3), 4), batch["tags"], memory, faithful)
        logits = softmax_head(w, embedding.detach(), "", clamped=True)
        loss = loss + (0.3 if faithful else 1) * plain.pixel_entropy(logits, batch["semantic"], CLASSES)
        expected.append(float(loss.detach()))
        plain.momentum_step(w, loss, state, decay_of=no_bias, inner=True, rate_of=lambda name, t=t: rate(
            name, t, lambda name: 1 if name.startswith("stage") else 10))
    assert len(expected) == 4
    plain.assert_equal(w, losses, expected, net, joint)


def test_the_classifier(losses, tmp_path):  # noqa: F811
    recorded = notebook.Recorded(samples())
    p = SimpleNamespace(seed=1, round=1, rounds=1, threads=1, classifier_dropout=0.65, classifier_checkpoint="",
                        classifier_lr=LR, weight_decay=DECAY, classifier_optimiser="inner_sgd",
                        classifier_iterations=4, classifier_batch=2, warm_up=2, workers=0, gpus=1, speed="exact")
    torch.manual_seed(0)
    net = model.build("tiny", dim=DIM, rates=(1, 2))[0].eval()
    known = notebook.imports("spml/08", p=p, stage=notebook.stage(tmp_path), classes=range(CLASSES),
                             items=recorded.samples, stages=SimpleNamespace(embedding_network=lambda *_: (net, None)),
                             params_embedding=SimpleNamespace(dim=DIM), crops=lambda epoch: recorded,
                             figures=SimpleNamespace(losses_figure=lambda *_: None),
                             viz=SimpleNamespace(save=lambda *_: None))
    head = notebook.cells("spml/08", known, "head")["head"]
    w, fixed = plain.copied(head), plain.copied(net)
    notebook.cells("spml/08", known, "step", "steps_an_epoch", "run")
    state, expected = {}, []
    for t, batch in enumerate(recorded.batches(2)):
        deep = plain.tiny(fixed, batch["x"], training_mode=False)[-1]
        small = sum(F.conv2d(deep, fixed[f"aspp.aspp_{k}.0.weight"], fixed[f"aspp.aspp_{k}.0.bias"], 1, r, r)
                    for k, r in ((1, 1), (2, 2)))
        embedding = plain.enlarged(small, (SIDE // 4, SIDE // 4)).detach()
        loss = plain.pixel_entropy(softmax_head(w, embedding, "", clamped=False), batch["semantic"], CLASSES)
        expected.append(float(loss.detach()))
        plain.momentum_step(w, loss, state, decay_of=no_bias, inner=True,
                            rate_of=lambda name, t=t: rate(name, t, lambda name: 1))
    assert len(expected) == 4
    plain.assert_equal(w, losses, expected, head)
    plain.assert_equal(fixed, [], [], net)
