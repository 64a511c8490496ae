"""Assemble a network of this paper from parameters; load the authors' released files."""

from wsnb.files import load_torch
from wsnb.methods import backbones
from wsnb.methods import weights as weights_of
from wsnb.papers.single_stage.network import CAMBaseline, SingleStage

MODELS = ("single_stage", "cam_baseline")


def build(
    model, backbone, weights="random", n_classes=21, width=256, psi=0.3, output_stride=0, checkpoint="", freeze=True
):
    """(network, where its weights came from).

    model: "single_stage" or "cam_baseline". weights: the backbone's, see `backbones.load_imagenet`. checkpoint: a whole
    network's file (the authors' `model_enc_e020Xs0.928.pth`, or one of ours), loaded strictly; it overrides weights.
    freeze: never train the backbone's first layers and BatchNorms.
    Raises ValueError for an unknown model and FileError for a file that does not fit, key for key.
    """
    if model not in MODELS:
        raise ValueError(f"model {model!r}: choose one of {', '.join(MODELS)}")
    body = backbones.build(backbone, output_stride)
    origin = "" if checkpoint else backbones.load_imagenet(body, backbone, weights)
    network = (
        SingleStage(body, n_classes, width, psi, freeze)
        if model == "single_stage"
        else CAMBaseline(body, n_classes, freeze)
    )
    if checkpoint:
        load_network(network, checkpoint)
        origin = f"checkpoint {checkpoint.rsplit('/', 1)[-1]}"
    return network, origin


def load_network(network, path) -> None:
    """Load a bare state dict strictly. Raises FileError naming the first keys that do not fit."""
    weights_of.fill(network, load_torch(path), str(path))
