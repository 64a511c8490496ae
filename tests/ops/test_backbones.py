"""Backbones: what forward gives, and which weight files they accept."""

import pytest
import torch

from wsnb.files import FileError
from wsnb.models import backbones
from wsnb.models.vgg16 import LAYERS

RNA = "ilsvrc-cls_rna-a1_cls1000_ep-0001.pth"
BUILDS = [*((name, 0) for name in backbones.NAMES), ("mobilenet_v2", 8)]


def shell(name, output_stride=0):
    """A backbone without values: shapes cost nothing."""
    with torch.device("meta"):
        return backbones.build(name, output_stride)


def empty(name):
    """A backbone with memory but without initialisation."""
    backbone = shell(name).to_empty(device="cpu")
    for key, tensor in backbone.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(7)
    return backbone


def fabricated(shapes):
    """A file's tensors: the n-th holds n everywhere, and takes no room on disk."""
    return {key: torch.full((), float(n)).expand(shape) for n, (key, shape) in enumerate(shapes.items(), start=1)}


def own_shapes(name):
    return {k: v.shape for k, v in shell(name).state_dict().items() if not k.endswith("num_batches_tracked")}


def torchvision_shapes(name):
    from torchvision import models  # after wsnb, which makes it load beside a torch for the CPU alone

    with torch.device("meta"):
        return {k: v.shape for k, v in getattr(models, name)(weights=None).state_dict().items()}


def saved(path, state):
    torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("size", [(65, 65), (64, 97)], ids=str)
@pytest.mark.parametrize("name, output_stride", BUILDS)
def test_channels_and_strides_are_what_forward_gives(name, output_stride, size):
    backbone = shell(name, output_stride).eval()
    features = backbone(torch.zeros(1, 3, *size, device="meta"))
    assert tuple(f.shape[1] for f in features) == backbone.channels
    for feature, stride in zip(features, backbone.strides, strict=True):
        assert tuple(feature.shape[2:]) == tuple(-(-side // stride) for side in size)  # rounded up
    assert backbone.strides.index(4) >= 0  # the decoder's shallow feature
    for frozen in backbone.frozen:
        backbone.get_submodule(frozen)


def test_maps_of_the_papers_crop():
    """conv3 is 81 x 81 for a crop of 321; the last map 41 x 41 or, for ResNets, 21 x 21."""
    for name, side in (("resnet38", 41), ("vgg16", 41), ("resnet50", 21), ("resnet101", 21)):
        backbone = shell(name)
        features = backbone(torch.zeros(1, 3, 321, 321, device="meta"))
        assert features[backbone.strides.index(4)].shape[1:] == (256, 81, 81)
        assert features[-1].shape[2:] == (side, side)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_mobilenet_runs_and_dilation_keeps_the_weights(output_stride):
    torch.manual_seed(0)
    backbone = backbones.build("mobilenet_v2", output_stride).eval()
    with torch.no_grad():
        features = backbone(torch.rand(2, 3, 65, 65))
    assert all(torch.isfinite(f).all() for f in features)
    theirs = torchvision_shapes("mobilenet_v2")
    assert all(tensor.shape == theirs[key] for key, tensor in backbone.state_dict().items())


def test_unknown_names():
    with pytest.raises(ValueError, match="resnet18.*choose one of resnet38"):
        backbones.build("resnet18")
    with pytest.raises(ValueError, match="8 or 16"):
        backbones.build("mobilenet_v2", 32)


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "mobilenet_v2"])
def test_torchvision_files_fill_every_tensor(tmp_path, name):
    state = fabricated(torchvision_shapes(name))
    backbone = empty(name)
    assert backbones.load_imagenet(backbone, name, saved(tmp_path / f"{name}.pth", state)) == f"{name}.pth"
    own = backbone.state_dict()
    assert all((tensor == state[key].to(tensor.dtype)).all() for key, tensor in own.items())
    left = [key for key in state if key not in own]
    assert left and all(key.startswith(("fc.", "classifier.", "features.18.")) for key in left)


def test_old_torchvision_files_lack_the_batch_counters(tmp_path):
    state = fabricated({k: s for k, s in torchvision_shapes("resnet50").items() if "num_batches" not in k})
    backbone = empty("resnet50")
    backbones.load_imagenet(backbone, "resnet50", saved(tmp_path / "resnet50-19c8e357.pth", state))
    assert (backbone.layer4[2].conv3.weight == state["layer4.2.conv3.weight"]).all()
    assert backbone.bn1.num_batches_tracked == 7


def test_wide_resnet_file(tmp_path):
    shapes = own_shapes("resnet38")
    assert len(shapes) == 191
    state = fabricated(shapes | {"linear1000.weight": (1000, 4096), "linear1000.bias": (1000,)})
    backbone = empty("resnet38")
    assert backbones.load_imagenet(backbone, "resnet38", saved(tmp_path / RNA, state)) == RNA
    for key, tensor in backbone.state_dict().items():
        assert tensor.flatten()[0] == (state[key].flatten()[0] if key in state else 7)


def test_caffe_vgg_file(tmp_path):
    state = fabricated(own_shapes("vgg16"))
    assert len(state) == 30 and list(state)[:2] == ["conv1_1.weight", "conv1_1.bias"]
    backbone = empty("vgg16")
    backbones.load_imagenet(backbone, "vgg16", saved(tmp_path / "vgg16_20M.pth", state))
    assert all((tensor == state[key]).all() for key, tensor in backbone.state_dict().items())


def test_torchvision_vgg_file_is_renamed_and_decimated(tmp_path):
    state = fabricated(torchvision_shapes("vgg16"))
    state["classifier.0.weight"] = torch.arange(512 * 49.0).expand(4096, -1)  # channel * 49 + row * 7 + column
    state["classifier.0.bias"] = torch.arange(4096.0)
    state["classifier.3.weight"] = torch.arange(4096.0).expand(4096, -1)
    backbone = empty("vgg16")
    origin = backbones.load_imagenet(backbone, "vgg16", saved(tmp_path / "vgg16-397923af.pth", state))
    assert origin == "vgg16-397923af.pth, fc6 and fc7 decimated"
    convolutions = [k for k in state if k.startswith("features.") and k.endswith("weight")]
    for (layer, _, _), key in zip(LAYERS, convolutions, strict=True):
        assert (getattr(backbone, layer).weight == state[key]).all()
        assert (getattr(backbone, layer).bias == state[key.replace("weight", "bias")]).all()
    assert backbone.fc6.weight[17, 2].tolist() == [[98, 101, 104], [119, 122, 125], [140, 143, 146]]
    assert backbone.fc6.bias.tolist() == list(range(0, 4096, 4))
    assert backbone.fc7.weight[9, :, 0, 0].tolist() == list(range(0, 4096, 4))
    assert (backbone.fc7.bias == state["classifier.3.bias"][0]).all()


@pytest.mark.parametrize("name", ["resnet38", "vgg16", "resnet50", "mobilenet_v2"])
@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_files_that_do_not_fit_are_named(tmp_path, name, fault):
    state = fabricated(own_shapes(name))
    key = list(state)[3]
    if fault == "missing":
        del state[key]
    elif fault == "unknown":
        state[key := "decoder.weight"] = torch.zeros(3)
    else:
        state[key] = torch.zeros(2, 2)
    with pytest.raises(FileError, match=f"mine.pth.* 1 (tensors missing|unknown|of another shape) .'{key}'"):
        backbones.load_imagenet(shell(name), name, saved(tmp_path / "mine.pth", state))


def test_a_file_of_another_backbone_is_refused(tmp_path):
    path = saved(tmp_path / "resnet101.pth", fabricated(torchvision_shapes("resnet101")))
    with pytest.raises(FileError, match="unknown"):
        backbones.load_imagenet(shell("resnet50"), "resnet50", path)


def test_missing_and_damaged_files(tmp_path):
    backbone = shell("mobilenet_v2")
    for weights in ("nowhere.pth", "", str(tmp_path)):
        with pytest.raises(FileError, match="no such file; give a path, 'imagenet' or 'random'"):
            backbones.load_imagenet(backbone, "mobilenet_v2", weights)
    (tmp_path / "x.pth").write_bytes(b"PK not really")
    with pytest.raises(FileError, match="x.pth"):
        backbones.load_imagenet(backbone, "mobilenet_v2", str(tmp_path / "x.pth"))


def test_random_and_the_weights_nobody_serves():
    backbone = shell("resnet38")
    assert backbones.load_imagenet(backbone, "resnet38", "random") == "random"
    with pytest.raises(FileError, match=RNA):
        backbones.load_imagenet(backbone, "resnet38", "imagenet")
