"""Parity of the whole networks of `single_stage`: forward passes, a training step, parameter groups."""

from unittest import mock

import torch
import torch.nn.functional as F
from torch import nn

from tests.parity.compare import absolute, agreement, exact, fill_by_key, load, relative, tensors
from wsnb.models import backbones
from wsnb.models.backbone_wrapper import parameter_groups
from wsnb.papers.single_stage import inference, losses, model, steps
from wsnb.papers.single_stage.model import CAMBaseline, SingleStage


def _network_eval(path):
    d = tensors(path)
    network = fill_by_key(SingleStage(backbones.build(path.stem.split("_")[1]))).eval()
    with torch.no_grad():
        shallow, deep = network.shallow_and_deep(d["x"])
        logits = network(d["x"])
    masks = inference.enlarged_masks(network, inference.predict(network, d["x"])[1], d["x"].shape[-2:])
    return [
        relative("conv3", shallow, d["conv3"], 1e-3),
        relative("conv6", deep[:, :: int(d["conv6_channel_step"])], d["conv6"], 1e-3),
        relative("cls", losses.class_scores(logits), d["cls"], 1e-3),
        relative("masks", masks, d["masks"], 1e-3),
    ]


def _train_step(path):
    d, raw = tensors(path), load(path)
    network = fill_by_key(SingleStage(backbones.build("resnet50"))).train()
    for module in network.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0.0
    with torch.no_grad():
        network.last_conv[8].weight *= d["last_conv8_weight_multiplier"]
        network.last_conv[8].bias += d["last_conv8_bias_shift"]
    optimiser = torch.optim.SGD(parameter_groups(network, 5e-4, 5e-4, bias_multiplier=1), momentum=0.9)
    seen = []
    network.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with mock.patch.object(model, "keep_mask", return_value=d["keep_mask"].float()):  # the original's draw
        out = steps.batch_losses(network, d["x"], d["image_raw"], d["labels"])
    (logits,), size = seen, d["x"].shape[-2:]
    refined, pseudo = losses.refined_pseudo_labels(d["image_raw"], logits, d["labels"], size, losses.Settings())
    cam = losses.clean(F.interpolate(logits.softmax(1), size=size, mode="bilinear", align_corners=True), d["labels"])
    size_of_masks = logits.softmax(1).mean((2, 3))[:, 1:]
    foreground = (size_of_masks * d["labels"]).sum(1) / d["labels"].sum(1)
    loss_mask = losses.balanced_mask_loss(logits, pseudo, d["labels"])
    total = out["tag_loss"] + out["mask_loss"]
    total.backward()
    checks = [
        relative("cls", out["scores"], d["cls"], 1e-3),
        relative("cls_fg", foreground, d["cls_fg"], 1e-3),
        relative("logits", logits, d["logits"], 1e-3),
        relative("cam", cam, d["cam"], 1e-3),
        relative("dec", refined, d["dec"], 1e-3),
        agreement("pseudo", pseudo, d["pseudo"], 0.999),
        relative("loss_cls", out["tag_loss"], d["loss_cls"], 1e-3),
        relative("loss_mask", loss_mask, d["loss_mask"], 1e-3),
        relative("mean of loss_mask", out["mask_loss"], d["loss_mask"].mean(), 1e-3),
        relative("total", total, d["total"], 1e-3),
    ]
    norms = {name: p.grad.norm() for name, p in network.named_parameters() if p.grad is not None}
    ours = [float(norms[name]) for name in raw["grad_norm_names"].tolist()]
    checks += [
        exact("trained parameters", sorted(norms), sorted(raw["grad_norm_names"].tolist())),
        relative("gradient norms", ours, d["grad_norms"], 1e-3),
    ]
    optimiser.step()
    state = network.state_dict()
    for key in d:
        if key.startswith("after__"):
            name = key[len("after__") :].replace("__", ".")
            checks.append(relative(name, state[name].flatten()[: len(d[key])], d[key], 1e-3))
    return checks


def _baseline(path):
    d = tensors(path)
    network = fill_by_key(CAMBaseline(backbones.build("resnet50"))).eval()
    with torch.no_grad():
        scores, activation = network(d["x"])
    masks = inference.enlarged_masks(network, inference.predict(network, d["x"])[1], d["x"].shape[-2:])
    return [
        relative("cls", scores, d["cls"], 1e-3),
        relative("logits", activation, d["logits"], 1e-3),
        relative("masks", masks, d["masks_test"], 1e-3),
        relative("cleaned", losses.clean(masks, d["labels"]), d["cam_clean"], 1e-3),
    ]


def _param_groups(path):
    checks = []
    for name, wanted in load(path).items():
        with torch.device("meta"):
            network = SingleStage(backbones.build(name))
        network.train()
        state, keys = network.state_dict(), wanted["keys"]
        checks.append(exact(f"{name} keys", list(state), list(keys)))
        checks.append(
            exact(
                f"{name} shapes", [str(list(v.shape)) for v in state.values()], [str(k["shape"]) for k in keys.values()]
            )
        )
        trained = {k: p.requires_grad for k, p in network.named_parameters()}
        checks.append(
            exact(
                f"{name} requires_grad",
                [trained[k] for k in keys if k in trained],
                [keys[k]["requires_grad_after_train"] for k in keys if k in trained],
            )
        )
        groups = parameter_groups(
            network, 1.0, wanted["groups"][0]["weight_decay"], 1 if name in ("resnet50", "resnet101") else 2
        )
        names = {id(p): k for k, p in network.named_parameters()}
        for i, (ours, theirs) in enumerate(zip(groups, wanted["groups"], strict=True)):
            checks.append(
                exact(f"{name} group {i}", [names[id(p)] for p in ours["params"]], wanted["group_order"][str(i)])
            )
            checks.append(
                absolute(
                    f"{name} rate {i}",
                    [ours["lr"], ours["weight_decay"]],
                    [theirs["lr_mult"], theirs["weight_decay"]],
                    0,
                )
            )
        norms = {k: m.training for k, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
        checks.append(
            exact(
                f"{name} fixed norms", sorted(k for k in norms if not norms[k]), sorted(wanted["bn_eval_mode_in_train"])
            )
        )
        checks.append(
            exact(f"{name} free norms", sorted(k for k in norms if norms[k]), sorted(wanted["bn_train_mode_in_train"]))
        )
    return checks


HANDLERS = {
    **{f"net_{name}_eval": _network_eval for name in ("resnet38", "vgg16", "resnet50", "resnet101")},
    "train_step_resnet50": _train_step,
    "baseline_cam_resnet50": _baseline,
    "param_groups": _param_groups,
}
