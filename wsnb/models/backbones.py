"""Backbones by name, and weights from files, key for key: ImageNet's, a checkpoint's, or none."""

from pathlib import Path

import torch
from torch import nn

from wsnb.files import FileError, load_torch
from wsnb.models.resnet import ResNet
from wsnb.models.small import MobileNetV2, Tiny
from wsnb.models.vgg16 import LAYERS, VGG16
from wsnb.models.wide_resnet38 import WideResNet38


def check_state(state, origin) -> None:
    """Raise FileError unless STATE is a bare state dict: names and tensors."""
    pairs = state.items() if isinstance(state, dict) else [(0, None)]
    if not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in pairs):
        raise FileError(f"{origin}: holds more than named tensors, or none; give a bare state dict")


def fill(module: nn.Module, state: dict, origin: str, heads: tuple = (), counters: bool = True) -> None:
    """Load STATE strictly.

    Left over may only be keys that begin with one of HEADS; missing, without COUNTERS, only BatchNorm's batch counters.
    Raises FileError naming the first keys that do not fit.
    """
    check_state(state, origin)
    own = module.state_dict()
    missing = [k for k in own if k not in state and (counters or not k.endswith("num_batches_tracked"))]
    unknown = [k for k in state if k not in own and not k.startswith(heads)]
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or unknown or shapes:
        raise FileError(
            f"{origin}: not weights of this network; {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}, {len(shapes)} of another shape {shapes[:3]}. "
            "Check the backbone and the decoder's width"
        )
    module.load_state_dict({k: v for k, v in state.items() if k in own}, strict=counters)


NAMES = ("resnet38", "vgg16", "resnet50", "resnet101", "mobilenet_v2", "tiny")
OUTPUT_STRIDES = {name: (0, 8, 16) for name in ("mobilenet_v2", "resnet50", "resnet101")}
HEADS = ("fc.", "linear1000.", "classifier.", "features.18.")  # parts of a classification file that no backbone has


def build(name, output_stride=0, gradual=False):
    """Build a backbone with random weights: a module from x [B, 3, H, W] to five feature maps, with `channels`,
    `strides` and `frozen` (names of the modules that the papers never train). output_stride: 16 or 8 for MobileNetV2
    and the ResNets, 0 for what the backbone has by itself (16; 8 for the others). gradual: of ResNets at 8, see
    `resnet.ResNet`.

    Raises ValueError for an unknown name or a stride that the backbone cannot have.
    """
    if name not in NAMES:
        raise ValueError(f"backbone {name!r}: choose one of {', '.join(NAMES)}")
    strides = OUTPUT_STRIDES.get(name, (0, 8))
    if output_stride not in strides:
        raise ValueError(f"output_stride {output_stride} for {name}: choose {' or '.join(map(str, strides[1:]))}, or 0")
    if name == "resnet38":
        return WideResNet38()
    if name == "vgg16":
        return VGG16()
    if name in ("resnet50", "resnet101"):
        dilated = {"stage_strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "gradual": gradual}
        return ResNet(int(name[6:]), **(dilated if output_stride == 8 else {}))
    if name == "mobilenet_v2":
        return MobileNetV2(output_stride or 16)
    return Tiny()


def load_imagenet(backbone: nn.Module, name: str, weights: str, heads: tuple = HEADS) -> str:
    """Fill BACKBONE with ImageNet weights and say where they came from.

    weights: "random" leaves it as it is, "imagenet" downloads torchvision's file (ResNets, MobileNetV2, VGG-16's
    convolutions), anything else is a file: torchvision's, `ilsvrc-cls_rna-a1_cls1000_ep-0001.pth`, `vgg16_20M.pth`.
    Every tensor of the backbone must be in it and only a classification head may be left over, names that begin with
    one of HEADS; else FileError.
    """
    if weights == "random":
        return "random"
    if weights == "imagenet":
        state, origin = _download(name), f"torchvision {name} IMAGENET1K_V1"
    else:
        if not Path(weights).is_file():
            raise FileError(f"weights {weights!r}: no such file; give a path, 'imagenet' or 'random'")
        state, origin = load_torch(weights), Path(weights).name
    check_state(state, origin)
    if name == "vgg16" and "features.0.weight" in state:
        state, origin = _vgg16_from_torchvision(state, origin), origin + ", fc6 and fc7 decimated"
    fill(backbone, state, origin, heads, counters=False)
    return origin


def _download(name):
    if name in ("resnet38", "tiny"):
        raise FileError(
            f"weights 'imagenet' for {name}: torchvision has none; "
            + ("use 'random'" if name == "tiny" else "give the path of ilsvrc-cls_rna-a1_cls1000_ep-0001.pth")
        )
    from torchvision import models

    kind = {
        "vgg16": models.VGG16_Weights,
        "resnet34": models.ResNet34_Weights,
        "resnet50": models.ResNet50_Weights,
        "resnet101": models.ResNet101_Weights,
        "mobilenet_v2": models.MobileNet_V2_Weights,
    }[name]
    return kind.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)


def _vgg16_from_torchvision(state, origin):
    """torchvision's 13 convolutions under their Caffe names; fc6 and fc7 decimated as in DeepLab-LargeFOV."""
    numbers = sorted({int(k.split(".")[1]) for k in state if k.startswith("features.")})
    dense = {"classifier.0.weight": (4096, 25088), "classifier.0.bias": (4096,), "classifier.3.weight": (4096, 4096),
             "classifier.3.bias": (4096,)}
    wrong = [k for k, shape in dense.items() if k not in state or state[k].shape != shape]
    if len(numbers) != len(LAYERS) or wrong:
        raise FileError(f"{origin}: not torchvision's vgg16; {len(numbers)} convolutions instead of {len(LAYERS)}, "
                        f"missing or of another shape: {wrong}")
    renamed = {}
    for (name, _, _), number in zip(LAYERS, numbers, strict=True):
        for part in ("weight", "bias"):
            renamed[f"{name}.{part}"] = state[f"features.{number}.{part}"]
    fc6 = state["classifier.0.weight"].view(4096, 512, 7, 7)
    renamed["fc6.weight"] = fc6[::4, :, 0::3, 0::3].contiguous()
    renamed["fc6.bias"] = state["classifier.0.bias"][::4].clone()
    renamed["fc7.weight"] = state["classifier.3.weight"][::4, ::4].reshape(1024, 1024, 1, 1).contiguous()
    renamed["fc7.bias"] = state["classifier.3.bias"][::4].clone()
    return renamed
