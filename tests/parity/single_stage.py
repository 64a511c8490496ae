"""Parity of `single_stage` with arrays of the original program."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.parity.compare import absolute, agreement, exact, fill_by_key, load, relative, tensors
from wsnb import metrics
from wsnb.data import transforms, weak
from wsnb.methods import backbones, crf, pamr
from wsnb.papers.single_stage import inference, labels, losses
from wsnb.papers.single_stage.decoder import ASPP, GlobalCueInjection, stochastic_gate
from wsnb.papers.single_stage.network import CAMBaseline, SingleStage, cam_masks, parameter_groups
from wsnb.papers.single_stage.steps import Settings


def _pamr(path):
    d = tensors(path)
    dilations, iterations = d["dilations"].tolist(), int(d["iters"])
    checks = [
        absolute(f"out, bands of {band}", pamr.pamr(d["image"], d["mask"], dilations, iterations, band), d["out"], 1e-5)
        for band in (7, None)
    ]
    if "local_std" in d:
        checks += [
            absolute("local_std", pamr.local_std(d["image"], dilations), d["local_std"][:, :, 0], 1e-5),
            absolute("affinity", pamr.affinity(d["image"], dilations), d["affinity_softmax"][:, 0], 1e-5),
        ]
        reach = max(dilations)
        padded = pamr._pad(d["mask"][:, :1], reach)
        gathered = [pamr._view(padded, dy, dx, 0, d["mask"].shape[2], reach) for dy, dx in pamr.offsets(dilations)]
        checks.append(absolute("neighbours", torch.stack(gathered, 2), d["neighbours_of_mask"][:, None][:, :, 0], 0))
    return checks


def _ngwp_focal(path):
    d = tensors(path)
    logits = d["fg_logits"].clone().requires_grad_()
    whole = torch.cat([torch.ones_like(logits[:, :1]), logits], 1)
    size, pooled, penalty = losses.class_terms(whole)
    scores = losses.class_scores(whole)
    loss = losses.tag_loss(scores, d["labels"])
    loss.backward()
    other = losses.class_terms(whole, power=1, floor=0.1)
    return [
        absolute("masks_mean", size, d["masks_mean"], 1e-5),
        absolute("ngwp", pooled, d["ngwp"], 1e-5),
        absolute("focal", penalty, d["focal"], 1e-5),
        absolute("cls", scores, d["cls"], 1e-5),
        absolute("focal p=1", other[2], d["focal_p1_c01"], 1e-5),
        absolute("cls p=1", losses.class_scores(whole, 1, 0.1), d["cls_p1_c01"], 1e-5),
        absolute("loss", loss, d["loss"], 1e-5),
        relative("gradient", logits.grad, d["grad_fg_logits"], 1e-4),
        absolute("curve", losses.focal_penalty(d["focal_curve_x"]), d["focal_curve_p3_c001"], 1e-5),
    ]


def _pseudo(path):
    d = tensors(path)
    pseudo = labels.pseudo_labels(d["masks_clean"])
    logits = d["logits"].clone().requires_grad_()
    loss = losses.balanced_mask_loss(logits, pseudo, d["labels"])
    loss.mean().backward()
    checks = [
        exact("pseudo", pseudo, d["pseudo"]),
        absolute("balanced_loss", loss, d["balanced_loss"], 1e-6),
        absolute("gradient", logits.grad, d["grad_logits"], 1e-6),
    ]
    if "pseudo_hi04_low01" in d:
        checks.append(
            exact(
                "pseudo 0.4/0.1",
                labels.pseudo_labels(d["masks_clean"], foreground=0.4, floor=0.1),
                d["pseudo_hi04_low01"],
            )
        )
    return checks


def _gci(path):
    d = tensors(path)
    module = fill_by_key(GlobalCueInjection(256, 256), "gci.").eval()
    checks = [absolute("eval", module(d["shallow"], d["deep"]), d["out_eval"], 1e-4)]
    module.train()
    return checks + [
        absolute("train", module(d["shallow"], d["deep"]), d["out_train"], 1e-4),
        absolute("running mean", module.fc_deep[1].running_mean, d["fc_deep_running_mean_after"], 1e-4),
        absolute("running var", module.fc_skip[1].running_var, d["fc_skip_running_var_after"], 1e-4),
    ]


def _gate(path):
    d = tensors(path)
    deep, shallow = d["deep"], d["shallow"]
    return [
        absolute("eval 0.3", stochastic_gate(deep, shallow, 0.3), d["out_eval_psi03"], 1e-6),
        absolute("eval 0.5", stochastic_gate(deep, shallow, 0.5), d["out_eval_psi05"], 1e-6),
        absolute("train", stochastic_gate(deep, shallow, 0.3, d["keep_mask"].float()), d["out_train_psi03"], 1e-6),
    ]


def _aspp(path):
    d = tensors(path)
    return [absolute("out", fill_by_key(ASPP(16), "aspp16.").eval()(d["x"]), d["out"], 1e-4)]


def _network_eval(path):
    d = tensors(path)
    network = fill_by_key(SingleStage(backbones.build(path.stem.split("_")[1]))).eval()
    with torch.no_grad():
        shallow, deep = network.shallow_and_deep(d["x"])
        logits = network(d["x"])
        masks = F.interpolate(logits.softmax(1), size=d["x"].shape[-2:], mode="bilinear", align_corners=True)
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
    logits = network(d["x"], keep=d["keep_mask"].float())
    size = d["x"].shape[-2:]
    refined, pseudo = labels.refined_pseudo_labels(d["image_raw"], logits, d["labels"], size, Settings())
    cam = labels.clean(F.interpolate(logits.softmax(1), size=size, mode="bilinear", align_corners=True), d["labels"])
    scores = losses.class_scores(logits)
    loss_cls = losses.tag_loss(scores, d["labels"])
    loss_mask = losses.balanced_mask_loss(logits, pseudo, d["labels"])
    total = loss_cls + loss_mask.mean()
    total.backward()
    checks = [
        relative("cls", scores, d["cls"], 1e-3),
        relative("logits", logits, d["logits"], 1e-3),
        relative("cam", cam, d["cam"], 1e-3),
        relative("dec", refined, d["dec"], 1e-3),
        agreement("pseudo", pseudo, d["pseudo"], 0.999),
        relative("loss_cls", loss_cls, d["loss_cls"], 1e-3),
        relative("loss_mask", loss_mask, d["loss_mask"], 1e-3),
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
        masks = cam_masks(activation, d["x"].shape[-2:])
    return [
        relative("cls", scores, d["cls"], 1e-3),
        relative("logits", activation, d["logits"], 1e-3),
        relative("masks", masks, d["masks_test"], 1e-3),
        relative("cleaned", labels.clean(masks, d["labels"]), d["cam_clean"], 1e-3),
    ]


def _merge_multiscale(path):
    d = load(path)
    size = tuple(d["imsize"].tolist())
    tags, masks, pads = d["labels"], torch.from_numpy(d["masks"].astype(np.float32)), d["pads"]
    whole = inference.gate(inference.merge_scales(masks, pads, size), tags, background_power=3)
    some = inference.gate(inference.merge_scales(masks[::2], pads[::2], size, flip=False), tags, background_power=3)
    return [
        absolute("merged", whole, d["merged_bgpow3"], 1e-6),
        absolute("without flip", some, d["merged_noflip_bgpow3"], 1e-6),
        exact("argmax", whole.argmax(0), d["argmax"]),
    ]


def _merge_crops(path):
    d = load(path)
    merged = inference.merge_crops(
        torch.from_numpy(d["masks"].astype(np.float32)), d["coords"], tuple(d["imsize"].tolist()), d["labels"]
    )
    return [absolute("merged", merged, d["merged"], 1e-6)]


def _loader(path):
    d = load(path)
    variants, pads = inference.scaled_variants(
        d["image"], d["scales"].tolist(), tuple(d["pad_size"].tolist()), flip=True
    )
    single = transforms.normalise(transforms.to_unit(d["image"]))
    return [
        absolute("inputs", variants, d["im_msc"], 2e-3),
        exact("pads", pads, d["pads"]),
        absolute("picture", single, d["img_norm"], 2e-3),
        exact("tags", weak.tags(d["gt"], 21), d["labels"]),
    ]


def _crf(path):
    d = load(path)
    kept = d["kept_classes"]
    checks = [
        absolute(f"Q after {n}", crf.dense_crf(d["image"], d["probs"], crf.CRF(iterations=n))[kept], d[f"Q_t{n}"], 1e-3)
        for n in (1, 10)
    ]
    present = crf.dense_crf(d["image"], d["probs"][kept])
    return [
        *checks,
        absolute("present classes only", present, d["Q_t10"], 1e-3),
        agreement("argmax", crf.crf_labels(d["image"], d["probs"]), d["argmax_t10"], 0.995),
    ]


def _confusion(path):
    d = load(path)
    table = sum(metrics.confusion(t, p, 21) for t, p in zip(d["gt"], d["pred"], strict=True))
    scores = metrics.scores(table)
    return [
        exact("confusion", table, d["conf_mat"]),
        *(
            absolute(ours, np.nan_to_num(scores[ours]) * 100, d[theirs], 1e-4)
            for ours, theirs in (("iou", "iou"), ("precision", "precision"), ("recall", "recall"))
        ),
        absolute("mIoU of 20", 100 * metrics.mean_iou(table, background=False, absent=0.0), d["miou_fg20"], 1e-4),
        absolute("mIoU of 21", 100 * metrics.mean_iou(table, absent=0.0), d["miou_with_bg21"], 1e-4),
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
    **{f"pamr_{name}": _pamr for name in ("p1", "p2", "p3", "p4", "p5", "p6", "flat")},
    "ngwp_focal": _ngwp_focal,
    "pseudo_gt": _pseudo,
    "pseudo_gt_designed": _pseudo,
    "gci": _gci,
    "stochastic_gate": _gate,
    "aspp16": _aspp,
    **{f"net_{name}_eval": _network_eval for name in ("resnet38", "vgg16", "resnet50", "resnet101")},
    "train_step_resnet50": _train_step,
    "baseline_cam_resnet50": _baseline,
    "merge_multiscale": _merge_multiscale,
    "merge_crops": _merge_crops,
    "multiscale_loader": _loader,
    "dense_crf": _crf,
    "eval_confusion": _confusion,
    "param_groups": _param_groups,
}
