"""The tag classifiers of NoPeopleAllowed and of IRN, on the papers' backbones or any other."""

import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import load_torch
from wsnb.methods import backbones
from wsnb.methods import weights as weights_of
from wsnb.methods.adopt import Adopted
from wsnb.methods.classifier import multilabel_loss
from wsnb.papers.no_people_allowed import released
from wsnb.papers.no_people_allowed.whole import WHOLE, Whole, initialise, load_whole

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


class GapClassifier(Adopted):
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
        state = released.irn_classifier_state(state) if theirs else state
        weights_of.fill(network, state, str(checkpoint), counters=not theirs)
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin


def fill_vgg(body, state, origin):
    """torchvision's vgg16_bn (and what follows its 43rd feature, left over)."""
    weights_of.fill(body, state, str(origin), ("classifier.", "features.43"), counters=False)


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
