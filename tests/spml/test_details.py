"""Which weak mask a list names, how windows overlap, what devices share, and which pictures the figures show."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsnb.data import densepose, read
from wsnb.data.item import Item
from wsnb.data.synthetic import make_densepose
from wsnb.files import FileError, read_index, save_png
from wsnb.models.distributed import SyncBatchNorm2d
from wsnb.papers.spml import (
    data,
    evaluate,
    figures,
    inference,
    losses,
    model,
    prototypes,
    pseudo_labels,
    steps,
    weak_labels,
)
from wsnb.papers.spml.losses import Settings, Term
from wsnb.run import experiments

ROOT = Path(__file__).parents[2]


class Colours(torch.nn.Module):
    """An embedding that is the picture itself at a quarter of the size, away from zero."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 4, ceil_mode=True) + 3


def halves(height=32, width=48):
    """A picture of two colours, and the classes 1 and 2 of its halves."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = (220, 40, 40), (30, 60, 210)
    return image, np.where(np.arange(width) < width // 2, 1, 2).astype(np.uint8)[None].repeat(height, 0)


def test_a_list_of_densepose_points_names_the_points_and_not_the_full_mask(tmp_path):
    root = make_densepose.write(tmp_path / "densepose", {"train": 2, "minival": 1}, size=(64, 80))
    items = read.items("densepose", root, "train2014_points")
    field = weak_labels.weak_field("densepose", "point")
    weak_mask_of = weak_labels.WeakMasks("densepose", "point", densepose.CLASSES, "list")
    for item in items:
        found = weak_mask_of(item)
        assert (found == weak_labels.from_file(read_index(item.points), 15)).all()
        assert (found == weak_labels.UNLABELLED).mean() > 0.9 and item.mask is not None
    weak_labels.check_files(items, "list", "", "weak masks", field)
    bare = [Item(name, tmp_path / f"{name}.jpg", items[0].mask) for name in "ab"]
    with pytest.raises(FileError, match="2 pictures have no weak masks in the list: a, b; .* use weak_source made"):
        weak_labels.check_files(bare, "list", "", "weak masks", field)
    assert weak_labels.weak_field("voc", "point") == weak_labels.weak_field("densepose", "full") == "mask"


@pytest.mark.parametrize("scales, overlap", [((1.0,), 2), ((1.0, 1.0), 1)])
def test_overlapping_windows_are_summed_at_one_scale_and_averaged_at_several(scales, overlap):
    image, _ = halves()
    constant = torch.tensor([1.0, 0.0])[None, :, None, None]
    maps = inference.softmax_maps(Colours(), lambda e: constant.expand(-1, -1, *e.shape[2:]), image, scales=scales,
                                  crop=32, stride=16)
    assert maps[0, 0, 24] == pytest.approx(1 / (1 + np.exp(-overlap)), abs=1e-6)  # two windows lie there
    assert maps[0, 0, 4] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


def test_the_joint_head_reads_the_whole_batch_whatever_the_devices():
    torch.manual_seed(0)
    embedding, semantic = torch.randn(4, 8, 8, 8), torch.randint(0, 5, (4, 32, 32))
    found = {}
    for devices in (1, 4):
        torch.manual_seed(1)
        head = model.joint_head(8, 5, "sync")
        settings = Settings(5, *[Term()] * 4, clusters=(2, 2), devices=devices, faithful=False)
        done = losses.step(embedding, semantic, semantic, torch.ones(4, 4), head, settings)
        found[devices] = head.semantic_classifier[1].running_mean, done.losses["cross_entropy"]
    torch.testing.assert_close(found[1], found[4])  # every picture has as many labelled pixels


def test_the_joint_heads_norms_are_the_networks():
    for norms, kind in (("sync", SyncBatchNorm2d), ("batch", torch.nn.BatchNorm2d), ("frozen", torch.nn.BatchNorm2d)):
        head = model.joint_head(8, 5, norms)
        assert type(head.semantic_classifier[1]) is kind
        assert set(head.state_dict()) == set(model.SoftmaxHead(8, 5).state_dict())


def test_devices_are_shared_out_among_the_processes():
    values = experiments.load(ROOT, "spml", "voc12_point").values
    parts = {gpus: steps.settings_from(SimpleNamespace(**{**values, "gpus": gpus}), 21).devices for gpus in (1, 2, 4)}
    assert parts == {1: 4, 2: 2, 4: 1}
    assert steps.settings_from(SimpleNamespace(**{**values, "gpus": 2, "devices": 1}), 21).devices == 1
    with pytest.raises(ValueError, match="devices 4.*gpus 3"):
        steps.settings_from(SimpleNamespace(**{**values, "gpus": 3}), 21)


def test_half_of_a_picture_with_odd_sides_is_that_of_its_padding():
    padded = torch.rand(1, 2, 16, 16)
    whole = torch.nn.functional.avg_pool2d(padded, 2)
    torch.testing.assert_close(pseudo_labels.halved(padded, (11, 13)), whole[..., :5, :6])
    torch.testing.assert_close(pseudo_labels.halved(padded[..., :1, :1], (1, 1)), padded[..., :1, :1])


def test_densepose_points_walk_at_the_pictures_own_size_without_mirror():
    values = experiments.load(ROOT, "spml", "densepose_point").values
    assert (values["walk_size"], values["flip"], values["window"]) == (0, False, 640)


@pytest.mark.parametrize("power, threshold, nothing", [(6, 0.2, True), (6, 0.3, False), (1, 0.5, True)])
def test_from_which_threshold_on_tags_leave_pixels_unlabelled(power, threshold, nothing):
    found = weak_labels.from_tags(np.linspace(0, 1, 1001)[None, None], [1], power, threshold)
    assert (found < weak_labels.UNLABELLED).all() == nothing


def test_the_figure_of_prototypes_shows_this_scales_segments(tmp_path, monkeypatch):
    image, labels = halves()
    save_png(tmp_path / "p.png", image)
    cut, drawn = prototypes.Clustering(Colours(), clusters=(3, 4)), []
    monkeypatch.setattr(figures, "weak_picture", lambda image, mask: drawn.append(mask) or image)
    figures.prototypes_figure([Item("p", tmp_path / "p.png", None)], cut, lambda item: labels)
    assert (drawn[-1] == labels).mean() > 0.9


def test_retrieval_by_the_truth_is_a_bound():
    assert inference.prototype_protocol("pseudo", True) == inference.prototype_protocol("weak", False) == {}
    protocol = inference.prototype_protocol("ground truth", False)
    with pytest.raises(ValueError, match="prototype_labels.*retrieve_labels"):
        inference.prototype_protocol("ground truth", True)
    tables = {name: np.eye(2, dtype=np.int64) for name in ("retrieval", "joint", "background")}
    fields = {"07": {"retrieval": {"preset": "fixed", **protocol}}, "09": {"joint": {"preset": "fixed"}}}
    rows = evaluate.results(tables, {"retrieval": 1.0, "joint": 1.0}, {"retrieval": None, "joint": None}, fields,
                              evaluate.supervision_protocol("point"), ("background", "thing"))
    roles = {row["protocol"]["method"]: (row["role"], row["protocol"]["label_source"]) for row in rows}
    assert roles["SPML, nearest-neighbour retrieval"] == ("bound", "full")
    assert roles["SPML, joint softmax head"] == ("final", "weak")


def test_the_books_pictures_are_spread_over_the_list():
    items = [Item(f"{k:02}", Path(f"{k}.jpg"), None) for k in range(40)]
    empty, full = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    assert [item.id for item in data.example_pictures(items)] == ["00", "10", "20", "30"]
    shown = data.example_pictures(items, lambda item: empty if item.id in ("00", "20") else full, 3)
    assert [item.id for item in shown] == ["01", "10", "21", "30"]
    assert len(data.example_pictures(items[:3], lambda item: empty, 3)) == 3


def test_a_picture_without_a_mask_has_no_truth(tmp_path):
    save_png(tmp_path / "p.png", np.zeros((4, 6, 3), np.uint8))
    item = Item("p", tmp_path / "p.png", None)
    truth = weak_labels.truth("voc", 3)(item)
    assert truth.shape == (4, 6) and (truth == 255).all()
    assert data.example_pictures([item], weak_labels.truth("voc", 3), 3) == [item]
