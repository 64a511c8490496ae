"""The network and its baseline: keys of the released files, frozen layers, the gate's expectation."""

import pytest
import torch
from torch import nn

from wsnb.files import FileError
from wsnb.models import backbones
from wsnb.models.backbone_wrapper import parameter_groups
from wsnb.papers.single_stage import losses, steps
from wsnb.papers.single_stage import model as networks
from wsnb.papers.single_stage.model import CAMBaseline, SingleStage, cam_masks

TOTALS = {"resnet38": (309, 138_027_943), "vgg16": (111, 30_586_626), "resnet50": (399, 41_266_103),
          "resnet101": (705, 60_310_506)}  # tensors and elements of the state dict
DECODER = ("aspp.", "_aff.", "shallow_mask.", "fc8_skip.", "fc8_x.", "last_conv.")
SMALL = dict(n_classes=5, width=16)


def small(model="single_stage", freeze=True, seed=0):
    torch.manual_seed(seed)
    return networks.build(model, "mobilenet_v2", freeze=freeze, **SMALL)[0]


def batch(size=65):
    own = torch.Generator().manual_seed(3)
    return torch.randn(2, 3, size, size, generator=own), torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0]])


@pytest.mark.parametrize("name", TOTALS)
def test_keys_and_elements_of_the_released_networks(name):
    with torch.device("meta"):
        state = SingleStage(backbones.build(name)).state_dict()
    assert (len(state), sum(v.numel() for v in state.values())) == TOTALS[name]
    assert sum(k.startswith(DECODER) for k in state) == 81
    assert state["last_conv.8.weight"].shape == (20, 256, 1, 1) and state["last_conv.8.bias"].shape == (20,)
    assert [len(state[f"_aff.aff_{k}.kernel"]) for k in ("x", "m", "std")] == [8, 8, 9]


@pytest.mark.parametrize("name, fan_out", [("resnet38", 4096), ("vgg16", 1024), ("resnet50", 2048),
                                           ("mobilenet_v2", 320)])
def test_the_baseline_has_one_layer_more_than_its_backbone(name, fan_out):
    with torch.device("meta"):
        backbone = backbones.build(name)
        network = CAMBaseline(backbone, 21)
    assert set(network.state_dict()) == {*backbone.state_dict(), "fc8.weight"}
    assert network.fc8.weight.shape == (20, fan_out, 1, 1)


@pytest.mark.parametrize("name, multiplier, counts", [
    ("resnet38", 2, (35, 0, 26, 13)), ("vgg16", 2, (13, 13, 26, 13)),
    ("resnet50", 1, (52, 0, 26, 13)), ("resnet101", 1, (103, 0, 26, 13))])
def test_optimiser_groups(name, multiplier, counts):
    with torch.device("meta"):
        network = SingleStage(backbones.build(name))
    groups = parameter_groups(network, 0.001, 5e-4, multiplier)
    assert tuple(len(g["params"]) for g in groups) == counts
    assert [g["lr"] for g in groups] == pytest.approx([0.001, 0.001 * multiplier, 0.01, 0.01 * multiplier])
    assert [g["weight_decay"] for g in groups] == [5e-4, 0, 5e-4, 0]
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_shapes_and_the_constant_background():
    network = small().eval()
    with torch.no_grad():
        logits = network(batch()[0])
    assert logits.shape == (2, 5, 17, 17) and (logits[:, 0] == 1).all() and torch.isfinite(logits).all()
    scores, activation = small("cam_baseline").eval()(batch()[0])
    assert scores.shape == (2, 4) and activation.shape == (2, 4, 5, 5)
    torch.testing.assert_close(scores, activation.mean(dim=(2, 3)))  # pooling and 1x1 convolution commute


def test_cam_masks_by_hand():
    activation = torch.tensor([[[[-1.0, 2.0], [1.0, 4.0]], [[-3.0, -1.0], [-2.0, -1.0]]]])
    masks = cam_masks(activation, (2, 2))
    torch.testing.assert_close(masks[0, 1], torch.tensor([[0.0, 2.0], [1.0, 4.0]]) / (4 + 1e-5))
    assert (masks[:, 0] == 0.1).all() and not masks[0, 2].any()


def test_gate_is_the_deep_feature_on_average():
    torch.manual_seed(0)
    deep, shallow, draws, psi = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3), 4000, 0.3
    many = deep.expand(draws, -1, -1, -1)
    keep = networks.keep_mask(many, psi)
    assert set(keep.unique().tolist()) == {0, 1} and abs(keep.mean().item() - 0.7) < 4 * (0.21 / keep.numel()) ** 0.5
    assert keep[:, 0].ne(keep[:, 1]).any() and keep[..., 0].ne(keep[..., 1]).any()  # per channel and per pixel
    found = networks.stochastic_gate(many, shallow, psi, keep)
    error = 4.5 * found.std(0) / draws ** 0.5 + 1e-6
    assert ((found.mean(0) - deep[0]).abs() <= error).all()
    torch.testing.assert_close(networks.stochastic_gate(deep, shallow, psi), 0.7 * deep + 0.3 * shallow)
    assert torch.equal(networks.stochastic_gate(deep, shallow, 0.0, torch.ones_like(deep)), deep)


def test_draws_differ_in_training_and_not_in_evaluation(monkeypatch):
    network, (x, _) = small(), batch()
    for module in network.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0.0
    with torch.no_grad():
        network.train()
        assert not torch.equal(network(x), network(x))
        keep = networks.keep_mask(torch.zeros(2, 16, 17, 17), 0.3)
        monkeypatch.setattr(networks, "keep_mask", lambda deep, psi: keep)
        assert torch.equal(network(x), network(x))
        monkeypatch.undo()
        network.eval()
        assert torch.equal(network(x), network(x))


def after_a_step(freeze, model="single_stage"):
    """Names of the tensors that one training step changed."""
    network, (x, tags) = small(model, freeze).train(), batch()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimiser = torch.optim.SGD(parameter_groups(network, 0.1, 5e-4), momentum=0.9)
    out = steps.batch_losses(network, x, torch.rand_like(x), tags, losses.Settings(dilations=(1, 2), iterations=1))
    (out["tag_loss"] + out["mask_loss"]).backward()
    optimiser.step()
    return network, {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


def test_a_step_leaves_the_frozen_alone():
    network, changed = after_a_step(freeze=True)
    norms = [k for k, m in network.named_modules() if isinstance(m, nn.BatchNorm2d) and k.startswith("features")]
    frozen = [k for k in network.state_dict() if k.startswith(("features.0.", "features.1.", "_aff."))
              or k.rpartition(".")[0] in norms]
    assert norms and not changed & set(frozen)
    weights = {k for k, p in network.named_parameters() if p.requires_grad}
    assert weights == {k for k, _ in network.named_parameters()} - set(frozen) and weights <= changed


@pytest.mark.parametrize("freeze", [True, False])
def test_pyramid_norms_keep_their_statistics_but_learn_their_scale(freeze):
    network, changed = after_a_step(freeze)
    norms = [m for m in network.aspp.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 6 and not any(m.training for m in norms)
    for norm in norms:
        assert not norm.running_mean.any() and (norm.running_var == 1).all() and norm.num_batches_tracked == 0
    assert {"aspp.bn1.weight", "aspp.bn1.bias", "aspp.aspp2.bn.weight"} <= changed
    others = [k for k, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)
              and k.startswith(("shallow_mask", "fc8", "last_conv"))]
    assert len(others) == 7 and all(f"{k}.running_mean" in changed for k in others)


def test_without_freezing_everything_trains():
    network, changed = after_a_step(freeze=False)
    assert {k for k, _ in network.named_parameters()} <= changed
    assert {"features.0.1.running_mean", "features.17.conv.3.running_var"} <= changed
    assert not [k for k in changed if k.startswith("_aff.")]


def test_baseline_step_trains_the_head_and_the_body():
    _, changed = after_a_step(freeze=True, model="cam_baseline")
    assert {"fc8.weight", "features.17.conv.2.weight"} <= changed and "features.0.0.weight" not in changed


def test_modes_switch_back_and_forth():
    network = small()
    network.train().eval()
    assert not any(m.training for m in network.modules())
    network.train()
    still = {m for m in network.modules() if not m.training}
    assert still == set(network.fixed_norms)


def test_checkpoint_loads_strictly(tmp_path):
    path = tmp_path / "model_enc_e020Xs0.928.pth"
    torch.save(small(seed=5).state_dict(), path)
    network, origin = networks.build("single_stage", "mobilenet_v2", "nonsense", checkpoint=str(path), **SMALL)
    assert origin == "checkpoint model_enc_e020Xs0.928.pth"  # weights of the backbone are not looked for
    wanted = small(seed=5).state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "width", "model", "backbone"])
def test_other_checkpoints_are_refused(tmp_path, fault):
    state = small().state_dict()
    if fault == "missing":
        del state["fc8_x.0.weight"]
    elif fault == "unknown":
        state["module.fc8_x.0.weight"] = torch.zeros(1)
    elif fault == "shape":
        state["fc8_x.0.weight"] = torch.zeros(16, 19, 1, 1)
    torch.save(state, tmp_path / "x.pth")
    model, name, width = ("cam_baseline" if fault == "model" else "single_stage",
                          "resnet50" if fault == "backbone" else "mobilenet_v2", 32 if fault == "width" else 16)
    with torch.device("meta"):
        body = backbones.build(name)
        network = SingleStage(body, 5, width) if model == "single_stage" else CAMBaseline(body, 5)
    with pytest.raises(FileError, match="x.pth: not weights of this network.*Check the backbone") as error:
        networks.load_network(network, tmp_path / "x.pth")
    assert fault not in ("missing", "unknown", "shape") or "fc8_x.0.weight" in str(error.value)


def test_unknown_model():
    with pytest.raises(ValueError, match="choose one of single_stage, cam_baseline"):
        networks.build("bsl", "mobilenet_v2")


def test_parts_of_a_batch_are_normalised_apart():
    """Two parts of two pictures: the shared BatchNorms see each by itself, as on two devices."""
    torch.manual_seed(0)
    network, x, tags = SingleStage(backbones.build("tiny"), 4, 16).train(), torch.randn(4, 3, 32, 32), torch.ones(4, 3)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.eval()
    network.psi = 0.0
    kinds = dict(settings=losses.Settings(dilations=(1,), iterations=1), with_masks=False)
    whole, apart, first = (steps.batch_losses(network, part, part, tags[: len(part)], parts=parts, **kinds)["scores"]
                           for part, parts in ((x, 1), (x, 2), (x[:2], 1)))
    assert torch.allclose(apart[:2], first, atol=1e-5) and not torch.allclose(whole[:2], first, atol=1e-3)
