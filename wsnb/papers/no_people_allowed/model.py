"""The tag classifiers of NoPeopleAllowed and of IRN, on the papers' backbones or any other."""

import math

import torch
from torch import nn

from wsnb.files import FileError, load_torch
from wsnb.models import backbones
from wsnb.models.backbone_wrapper import BackboneWrapper
from wsnb.models.resnet import ResNet
from wsnb.papers.no_people_allowed.original_names import irn_classifier_state, whole_state

_DILATED = {"stage_strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "gradual": True}
WHOLE = {  # the ResNets that the first stage of NoPeopleAllowed takes for its classifier
    "resnet34": {"depth": 34, "stage_strides": (1, 2, 2, 2)},
    "resnet50_full": _DILATED,
    "resnet50_oaa": _DILATED,  # with three more convolutions
    "resnet_gap": {**_DILATED, "stages": 3},
}


def initialise(module):
    """Draw normal weights, biases 0: convolutions N(0, sqrt(2 / (k k out))), linear layers N(0, 0.01)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, math.sqrt(2 / (math.prod(module.kernel_size) * module.out_channels)))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if getattr(module, "bias", None) is not None and isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.zeros_(module.bias)


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
    freeze, affine: see BackboneWrapper.
    """

    def __init__(self, backbone, n_tags, extra=512, freeze=False, bias=True, detach_below=0, affine=False):
        super().__init__(backbone, freeze, affine)
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
        """Give the weights [n_tags, K] of the last layer."""
        return self.extra_linear.weight

    def deep(self, x):
        return self.last(self.extra_convs(self.feature_maps(x)[-1]))

    def forward(self, x):
        return self.extra_linear(self.deep(x).mean((2, 3)))


def build(backbone, n_tags, weights="random", extra=512, output_stride=0, freeze=False, detach_below=0, bias=True,
          checkpoint="", affine=False):
    """Build (classifier, where its weights came from). backbone: "vgg16_bn" (the paper's), one of `backbones.NAMES`,
    or one of WHOLE, which are what they are: without extra, output_stride, freeze, detach_below, and with a bias.

    checkpoint: a whole network, loaded strictly: this book's, NoPeopleAllowed's (its training files hold it under
    `model`) or, with backbone "resnet50", extra 0 and no bias, IRN's `res50_cam.pth`.
    """
    if backbone in WHOLE and (extra or output_stride or freeze or detach_below or not bias):
        raise ValueError(f"backbone {backbone}: a whole network of the original's; set extra 0, output_stride 0, "
                         "freeze false, detach_below 0, bias true")
    if backbone == "vgg16_bn":
        body, load = VGG16BN(), load_vgg
    elif backbone in WHOLE:
        body, load, extra = ResNet(**WHOLE[backbone]), load_resnet, 512 if backbone == "resnet50_oaa" else 0
    else:
        body, load = backbones.build(backbone, output_stride), backbones.load_imagenet
    origin = "" if checkpoint else load(body, backbone, weights)
    network = GapClassifier(body, n_tags, extra, freeze, bias, detach_below, affine)
    if backbone == "resnet34" or not bias:
        network.extra_linear.reset_parameters()  # torchvision's last layer and IRN's keep torch's own first weights
    if checkpoint:
        origin = load_checkpoint(network, backbone, checkpoint)
    return network, origin


def load(p, n_tags, path):
    """Load the classifier that 01 wrote to PATH, with the parameters P of 01, in evaluation mode."""
    network, _ = build(p.backbone, n_tags, "random", p.extra, p.output_stride, p.freeze, p.detach_below, p.bias, path)
    return network.to(memory_format=torch.channels_last).eval()


def load_checkpoint(network, backbone, checkpoint) -> str:
    """Fill a classifier from a file of a whole one, strictly, and say where its weights came from."""
    state = load_torch(checkpoint)
    state = state.get("model", state) if isinstance(state, dict) else state
    irn = isinstance(state, dict) and "resnet50.conv1.weight" in state
    if irn:
        state = irn_classifier_state(state)
    elif backbone in WHOLE and isinstance(state, dict):
        state = whole_state(state)
    backbones.fill(network, state, str(checkpoint), counters=not irn)
    return f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"


def load_backbone(network, classifier_file, new, parameter) -> str:
    """Give another network on the classifier's backbone that backbone's weights, all but those of its layers NEW (the
    prefix of their names); says where they came from.

    Raises FileError, which names PARAMETER, if the classifier stands on another backbone.
    """
    state, own = load_torch(classifier_file), network.state_dict()
    body = [key for key in own if not key.startswith(new)]
    missing = [key for key in body if key not in state or state[key].shape != own[key].shape]
    if missing:
        raise FileError(f"{parameter}: the classifier has another backbone ({missing[:3]}); use the same, or a file")
    network.load_state_dict({**own, **{key: state[key] for key in body}})
    return "backbone of the classifier"


def load_resnet(body, name, weights) -> str:
    """Fill the body of one of WHOLE with torchvision's weights; resnet_gap leaves layer4 over."""
    resnet = "resnet34" if name == "resnet34" else "resnet50"
    return backbones.load_imagenet(body, resnet, weights, (*backbones.HEADS, "layer4."))


def load_vgg(body, name, weights) -> str:
    """Fill VGG16BN with torchvision's vgg16_bn; the classification head and `features.43` are left over."""
    if weights == "random":
        return "random"
    if weights == "imagenet":
        from torchvision import models

        state = models.VGG16_BN_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        origin = f"torchvision {name} IMAGENET1K_V1"
    else:
        state, origin = load_torch(weights), str(weights).rsplit("/", 1)[-1]
    backbones.fill(body, state, origin, ("classifier.", "features.43"), counters=False)
    return origin


def learning_groups(network, lr, extra_factor=10, bias_factor=2):
    """Group backbone weights, backbone biases, new weights, new biases with their learning rates; BatchNorm's scales
    count as weights. For Adam: 1e-4, 2e-4, 1e-3, 2e-3."""
    new = {id(t) for module in network.new_modules for t in module.parameters()}
    groups = [[], [], [], []]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups[2 * (id(parameter) in new) + ("bias" in name)].append(parameter)
    rates = (lr, lr * bias_factor, lr * extra_factor, lr * extra_factor * bias_factor)
    return [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)]
