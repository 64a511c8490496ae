"""The classifiers of NoPeopleAllowed's registry: built, filled, trained, read off."""

from dataclasses import replace

import pytest
import torch

from wsnb.files import FileError, save_torch
from wsnb.ops import label_maps
from wsnb.papers.no_people_allowed import cams, model


@pytest.mark.parametrize("name", ("vgg16_bn", *model.WHOLE))
def test_every_classifier_of_the_registry(name):
    net = model.build(name, 1, extra=0 if name in model.WHOLE else 512)[0].eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, 64, 64)).shape == (1, 1)
    net.get_submodule(net.cam_layer)
    with pytest.raises(ValueError, match="choose one of"):
        model.build("vgg", 20)


@pytest.mark.parametrize("name", model.WHOLE)
def test_a_whole_network_of_the_registry_learns_and_has_maps(name, tmp_path):
    from torchvision import models

    theirs = (models.resnet34 if name == "resnet34" else models.resnet50)().state_dict()
    save_torch(tmp_path / "resnet.pth", theirs)
    net, origin = model.build(name, 3, str(tmp_path / "resnet.pth"), extra=0)
    assert origin == "resnet.pth" and torch.equal(net.conv1.weight, theirs["conv1.weight"])
    groups = model.learning_groups(net, 0.1)
    learn = {id(t) for group in groups for t in group["params"]}
    assert learn == {id(t) for t in net.parameters()}
    assert id(net.class_weights) in {id(t) for t in groups[2]["params"]}  # a new layer
    x, settings = torch.randn(1, 3, 64, 64), cams.Settings("cam", inplace_relu=False)
    keys = torch.tensor([0, 2])
    maps = {method: cams.maps_at_one_scale(net.eval(), x, keys, replace(settings, method=method)).detach()
            for method in ("cam", "gradcam")}
    if name != "resnet50_oaa":  # whose tapped layer has a ReLU behind it; elsewhere both are one, up to a factor
        scale = maps["cam"].abs().max() / maps["gradcam"].abs().max()
        assert torch.allclose(maps["cam"], scale * maps["gradcam"], atol=1e-4 * float(maps["cam"].abs().max()))
    assert name in label_maps.BACKBONES  # its name in tables
    save_torch(tmp_path / "own.pth", {"model": net.state_dict()})
    again, origin = model.build(name, 3, extra=0, checkpoint=str(tmp_path / "own.pth"))
    assert origin == "checkpoint own.pth" and torch.equal(again.class_weights, net.class_weights)
    if name == "resnet34":  # as the original names its layers
        original = {key.replace("extra_linear", "fc"): value for key, value in net.state_dict().items()}
    else:
        places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
        original = {".".join(["backbone", str(places[start]), rest]) if (start := key.partition(".")[0]) in places
                    else key: value for key, value in net.state_dict().items() for rest in [key.partition(".")[2]]}
    save_torch(tmp_path / "original.pth", original)
    again, _ = model.build(name, 3, extra=0, checkpoint=str(tmp_path / "original.pth"))
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in again.state_dict().items())
    with pytest.raises(ValueError, match="set extra 0, output_stride 0"):
        model.build(name, 3, freeze=True, extra=0)
    save_torch(tmp_path / "bad.pth", {key: value for key, value in theirs.items() if "layer2" not in key})
    with pytest.raises(FileError, match="missing"):
        model.build(name, 3, str(tmp_path / "bad.pth"), extra=0)
