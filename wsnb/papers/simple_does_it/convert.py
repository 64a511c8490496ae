"""Weights of TensorFlow programs for the instance network: TF-slim's VGG-16 and the original's 4-channel checkpoint.

Either an .npz with the tensors under TensorFlow's names, or the checkpoint itself where TensorFlow is installed:

    python -m wsnb.papers.simple_does_it.convert vgg_16.ckpt vgg_16.npz
"""

import sys
from pathlib import Path

import numpy as np
import torch

from wsnb.files import FileError, load_npz, load_torch, save_npz
from wsnb.methods import weights as weights_of
from wsnb.papers.simple_does_it.network import VGG_STAGES, extra_channels

STAGES = tuple(VGG_STAGES)[1:]
DEVIATION = (0.229, 0.224, 0.225)  # torchvision's networks see pixels / 255, less their mean, divided by this
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # numbers of vgg16's convolutions in `features`


def tensorflow_names(scope="weak") -> dict[str, str]:
    """{name of a variable in the original program: name of ours in BoxNetwork(VGGStages)}, 44 of them."""
    convolutions = {f"conv{s}/conv{s}_{k}": f"body.conv{s}_{k}" for s, (n, _) in VGG_STAGES.items()
                    for k in range(1, n + 1)}
    for i, s in enumerate(STAGES):
        convolutions[f"conv{s}_{VGG_STAGES[s][0]}_16"] = f"side.{i}"
        convolutions[f"score-dsn_{s}"] = f"score.{i}"
    convolutions["upscore-fuse"] = "fuse"
    return {f"{scope}/{theirs}/{kind}": f"{ours}.{ending}" for theirs, ours in convolutions.items()
            for kind, ending in (("weights", "weight"), ("biases", "bias"))}


def torch_layout(array) -> torch.Tensor:
    """A TensorFlow kernel [h, w, in, out] as [out, in, h, w]; other arrays as they are."""
    array = np.asarray(array, np.float32)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array))


def read_tensors(path) -> dict[str, np.ndarray]:
    """Named arrays of an .npz, or of a TensorFlow checkpoint (PREFIX of PREFIX.index). Raises FileError."""
    path = Path(path)
    if path.suffix == ".npz":
        return load_npz(path)
    try:
        from tensorflow.train import load_checkpoint  # not one of the book's packages
    except ImportError as error:
        raise FileError(
            f"{path}: reading a TensorFlow checkpoint needs TensorFlow. In an environment that has it, run "
            f"`python -m wsnb.papers.simple_does_it.convert {path.name} {path.stem}.npz`, then give the .npz here"
        ) from error
    try:
        reader = load_checkpoint(str(path).removesuffix(".index"))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # TensorFlow's own errors
        raise FileError(f"{path}: not a readable TensorFlow checkpoint ({error}); fetch it again") from error


def vgg_state(path) -> tuple[dict[str, torch.Tensor], str]:
    """The 13 convolutions of VGGStages (3 or 4 input channels) and their origin, from TF-slim's vgg_16 (.npz or
    checkpoint), the same with 4 channels, or torchvision's vgg16 (.pth). Raises FileError."""
    path = Path(path)
    if path.suffix in (".pth", ".pt"):
        return from_torchvision(load_torch(path), path.name), path.name
    found = read_tensors(path)
    scope = next((name.split("/")[0] for name in found if "/conv1/conv1_1/" in name), "vgg_16")
    keys = {k: v.removeprefix("body.") for k, v in tensorflow_names(scope).items() if v.startswith("body.")}
    return _renamed({name: torch_layout(found[name]) for name in keys if name in found}, keys, path.name), path.name


def from_torchvision(found, origin) -> dict[str, torch.Tensor]:
    """The 13 convolutions of torchvision's vgg16 under our names, the first one for the inputs of this chapter, which
    are 255 times as large and not divided by their deviation. Raises FileError."""
    weights_of.check_state(found, origin)
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
    """The net surgery on a 3-channel state; one that has 4 channels already is returned as it is."""
    first = state["conv1_1.weight"]
    return state if first.shape[1] == 4 else {**state, "conv1_1.weight": extra_channels(first, 1, std, seed)}


def network_state(path) -> dict[str, torch.Tensor]:
    """A whole BoxNetwork from the original's checkpoint (`vgg_16_4chan_weak.ckpt-50000`, or its tensors as .npz)."""
    found = read_tensors(path)
    scope = next((name.split("/")[0] for name in found if name.endswith("upscore-fuse/weights")), "weak")
    names = tensorflow_names(scope)
    missing = [name for name in names if name not in found]
    if missing:
        raise FileError(f"{path}: {len(missing)} variables of the original network are missing, first {missing[0]}; "
                        "give vgg_16_4chan_weak.ckpt-50000, converted")
    return {ours: torch_layout(found[theirs]) for theirs, ours in names.items()}


def any_network_state(path) -> dict[str, torch.Tensor]:
    """A whole BoxNetwork: one of ours (.pth) or the original's (`network_state`)."""
    return load_torch(path) if Path(path).suffix in (".pth", ".pt") else network_state(path)


def main(argv) -> int:
    """Convert a TensorFlow checkpoint to an .npz."""
    if len(argv) != 2 or not argv[1].endswith(".npz"):
        print("usage: python -m wsnb.papers.simple_does_it.convert CHECKPOINT OUT.npz")
        return 2
    tensors = {name: array for name, array in read_tensors(argv[0]).items() if np.asarray(array).dtype.kind == "f"}
    save_npz(argv[1], **tensors)
    print(f"{len(tensors)} tensors written to {argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
