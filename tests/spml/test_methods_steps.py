"""The loss of a step: relations one by one, presets, devices, and whatever has nothing to learn from."""

import pytest
import torch

from wsnb.ops.segsort.chunks import LARGEST, cells_at_once
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.papers.spml import losses, model
from wsnb.papers.spml.losses import TERMS, Settings, Term

N_CLASSES = 5
ALL = {name: Term(kappa, 0.5) for name, kappa in zip(TERMS, (6, 8, 16, 12), strict=True)}
OFF = {name: Term() for name in TERMS}


def batch(pictures=2, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(pictures, 8, side // 4, side // 4, generator=generator)
    semantic = torch.randint(0, N_CLASSES + 1, (pictures, side // 8, side // 8), generator=generator)
    semantic = semantic.repeat_interleave(8, 1).repeat_interleave(8, 2)
    semantic[semantic == N_CLASSES] = 254
    regions = torch.randint(0, 4, (pictures, side, side), generator=generator)
    tags = torch.tensor([[1.0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])[:pictures]
    return embedding.requires_grad_(), semantic, regions, tags


def head():
    torch.manual_seed(0)
    return model.SoftmaxHead(8, N_CLASSES).eval()


def step(inputs, faithful=False, memory=None, terms=ALL, **more):
    settings = Settings(N_CLASSES, **terms, clusters=(2, 2), faithful=faithful, **more)
    return losses.step(*inputs, head(), settings, memory)


def test_each_relation_is_switched_on_its_own():
    whole = step(batch())
    assert set(whole.losses) == {*TERMS, "cross_entropy"}
    for name in TERMS:
        alone = step(batch(), terms={**OFF, name: ALL[name]})
        assert set(alone.losses) == {name, "cross_entropy"}
        torch.testing.assert_close(alone.losses[name], whole.losses[name])
        double = step(batch(), terms={**OFF, name: Term(ALL[name].kappa, 1.0)})
        torch.testing.assert_close(double.losses[name], 2 * whole.losses[name])
    torch.testing.assert_close(whole.total, sum(whole.losses.values()))


def test_presets_differ_by_the_quirks_alone():
    faithful, fixed = step(batch(), True), step(batch(), False)
    torch.testing.assert_close(faithful.losses["cross_entropy"], 0.5 * fixed.losses["cross_entropy"])
    for name in ("annotation", "co_occurrence", "feature_affinity"):
        torch.testing.assert_close(faithful.losses[name], fixed.losses[name], rtol=1e-3, atol=1e-4)
    three = batch(3)  # the third has no foreground: its own segments repel it in the faithful preset only
    assert step(three, True).losses["co_occurrence"] > step(three, False).losses["co_occurrence"]


def test_points_off_the_sampled_pixels_are_lost_in_the_faithful_preset_alone():
    embedding, _, regions, tags = batch()
    semantic = torch.full((len(embedding), *(4 * side for side in embedding.shape[-2:])), 254)
    semantic[:, 5:8, 5:8] = 1  # no pixel of it has coordinates that 4 divides
    semantic[:, 21:24, 9:12] = 2
    regions = regions.repeat_interleave(4, 1).repeat_interleave(4, 2)
    kept = [step((embedding, semantic, regions, tags), faithful).segments.semantic for faithful in (True, False)]
    assert [part.unique().tolist() for part in kept] == [[254], [1, 2, 254]]


@pytest.mark.parametrize("faithful", [True, False])
@pytest.mark.parametrize("label", [255, 254, 0])
def test_nothing_to_learn_from_costs_nothing(faithful, label):
    """All void, nothing labelled, or one label and one region only: finite losses and gradients, 0 where empty."""
    embedding, semantic, regions, tags = batch(3)  # the third shares no tag with the others
    memory = MemoryBank(2)
    for value in (semantic, torch.full_like(semantic, label)):  # the second time with candidates in the memory
        embedding.grad = None
        done = step((embedding, value, torch.zeros_like(regions), tags), faithful, memory)
        done.total.backward()
        memory.add(done.prototypes, len(embedding))
        assert torch.isfinite(done.total) and torch.isfinite(embedding.grad).all()
    zero = {255: {*TERMS, "cross_entropy"}, 254: {"annotation", "cross_entropy"}, 0: {"image_similarity"}}[label]
    for name in zero:
        assert float(done.losses[name].detach()) == 0, name
    assert label == 255 or float(done.losses["co_occurrence"].detach()) > 0


@pytest.mark.parametrize("faithful", [True, False])
def test_a_single_segment(faithful):
    embedding, semantic, regions, tags = batch(1)
    settings = Settings(N_CLASSES, **ALL, clusters=(1, 1), faithful=faithful)
    done = losses.step(embedding, torch.ones_like(semantic), torch.zeros_like(regions), tags, head(), settings)
    done.total.backward()
    assert len(done.prototypes) == 1 and torch.isfinite(embedding.grad).all()


def test_more_than_256_regions_do_not_alias():
    embedding, semantic, _, tags = batch(1, 128)
    regions = torch.arange(1024).view(1, 32, 32).repeat_interleave(4, 1).repeat_interleave(4, 2)
    done = step((embedding, torch.zeros_like(semantic), regions, tags))
    assert len(done.prototypes) == 1024 and torch.isfinite(done.total)


def test_devices_are_averaged():
    """Each device's mean over its own pixels, with the candidates of all."""
    embedding, semantic, regions, tags = batch()
    semantic[1, :, 4:] = 255
    one = step((embedding, semantic, regions, tags))
    two = step((embedding, semantic, regions, tags), devices=2)
    chosen = losses.contrasts(one.segments.of(one.segments.picture == 1), one.candidates, tags, one.sets,
                              Settings(N_CLASSES, **ALL, clusters=(2, 2), faithful=False))
    other = losses.contrasts(one.segments.of(one.segments.picture == 0), one.candidates, tags, one.sets,
                             Settings(N_CLASSES, **ALL, clusters=(2, 2), faithful=False))
    for name in TERMS:
        torch.testing.assert_close(two.losses[name], (chosen[name] + other[name]) / 2)
    assert abs(float(two.losses["annotation"].detach() - one.losses["annotation"].detach())) > 1e-6


def test_the_joint_head_does_not_teach_the_embedding():
    embedding, semantic, regions, tags = batch()
    classifier = head()
    settings = Settings(N_CLASSES, **OFF, clusters=(2, 2), faithful=False)
    losses.step(embedding, semantic, regions, tags, classifier, settings).total.backward()
    assert float(embedding.grad.abs().max()) == 0
    assert float(classifier.semantic_classifier[4].weight.grad.abs().max()) > 0


def test_densepose_clusters_on_colours_and_compares_embeddings():
    embedding, semantic, regions, tags = batch()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    settings = Settings(N_CLASSES, **ALL, clusters=(2, 2), densepose=True)
    done = losses.step(embedding, semantic, regions, tags, head(), settings, None, x)
    done.total.backward()
    assert done.prototypes.feature.shape[1] == 8 + 5 and torch.isfinite(embedding.grad).all()
    assert done.sets.shape == (len(done.candidates), N_CLASSES) and (done.sets.sum(1) > 0).all()


@pytest.mark.parametrize("cells", [1, 100])
def test_chunks_change_no_loss_of_the_faithful_preset(monkeypatch, cells):
    found = []
    for at_once in (losses.CELLS, cells):
        monkeypatch.setattr(losses, "CELLS", at_once)
        inputs = batch()
        done = step(inputs, True)
        done.total.backward()
        found.append((done.losses, inputs[0].grad))
    torch.testing.assert_close(found[0], found[1])


def test_a_gpu_takes_as_many_cells_as_half_of_its_free_memory_holds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1000)
    for free, cells in ((0, 100), (8000, 500), (10**12, LARGEST)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        assert cells_at_once("cuda:1", 100, 10) == cells
    assert cells_at_once("cpu", 100, 10) == 100
