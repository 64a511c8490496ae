"""Parity of the networks of `no_people_allowed`: forward passes, class activation maps, keys of released weights."""

import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.parity.compare import absolute, exact, fill_by_key, load, relative, tensors
from wsnb.files import save_torch
from wsnb.models import backbones, deeplabv3plus, heads
from wsnb.models.irnet import edges_of_pair
from wsnb.ops import cam, gradcam
from wsnb.papers.no_people_allowed import cams, irnet, losses, model, original_names


def by_key(shapes, prefix):
    """State dict of fixed random weights for {key: shape}, the keys being the original's."""
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.long)
            continue
        seed = zlib.crc32((prefix + key).encode()) & 0x7FFFFFFF
        noise = np.random.RandomState(seed).standard_normal(tuple(shape))
        if len(shape) >= 2:
            value = noise / np.sqrt(np.prod(shape[1:]))
        elif key.endswith("running_var"):
            value = 1 + 0.2 * np.abs(noise)
        elif key.endswith("running_mean"):
            value = 0.1 * noise
        else:
            value = 1 + 0.1 * noise if key.endswith("weight") else 0.1 * noise
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


def from_file(build, state):
    """The network of BUILD(checkpoint=...), its weights read from a file that holds STATE, in evaluation mode."""
    with tempfile.TemporaryDirectory() as folder:
        save_torch(Path(folder) / "weights.pth", state)
        return build(checkpoint=str(Path(folder) / "weights.pth"))[0].eval()


def irn_classifier(checkpoint=""):
    return model.build("resnet50", 20, extra=0, freeze=True, bias=False, checkpoint=checkpoint)


def irn(checkpoint=""):
    return irnet.build("resnet50", "stored mean", "fixed", checkpoint=checkpoint)


def npa_irnet(checkpoint=""):
    return irnet.build("resnet50", "instance norm", "batch", checkpoint=checkpoint)


def _small_network(d):
    """The README's tiny network, its ReLUs in place or not."""

    def build(inplace=True):
        net = nn.Sequential()
        net.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace))
        net.extra_convs = nn.Sequential(nn.Conv2d(8, 12, 3, 1, 1), nn.ReLU(inplace), nn.Conv2d(12, 10, 3, 1, 1),
                                        nn.ReLU(inplace))
        net.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        net.extra_linear = nn.Linear(10, 6)
        state = {key[3:].replace("__", "."): value for key, value in d.items() if key.startswith("w__")}
        net.load_state_dict(state)
        return net.eval()

    return build


def _gradcam(path):
    d = tensors(path)
    build = _small_network(d)
    labels = torch.nonzero(d["y"][0]).flatten().tolist()
    layer = "extra_convs.2"
    checks = [absolute("logits", build()(d["x"]), d["logits"], 1e-6)]
    for name, plus in (("gc", False), ("gcpp", True)):
        def maps(classes, quirk=True, inplace=True, layer=layer, plus=plus):
            return gradcam.gradcam(build(inplace), layer, d["x"], classes, plus, quirk)[0]

        predicted = cam.predicted_tags(build()(d["x"])[0])
        logits, tap = gradcam.forward(build(), layer, d["x"])
        objective = logits[0, labels[-1]].exp() if plus else logits[0, labels[-1]]
        gradient = torch.autograd.grad(objective, tap, retain_graph=True)[0]
        seen = tap.detach().relu()
        channel = gradcam.plus_weights(gradient, seen) if plus else gradient.mean((2, 3))
        checks += [
            absolute(f"{name}, activations behind the ReLU", maps(labels), d[f"{name}_inplace1"], 1e-6),
            absolute(f"{name}, in-place ReLU never leaks", maps(labels, quirk=False), d[f"{name}_inplace0"], 1e-6),
            absolute(f"{name}, ReLU apart", maps(labels, quirk=False, inplace=False), d[f"{name}_inplace0"], 1e-6),
            absolute(f"{name}, activations", seen[0], d[f"{name}_acts"], 1e-6),
            absolute(f"{name}, gradient", gradient[0], d[f"{name}_grad_lastclass"], 1e-6),
            absolute(f"{name}, weights", channel[0], d[f"{name}_weights_lastclass"], 1e-6),
            exact(f"{name}, predicted labels", predicted, d[f"{name}_pred_labels"]),
            absolute(f"{name}, for predicted labels", maps(predicted.tolist()), d[f"{name}_pred"], 1e-6),
        ]
        if not plus:
            checks.append(absolute("hook on the ReLU", maps(labels, False, True, "extra_convs.3"),
                                   d["gc_target_relu"], 1e-6))
            positive = (seen > 0).float().mean((2, 3))[0]
            closed = torch.einsum("k,ck,khw->chw", positive, build().extra_linear.weight[labels], seen[0])
            closed = closed / seen[0, 0].numel()
            checks.append(absolute("closed form", closed, d["gc_inplace1"], 1e-6))
    return checks


def _multiscale(path):
    d = tensors(path)
    network = _small_network(d if "w__extra_linear__weight" in d else tensors(path.with_name("gradcam.npz")))()
    labels = torch.nonzero(d["y"][0]).flatten().tolist()
    size = d["x"].shape[-1]
    checks = []
    for name, plus in (("gc", False), ("gcpp", True)):
        each = cam.multiscale(lambda x, plus=plus: gradcam.gradcam(network, "extra_convs.2", x, labels, plus, True),
                              d["x"], d["scales"].tolist())
        high, low = (cam.summed(each, (side, side)) for side in (size, size // 4))
        checks += [absolute(f"{name} at full size", cam.over_joint_maximum(high), d[f"{name}_high_res"], 1e-5),
                   absolute(f"{name} at a quarter", cam.over_joint_maximum(low), d[f"{name}_cam"], 1e-5)]
        checks += [absolute(f"{name} scale {k}", maps, d[f"{name}_scale{k}"], 1e-5) for k, maps in enumerate(each)]
    return checks


def _vgg_gap(path):
    d = tensors(path)
    network = fill_by_key(model.build("vgg16_bn", 200)[0]).eval()
    with torch.no_grad():
        features, logits = network.deep(d["x"]), network(d["x"])
        body = network.feature_maps(d["x"])[-1]
    kept = features if relative("", features, d["features"], 1e-3).ok else body
    maps = gradcam.gradcam(network, network.cam_layer, d["x"], d["gradcam_labels"].tolist(), inplace_relu=True)[0]
    return [relative("features", kept, d["features"], 1e-3), relative("logits", logits, d["logits"], 1e-3),
            relative("Grad-CAM", maps, d["gradcam"], 1e-3)]


def _vgg_keys(path):
    wanted = load(path)
    network = model.build("vgg16_bn", 200)[0]
    names = {id(p): key for key, p in network.named_parameters()}
    groups = model.learning_groups(network, wanted["group_lr"][0])
    return [
        *_same_keys(network.state_dict(), wanted["keys"]),
        exact("groups", [names[id(p)] for g in groups for p in g["params"]], [k for g in wanted["groups"] for k in g]),
        exact("sizes of groups", [len(g["params"]) for g in groups], [len(g) for g in wanted["groups"]]),
        absolute("learning rates", [g["lr"] for g in groups], wanted["group_lr"], 1e-12),
    ]


def _same_keys(state, wanted):
    return [exact("keys", list(state), list(wanted)),
            exact("shapes", [str(list(v.shape)) for v in state.values()], [str(v) for v in wanted.values()])]


def _irn_shapes(path, which):
    return {key: v["shape"] for key, v in load(path.with_name("irn_original_keys.json"))[which].items()}


def _irn_classifier(path):
    d = tensors(path)
    network = from_file(irn_classifier, by_key(_irn_shapes(path, "cam_net"), "irncam."))
    with torch.no_grad():
        logits = network(d["x"])
        maps = cams.irn_maps(network, d["cam_input"][:1])[0]
        pair = network.deep(d["cam_input"])
        pair = cam.activation_map(pair, network.extra_linear.weight).relu()
    return [
        relative("logits", logits, d["logits"], 1e-3),
        relative("loss", losses.classification_loss("soft margin")(logits, d["labels"]), d["loss"], 1e-3),
        relative("CAM of the pair", pair[0] + pair[1].flip(-1), d["cam"], 1e-3),
        exact("second input is the mirrored first", d["cam_input"][0].flip(-1), d["cam_input"][1]),
        relative("CAM with its mirror image", maps, d["cam"], 1e-3),
    ]


def _irn_network(path):
    d = tensors(path)
    network = from_file(irn, by_key(_irn_shapes(path, "irn_net"), "irnnet."))
    with torch.no_grad():
        edge, moved = network(d["x"])
        trained = network.train()(d["x"])[1]
        network.eval()
        wrapped = edges_of_pair(network, d["ed_input"], pad=int(d["ed_crop_size"]))
    return [
        relative("boundaries", edge, d["edge"], 1e-3),
        relative("displacements, evaluation", moved, d["disp_eval"], 1e-3),
        relative("displacements, training", trained, d["disp_train"], 1e-3),
        relative("boundaries with mirror image", wrapped[0], d["ed_edge"][0], 1e-3),
        relative("their displacements", wrapped[1], d["ed_disp"], 1e-3),
    ]


def _npa_irnet(path):
    d = tensors(path)
    shapes = load(path.with_name("irnet_B_keys.json"))["keys"]
    network = from_file(npa_irnet, by_key(shapes, "irnetB."))
    with torch.no_grad():
        tested, trained = network(d["x"]), network.train()(d["x"])
    checks = [relative(f"{name}, {mode}", value, d[f"{name}_{mode}"], 1e-3)
              for mode, pair in (("eval", tested), ("train", trained))
              for name, value in zip(("edge", "disp"), pair, strict=True)]
    norm = network.bn1.running_mean
    return [*checks, relative("first BatchNorm's mean has moved", norm, d["stage1_bn_running_mean_after"], 1e-3)]


def _npa_irnet_keys(path):
    wanted = load(path)
    network = npa_irnet()[0]
    state = original_names.npa_state({key: torch.empty(shape) for key, shape in wanted["keys"].items()})
    own = network.state_dict()
    groups = network.groups(0.005, 0.05)
    return [
        exact("keys", sorted(own), sorted(state)),
        exact("shapes", [str(own[k].shape) for k in sorted(own)], [str(state[k].shape) for k in sorted(state)]),
        exact("sizes of groups", [sum(p.numel() for p in g["params"]) for g in groups], wanted["group_sizes"]),
        exact("what learns", sum(p.numel() for p in network.parameters() if p.requires_grad),
              sum(wanted["group_sizes"])),
    ]


def _irn_keys(path):
    wanted, checks = load(path), []
    for which, network, rename in (
        ("cam_net", irn_classifier()[0], original_names.irn_classifier_state),
        ("irn_net", irn()[0], original_names.irn_state),
    ):
        whole = {}
        for key, entry in wanted[which].items():  # as a file holds them, aliases too
            whole.update(dict.fromkeys((key, *entry["aliases"]), torch.zeros(entry["shape"])))
        counters = [k for k in network.state_dict() if k.endswith("num_batches_tracked")]
        own = {k: v for k, v in network.state_dict().items() if k not in counters}
        theirs = {k: v for k, v in rename(whole).items() if not k.endswith("num_batches_tracked")}
        checks += [exact(f"{which} keys", sorted(own), sorted(theirs)),
                   exact(f"{which} shapes", [str(own[k].shape) for k in sorted(own)],
                         [str(theirs[k].shape) for k in sorted(theirs)])]
        backbones.fill(network, rename(whole), path.name, counters=False)
    return checks


def _irn_cam_merge(path):
    d = tensors(path)
    each, size = [d[f"out{k}"][d["valid"]] for k in range(4)], d["size"].tolist()
    grid, cover = cams.stride_4(size), cams.irn_cover(size)
    checks = [
        exact("size at stride 4", grid, d["strided_size"]),
        exact("size before the cut", np.multiply(size, cover), d["strided_up_size"]),
        absolute("at stride 4", cam.normalised(cam.summed(each, grid), "per class"), d["cam"], 1e-5),
        absolute("at full size", cam.normalised(cam.summed(each, size, cover), "per class"), d["high_res"], 1e-5),
    ]
    with tempfile.TemporaryDirectory() as folder:  # as float16
        cam.write(folder, "a", d["valid"], each, size, cover, grid)
        return [*checks, *(absolute(f"{name}, kept on disk",
                                    cam.normalised(cam.read(folder, "a", asked)[1], "per class"), d[name], 2e-3)
                           for name, asked in (("cam", "stored"), ("high_res", None)))]


def _deeplab(path):
    d = tensors(path)
    network = _deeplabv3plus().eval()
    state = by_key({theirs: value.shape for theirs, value in _under_their_names(network).items()}, "")
    backbones.fill(network, deeplabv3plus.own_names(state), path.name)
    with torch.no_grad():
        maps = network.feature_maps(d["x"])
        deep = maps[-1][:, ::8]
        logits = network(d["x"])
    whole = cam.resized(logits, d["x"].shape[-2:])
    return [
        relative("low level", maps[1], d["low_level"], 1e-3),
        relative("deep features", deep, d["out_feat"], 1e-3),
        relative("logits", logits, d["logits_lowres"], 1e-3),
        relative("logits at full size", whole[:, :20], d["logits_full_first20"], 1e-3),
        exact("labels", whole.argmax(1), d["argmax"].long()),
    ]


def _deeplabv3plus():
    return heads.build("deeplabv3plus", "resnet50", 201, output_stride=8, freeze=False)[0]


def _under_their_names(network):
    return {f"model.{'classifier' if key.startswith('head.') else 'backbone'}.{key.removeprefix('head.')}": value
            for key, value in network.state_dict().items()}


def _deeplab_keys(path):
    wanted = load(path)
    network = _deeplabv3plus()
    head = sum(p.numel() for p in network.head.parameters())
    counts = [sum(p.numel() for p in network.parameters()) - head, head]
    return [*_same_keys(_under_their_names(network), wanted["keys"]),
            exact("parameters", counts, [wanted["n_backbone"], wanted["n_classifier"]])]


HANDLERS = {
    "gradcam": _gradcam,
    "multiscale_cam": _multiscale,
    "vgg_gap_eval": _vgg_gap,
    "vgg_gap_keys": _vgg_keys,
    "irn_cam_net": _irn_classifier,
    "irn_irn_net": _irn_network,
    "irnet_B_forward": _npa_irnet,
    "irnet_B_keys": _npa_irnet_keys,
    "irn_original_keys": _irn_keys,
    "irn_make_cam_merge": _irn_cam_merge,
    "deeplabv3plus_r50_os8": _deeplab,
    "deeplabv3plus_keys": _deeplab_keys,
}
