"""Parity of `single_stage` with arrays of the original program."""

import numpy as np
import torch

from tests.parity import single_stage_networks as networks
from tests.parity.compare import absolute, agreement, exact, fill_by_key, load, relative, tensors
from wsnb import metrics
from wsnb.data import transforms, weak
from wsnb.ops import crf, pamr
from wsnb.papers.single_stage import inference, losses
from wsnb.papers.single_stage.model import ASPP, GlobalCueInjection, stochastic_gate


def _pamr(path):
    d = tensors(path)
    dilations, iterations = d["dilations"].tolist(), int(d["iters"])
    checks = [
        absolute(f"out, bands of {band}", pamr.pamr(d["image"], d["mask"], dilations, iterations, band), d["out"], 1e-5)
        for band in (7, None)
    ]
    if "local_std" in d:
        affinity = pamr.affinity(*pamr.prepared(d["image"], dilations), 0, d["image"].shape[2], dilations)
        checks += [
            absolute("local_std", pamr.local_std(d["image"], dilations), d["local_std"][:, :, 0], 1e-5),
            absolute("affinity", affinity, d["affinity_softmax"][:, 0], 1e-5),
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
    masks = whole.softmax(1)
    size = masks.mean((2, 3))
    scores = losses.class_scores(whole)
    loss = losses.tag_loss(scores, d["labels"])
    loss.backward()
    return [
        absolute("masks_mean", size, d["masks_mean"], 1e-5),
        absolute("ngwp", losses.ngwp(whole, masks), d["ngwp"], 1e-5),
        absolute("focal", losses.focal_penalty(size), d["focal"], 1e-5),
        absolute("cls", scores, d["cls"], 1e-5),
        absolute("focal p=1", losses.focal_penalty(size, 1, 0.1), d["focal_p1_c01"], 1e-5),
        absolute("cls p=1", losses.class_scores(whole, 1, 0.1), d["cls_p1_c01"], 1e-5),
        absolute("loss", loss, d["loss"], 1e-5),
        relative("gradient", logits.grad, d["grad_fg_logits"], 1e-4),
        absolute("curve", losses.focal_penalty(d["focal_curve_x"]), d["focal_curve_p3_c001"], 1e-5),
    ]


def _pseudo(path):
    d = tensors(path)
    pseudo = losses.pseudo_labels(d["masks_clean"])
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
                losses.pseudo_labels(d["masks_clean"], foreground=0.4, floor=0.1),
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


def _merge_multiscale(path):
    d = load(path)
    size = tuple(d["imsize"].tolist())
    tags, masks, pads = d["labels"], torch.from_numpy(d["masks"].astype(np.float32)), d["pads"]
    whole, some = (
        inference.gate(inference.with_power(mean, 3).numpy(), tags)
        for mean in (
            inference.merge_scales(masks, pads, size),
            inference.merge_scales(masks[::2], pads[::2], size, flip=False),
        )
    )
    return [
        absolute("merged", whole, d["merged_bgpow3"], 1e-6),
        absolute("without flip", some, d["merged_noflip_bgpow3"], 1e-6),
        exact("argmax", whole.argmax(0), d["argmax"]),
    ]


def _merge_crops(path):
    """Crops at (y0, y1, x0, x1) of a picture that begins at (top, left); those of even number are mirrored."""
    d = load(path)
    masks, places = torch.from_numpy(d["masks"].astype(np.float32)), d["coords"]
    masks[::2] = masks[::2].flip(-1)
    parts = zip(masks, places[:, 0].tolist(), places[:, 2].tolist(), strict=True)
    mean = inference.averaged(parts, (places[:, 1].max(), places[:, 3].max()))
    (top, left), (height, width) = places[0, 4:], d["imsize"]
    merged = inference.gate(mean[:, top : top + height, left : left + width].numpy(), d["labels"])
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


HANDLERS = {
    **networks.HANDLERS,
    **{f"pamr_{name}": _pamr for name in ("p1", "p2", "p3", "p4", "p5", "p6", "flat")},
    "ngwp_focal": _ngwp_focal,
    "pseudo_gt": _pseudo,
    "pseudo_gt_designed": _pseudo,
    "gci": _gci,
    "stochastic_gate": _gate,
    "aspp16": _aspp,
    "merge_multiscale": _merge_multiscale,
    "merge_crops": _merge_crops,
    "multiscale_loader": _loader,
    "dense_crf": _crf,
    "eval_confusion": _confusion,
}
