"""Windows, seeds, votes and scores of the later stages on small arrays."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsnb.ops.segsort import segments
from wsnb.papers.spml import evaluate, inference, prototypes, pseudo_labels
from wsnb.papers.spml.model import SoftmaxHead


class Colours(torch.nn.Module):
    """An embedding that is the picture itself at a quarter of the size, away from zero."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 4, ceil_mode=True) + 3


def picture(height=32, width=48):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (220, 40, 40)
    image[:, width // 2 :] = (30, 60, 210)
    return image


def test_windows_cover_the_picture():
    assert inference.window_starts(512, 512, 512) == [0]
    assert inference.window_starts(1025, 512, 512) == [0, 256, 513]
    x = torch.rand(1, 3, 40, 70)
    whole = inference.over_windows(lambda part: part, x, 32, 20)
    assert whole.shape == (3, 40, 70) and torch.allclose(whole, x[0], atol=1e-6)  # averages of equal values
    padded = inference.over_windows(lambda part: part, x, 64, 64)
    assert padded.shape == (3, 64, 70) and (padded[:, 40:] == 0).all()


def test_the_walk_keeps_what_the_annotation_names():
    image, weak = picture(), np.full((32, 48), 254, np.uint8)
    weak[:, 2:6], weak[:, 40:44] = 1, 2
    torch.manual_seed(0)
    head = SoftmaxHead(3, 4).eval()
    maps = pseudo_labels.Walk(Colours(), head, 4, seeds="softmax", steps=4)(image, weak)
    assert maps.shape == (4, 32, 48) and np.isfinite(maps).all()
    assert (maps[[0, 3]] == 0).all() and (maps[[1, 2]] > 0).any()


def test_nearest_seeds_follow_the_embedding():
    image, weak = picture(), np.full((32, 48), 254, np.uint8)
    weak[10:14, 4:10], weak[10:14, 36:42] = 1, 2
    walker = pseudo_labels.Walk(Colours(), None, 3, seeds="nearest", steps=1, clusters=(4, 4))
    found = walker(image, weak, regions=np.zeros((32, 48), np.uint8)).argmax(axis=0)
    assert (found[:, :16] == 1).all() and (found[:, -16:] == 2).all()


def test_the_walk_from_nearest_segments_reduces_the_embedding_twice(monkeypatch):
    """First to a half, padding included, then to an eighth, as DensePose's script does; odd sides tell it from once."""
    torch.manual_seed(0)
    raw, kept, weak = torch.randn(1, 4, 64, 64), [], np.full((51, 37), 254, np.uint8)
    weak[:4, :4], weak[20:24, 20:24] = 255, 1
    monkeypatch.setattr(pseudo_labels.random_walk, "affinity", lambda rows: kept.append(rows) or torch.eye(24))
    seen = []
    monkeypatch.setattr(pseudo_labels, "segment", lambda *given: seen.append(given) or segments.segment(*given))

    def net(x):
        return raw[..., ::4, ::4]

    walker = pseudo_labels.Walk(net, None, 3, seeds="nearest", flip=False, steps=1, clusters=(2, 2), crop=64, stride=64)
    walker(np.zeros((51, 37, 3), np.uint8), weak, regions=np.zeros((51, 37), np.uint8))
    full = F.interpolate(raw[..., ::4, ::4], size=(64, 64), mode="bilinear", align_corners=False)
    half = F.interpolate(full, size=(32, 32), mode="bilinear", align_corners=False)[..., :25, :18]
    rows = F.interpolate(half, size=(6, 4), mode="bilinear", align_corners=False)[0].flatten(1).T
    torch.testing.assert_close(kept[0][0], F.normalize(rows, dim=1))
    torch.testing.assert_close(seen[0][0], half)
    assert seen[0][1].unique().tolist() == [1, 3, 254]  # void alone becomes a label of its own: segments stay apart


def test_a_class_that_is_nowhere_gives_no_nan():
    maps = pseudo_labels.among_present(torch.zeros(3, 2, 2), [True, True, False])
    assert (maps == 0).all()


def test_cam_seeds_without_any_tag_are_background():
    seeds = pseudo_labels.cam_seeds(np.zeros((0, 8, 8)), [], 5)
    assert (seeds[0] == 1).all() and (seeds[1:] == 0).all()


@pytest.mark.parametrize("shape", [(40, 1), (1, 40), (1, 1), (9, 7)])
@pytest.mark.parametrize("seeds", pseudo_labels.SEEDS)
def test_pictures_of_a_few_pixels_get_pseudo_labels(shape, seeds):
    image, weak = np.full((*shape, 3), 90, np.uint8), np.full(shape, 254, np.uint8)
    weak[0, 0] = 1
    for size in (0, 32):
        walk = pseudo_labels.Walk(Colours(), SoftmaxHead(3, 4).eval(), 4, seeds, size, steps=2, clusters=(2, 2))
        cams = np.array([1]), np.ones((1, *walk.shape(image)), np.float32)
        maps = walk(image, weak, cams, np.zeros(shape, np.uint8))
        assert maps.shape == (4, *walk.shape(image)) and np.isfinite(maps).all()


def test_retrieval_votes_for_the_like_half():
    image = picture()
    cut = prototypes.Clustering(Colours(), clusters=(3, 4))
    labels = np.where(np.arange(48) < 24, 1, 2).astype(np.uint8)[None].repeat(32, 0)
    parts = prototypes.extract(cut, image, labels)
    assert set(parts["label"]) == {1, 2} and np.allclose(np.linalg.norm(parts["prototype"], axis=1), 1, atol=1e-5)
    assert (parts["box"][:, 2:] > parts["box"][:, :2]).all() and parts["box"].max() <= 1 + 1e-6
    memory = prototypes.Memory(torch.from_numpy(parts["prototype"]), torch.from_numpy(parts["label"].astype(np.int64)),
                         np.zeros(len(parts["label"])), parts["box"])
    maps = prototypes.vote_maps(cut, memory, image, 3, neighbours=3)
    assert (maps.argmax(axis=0)[:, :20] == 1).all() and (maps.argmax(axis=0)[:, -20:] == 2).all()
    several = prototypes.vote_maps(cut, memory, image, 3, neighbours=3, scales=(0.5, 1.0), flip=True)
    assert several.shape == (3, 32, 48) and np.allclose(several.sum(axis=0), 1, atol=1e-5)


def test_one_segment_is_enough():
    """The original divides by the number of segments less one, which is 0 here."""
    image = picture()
    cut = prototypes.Clustering(Colours(), clusters=(1, 1))
    parts = prototypes.extract(cut, image, np.ones((32, 48), np.uint8))
    assert len(parts["label"]) == 1
    memory = prototypes.Memory(torch.from_numpy(parts["prototype"]), torch.tensor([1]), np.zeros(1), parts["box"])
    assert (prototypes.vote_maps(cut, memory, image, 2).argmax(axis=0) == 1).all()


def test_rounds_take_their_own_value_or_the_last():
    assert [inference.value_of_round([64, 1], k) for k in (1, 2, 3)] == [64, 1, 1]
    with pytest.raises(ValueError, match="at least one"):
        inference.value_of_round([], 1)


def test_instance_scores_by_hand():
    truth = np.array([[1, 1, 1, 2, 255]])
    found = np.array([[1, 1, 2, 2, 0]])
    assert evaluate.picture_iou(truth, found, 3).tolist() == [0, 2 / 3, 1 / 2]
    instances = np.array([[1, 1, 2, 3, 255]])
    assert evaluate.instance_counts(truth, instances, 3).tolist() == [0, 2, 1]
    mean = evaluate.instance_iou([[0, 1.0, 0.5], [0, 0.0, 0]], [[0, 3, 1], [0, 1, 0]])
    assert np.isnan(mean[0]) and mean[1:].tolist() == [0.75, 0.5]


def test_void_is_an_instance_for_the_original():
    truth, instances = np.array([[1, 1, 255]]), np.array([[1, 255, 255]])
    assert evaluate.instance_counts(truth, instances, 2).tolist() == [0, 1]
    assert evaluate.instance_counts(truth, instances, 2, void_counts=True).tolist() == [0, 2]
