"""Clustering, contrast, retrieval, memory and random walk of SPML against plain formulations and small cases."""

import numpy as np
import pytest
import torch

from benchmarks import spml_plain
from wsnb.ops.segsort import contrast, random_walk, retrieval, segments
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.ops.segsort.segments import colour, frequent_labels, location, resize_labels, unit


def case(pixels=120, prototypes=30, classes=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (prototypes,), generator=generator)
    labels[-1] = classes  # a class of one segment
    own = torch.randint(0, prototypes, (pixels,), generator=generator)
    own[:3] = prototypes - 1
    u, e = (unit(torch.randn(n, 8, generator=generator, dtype=dtype)) for n in (prototypes, pixels))
    positive = labels[None] == torch.arange(classes + 1)[:, None]
    return e, own, labels[own], positive, u


@pytest.mark.parametrize("cells", [37, 10_000])
def test_chunked_contrast_is_the_plain_one_with_its_gradients(monkeypatch, cells):
    monkeypatch.setattr(contrast, "CELLS", cells)
    results = []
    for function in (contrast.plain_contrastive_loss, contrast.contrastive_loss):
        e, own, group, positive, u = case()
        e.requires_grad_(), u.requires_grad_()
        loss = function(e, own, group, positive, u, 6.0)
        (loss * torch.arange(1, len(loss) + 1)).sum().backward()
        results.append((loss.detach(), e.grad, u.grad))
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


def test_contrast_of_the_benchmark_is_that_of_the_tests():
    e, own, group, positive, u = case()
    torch.testing.assert_close(spml_plain.contrast(e, own, group, positive, u, 6.0),
                               contrast.plain_contrastive_loss(e, own, group, positive, u, 6.0).mean())


def test_an_own_segment_of_another_kind_repels_in_the_plain_form_only():
    e, u = unit(torch.tensor([[1.0, 0.0]])), unit(torch.tensor([[1.0, 0.2], [0.0, 1.0]]))
    own, group, positive = torch.tensor([0]), torch.tensor([0]), torch.zeros(1, 2, dtype=torch.bool)
    s = torch.exp(4 * (e @ u.T))[0]
    faithful = -torch.log(s[0] / (s[0] + s[0] + s[1]))
    fixed = -torch.log(s[0] / (s[0] + s[1]))
    arguments = e, own, group, positive, u, 4.0
    torch.testing.assert_close(contrast.plain_contrastive_loss(*arguments)[0], faithful)
    torch.testing.assert_close(contrast.contrastive_loss(*arguments)[0], fixed)


def test_chunked_contrast_does_not_cancel():
    e, u = unit(torch.tensor([[1.0, 0.0]])), unit(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))
    positive = torch.tensor([[True, True, False]])
    arguments = torch.tensor([0]), torch.tensor([0]), positive
    exact = torch.log1p(torch.exp(torch.tensor([16.0])))  # -log(e^-16 / (e^-16 + e^0))
    ours = contrast.contrastive_loss(e, *arguments, u, 16.0)
    torch.testing.assert_close(ours, exact, rtol=1e-5, atol=0)
    assert contrast.plain_contrastive_loss(e, *arguments, u, 16.0)[0] < 1 < ours[0]  # float32 loses the far positive


def test_segments_are_distinct_triples_however_many_regions():
    embedding = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    semantic = torch.zeros(2, 8, 8, dtype=torch.long)
    semantic[1, :, :2] = 255
    region = torch.arange(64).view(1, 8, 8).repeat(2, 1, 1) * 50  # numbers far beyond 8 bits and the divisor 2048
    found = segments.segment(embedding, semantic, region, (2, 2), 3)
    assert found.count == 64 + 48 and len(found.index) == 64 + 48
    assert torch.equal(found.index.sort().values, torch.arange(112))
    assert torch.equal(found.region[:64], region[0].flatten())
    assert (found.position[64:] >= 64).all() and (found.picture[64:] == 1).all()


def test_one_segment_and_no_pixel():
    embedding = torch.randn(1, 4, 6, 6)
    one = segments.segment(embedding, clusters=(1, 1))
    assert one.count == 1
    torch.testing.assert_close(segments.prototypes_of(one, torch.zeros(1, 2)).embedding.norm(), torch.tensor(1.0))
    void = torch.full((1, 6, 6), 255)
    none = segments.segment(embedding, void, void)
    assert none.count == 0 and len(segments.prototypes_of(none, torch.zeros(1, 2))) == 0


def test_kmeans_finds_two_clusters_and_keeps_empty_centres_at_zero():
    values = unit(torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]]))
    labels = segments.kmeans(values, torch.tensor([0, 1, 1, 1]), 3, 10)
    assert torch.equal(labels, torch.tensor([0, 0, 1, 1]))
    assert torch.equal(segments.prototypes(values, labels, 3)[2], torch.zeros(2))


def test_majority_takes_the_lowest_of_equals():
    found = segments.majority(torch.tensor([4, 2, 2, 4, 9]), torch.tensor([0, 0, 0, 0, 2]), 3)
    assert found.tolist() == [2, 0, 9]


def test_labels_are_reduced_from_the_top_left():
    labels = torch.arange(64).view(1, 8, 8)
    assert resize_labels(labels, (2, 2)).tolist() == [[[0, 4], [32, 36]]]


def test_labels_of_a_cell_are_its_most_frequent_class():
    labels = torch.full((1, 9, 8), 254)
    labels[0, 1, 1] = 3  # one labelled pixel, off the top left
    labels[0, 0, 4:7] = torch.tensor([2, 1, 1])
    labels[0, 5:, :4] = 255
    labels[0, 8, 7], labels[0, 7, 6] = 4, 2  # equally frequent
    assert resize_labels(labels, (2, 2)).tolist() == [[[254, 2], [254, 254]]]
    assert frequent_labels(labels, (2, 2), 5).tolist() == [[[3, 1], [254, 2]]]
    drawn = torch.randint(0, 7, (2, 23, 31), generator=torch.Generator().manual_seed(0))
    found = frequent_labels(drawn, (6, 8), 5)
    for n, i, j in np.ndindex(2, 6, 8):  # cells between the pixels that `resize_labels` takes
        cell = drawn[n, i * 23 // 6 : (i + 1) * 23 // 6, j * 31 // 8 : (j + 1) * 31 // 8].reshape(-1)
        cell = cell[cell < 5]
        assert found[n, i, j] == (np.bincount(cell).argmax() if len(cell) else drawn[n, i * 23 // 6, j * 31 // 8])
    assert torch.equal(frequent_labels(drawn, (23, 31), 7), drawn)


def test_local_features():
    assert location(2, 3)[1, 2].tolist() == [0.5, 0.5] and location(1, 1).tolist() == [[[-0.5, -0.5]]]
    flat = colour(torch.full((1, 3, 9, 9), 2.0), (5, 5))
    assert torch.equal(flat, torch.zeros(1, 5, 5, 3))  # one colour: 0 and no NaN


def test_partial_retrieval_is_the_full_sort():
    generator = torch.Generator().manual_seed(1)
    queries, memory = (unit(torch.randn(n, 8, generator=generator)) for n in (20, 300))
    assert torch.equal(retrieval.nearest_neighbours(queries, memory, 7)[1], spml_plain.nearest(queries, memory, 7))
    assert retrieval.nearest_neighbours(queries[:1], memory[:3], 20)[1].shape == (1, 3)  # fewer than asked, one query


def test_votes():
    labels = torch.tensor([[1, 1, 2, 3], [3, 2, 3, 2]])
    assert retrieval.votes(labels, 4).tolist() == [[0, 0.5, 0.25, 0.25], [0, 0, 0.5, 0.5]]


def test_label_sets_of_the_same_picture_only():
    keys = unit(torch.tensor([[1.0, 0.0], [0.9, 0.1], [1.0, 0.05]]))
    sets = retrieval.label_sets(keys[:1], keys, torch.tensor([7, 1, 2]), torch.tensor([0]), torch.tensor([0, 0, 1]), 3,
                                1, 0.5)
    assert sets.tolist() == [[0, 1, 0]]  # the first is unlabelled, the third of another picture


def test_relations_of_four_segments():
    own = torch.tensor([0, 1, 2, 2])
    labels, semantic = torch.tensor([1, 254, 1, 2]), torch.tensor([1, 254, 1, 1])
    relation = contrast.annotation(semantic, own, labels, 3)
    assert relation.pixels.tolist() == [0, 2, 3] and relation.prototypes.tolist() == [0, 2, 3]
    attract, repel = relation.of_pixel(0)
    assert attract.tolist() == [2] and repel.tolist() == [3]
    tags = torch.tensor([[1, 0], [0, 0]])
    shared = contrast.co_occurrence(torch.tensor([0, 0, 1, 1]), own, tags, tags[torch.tensor([0, 0, 1, 1])])
    attract, repel = shared.of_pixel(0)
    assert attract.tolist() == [1] and repel.tolist() == [2, 3]
    assert shared.of_pixel(2)[0].tolist() == []  # a picture without foreground shares nothing, not even with itself


def test_the_memory_keeps_the_newest_and_counts_pictures_on():
    def entry(k):
        return segments.Prototypes(*(torch.full((2, 3), float(k)) for _ in range(2)),
                                   *(torch.tensor([0, 1]) for _ in range(3)), torch.zeros(2, 4))

    memory = MemoryBank(2)
    for k in range(3):
        memory.add(entry(k), 4)
    assert [e.picture.tolist() for e in memory.entries] == [[8, 9], [4, 5]]
    assert [float(e.embedding[0, 0]) for e in memory.entries] == [1.0, 2.0]
    again = MemoryBank(0)
    again.load_state_dict(memory.state_dict())
    assert again.size == 2 and torch.equal(again.with_current(entry(9)).picture, memory.with_current(entry(9)).picture)
    assert torch.equal(memory.with_current(entry(9)).embedding[:, 0], torch.tensor([9.0, 9, 1, 1, 2, 2]))
    empty = MemoryBank(0)
    empty.add(entry(0), 4)
    assert not empty.entries


@pytest.mark.parametrize(("steps", "squarings"), [(64, 6), (1, 0), (2, 1)])
def test_the_walk_is_the_dense_one(steps, squarings):
    generator = torch.Generator().manual_seed(3)
    rows = unit(torch.nn.functional.interpolate(torch.randn(1, 16, 3, 3, generator=generator), size=(9, 11),
                                                mode="bilinear", align_corners=False)[0].flatten(1).T)
    seeds = torch.rand(5, 9, 11, generator=generator)
    seeds[3] = 0
    ours = random_walk.random_walk(seeds, random_walk.affinity([rows]), steps)
    plain = spml_plain.random_walk(seeds.flatten(1).double(), rows.double(), squarings).view(5, 9, 11)
    torch.testing.assert_close(ours, plain.float(), rtol=0, atol=2e-5)
    assert torch.equal(ours.argmax(0), plain.argmax(0)) and torch.equal(ours[3], torch.zeros(9, 11))
