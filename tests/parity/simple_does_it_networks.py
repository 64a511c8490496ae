"""Parity of the instance network of `simple_does_it` and of its training steps."""

import re
from types import SimpleNamespace

import numpy as np
import torch

from tests.parity.compare import absolute, agreement, exact, load, relative
from wsnb.papers.simple_does_it import data, instances, losses
from wsnb.papers.simple_does_it.model import (
    BoxNetwork,
    VGGStages,
    bilinear_kernel,
    enlarge,
    tensorflow_names,
    torch_layout,
)

STAGE = SimpleNamespace(weight_decay=0.0002, preset="faithful")  # parameters of the training stage


def _shape(name, parameter):
    """A parameter's shape as TensorFlow writes it."""
    shape = tuple(parameter.shape)
    return (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else shape


def seeded():
    """(the network with the goldens' weights, names of the original's variables in order, our name of each)."""
    network, names = BoxNetwork(VGGStages()), tensorflow_names()
    parameters, state = dict(network.named_parameters()), {}
    for number, theirs in enumerate(sorted(names)):
        ours = names[theirs]
        shape = _shape(ours, parameters[ours])
        value = np.random.default_rng(1000 + number).standard_normal(shape).astype(np.float32)
        value *= np.float32(np.sqrt(2 / np.prod(shape[:3]))) if len(shape) == 4 else np.float32(0.05)
        state[ours] = torch_layout(value)
    network.load_state_dict(state)
    return network, sorted(names), names


def _hwc(array):
    """[H, W, C] -> [1, C, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


def _network_forward(path):
    d = load(path)
    network, order, names = seeded()
    pixels = d["input_u8"]
    x = instances.network_input(pixels[..., :3], pixels[..., 3], "vgg16", "faithful")
    label = torch.from_numpy(data.binary_label(d["label_u8"]))[None, None]
    features = []
    hooks = [side.register_forward_hook(lambda *three: features.append(three[2])) for side in network.side]
    main, sides = network(x)
    for hook in hooks:
        hook.remove()
    maps = [enlarge(one, stride, x.shape[-2:]) for one, stride in zip(features, network.body.strides, strict=True)]
    probability = torch.sigmoid(main)[0, 0].detach()
    five = [float(losses.balanced_loss(z, label).detach()) for z in (*sides, main)]
    reg = losses.decay(network, 0.0002, count_frozen=True)
    checks = [
        absolute("input", x[0], d["input_pre"].transpose(2, 0, 1), 0),
        exact("label", label[0, 0], d["label_pre"]),
        relative("main logit", main[0, 0], d["net"], 1e-4),
        relative("fused maps", network.fuse(torch.cat(maps, 1))[0, 0], d["net"], 1e-4),
        absolute("probability of the same logit", torch.sigmoid(torch.from_numpy(d["net"])), d["prob"], 1e-6),
        absolute("probability", probability, d["prob"], 1e-3),  # logits reach 312, the slope is 1/4: 1e-5 of a logit
        agreement("prediction", data.predicted_mask(probability), d["pred"], 0.999),
        relative("losses", five, d["losses"], 1e-4),
        relative("decay", reg, d["reg"], 1e-5),
    ]
    for k, (one, side) in enumerate(zip(maps, sides, strict=True), 2):
        checks.append(relative(f"side {k}", side[0, 0], d[f"side{k}"], 1e-4))
        if f"multi{k}_mean" in d:
            checks += [relative(f"maps {k} mean", one[0].mean((1, 2)), d[f"multi{k}_mean"], 1e-4),
                       relative(f"maps {k} std", one[0].std((1, 2), correction=0), d[f"multi{k}_std"], 1e-4)]
    totals = []
    for supervision in (1, 2, 3):
        network.zero_grad(set_to_none=True)
        total, = step_losses(network, [(x, label, "")], [0], supervision)
        total.backward()
        totals.append(float(total.detach()))
        checks += _norms(f"gradients, supervision {supervision}", network, order, names,
                         d[f"gradnorm_sup{supervision}"])
    checks.append(relative("totals", totals, d["totals"], 1e-4))
    for size in (3, 4, 5, 8, 16, 32):
        if f"upfilt{size}" in d:
            checks.append(absolute(f"bilinear {size}", bilinear_kernel(size), d[f"upfilt{size}"], 1e-12))
    if "up_dsn3_kernel" in d:
        checks.append(absolute("enlarging side 3", bilinear_kernel(8), d["up_dsn3_kernel"], 1e-7))
    if "up_multi2_kernel" in d:
        diagonal = torch.einsum("ij,cd->ijcd", bilinear_kernel(4), torch.eye(16, dtype=torch.float64))
        checks.append(absolute("enlarging maps 2", diagonal, d["up_multi2_kernel"], 1e-7))
    return checks


def step_losses(network, samples, chosen, supervision):
    """The losses of the chosen samples as the training stage takes them."""
    return instances.sample_losses(network, [samples[i] for i in chosen], supervision, STAGE, "cpu")


def _norms(name, network, order, names, wanted):
    """Gradient norms a variable; NaN in WANTED: it must have none."""
    parameters = dict(network.named_parameters())
    grads = [parameters[names[theirs]].grad for theirs in order]
    ours = np.array([np.nan if g is None else float(g.double().norm()) for g in grads])
    return [exact(f"{name}: which", np.isnan(ours), np.isnan(wanted)),
            absolute(f"{name}: relative", np.nan_to_num(ours / np.where(wanted == 0, 1, wanted), nan=1.0),
                     np.ones(len(order)), 1e-3)]


def _network_forward_meta(path):
    meta = load(path)
    network, order, names = seeded()
    parameters = dict(network.named_parameters())
    shapes = [[theirs, list(_shape(names[theirs], parameters[names[theirs]]))] for theirs in order]
    ours = {}
    for theirs in order:
        if theirs.endswith("weights"):
            term = 0.0002 / 2 * float(parameters[names[theirs]].detach().double().pow(2).sum())
            ours[theirs.replace("weights", "kernel") + "/Regularizer/l2_regularizer:0"] = term
    for k, stride in enumerate((2, 4, 8, 16), 2):
        square = float((bilinear_kernel(2 * stride) ** 2).sum()) * 0.0002 / 2
        ours[f"weak/score-dsn_{k}-up/kernel/Regularizer/l2_regularizer:0"] = square
        ours[f"weak/score-multi{k}-up/kernel/Regularizer/l2_regularizer:0"] = 16 * square
    terms = meta["reg_terms"]
    checks = [
        exact("variables", [str(s) for s in shapes], [str(list(v)) for v in meta["variables"]]),
        exact("decay terms", sorted(ours), sorted(terms)),
        relative("decay a term", [ours.get(k, 0) for k in sorted(terms)], [terms[k] for k in sorted(terms)], 1e-5),
        relative("decay", losses.decay(network, 0.0002, count_frozen=True), meta["reg_total"], 1e-5),
    ]
    x, label = torch.zeros(1, 4, 37, 45), torch.zeros(1, 1, 37, 45)
    label[..., :5, :5] = 1
    for supervision in (1, 2, 3):
        network.zero_grad(set_to_none=True)
        total, = step_losses(network, [(x, label, "")], [0], supervision)
        total.backward()
        ours = [t for t in order if parameters[names[t]].grad is None]
        theirs = [v.removesuffix(":0") for v in meta[f"grad_none_sup{supervision}"]]
        checks.append(exact(f"without gradient {supervision}", ours, theirs))
    return checks


def sample(j):
    """The goldens' training sample number J: (x [1, 4, H, W], label [1, 1, H, W])."""
    rng = np.random.default_rng(9000 + j)
    height, width = rng.integers(30, 50), rng.integers(30, 50)
    rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    box = np.zeros((height, width, 1), np.uint8)
    box[5 : height - 6, 4 : width - 7] = 255  # rows 5..H-7, columns 4..W-8
    y, x = np.mgrid[:height, :width]
    ellipse = ((y - height / 2) / (height / 4)) ** 2 + ((x - width / 2) / (width / 4)) ** 2 < 1
    label = data.binary_label(ellipse.astype(np.uint8) * 255)
    return _hwc(data.preprocess(np.concatenate([rgb, box], 2))), torch.from_numpy(label)[None, None]


def trained(supervision, steps=4, samples=2):
    """Four steps of the original's training: (changes {name: array}, momenta {name: array or None}, losses)."""
    network, order, names = seeded()
    parameters = dict(network.named_parameters())
    before = {k: p.detach().clone() for k, p in parameters.items()}
    averaged, printed = losses.AveragedGradients(network, 0.9, "momentum"), []
    drawn = [(*sample(j), str(j)) for j in range(steps * samples)]
    for step in range(steps):
        each = step_losses(network, drawn, range(step * samples, (step + 1) * samples), supervision)
        rate = losses.rate_at(step, (1, 2), (1e-8, 1e-9, 1e-8))
        printed.append(float(averaged.step(each, rate, lambda values: None)))
    state = averaged.inner.state
    changes, momenta = {}, {}
    for theirs in order:
        p = parameters[names[theirs]]
        axes = (2, 3, 1, 0) if p.dim() == 4 else (0,)
        changes[theirs] = (p.detach() - before[names[theirs]]).permute(axes).numpy()
        buffer = state.get(p, {}).get("momentum_buffer")
        momenta[theirs] = 0.0 if buffer is None else float(buffer.double().norm())
    return order, changes, momenta, printed


def _supervision(key) -> int | None:
    """The stage of supervision that a key of the file speaks of, apart from the variable in it; None if of none."""
    for variable in tensorflow_names():
        key = key.replace(variable, "").replace(variable.replace("/", "__"), "")
    for pattern in (r"sup\w*?_?([123])", r"(?:mode|stage)\w*?_?([123])", r"(?<![a-z0-9])s?([123])(?![0-9])"):
        if match := re.search(pattern, key, re.I):
            return int(match[1])
    return None


def _train_steps(path):
    return _steps(load(path))


def _cases(content):
    """(key, stage of supervision, array) of every list of numbers; one for all three stages is taken apart."""
    for key, value in _flat(content):
        value = np.asarray(value)
        if value.dtype.kind not in "fiu" or not value.ndim:
            continue
        supervision = _supervision(key)
        if supervision is None and len(value) == 3 and value.ndim > 1:
            yield from ((f"{key}[{k}]", k + 1, value[k]) for k in range(3))
        else:
            yield key, supervision or 1, value


def _steps(content):
    """Compare what the file holds: norms of changes, first values, momenta, printed losses, by shape and name. What
    speaks of one of them in a size that is not understood is a failed check."""
    checks, known = [], {}
    for key, supervision, value in _cases(content):
        if supervision not in known:
            known[supervision] = trained(supervision)
        order, changes, momenta, printed = known[supervision]
        variable = next((t for t in order if t in key or t.replace("/", "__") in key), None)
        chosen, name = order if variable is None else [variable], key.lower()
        heads = [changes[t].ravel()[:8] for t in chosen]
        if "loss" in name and value.size == len(printed):
            checks.append(relative(key, printed, value.ravel(), 1e-4))
        elif re.search(r"mom|accum|vel|slot|buffer", name) and value.size == len(chosen):
            checks.append(_near(key, [momenta[t] for t in chosen], value))
        elif re.search(r"first|val|head|8", name) and value.size == 8 * len(chosen):
            ours = np.stack([np.pad(head, (0, 8 - len(head))) for head in heads])
            checks.append(relative(key, ours, np.nan_to_num(value.reshape(len(chosen), 8)), 2e-3))
        elif re.search(r"first|val|head|8", name) and value.size == sum(map(len, heads)):
            checks.append(relative(key, np.concatenate(heads), value.ravel(), 2e-3))
        elif re.search(r"norm|delta|change|dw|diff", name) and value.size == len(chosen):
            slack = [_rounding(changes[t].shape) for t in chosen]
            norms = [float(np.linalg.norm(changes[t].astype(np.float64))) for t in chosen]
            checks.append(_near(key, norms, value, slack=slack))
        elif value.size >= 8 and re.search(r"loss|mom|accum|buffer|first|norm|delta|change|dw|diff", name):
            checks.append(exact(f"{key}: {value.shape} is not understood", value.size, 0))
    return checks


def _rounding(shape) -> float:
    """How much the norm of a change may differ because weights of the goldens' size are rounded to float32."""
    size = np.sqrt(2 / np.prod(shape[:3])) if len(shape) == 4 else 0.05
    return float(np.spacing(np.float32(3 * size))) * float(np.sqrt(np.prod(shape)))


def _near(name, ours, theirs, tolerance=2e-3, slack=0.0):
    """Each within a share of itself, beyond an absolute SLACK; NaN or 0 in THEIRS: nothing moved."""
    theirs = np.nan_to_num(np.asarray(theirs, np.float64).ravel())
    apart = np.abs(np.asarray(ours, np.float64) - theirs)
    apart = np.where(theirs == 0, apart, np.maximum(apart - slack, 0) / np.where(theirs == 0, 1, np.abs(theirs)))
    return absolute(name, apart, np.zeros(len(theirs)), tolerance)


def _flat(content, prefix=""):
    """(path, leaf) of nested mappings; lists of numbers are leaves."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


def _train_steps_meta(path):
    """The meta file's own numbers, where it has any, and its list of variables."""
    meta = load(path)
    checks = _steps(meta)
    order = sorted(tensorflow_names())
    for key in ("variables", "names", "vars", "order"):
        if key in meta:
            theirs = [v[0] if isinstance(v, list) else v for v in meta[key]]
            checks.append(exact(key, order, [t.removesuffix(":0") for t in theirs]))
    values = {r"bound": [1, 2], r"lr|rate|values": [1e-8, 1e-9, 1e-8], r"^mom": 0.9, r"decay": 0.0002, r"steps?$": 4}
    for key, value in _flat(meta):
        wanted = next((v for pattern, v in values.items() if re.search(pattern, key.lower())), None)
        if wanted is not None and np.asarray(value).dtype.kind in "fiu" and np.shape(value) == np.shape(wanted):
            checks.append(relative(key, np.atleast_1d(wanted), np.atleast_1d(value), 1e-6))
    return checks or [exact("names alone: there is no number to compare", 0, 0)]


HANDLERS = {
    "network_forward": _network_forward,
    "network_forward_meta": _network_forward_meta,
    "train_steps": _train_steps,
    "train_steps_meta": _train_steps_meta,
}
