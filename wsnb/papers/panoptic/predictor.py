"""A finished chain on new pictures: the label maps of the last round's network, and the instances of 09."""

import numpy as np
import torch

from wsnb.files import load_torch
from wsnb.models import backbones, heads, training
from wsnb.ops import segmentation
from wsnb.ops.prediction import Predictor
from wsnb.papers.panoptic import instance_network, label_space
from wsnb.papers.panoptic import predict as predictions

BOXES = "components"  # the one source of boxes that a new picture has


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    stage, last = run.upstream_name("06_train"), run.upstream_name("07_predict")
    p, trained = run.upstream_params("07_predict"), run.upstream_params("06_train")
    space = label_space.at(p.layout, run.data_root)
    training.seed_everything(trained.seed, p.threads)
    net, _ = heads.build(trained.head, trained.backbone, len(space), "random", trained.output_stride, trained.width,
                         trained.freeze, rates=trained.head_rates)
    path = run.upstream("06_train") / "network.pth"
    backbones.fill(net, load_torch(path), str(path))
    net = net.to(run.device, memory_format=torch.channels_last).eval()

    def probabilities(image):
        return segmentation.predict(net, image, p.scales, p.flip, run.device)

    def label(image):
        return probabilities(image).argmax(axis=0).astype(np.uint8)

    settings = {}
    if run.has("09_instances"):
        settings = instance_network.settings_from(run.upstream_params("09_instances"), run.device)

    def instances(image):
        kept = predictions.reduced(probabilities(image), p.probability_stride)
        q = predictions.enlarged(kept, image.shape[:2])
        one = settings[BOXES]
        ids, classes, _ = instance_network.instances(image, q, instance_network.detect(None, q, space, one), space, one)
        return ids, classes

    return Predictor(label, space.names, space.palette, space.background, ((stage, "network.pth"),),
                     (last, "val_labels"), instances=instances if BOXES in settings else None)
