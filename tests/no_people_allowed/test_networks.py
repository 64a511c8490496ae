"""IRNet, the classifiers, the segmenter's head; instances, inference, schedules, data."""

import zipfile
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tests import departures
from wsnb.data import read
from wsnb.data.item import Item
from wsnb.files import FileError, save_torch
from wsnb.models import backbones, deeplabv3plus, heads
from wsnb.models.irnet import IRNet, flipped_edges
from wsnb.models.resnet import ResNet
from wsnb.ops import displacements, segmentation
from wsnb.papers.no_people_allowed import (
    augmentation,
    data,
    evaluate,
    inference,
    instances,
    irnet,
    model,
    optimisation,
    original_names,
    segmenter,
)


@pytest.mark.parametrize("name", ["tiny", "mobilenet_v2"])
@pytest.mark.parametrize("size", [(64, 96), (50, 67)])
def test_irnet_on_any_backbone_and_size(name, size):
    net = IRNet(backbones.build(name)).eval()
    edge, moved = flipped_edges(net, torch.randn(1, 3, *size))
    small = tuple(-(-side // 4) for side in size)
    assert tuple(edge.shape) == small and tuple(moved.shape) == (2, *small)
    assert 0 < float(edge.min()) and float(edge.max()) < 1


def test_edges_of_a_mirrored_picture_are_mirrored():
    net, x = IRNet(backbones.build("tiny")).eval(), torch.randn(1, 3, 48, 64)
    one, other = flipped_edges(net, x)[0], flipped_edges(net, x.flip(-1))[0]
    assert torch.allclose(one, other.flip(-1), atol=1e-6)


@pytest.mark.parametrize("norms, moves", [("fixed", False), ("batch", True)])
def test_the_backbone_never_learns_but_its_norms_may_drift(norms, moves):
    net = IRNet(backbones.build("tiny"), norms=norms).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    edge, moved = net(torch.randn(2, 3, 32, 32))
    (edge.sum() + moved.sum()).backward()
    assert all(p.grad is None for k, p in net.named_parameters() if not k.startswith("branches."))
    assert all(p.grad is not None for k, p in net.named_parameters() if k.startswith("branches."))
    changed = [k for k, v in net.state_dict().items() if "running" in k and not torch.equal(v, before[k])]
    assert bool(changed) == moves


def test_centring():
    x = torch.randn(2, 3, 32, 32)
    moved = IRNet(backbones.build("tiny"), "instance norm", "batch").train()(x)[1]
    assert moved.mean((2, 3)).abs().max() < 1e-4
    net = IRNet(backbones.build("tiny"), "stored mean")
    raw = net.train()(x)[1]
    irnet.measure_mean(net, [{"x": x}], "cpu")
    assert not net.training and torch.allclose(net(x)[1].mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert raw.mean((0, 2, 3)).abs().max() > 1e-4
    with pytest.raises(ValueError, match="stored mean or instance norm"):
        IRNet(backbones.build("tiny"), "median")


def test_released_irnets_load_and_foreign_files_do_not(tmp_path):
    own = IRNet(backbones.build("tiny"))
    save_torch(tmp_path / "own.pth", own.state_dict())
    net, origin = irnet.build("tiny", "stored mean", "fixed", checkpoint=tmp_path / "own.pth")
    assert origin == "checkpoint own.pth" and all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), own.state_dict().values(), strict=True))
    save_torch(tmp_path / "bad.pth", {k: v for k, v in own.state_dict().items() if "fc_edge6" not in k})
    with pytest.raises(FileError, match="missing"):
        irnet.build("tiny", "stored mean", "fixed", checkpoint=tmp_path / "bad.pth")


def test_what_irn_does_not_train():
    net = model.build("mobilenet_v2", 3, extra=0, freeze=True, detach_below=4)[0]
    first = [k for k, p in net.named_parameters() if p.requires_grad][0]
    assert first == "features.7.conv.0.0.weight"
    groups = model.learning_groups(net, 0.1)
    assert [g["lr"] for g in groups] == pytest.approx([0.1, 0.2, 1.0, 2.0])
    assert sum(len(g["params"]) for g in groups) == sum(p.requires_grad for p in net.parameters())


def test_irn_fixes_only_the_statistics_of_batchnorm():
    """Of its ResNet-50 the 29 convolutions of layer3 and layer4 with the scales and shifts behind them, and the last
    layer learn: 88 tensors."""
    p = departures.values("no_people_allowed/voc12_irn")
    net = model.build(p["backbone"], 20, "random", p["extra"], p["output_stride"], p["freeze"], p["detach_below"],
                      p["bias"], affine=p["learn_affine"])[0].train()
    statistics = {key: value.clone() for key, value in net.state_dict().items() if "running" in key}
    net(torch.randn(2, 3, 64, 64)).sum().backward()
    learnt = {key: t for key, t in net.named_parameters() if t.grad is not None}
    assert {key.split(".")[0] for key in learnt} == {"layer3", "layer4", "extra_linear"}
    norms = [t for t in learnt.values() if t.ndim == 1]
    assert len(learnt) == 88 and len(norms) == 58 and sum(t.numel() for t in norms) == 43008
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in statistics.items())
    groups = model.learning_groups(net, p["lr"], p["new_multiplier"], p["bias_multiplier"])
    assert {id(t): g["lr"] for g in groups for t in g["params"]} == {
        id(t): 1.0 if key.startswith("extra_linear") else 0.1 for key, t in learnt.items()}


def test_irns_last_layer_begins_uniform():
    """Its 1x1 convolution without bias keeps torch's first weights: uniform up to 1 / sqrt(2048), 0.0128 wide;
    NoPeopleAllowed's linear layer is normal, 0.01 wide."""
    torch.manual_seed(0)
    irns, npas = (model.build("resnet50", 20, extra=0, bias=bias)[0].class_weights for bias in (False, True))
    assert irns.abs().max() <= 2048**-0.5 and irns.std().item() == pytest.approx(0.01276, abs=1e-4)
    assert npas.abs().max() > 0.03 and npas.std().item() == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("name, stride", [("tiny", 0), ("mobilenet_v2", 16), ("mobilenet_v2", 8)])
def test_deeplab_on_any_backbone(name, stride):
    body = backbones.build(name, stride)
    rates = heads.rates_of("deeplabv3plus", body.strides[-1])
    head = deeplabv3plus.Head(body.channels, body.strides, 5, rates, width=64).train()
    logits = head(body(torch.randn(1, 3, 64, 80)))  # one picture, and it trains
    assert logits.shape == (1, 5, 16, 20)
    rates = [view[0].dilation[0] for view in head.aspp.convs[1:4]]
    assert rates == [96 // body.strides[-1] * k for k in (1, 2, 3)]


def test_pixels_of_two_wheels_are_two_instances():
    field = np.zeros((2, 20, 40), np.float32)
    y, x = np.mgrid[:20, :40].astype(np.float32)
    field[0], field[1] = 10 - y, np.where(x < 20, 9 - x, 30 - x)
    found = displacements.centroids(field, 50)
    assert set(zip(found[0].ravel().tolist(), found[1].ravel().tolist(), strict=True)) == {(10, 9), (10, 30)}
    numbers = displacements.clusters(found, field)
    assert numbers.max() == 1 and (numbers[:, :20] == 0).all() and (numbers[:, 20:] == 1).all()
    maps, owner = displacements.split_by_cluster(np.ones((1, 20, 40), np.float32), numbers)
    detections = displacements.instances(maps, owner, [7])
    assert [(label, score) for label, score, _ in detections] == [(7, 1.0), (7, 1.0)]
    assert (detections[0][2] == (x < 20)).all() and (detections[1][2] == (x >= 20)).all()


def test_specks_score_nothing_and_nothing_is_nothing():
    walked = np.zeros((1, 40, 40), np.float32)
    walked[0, 3, 3] = walked[0, 10:30, 10:30] = 1
    found = displacements.instances(walked, np.array([0]), [2], smallest=0.01)
    assert sorted(score for _, score, _ in found) == [0.0, 1.0]
    assert displacements.instances(np.zeros((1, 5, 5)), np.array([0]), [1]) == []


def test_masks_are_packed_without_loss():
    region = np.zeros((9, 11), bool)
    region[2:5, 3:8] = region[6, 9] = True
    assert (instances.unpacked(*instances.packed(region), (9, 11)) == region).all()


class Colour(nn.Module):
    def forward(self, x):
        return torch.stack([x[:, 0], x[:, 1]], 1)


def test_inference_of_a_network_that_sees_colours(tmp_path):
    image = np.zeros((30, 44, 3), np.uint8)
    image[:, :22, 0] = image[:, 22:, 1] = 255
    wanted = (np.arange(44) >= 22)[None].repeat(30, 0)
    for style in inference.STYLES:
        found = inference.label_picture(Colour().eval(), image, style, 32, 1.0, [0.5, 1.0])
        assert found.dtype == np.uint8 and (found == wanted).mean() > 0.95, style
    with pytest.raises(ValueError, match="use one of"):
        inference.label_picture(Colour(), image, "cubic", 32, 1.0, [1.0])
    cv2.imwrite(str(tmp_path / "a.png"), found)
    for name in ("one.zip", "two.zip"):
        inference.submission(tmp_path, ["a"], tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["a.png"]
        packed = np.frombuffer(archive.read("a.png"), np.uint8)
        assert (cv2.imdecode(packed, cv2.IMREAD_UNCHANGED) == found).all()


def test_the_mirror_image_is_scaled_and_scaled_back_before_it_is_mirrored_back():
    """Variant by variant, written down in the original's order: flip, scale; scale back, flip back."""
    generator = torch.Generator().manual_seed(1)
    x, kernel = torch.randn(1, 3, 33, 45, generator=generator), torch.randn(4, 3, 3, 3, generator=generator)

    def network(picture):
        return torch.nn.functional.conv2d(picture, kernel, padding=1)

    wanted = []
    for flipped in (False, True):
        for scale in (0.5, 1.0, 2.0):
            picture = x.flip(-1) if flipped else x
            picture = torch.nn.functional.interpolate(picture, scale_factor=scale, mode="nearest")
            logits = torch.nn.functional.interpolate(network(picture), size=(33, 45), mode="nearest")
            wanted.append(logits.flip(-1) if flipped else logits)
    found = inference.mean_logits(network, x)
    assert torch.allclose(found, torch.stack(wanted).mean(0), atol=1e-5)


def test_boundaries_of_a_mirror_image_are_padded_as_it_is():
    """The mirror image has its padding at the right too: its boundaries are cropped before they are mirrored back."""
    seen = []

    def network(pair):
        seen.append(pair)
        maps = torch.nn.functional.avg_pool2d(pair, 4)
        return maps[:, :1], maps[:, 1:]

    x = torch.randn(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    edge, moved = flipped_edges(network, x, pad=48)
    assert seen[0].shape == (2, 3, 48, 48) and torch.equal(seen[0][1, :, :20, :28], x[0].flip(-1))
    assert not seen[0][:, :, :, 28:].any() and not seen[0][:, :, 20:].any()
    own, other = network(x)[0][0, 0], network(x.flip(-1))[0][0, 0].flip(-1)
    assert torch.allclose(edge, ((own + other) / 2).sigmoid(), atol=1e-6) and moved.shape == (2, 5, 7)


def test_augmentation_is_a_function_of_its_generator():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    label = (image[..., 0] > 128).astype(np.uint8)
    for scope in ("strong", "irnet", "none"):
        for seed in range(12):
            one, other = (augmentation.augmented(image, np.random.default_rng(seed), label, scope) for _ in range(2))
            assert (one[0] == other[0]).all() and (one[1] == other[1]).all()
            assert one[0].shape == image.shape and set(np.unique(one[1])) <= {0, 1}
    with pytest.raises(ValueError, match="use strong, irnet or none"):
        augmentation.augmented(image, np.random.default_rng(0), scope="weak")
    with pytest.raises(ValueError, match="transposed or centre"):
        augmentation.augmented(image, np.random.default_rng(0), about="middle")


def test_gamma_is_an_integer_of_hundredths():
    """The original's table of each of the 41 exponents, and no other one between."""
    levels = np.arange(256, dtype=np.uint8)
    unit = np.arange(0, 256.0 / 255, 1.0 / 255)
    tables = {(unit ** (k / 100) * 255).astype(np.uint8).tobytes(): k for k in range(80, 121)}
    found = [tables.get(augmentation.gamma(levels, np.random.default_rng(seed)).tobytes()) for seed in range(400)]
    assert set(found) == set(range(80, 121))


@pytest.mark.parametrize("about, x, y", [("transposed", 20, 30), ("centre", 30, 20)])
def test_the_bent_maps_control_points_lie_where_the_original_puts_them(about, x, y):
    """albumentations 0.4.5 takes (height, width) // 2 for the (x, y) of the centre. The two maps move the same way the
    points that lie alike to their centres; on a square they are one."""
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    seed = next(seed for seed in range(9) if np.random.default_rng(seed).random() < 0.5)
    bent, = augmentation.bent([image], np.random.default_rng(seed), 9, about)
    rng = np.random.default_rng(seed)
    rng.random()
    points = np.float32([[x + 13, y + 13], [x + 13, y - 13], [x - 13, y - 13]])
    matrix = cv2.getAffineTransform(points, points + rng.uniform(-9, 9, (3, 2)).astype(np.float32))
    wanted = cv2.warpAffine(image, matrix, (60, 40), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    assert (bent == wanted).all()
    square, = augmentation.bent([image[:, :40]], np.random.default_rng(seed), 9, about)
    assert (square == augmentation.bent([image[:, :40]], np.random.default_rng(seed), 9)[0]).all()


def test_labels_move_with_their_picture_if_sizes_agree():
    image = np.zeros((60, 60, 3), np.uint8)
    image[20:40, 15:50] = 200
    label = (image[..., 0] > 100).astype(np.uint8)
    for seed in range(20):
        moved, labels = augmentation.augmented(image, np.random.default_rng(seed), label, "irnet")
        assert ((moved[..., 0] > 100) == labels).mean() > 0.95


@pytest.fixture
def square(monkeypatch):
    """A picture of 60 x 90 pixels with a grey square of 30, and its label map."""
    image = np.zeros((60, 90, 3), np.uint8)
    image[15:45, 30:60] = 200
    monkeypatch.setattr(read, "image", lambda item: image)
    monkeypatch.setattr(segmentation, "read_image", lambda item: image)
    return (image[..., 0] > 100).astype(np.uint8)


def test_labels_bent_in_their_own_pixels_leave_their_picture(square):
    """Labels of a third of the picture's size that move by as many pixels move three times as far."""
    small, items = square[1::3, 1::3], [Item(str(k), None, None) for k in range(30)]
    right = {}
    for aligned in (True, False):
        samples = data.Squashed(items, 60, label_of=lambda item: small, scope="irnet", pixels=9, aligned=aligned)
        right[aligned] = np.mean([((one["x"][0] > 0).long() == one["label"]).float().mean() for one in samples])
    assert right[True] > 0.96 > 0.94 > right[False]


def test_squashed_pictures_lose_their_shape(square, tmp_path):
    """The segmenter's labels: the square's height over its width is that of the picture's width over its height."""
    cv2.imwrite(str(tmp_path / "a.png"), square)
    p = SimpleNamespace(seg_side=120, seed=0, seg_scales=[1.0, 1.0], seg_base=1.0, bend_pixels=0, bend_about="centre")
    for style, shape in (("squashed", 90 / 60), ("crops", 1)):
        found = [np.asarray(segmenter.samples(SimpleNamespace(**vars(p), seg_style=style), [Item("a", None, None)],
                                              tmp_path, epoch)[0]["label"]) == 1 for epoch in range(9)]
        sizes = [(one.any(1).sum(), one.any(0).sum()) for one in found]
        assert np.median([height / width for height, width in sizes]) == pytest.approx(shape, abs=0.05), style


def test_a_picture_in_a_crop_and_a_window_of_it():
    class Last:
        def randrange(self, stop):
            return stop - 1

    assert augmentation.crop_box((30, 80), 50, Last()) == (20, 50, 0, 50, 0, 30, 30, 80)


def test_schedules_and_optimisers():
    rate = optimisation.schedule("step", 9, 10)
    assert [round(rate(e * 10, 90), 3) for e in (0, 2, 3, 6)] == [1, 1, 0.2, 0.04]
    assert optimisation.schedule("poly epochs", 4, 10)(19, 40) == pytest.approx(0.75**0.9)
    assert optimisation.schedule("poly", 4, 10)(20, 40) == pytest.approx(0.5**0.9)
    weights = [{"params": [nn.Parameter(torch.ones(1))]}]
    assert optimisation.optimiser("sgd", weights, 0.1, 1e-4, 10).param_groups[0]["momentum"] == 1e-4
    for wrong in (lambda: optimisation.schedule("cosine", 1, 1),
                  lambda: optimisation.optimiser("lion", weights, 0.1, 0, 1)):
        with pytest.raises(ValueError, match="use"):
            wrong()


def test_scores_of_small_tables():
    table = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    found = evaluate.segmentation_scores(table)
    assert found["mIoU"] == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert found["mean accuracy"] == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert found["pixel accuracy"] == pytest.approx(9 / 12)
    assert np.isnan(evaluate.plain_mean_iou(table))
    assert np.isnan(evaluate.segmentation_scores(np.zeros((2, 2)))["mIoU"])
    table = [[2, 1, 0], [1, 3, 1], [0, 0, 2]]
    assert evaluate.object_scores(table) == pytest.approx({"called object": 7 / 10, "right": 5 / 7, "found": 5 / 7})
    assert np.isnan(evaluate.object_scores(np.diag([3, 0, 0]))["right"])


def test_what_irn_trains_with_is_left_out_of_its_file():
    """Its training network keeps index tensors beside the weights, and its file has them."""
    state = dict(IRNet(ResNet(50, pooled=True), "stored mean").state_dict())
    theirs = {k.removeprefix("branches.") if "branches." in k else f"resnet50.{k}": v for k, v in state.items()}
    for name in ("path_indices0", "path_indices12", "ind_from", "ind_to", "disp_target"):
        theirs[name] = torch.zeros(3)
    assert original_names.irn_state(theirs).keys() == state.keys()


def test_released_files_load_through_the_chain(tmp_path):
    """IRN's classifier and NoPeopleAllowed's DeepLabV3+ under their own names, as the checkpoints of 01 and 06."""
    ours, _ = model.build("resnet50", 20, extra=0, bias=False)
    state = {f"resnet50.{key}" if not key.startswith("extra_linear.") else "classifier.weight":
             value if not key.startswith("extra_linear.") else value[..., None, None]
             for key, value in ours.state_dict().items() if not key.endswith("num_batches_tracked")}
    state |= {"stage1.0.weight": state["resnet50.conv1.weight"], "newly_added.0.weight": state["classifier.weight"]}
    save_torch(tmp_path / "res50_cam.pth", state)
    loaded, origin = model.build("resnet50", 20, extra=0, bias=False, checkpoint=str(tmp_path / "res50_cam.pth"))
    assert origin == "checkpoint res50_cam.pth"
    assert all(torch.equal(value, ours.state_dict()[key]) for key, value in loaded.state_dict().items())

    network, _ = heads.build("deeplabv3plus", "resnet50", 5, output_stride=8)
    theirs = {f"model.classifier.{key[5:]}" if key.startswith("head.") else f"model.backbone.{key}": value
              for key, value in network.state_dict().items()}
    for content in (theirs, {"model": theirs, "epoch": torch.tensor(40)}):
        save_torch(tmp_path / "deeplab.pth", content)
        file = tmp_path / "deeplab.pth"
        loaded, _ = heads.build("deeplabv3plus", "resnet50", 5, output_stride=8, checkpoint=file)
        assert all(torch.equal(value, network.state_dict()[key]) for key, value in loaded.state_dict().items())
    del theirs["model.classifier.project.0.weight"]
    save_torch(tmp_path / "deeplab.pth", theirs)
    with pytest.raises(FileError, match="1 tensors missing"):
        heads.build("deeplabv3plus", "resnet50", 5, output_stride=8, checkpoint=tmp_path / "deeplab.pth")


def test_deeplabv3plus_has_torchvisions_dilations():
    """Stage 3 is dilated from its second block on, stage 4 begins with 2: as the released network was trained."""
    with torch.device("meta"):  # shapes alone
        network, _ = heads.build("deeplabv3plus", "resnet50", 5, output_stride=8)
        plain = backbones.build("resnet50", 8)
    found = [[block.conv2.dilation[0] for block in getattr(network, f"layer{i}")] for i in (2, 3, 4)]
    assert found == [[1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]]
    assert [[block.conv2.dilation[0] for block in getattr(plain, f"layer{i}")] for i in (3, 4)] == [[2] * 6, [4] * 3]
