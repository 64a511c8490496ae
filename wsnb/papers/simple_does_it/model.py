"""The instance network: a picture and a box go in, the mask of the object in the box comes out.

An OSVOS-like network (Caelles et al., CVPR 2017): side outputs of four stages of a backbone, brought to the picture's
size by fixed bilinear kernels, and fused. VGG-16 as in the original program, or another backbone with a fourth input.

Weights of TensorFlow programs are read too, TF-slim's VGG-16 and the original's 4-channel checkpoint: either an .npz
with the tensors under TensorFlow's names, or the checkpoint itself where TensorFlow is installed.

    python -m wsnb.papers.simple_does_it.model vgg_16.ckpt vgg_16.npz
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import FileError, load_npz, load_torch, save_npz
from wsnb.models import backbones

VGG_STAGES = {1: (2, 64), 2: (2, 128), 3: (3, 256), 4: (3, 512), 5: (3, 512)}  # convolutions, channels
SIDE = 16  # channels of a side output
DEVIATION = (0.229, 0.224, 0.225)  # torchvision's networks see pixels / 255, less their mean, divided by this
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # numbers of vgg16's convolutions in `features`


class VGGStages(nn.Module):
    """x [B, inputs, H, W] -> the last features of stages 2 to 5 at strides 2, 4, 8, 16 (before the next pooling).

    3x3 convolutions with bias and ReLU; 2x2 max pooling after stages 1 to 4 rounds odd sides up.
    """

    channels = (128, 256, 512, 512)
    strides = (2, 4, 8, 16)

    def __init__(self, inputs=4):
        super().__init__()
        self.inputs = inputs
        for stage, (count, outputs) in VGG_STAGES.items():
            for k in range(1, count + 1):
                self.add_module(f"conv{stage}_{k}", nn.Conv2d(inputs, outputs, 3, padding=1))
                inputs = outputs

    def forward(self, x):
        features = []
        for stage, (count, _) in VGG_STAGES.items():
            if stage > 1:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            for k in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{stage}_{k}")(x))
            features.append(x)
        return tuple(features[1:])


class BackboneStages(nn.Module):
    """A backbone of the book as stages 2 to 5, its first convolution widened for the box map. FREEZE_NORMS keeps the
    BatchNorms as they are: samples come one by one, and one picture is too few for their statistics."""

    def __init__(self, name, inputs=4, output_stride=0, freeze_norms=False):
        super().__init__()
        self.body, self.freeze_norms = backbones.build(name, output_stride), freeze_norms
        self.channels, self.strides, self.inputs = self.body.channels[1:], self.body.strides[1:], inputs
        if inputs > 3:
            widen(self.body, inputs - 3, std=0.0)

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            if self.freeze_norms and isinstance(module, nn.BatchNorm2d):
                module.eval()
                for parameter in module.parameters():
                    parameter.requires_grad = False
        return self

    def forward(self, x):
        return self.body(x)[1:]


def first_convolution(module) -> tuple[str, nn.Conv2d]:
    """Name and module of the first convolution on three channels. Raises ValueError without one."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == 3:
            return name, part
    raise ValueError(f"{type(module).__name__} has no convolution on 3 channels to widen")


def extra_channels(weight, count=1, std=0.001, seed=0):
    """Net surgery: give a kernel [O, 3, h, w] COUNT more input channels, drawn from a normal of mean 0 and STD (not
    truncated) -> [O, 3 + COUNT, h, w]. The original is unseeded."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(weight.shape[0], count, *weight.shape[2:], generator=generator, dtype=weight.dtype) * std
    return torch.cat([weight, drawn], dim=1)


def widen(module, count=1, std=0.001, seed=0) -> None:
    """Give MODULE's first convolution COUNT more input channels; everything else stays."""
    _, old = first_convolution(module)
    old.weight = nn.Parameter(extra_channels(old.weight.detach(), count, std, seed))
    old.in_channels += count


class BoxNetwork(nn.Module):
    """x [B, 3 + 1, H, W] -> main logits [B, 1, H, W] and the side logits of four stages, [B, 1, H, W] each.

    body: gives four feature maps, with `channels` and `strides`. A stage: a 3x3 convolution to 16 channels without
    activation; a 1x1 convolution of it to the side logit (deep supervision); both enlarged by transposed convolution
    with a fixed bilinear kernel and cut to the picture. The main logit fuses the four enlarged maps.
    """

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.side = nn.ModuleList(nn.Conv2d(c, SIDE, 3, padding=1) for c in body.channels)
        self.score = nn.ModuleList(nn.Conv2d(SIDE, 1, 1) for _ in body.channels)
        self.fuse = nn.Conv2d(SIDE * len(body.channels), 1, 1)
        for conv in (*self.side, *self.score, self.fuse):
            nn.init.normal_(conv.weight, std=0.001)
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        """Each stage is summed by its part of `fuse` over its channels before it is enlarged: both are linear, and one
        channel is enlarged instead of sixteen."""
        size = x.shape[-2:]
        main, logits = self.fuse.bias.view(1, 1, 1, 1), []
        weights = self.fuse.weight.split(SIDE, dim=1)
        parts = zip(self.body.strides, self.side, self.score, weights, self.body(x), strict=True)
        for stride, side, score, weight, feature in parts:
            one = side(feature)
            main = main + enlarge(F.conv2d(one, weight), stride, size)
            logits.append(enlarge(score(one), stride, size))
        return main, logits

    def frozen_decay(self, weight_decay) -> float:
        """Compute the fixed bilinear kernels' part of the decay term: a constant of the loss, without a gradient."""
        total = 0.0
        for stride in self.body.strides:
            square = float((bilinear_kernel(2 * stride) ** 2).sum())
            total += square * (1 + SIDE)  # of the score, and of the diagonal of 16 x 16 channels
        return weight_decay * total / 2


def bilinear_kernel(size, dtype=torch.float64):
    """Make a kernel [size, size] that enlarges by linear interpolation: (1 - |i - c| / f) (1 - |j - c| / f), f half the
    size rounded up, c its centre."""
    f = (size + 1) // 2
    centre = f - 0.5 if size % 2 == 0 else f - 1.0
    line = 1 - (torch.arange(size, dtype=dtype) - centre).abs() / f
    return line[:, None] * line[None, :]


def enlarge(x, stride, size):
    """Enlarge x [B, C, h, w] to [B, C, *size]: transposed convolution with the bilinear kernel of 2 STRIDE.

    The result, (h + 1) STRIDE long, is cut to its centre.
    """
    channels = x.shape[1]
    kernel = bilinear_kernel(2 * stride).to(x).expand(channels, 1, -1, -1)
    large = F.conv_transpose2d(x, kernel, stride=stride, groups=channels)
    top, left = ((have - want) // 2 for have, want in zip(large.shape[-2:], size, strict=True))
    return large[..., top : top + size[0], left : left + size[1]]


def tensorflow_names(scope="weak") -> dict[str, str]:
    """{name of a variable in the original program: name of ours in BoxNetwork(VGGStages)}, 44 of them."""
    convolutions = {f"conv{s}/conv{s}_{k}": f"body.conv{s}_{k}" for s, (n, _) in VGG_STAGES.items()
                    for k in range(1, n + 1)}
    for i, s in enumerate(list(VGG_STAGES)[1:]):
        convolutions[f"conv{s}_{VGG_STAGES[s][0]}_16"] = f"side.{i}"
        convolutions[f"score-dsn_{s}"] = f"score.{i}"
    convolutions["upscore-fuse"] = "fuse"
    return {f"{scope}/{theirs}/{kind}": f"{ours}.{ending}" for theirs, ours in convolutions.items()
            for kind, ending in (("weights", "weight"), ("biases", "bias"))}


def torch_layout(array) -> torch.Tensor:
    """Turn a TensorFlow kernel [h, w, in, out] into [out, in, h, w]; other arrays as they are."""
    array = np.asarray(array, np.float32)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array))


def read_tensors(path) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz, or of a TensorFlow checkpoint (PREFIX of PREFIX.index). Raises FileError."""
    path = Path(path)
    if path.suffix == ".npz":
        return load_npz(path)
    try:
        from tensorflow.train import load_checkpoint  # not one of the book's packages
    except ImportError as error:
        raise FileError(
            f"{path}: reading a TensorFlow checkpoint needs TensorFlow. In an environment that has it, run "
            f"`python -m wsnb.papers.simple_does_it.model {path.name} {path.stem}.npz`, then give the .npz here"
        ) from error
    try:
        reader = load_checkpoint(str(path).removesuffix(".index"))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # TensorFlow's own errors
        raise FileError(f"{path}: not a readable TensorFlow checkpoint ({error}); fetch it again") from error


def vgg_state(path) -> tuple[dict[str, torch.Tensor], str]:
    """Read the 13 convolutions of VGGStages (3 or 4 input channels) and their origin, from TF-slim's vgg_16 (.npz or
    checkpoint), the same with 4 channels, or torchvision's vgg16 (.pth). Raises FileError."""
    path = Path(path)
    if path.suffix in (".pth", ".pt"):
        return from_torchvision(load_torch(path), path.name), path.name
    found = read_tensors(path)
    scope = next((name.split("/")[0] for name in found if "/conv1/conv1_1/" in name), "vgg_16")
    keys = {k: v.removeprefix("body.") for k, v in tensorflow_names(scope).items() if v.startswith("body.")}
    return _renamed({name: torch_layout(found[name]) for name in keys if name in found}, keys, path.name), path.name


def from_torchvision(found, origin) -> dict[str, torch.Tensor]:
    """Rename the 13 convolutions of torchvision's vgg16 to ours. Raises FileError.

    The first one is scaled for this chapter's inputs, 255 times as large and not divided by their deviation.
    """
    backbones.check_state(found, origin)
    names = [f"conv{s}_{k}" for s, (n, _) in VGG_STAGES.items() for k in range(1, n + 1)]
    keys = {f"features.{number}.{kind}": f"{name}.{kind}" for number, name in zip(TORCHVISION, names, strict=True)
            for kind in ("weight", "bias")}
    state = _renamed(found, keys, origin)
    deviation = 255 * torch.tensor(DEVIATION).view(3, 1, 1)
    return {**state, "conv1_1.weight": state["conv1_1.weight"] / deviation}


def _renamed(found, keys, origin):
    missing = [theirs for theirs in keys if theirs not in found]
    if missing:
        raise FileError(f"{origin}: {len(missing)} of VGG-16's tensors are missing, first {missing[0]}; give TF-slim's "
                        "vgg_16 as .npz or checkpoint, or torchvision's vgg16 .pth")
    return {ours: found[theirs] for theirs, ours in keys.items()}


def with_box_channel(state, std=0.001, seed=0) -> dict[str, torch.Tensor]:
    """Apply the net surgery to a 3-channel state; one that has 4 channels already is returned as it is."""
    first = state["conv1_1.weight"]
    return state if first.shape[1] == 4 else {**state, "conv1_1.weight": extra_channels(first, 1, std, seed)}


def network_state(path) -> dict[str, torch.Tensor]:
    """Read a BoxNetwork from the original's checkpoint (`vgg_16_4chan_weak.ckpt-50000`, or its tensors as .npz)."""
    found = read_tensors(path)
    scope = next((name.split("/")[0] for name in found if name.endswith("upscore-fuse/weights")), "weak")
    names = tensorflow_names(scope)
    missing = [name for name in names if name not in found]
    if missing:
        raise FileError(f"{path}: {len(missing)} variables of the original network are missing, first {missing[0]}; "
                        "give vgg_16_4chan_weak.ckpt-50000, converted")
    return {ours: torch_layout(found[theirs]) for theirs, ours in names.items()}


def any_network_state(path) -> dict[str, torch.Tensor]:
    """Read a whole BoxNetwork: one of ours (.pth) or the original's (`network_state`)."""
    return load_torch(path) if Path(path).suffix in (".pth", ".pt") else network_state(path)


def main(argv) -> int:
    """Convert a TensorFlow checkpoint to an .npz."""
    if len(argv) != 2 or not argv[1].endswith(".npz"):
        print("usage: python -m wsnb.papers.simple_does_it.model CHECKPOINT OUT.npz")
        return 2
    tensors = {name: array for name, array in read_tensors(argv[0]).items() if np.asarray(array).dtype.kind == "f"}
    save_npz(argv[1], **tensors)
    print(f"{len(tensors)} tensors written to {argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
