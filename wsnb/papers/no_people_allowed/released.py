"""The original programs' weights under this book's names: IRN's two networks, NoPeopleAllowed's IRNet."""

from torch import nn

from wsnb.files import FileError, load_torch
from wsnb.methods import backbones
from wsnb.methods import weights as weights_of
from wsnb.methods.irnet import IRNet

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
        weights_of.fill(network, state, str(checkpoint), counters=False)
        origin = f"checkpoint {str(checkpoint).rsplit('/', 1)[-1]}"
    return network, origin
