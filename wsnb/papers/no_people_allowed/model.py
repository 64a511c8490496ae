"""The ResNets of NoPeopleAllowed's registry that are built whole, each under the original's own names.

The tag classifiers of NoPeopleAllowed and of IRN, on the papers' backbones or any other.

The original programs' weights under this book's names: IRN's two networks, NoPeopleAllowed's IRNet.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import FileError, load_torch
from wsnb.models import backbones
from wsnb.models.backbone_wrapper import BackboneWrapper
from wsnb.models.heads import multilabel_loss
from wsnb.models.irnet import IRNet

WHOLE = ("resnet34", "resnet50_full", "resnet50_oaa", "resnet_gap")  # what the first stage takes for its backbone


def initialise(module):
    """Normal weights, biases 0: convolutions N(0, sqrt(2 / (k k out))), linear layers N(0, 0.01)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, math.sqrt(2 / (math.prod(module.kernel_size) * module.out_channels)))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if getattr(module, "bias", None) is not None and isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.zeros_(module.bias)


class Whole(nn.Module):
    """A ResNet of the original's registry under its own names: x -> logits [B, n_tags].

    resnet34: torchvision's with `fc`. The others are of a ResNet-50 with dilated layers 3 and 4: `backbone.N` (cut
    after layer3 for resnet_gap), three `extra_convs` for resnet50_oaa, `extra_linear`.
    """

    def __init__(self, name, n_tags):
        super().__init__()
        self.name = name
        from torchvision import models

        dilated = {} if name == "resnet34" else {"replace_stride_with_dilation": (False, True, True)}
        body = models.resnet34() if name == "resnet34" else models.resnet50(**dilated)
        parts = list(body.named_children())[: 7 if name == "resnet_gap" else 8]
        self.body = [nn.ModuleDict(dict(parts))]  # under torchvision's names; in a list, so that they are no names here
        width = {"resnet34": 512, "resnet_gap": 1024}.get(name, 2048)
        self.extra_convs = nn.Sequential()
        if name == "resnet34":
            self.parts = [key for key, _ in parts]
            for key, child in parts:
                self.add_module(key, child)
            self.fc, self.cam_layer = nn.Linear(width, n_tags), "layer4"
            self.new_modules = (self.fc,)
            return
        self.parts = ["backbone"]
        self.backbone = nn.Sequential(*(child for _, child in parts))
        if name == "resnet50_oaa":
            for k in range(3):
                self.extra_convs.extend([nn.Conv2d(width if k == 0 else 512, 512, 3, padding=1), nn.ReLU(inplace=True)])
            width = 512
        self.extra_linear = nn.Linear(width, n_tags)
        self.cam_layer = "extra_convs.4" if len(self.extra_convs) else "backbone"
        self.new_modules = (self.extra_convs, self.extra_linear)
        for module in (*self.extra_convs, self.extra_linear):
            initialise(module)

    @property
    def class_weights(self):
        """Weights [n_tags, K] of the last layer."""
        return self.new_modules[-1].weight

    def deep(self, x):
        for name in self.parts:
            x = getattr(self, name)(x)
        return self.extra_convs(x)

    def forward(self, x):
        return self.new_modules[-1](self.deep(x).mean((2, 3)))


def load_whole(network, weights, checkpoint="") -> str:
    """Fill a `Whole` and say where its weights came from.

    checkpoint: a file of the whole network (the original's hold it under `model`). Else weights, of all but the new
    layers: see `backbones.load_imagenet`; resnet_gap leaves layer4 over. FileError if a file does not fit.
    """
    if checkpoint:
        state = load_torch(checkpoint)
        backbones.fill(network, state.get("model", state) if isinstance(state, dict) else state, str(checkpoint))
        return f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    resnet = "resnet34" if network.name == "resnet34" else "resnet50"
    return backbones.load_imagenet(network.body[0], resnet, weights, (*backbones.HEADS, "layer4."))


VGG_LAYOUT = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "N", 512, 512, 512)


class VGG16BN(nn.Module):
    """VGG16 with BatchNorm, stride 8: the fourth pooling keeps the size, the last three convolutions are dilated by 2.

    x -> features behind each pooling and the last; names and numbers are torchvision's vgg16_bn up to features.42.
    """

    channels, strides, frozen = (64, 128, 256, 512, 512), (2, 4, 8, 8, 8), ()

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for i, entry in enumerate(VGG_LAYOUT):
            if entry in ("M", "N"):
                layers.append(nn.MaxPool2d(2, 2) if entry == "M" else nn.MaxPool2d(3, 1, 1))
                continue
            rate = 2 if i >= len(VGG_LAYOUT) - 3 else 1
            layers += [nn.Conv2d(inputs, entry, 3, padding=rate, dilation=rate), nn.BatchNorm2d(entry),
                       nn.ReLU(inplace=True)]
            inputs = entry
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        taps = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                taps.append(x)
        return (*taps, x)


class GapClassifier(BackboneWrapper):
    """Three more 3x3 convolutions (`extra_convs`, EXTRA channels; 0: none), global average pooling, `extra_linear`.

    x [B, 3, H, W] -> logits [B, n_tags]. `cam_layer` is the name of the layer that Grad-CAM taps. detach_below: taps of
    the backbone from this number on (from 1) learn, those before do not (IRN: 4, layer3 and layer4 of a ResNet).
    """

    def __init__(self, backbone, n_tags, extra=512, freeze=False, bias=True, detach_below=0):
        super().__init__(backbone, freeze)
        inputs = backbone.channels[-1]
        layers = []
        for k in range(3 if extra else 0):
            layers += [nn.Conv2d(inputs if k == 0 else extra, extra, 3, padding=1), nn.ReLU(inplace=True)]
        self.extra_convs = nn.Sequential(*layers)
        self.last = nn.Identity()
        self.extra_linear = nn.Linear(extra or inputs, n_tags, bias=bias)
        self.cam_layer = "extra_convs.4" if extra else "last"
        self.new_modules = (self.extra_convs, self.extra_linear)
        for module in (*layers, self.extra_linear):
            initialise(module)
        if detach_below:
            self._learn_from(detach_below)

    def _learn_from(self, tap):
        """The parameters that make the taps before number TAP (from 1) never learn."""
        body, was = self._backbone[0], self._backbone[0].training
        learning = [parameter for parameter in body.parameters() if parameter.requires_grad]
        body.eval()
        with torch.enable_grad():
            reached = torch.autograd.grad(body(torch.zeros(1, 3, 64, 64))[tap - 2].sum(), learning, allow_unused=True)
        body.train(was)
        for parameter, gradient in zip(learning, reached, strict=True):
            if gradient is not None:
                parameter.requires_grad = False

    @property
    def class_weights(self):
        """Weights [n_tags, K] of the last layer."""
        return self.extra_linear.weight

    def deep(self, x):
        return self.last(self.extra_convs(self.feature_maps(x)[-1]))

    def forward(self, x):
        return self.extra_linear(self.deep(x).mean((2, 3)))


def build(backbone, n_tags, weights="random", extra=512, output_stride=0, freeze=False, detach_below=0, bias=True,
          checkpoint=""):
    """(classifier, where its weights came from). backbone: "vgg16_bn" (the paper's), one of `backbones.NAMES`, or one
    of WHOLE, which are what they are: without extra, output_stride, freeze, detach_below, and with a bias.

    checkpoint: a whole network, loaded strictly: this book's, NoPeopleAllowed's (its training files hold it under
    `model`) or, with backbone "resnet50", extra 0 and no bias, IRN's `res50_cam.pth`.
    """
    if backbone in WHOLE:
        if extra or output_stride or freeze or detach_below or not bias:
            raise ValueError(f"backbone {backbone}: a whole network of the original's; set extra 0, output_stride 0, "
                             "freeze false, detach_below 0, bias true")
        network = Whole(backbone, n_tags)
        return network, load_whole(network, weights, checkpoint)
    if backbone == "vgg16_bn":
        body, origin = VGG16BN(), "random"
        if weights == "imagenet" and not checkpoint:
            from torchvision import models

            fill_vgg(body, models.VGG16_BN_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True), "")
            origin = "torchvision vgg16_bn IMAGENET1K_V1"
        elif weights != "random" and not checkpoint:
            fill_vgg(body, load_torch(weights), weights)
            origin = str(weights).rsplit("/", 1)[-1]
    else:
        body = backbones.build(backbone, output_stride)
        origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    network = GapClassifier(body, n_tags, extra, freeze, bias, detach_below)
    if checkpoint:
        state = load_torch(checkpoint)
        state = state.get("model", state) if isinstance(state, dict) else state
        theirs = isinstance(state, dict) and "resnet50.conv1.weight" in state
        state = irn_classifier_state(state) if theirs else state
        backbones.fill(network, state, str(checkpoint), counters=not theirs)
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin


def fill_vgg(body, state, origin):
    """torchvision's vgg16_bn (and what follows its 43rd feature, left over)."""
    backbones.fill(body, state, str(origin), ("classifier.", "features.43"), counters=False)


def bce(logits, tags):
    """Binary cross-entropy, summed over classes, mean over pictures. (The original's own form cannot run.)"""
    return F.binary_cross_entropy_with_logits(logits, tags, reduction="none").sum(1).mean()


def loss_of(name):
    """The loss called NAME: "bce" (summed over classes) or "soft margin" (IRN). Raises ValueError."""
    losses = {"bce": bce, "soft margin": multilabel_loss}
    if name not in losses:
        raise ValueError(f"loss {name!r}: choose bce or soft margin")
    return losses[name]


def learning_groups(network, lr, extra_factor=10, bias_factor=2):
    """Backbone weights, backbone biases, new weights, new biases with their learning rates; BatchNorm's scales count as
    weights. For Adam: 1e-4, 2e-4, 1e-3, 2e-3."""
    new = {id(t) for module in network.new_modules for t in module.parameters()}
    groups = [[], [], [], []]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups[2 * (id(parameter) in new) + ("bias" in name)].append(parameter)
    rates = (lr, lr * bias_factor, lr * extra_factor, lr * extra_factor * bias_factor)
    return [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)]


TRAINING_ONLY = ("path_indices", "ind_from", "ind_to", "disp_target")  # index tensors of IRN's loss, in its file
ALIASES = ("stage", "backbone.", "newly_added.", "edge_layers.", "dp_layers.", "fc_dp7.4.")
STAGES = {"stage1.0.": "conv1.", "stage1.1.": "bn1.", "stage2.": "layer1.", "stage3.": "layer2.", "stage4.": "layer3.",
          "stage5.": "layer4."}


class PooledResNet50(nn.Module):
    """ResNet-50 with the taps of IRNet: behind the first pooling (stride 4), then layer1 to layer4 (4, 8, 16, 16).

    layer4 keeps stride 1 without dilation in IRN, dilation 2 behind its first block in NoPeopleAllowed (DILATED).
    """

    channels, strides, frozen = (64, 256, 512, 1024, 2048), (4, 4, 8, 16, 16), ()

    def __init__(self, dilated=False):
        super().__init__()
        from torchvision import models

        whole = models.resnet50(weights=None, replace_stride_with_dilation=(False, False, dilated))
        for name, child in list(whole.named_children())[:8]:
            self.add_module(name, child)
        if not dilated:
            self.layer4[0].conv2.stride = self.layer4[0].downsample[0].stride = (1, 1)

    def forward(self, x):
        taps = [self.maxpool(self.relu(self.bn1(self.conv1(x))))]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            taps.append(stage(taps[-1]))
        return tuple(taps)


def without_aliases(state) -> dict:
    """IRN's files hold each tensor under two or three names; the canonical one stays."""
    return {key: value for key, value in state.items() if not key.startswith(ALIASES)}


def irn_classifier_state(state) -> dict:
    """`res50_cam.pth` -> a GapClassifier on ResNet-50 without extra convolutions and bias."""
    found = {}
    for key, value in without_aliases(state).items():
        found[key.removeprefix("resnet50.") if key != "classifier.weight" else "extra_linear.weight"] = (
            value.flatten(1) if key == "classifier.weight" else value)
    return found


def irn_state(state) -> dict:
    """`res50_irn.pth` -> IRNet(PooledResNet50(), "stored mean")."""
    return {key.removeprefix("resnet50.") if key.startswith("resnet50.") else f"branches.{key}": value
            for key, value in without_aliases(state).items() if not key.startswith(TRAINING_ONLY)}


def npa_state(state) -> dict:
    """NoPeopleAllowed's IRNet -> IRNet(PooledResNet50(dilated=True), "instance norm", "batch")."""
    found = {}
    for key, value in state.items():
        start = next((old for old in STAGES if key.startswith(old)), None)
        found[STAGES[start] + key[len(start):] if start else f"branches.{key}"] = value
    return found


def irnet(backbone, centring, norms, weights="random", output_stride=0, checkpoint=""):
    """(IRNet, where its weights came from). A checkpoint is this book's own, `res50_irn.pth` or NoPeopleAllowed's."""
    dilated = centring == "instance norm"
    body = PooledResNet50(dilated) if backbone == "resnet50" else backbones.build(backbone, output_stride)
    origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    network = IRNet(body, centring, norms)
    if checkpoint:
        state = load_torch(checkpoint)
        if not isinstance(state, dict):
            raise FileError(f"{checkpoint}: not named tensors; give weights of an IRNet")
        state = state.get("model", state)
        if "fc_edge1.0.weight" in state:  # this book's own files have it below `branches`
            state = irn_state(state) if "resnet50.conv1.weight" in state else npa_state(state)
        backbones.fill(network, state, str(checkpoint), counters=False)
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin
