"""Class activation maps, their store, confident labels and the sweep."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from wsnb import metrics
from wsnb.files import FileError
from wsnb.models import backbones, heads
from wsnb.ops import cam, crf, gradcam, threshold_sweep
from wsnb.papers.no_people_allowed import cams, confident_labels, model
from wsnb.papers.single_stage.model import CAMBaseline, SingleStage


def network(extra=6, inplace=True):
    torch.manual_seed(0)
    net = model.GapClassifier(model.backbones.build("tiny"), 4, extra).eval()
    nn.init.normal_(net.extra_linear.weight)
    for layer in net.extra_convs[1::2]:
        layer.inplace = inplace
    return net


def test_grad_cam_behind_global_pooling_is_cam():
    net, x = network(extra=0), torch.randn(2, 3, 32, 40)
    maps = gradcam.gradcam(net, "last", x, [0, 3])
    plain = cam.activation_map(net.deep(x), net.extra_linear.weight)[:, [0, 3]]
    assert torch.allclose(maps, plain / plain[0, 0].numel(), atol=1e-6)


def test_scales_weigh_alike_in_cam_alone():
    """Grad-CAM's 1/HW makes the map of half the size four times as large."""
    image, tags = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), np.float32([1, 0, 1, 0])
    found = {method: cams.class_maps(network(extra=0), image, tags, cams.Settings(method, 64, scales=(1.0, 0.5)))[1]
             for method in ("cam", "gradcam")}
    assert [maps[0].size for maps in found["cam"]] == [64, 16]
    for plain, by_gradient in zip(*found.values(), strict=True):
        assert np.allclose(by_gradient, plain / plain[0].size, atol=1e-6)


def test_the_closed_form_of_the_in_place_quirk():
    net, x = network(), torch.randn(1, 3, 32, 32)
    seen = net.deep(x)
    share = (seen > 0).float().mean((2, 3))[0]
    closed = torch.einsum("k,ck,khw->chw", share, net.extra_linear.weight, seen[0]) / seen[0, 0].numel()
    assert torch.allclose(gradcam.gradcam(net, net.cam_layer, x, range(4), inplace_relu=True)[0], closed, atol=1e-6)


@pytest.mark.parametrize("quirk", [True, False])
def test_an_in_place_relu_changes_nothing_by_itself(quirk):
    x = torch.randn(1, 3, 32, 32)
    one, other = (gradcam.gradcam(network(inplace=i), "extra_convs.4", x, [1], True, quirk) for i in (True, False))
    assert torch.equal(one, other)


def test_hooks_are_gone_whatever_happens():
    net = network()
    layer = net.get_submodule(net.cam_layer)
    with pytest.raises(RuntimeError):
        gradcam.forward(net, net.cam_layer, torch.randn(1, 7, 32, 32))
    assert not layer._forward_hooks and torch.is_grad_enabled()
    gradcam.forward(net, net.cam_layer, torch.randn(1, 3, 32, 32))
    assert not layer._forward_hooks and torch.is_grad_enabled()
    with pytest.raises(AttributeError):
        gradcam.forward(net, "no_such_layer", torch.randn(1, 3, 32, 32))


def test_maps_need_no_gradient_of_the_weights():
    net, x = network(), torch.randn(1, 3, 32, 32)
    before = gradcam.gradcam(net, net.cam_layer, x, [2])
    for parameter in net.parameters():
        parameter.requires_grad = False
    assert torch.equal(gradcam.gradcam(net, net.cam_layer, x, [2]), before)


def test_grad_cam_of_networks_that_give_maps_is_the_class_map():
    """Behind a last 1x1 convolution the gradient of the summed logits is that convolution's weight."""
    x = torch.randn(1, 3, 64, 64)
    net = heads.build("largefov", "tiny", 4, width=8)[0].eval()
    logits = net(x).detach()
    maps = gradcam.gradcam(net, "head.layers", x, [0, 3])
    assert torch.allclose(maps, (logits - net.head.fc8.bias[:, None, None])[:, [0, 3]], atol=1e-5)
    net = SingleStage(backbones.build("tiny"), 5, width=32).eval()
    logits = net(x).detach()
    maps = gradcam.gradcam(net, "last_conv.6", x, [0, 2])
    assert not maps[:, 0].any()  # the background's logit is a constant
    assert torch.allclose(maps[:, 1], logits[:, 2] - net.last_conv[8].bias[1], atol=1e-5)


def test_grad_cam_of_a_network_that_gives_several_things_takes_the_first():
    net, x = CAMBaseline(backbones.build("tiny"), 5).eval(), torch.randn(1, 3, 64, 64)
    activation = net(x)[1].detach()
    maps = gradcam.gradcam(net, "stage5", x, [1])
    assert torch.allclose(maps[:, 0], activation[:, 1] / activation[0, 0].numel(), atol=1e-6)
    with pytest.raises(ValueError, match="the network gives dict; wrap it"):
        gradcam.scores_of({"logits": x})


def test_a_mirrored_picture_has_mirrored_maps():
    net, x = network(0), torch.randn(1, 3, 32, 32)

    def maps(x):
        return gradcam.gradcam(net, "last", x, [0, 1])

    one, other = (cam.multiscale(maps, picture, [1.0, 0.5]) for picture in (x, x.flip(-1)))
    assert len(one) == 2
    assert all(torch.allclose(a, b.flip(-1), atol=1e-6) for a, b in zip(one, other, strict=True))


def test_labels_that_a_classifier_finds():
    assert cam.predicted_tags(torch.tensor([-1.0, 2.0, 0.1])).tolist() == [1, 2]
    assert cam.predicted_tags(torch.tensor([-3.0, -2.0, -4.0])).tolist() == [1]


def test_the_store_keeps_maps_small_and_close(tmp_path):
    maps = np.random.default_rng(0).standard_normal((2, 20, 30)).astype(np.float32) * 1e-6
    cam.write(tmp_path, "a", [3, 7], maps, (80, 120))
    keys, found = cam.read(tmp_path, "a", "stored")
    assert keys.tolist() == [3, 7] and np.abs(found - maps).max() <= 1e-3 * np.abs(maps).max()
    assert cam.read(tmp_path, "a")[1].shape == (2, 80, 120)
    assert cam.read(tmp_path, "a", (7, 9))[1].shape == (2, 7, 9)
    assert (tmp_path / "a.npz").stat().st_size < 2 * 2 * 20 * 30 + 2000
    cam.write(tmp_path, "none", [], np.zeros((0, 20, 30)), (80, 120))
    assert cam.read(tmp_path, "none")[1].shape == (0, 80, 120)


def test_the_store_refuses_what_is_broken(tmp_path):
    with pytest.raises(FileError, match="NaN"):
        cam.write(tmp_path, "a", [0], np.full((1, 2, 2), np.nan), (8, 8))
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.npz").write_bytes(b"")
    with pytest.raises(FileError, match="b.npz"):
        cam.read(tmp_path, "b")


def picture(seed=0, size=(24, 30)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, 3)).astype(np.uint8), rng.random((2, *size)).astype(np.float32)


def test_maps_that_share_a_lattice_are_the_same_bit_for_bit():
    image, maps = picture()
    labels = [cam.thresholded(maps, t) for t in (0.2, 0.5, 0.9)]
    together = crf.refine_labels(image, labels, 3)
    alone = [crf.refine_labels(image, [one], 3)[0] for one in labels]
    assert all((a == b).all() for a, b in zip(together, alone, strict=True))
    assert any((a != b).any() for a, b in zip(together, labels, strict=True))


def test_reversed_thresholds_leave_nothing_unsure():
    image, maps = picture()
    maps /= maps.max()
    (reverse, _), (right, plain) = (
        confident_labels.confident_and_plain(image, np.array([3, 8]), maps,
                                             confident_labels.Thresholds("joint", *thresholds, 0.5),
                                             replace(crf.LABEL_CRF, iterations=0))
        for thresholds in ((0.0075, 0.24), (0.6, 0.3))
    )
    assert ((plain == 0) == (maps.max(0) <= 0.5)).all() and set(np.unique(plain)) == {0, 4, 9}
    assert not (reverse == 255).any() and (right == 255).any()
    assert set(np.unique(right)) <= {0, 4, 9, 255}
    top = maps.max(0)
    assert ((right == 0) == (top <= 0.3)).all() and ((right == 255) == ((top > 0.3) & (top <= 0.6))).all()


def test_the_joint_maximum_leaves_the_fainter_class_faint():
    peaks = {rule: cam.normalised(np.array([[[4.0, 2.0]], [[1.0, -1.0]]]), rule).max((1, 2)) for rule in cam.NORMALISE}
    np.testing.assert_allclose(peaks["joint"], [1, 0.25])
    np.testing.assert_allclose(peaks["per class"], [1, 1], atol=1e-4)


def test_no_class_is_all_background():
    image, _ = picture()
    thresholds, none = confident_labels.Thresholds("per class", 0.3, 0.05, 0.15), np.zeros(0, np.int64)
    found = confident_labels.confident_and_plain(image, none, np.zeros((0, 24, 30), np.float32), thresholds,
                                                 crf.LABEL_CRF)
    assert not any(label.any() for label in found)


def test_the_sweep_is_a_hundred_passes():
    rng = np.random.default_rng(3)
    counted = threshold_sweep.Sweep(6)
    pictures = []
    for _ in range(3):
        truth = rng.choice([0, 1, 2, 5, 255], (12, 14)).astype(np.uint8)
        maps = (rng.integers(0, 257, (2, 12, 14)) / 256).astype(np.float32)  # on the grid: ties and both ends
        pictures.append((truth, np.array([2, 5]), maps))
        counted.add(*pictures[-1])
    for level in (0, 1, 64, 128, 200, 255):
        plain = np.zeros((6, 6), np.int64)
        for truth, keys, maps in pictures:
            winner = np.where(maps.max(0) > level / 256, keys[maps.argmax(0)], 0).astype(np.uint8)
            plain += metrics.confusion(truth, winner, 6)
        assert (counted.confusion(level) == plain).all()
    values = counted.curve()[1]
    plain = [metrics.mean_iou(counted.confusion(level)) for level in range(256)]
    assert np.allclose(values, plain, equal_nan=True)
    assert counted.best() == int(np.nanargmax(values))


def test_a_fixed_threshold_is_exact():
    """0.15 lies between two of the 256 levels: a pixel of 0.149 is background, which at 38 / 256 is none."""
    truth, maps = np.array([[1, 1]], np.uint8), np.array([[[0.149, 0.151]]], np.float32)
    counted = threshold_sweep.Sweep(2, fixed=0.15)
    counted.add(truth, [1], maps)
    assert counted.at(0.15).tolist() == [[0, 0], [1, 1]] and counted.at(38 / 256).tolist() == [[0, 0], [0, 2]]
    with pytest.raises(ValueError, match="0.2"):
        counted.at(0.2)


def test_the_sweep_of_nothing():
    empty = threshold_sweep.Sweep(3)
    assert np.isnan(empty.curve()[1]).all() and 0 <= empty.best() < 256
    empty.add(np.zeros((2, 2), np.uint8), [], np.zeros((0, 2, 2)))
    assert empty.confusion(10)[0, 0] == 4
    with pytest.raises(ValueError, match="NaN"):
        empty.add(np.zeros((2, 2), np.uint8), [1], np.full((1, 2, 2), np.nan))
