"""A finished chain on new pictures: 02's masks, gated by the tags that the network predicts, after the CRF."""

import torch

from wsnb.data import read
from wsnb.models import training
from wsnb.ops import label_maps
from wsnb.ops.prediction import Predictor
from wsnb.papers.single_stage import inference, losses, model
from wsnb.papers.single_stage.evaluate import METHODS


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    p, trained = run.upstream_params("02_masks"), run.upstream_params("01_train")
    classes = read.class_names(p.layout, run.data_root)
    training.seed_everything(trained.seed, p.threads)
    net, _ = model.build(trained.model, trained.backbone, "random", len(classes), trained.width, trained.psi,
                         trained.output_stride, rates=trained.head_rates)
    model.load_network(net, run.upstream("01_train") / "network.pth")
    net = net.to(run.device, memory_format=torch.channels_last).eval()
    infer = inference.inference_from(p, net, losses.settings_from(trained), run.device)
    field = label_maps.crf_from(p, device=run.device)

    def label(image):
        found, scores = infer(image)
        return inference.gated_labels(image, scores, [found > infer.cut], field)[-1]

    folder = inference.folders(["predicted"], p.crf_iterations)[-1]
    scored = {"method": METHODS[trained.model], "image_labels": "predicted", "crf": label_maps.crf_text(field)}
    return Predictor(label, classes, read.palette(p.layout), read.background(p.layout), (("01_train", "network.pth"),),
                     ("02_masks", folder), scored, longest=int(p.padded_side / max(p.scales)))
