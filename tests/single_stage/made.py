"""Parity files made from plain formulations: the network as functions of a state dict, losses pixel by pixel.

Nothing here uses the library, and handlers can be tried on files of which no original is at hand.
"""

import json
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import plain

GOLDENS = Path(__file__).parents[1] / "goldens/single_stage"
DILATIONS = [1, 2, 4, 8, 12, 24]
VGG = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3")


def recipe_weights(shapes):
    """Deterministic weights: noise seeded by the key's CRC-32, scaled by the kind of tensor."""
    state = {}
    for key, shape in shapes.items():
        if key.startswith("_aff.") or key.endswith("num_batches_tracked"):
            continue
        n = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF).standard_normal(shape)
        if len(shape) > 1:
            n /= np.sqrt(np.prod(shape[1:]))
        elif key.endswith("running_var"):
            n = 1 + 0.2 * abs(n)
        else:
            n = 0.1 * n + (key.endswith("weight"))
        state[key] = torch.from_numpy(n.astype(np.float32))
    return state


@lru_cache(maxsize=1)
def recipe(file):
    """The weights that belong to a parity file of a network."""
    name = "resnet50" if file.startswith("baseline") else file.split("_")[1]
    keys = json.loads((GOLDENS / "param_groups.json").read_text())[name]["keys"]
    shapes = {key: tuple(value["shape"]) for key, value in keys.items()}
    if file.startswith("baseline"):
        shapes = {k: v for k, v in shapes.items() if k.startswith(("conv1.", "bn1.", "layer"))}
        shapes["fc8.weight"] = (20, 2048, 1, 1)
    return recipe_weights(shapes)


def grow(x, size):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def conv(s, key, x, **more):
    return F.conv2d(x, s[f"{key}.weight"], s.get(f"{key}.bias"), **more)


def norm(s, key, x):
    statistics = s[f"{key}.running_mean"], s[f"{key}.running_var"]
    return F.batch_norm(x, *statistics, s.get(f"{key}.weight"), s.get(f"{key}.bias"))


def vgg16(s, x):
    """(conv3, conv6)."""
    for name in VGG:
        if name in ("2_1", "3_1", "4_1", "5_1"):
            x = F.max_pool2d(x, 3, 1 if name == "5_1" else 2, 1)
        reach = 2 if name[0] == "5" else 1
        x = conv(s, f"conv{name}", x, padding=reach, dilation=reach).relu()
        if name == "3_3":
            conv3 = x
    return conv3, conv(s, "fc7", conv(s, "fc6", x, padding=1).relu()).relu()


def resnet(s, x):
    """(layer1, layer4); the fourth stage has stride 1."""
    x = F.max_pool2d(norm(s, "bn1", conv(s, "conv1", x, stride=2, padding=3)).relu(), 3, 2, 1)
    for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in s:
            key, step = f"layer{stage}.{block}", stride if block == 0 else 1
            y = norm(s, f"{key}.bn1", conv(s, f"{key}.conv1", x)).relu()
            y = norm(s, f"{key}.bn2", conv(s, f"{key}.conv2", y, stride=step, padding=1)).relu()
            y = norm(s, f"{key}.bn3", conv(s, f"{key}.conv3", y))
            if block == 0:
                x = norm(s, f"{key}.downsample.1", conv(s, f"{key}.downsample.0", x, stride=stride))
            x, block = (x + y).relu(), block + 1
        if stage == 1:
            conv3 = x
    return conv3, x


def decoder(s, shallow, deep):
    """Logits behind the constant background, in evaluation mode."""
    parts = []
    for i, rate in enumerate((1, 12, 24, 36), start=1):
        y = conv(s, f"aspp.aspp{i}.atrous_conv", deep, padding=rate if i > 1 else 0, dilation=rate)
        parts.append(norm(s, f"aspp.aspp{i}.bn", y).relu())
    pooled = conv(s, "aspp.global_avg_pool.1", deep.mean((2, 3), keepdim=True))
    parts.append(norm(s, "aspp.global_avg_pool.2", pooled).relu().expand_as(parts[0]))
    context = norm(s, "aspp.bn1", conv(s, "aspp.conv1", torch.cat(parts, 1))).relu()
    skip = norm(s, "fc8_skip.1", conv(s, "fc8_skip.0", shallow)).relu()
    x = torch.cat([grow(context, shallow.shape[-2:]), skip], 1)
    x = norm(s, "fc8_x.1", conv(s, "fc8_x.0", x, padding=1)).relu()
    cue = norm(s, "shallow_mask.fc_deep.1", conv(s, "shallow_mask.fc_deep.0", x)).relu().amax((2, 3), keepdim=True)
    f = norm(s, "shallow_mask.fc_skip.1", conv(s, "shallow_mask.fc_skip.0", shallow))
    f = (f * (cue[:, :256] + 1) + cue[:, 256:]).relu()
    f = norm(s, "shallow_mask.fc_cls.1", conv(s, "shallow_mask.fc_cls.0", f)).relu()
    x = 0.7 * x + 0.3 * f
    for i in (0, 4):
        x = norm(s, f"last_conv.{i + 1}", conv(s, f"last_conv.{i}", x, padding=1)).relu()
    x = conv(s, "last_conv.8", x)
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


@torch.no_grad()
def network(name, step):
    """net_NAME_eval: every STEP-th channel of conv6 is kept."""
    s, x = recipe(f"net_{name}_eval"), noise(1, 1, 3, 65, 65)
    shallow, deep = (vgg16 if name == "vgg16" else resnet)(s, x)
    logits = decoder(s, shallow, deep)
    m = logits.softmax(1)
    size = m.mean((2, 3))
    scores = (logits * m).sum((2, 3)) / (1 + m.sum((2, 3))) + (1 - size) ** 3 * (0.01 + size).log()
    return dict(x=x, conv3=shallow, conv6=deep[:, ::step], conv6_channel_step=np.int64(step), cls=scores[:, 1:],
                masks=grow(m, (65, 65)))


@torch.no_grad()
def baseline():
    """baseline_cam_resnet50; cls_fg, which is only logged, is left at 0."""
    s = recipe("baseline_cam_resnet50")
    x, labels = noise(2, 2, 3, 65, 65), (noise(3, 2, 20) > 0.5).float()
    deep = resnet(s, x)[1]
    logits = conv(s, "fc8", deep)
    maps = grow(logits, (65, 65)).relu()
    masks = torch.cat([torch.full((2, 1, 65, 65), 0.1), maps / (1e-5 + maps.amax((2, 3), keepdim=True))], 1)
    keep = torch.cat([torch.ones(2, 1), labels], 1)[..., None, None]
    return dict(x=x, labels=labels, cls=conv(s, "fc8", deep.mean((2, 3), keepdim=True))[..., 0, 0], masks_test=masks,
                cls_fg=torch.zeros(2), cam_clean=masks * keep, logits=logits)


def pamr(image, mask, dilations, iterations):
    """pamr_*: inputs and refined masks."""
    out = plain.pamr(image, grow(mask, image.shape[-2:]), dilations, iterations)
    return dict(image=image, mask=mask, out=out, dilations=np.array(dilations), iters=np.int64(iterations))


def flat():
    image = torch.full((1, 3, 16, 16), 0.25)
    image[..., 8:] = 0.75
    return pamr(image, noise(5, 1, 3, 16, 16).softmax(1), [1, 2, 4], 10)


def pseudo():
    """pseudo_gt: labels and losses, class by class and pixel by pixel in double precision."""
    tags = np.zeros((4, 20), np.float32)
    for i, present in enumerate(((2, 7), (0,), (4, 11, 19), (14, 3))):
        tags[i, list(present)] = 1
    masks = (3 * noise(6, 4, 21, 28, 36)).softmax(1).numpy()
    masks[:, 1:] *= tags[..., None, None]
    logits = (2 * noise(7, 4, 21, 10, 12)).requires_grad_()
    chosen = thresholded(masks, 0.6, 0.2)
    loss = balanced(logits.double(), chosen, tags)
    loss.mean().backward()
    return dict(masks_clean=masks, labels=tags, pseudo=chosen, logits=logits.detach(), grad_logits=logits.grad,
                balanced_loss=loss.detach().float(), plain_ce=np.float32(0),
                pseudo_hi04_low01=thresholded(masks, 0.4, 0.1))


def thresholded(masks, high, low):
    result = np.zeros(masks.shape, np.uint8)
    for i, c in np.ndindex(masks.shape[:2]):
        factor = np.float32(0.7 if c == 0 else high)
        result[i, c] = masks[i, c] > max(np.float32(low), factor * masks[i, c].max())
    result[np.broadcast_to(result.sum(1, keepdims=True) > 1, result.shape)] = 0
    return result


def balanced(logits, chosen, tags):
    log = grow(logits, chosen.shape[-2:]).log_softmax(1)
    losses = []
    for i in range(len(chosen)):
        count = chosen[i].sum((1, 2)).astype(float)
        complete = (count > 0).sum() == tags[i].sum() + 1
        terms = [-(count.sum() - count[c]) / (1 + count.sum()) * log[i, c][torch.from_numpy(chosen[i, c] > 0)].sum()
                 for c in range(chosen.shape[1])]
        losses.append(sum(terms) / chosen[i, 0].size * float(complete))
    return torch.stack(losses)


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MAKERS = {
    "pamr_p5": lambda: pamr(noise(8, 1, 3, 32, 48).sigmoid(), noise(9, 1, 6, 9, 13).softmax(1), DILATIONS, 10),
    "pamr_flat": flat,
    "pseudo_gt": pseudo,
    "net_vgg16_eval": lambda: network("vgg16", 1),
    "net_resnet101_eval": lambda: network("resnet101", 1),
    "baseline_cam_resnet50": baseline,
}
