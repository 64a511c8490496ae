"""A finished chain on new pictures: 09's label maps of its first head, after the CRF."""

import numpy as np

from wsnb.data import read
from wsnb.models import training
from wsnb.ops import label_maps
from wsnb.ops.prediction import Predictor
from wsnb.papers.spml import inference, stages
from wsnb.papers.spml.evaluate import METHODS


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    p = run.upstream_params("09_inference")
    classes = read.class_names(p.layout, run.data_root)
    training.seed_everything(run.upstream_params("04_embedding").seed, p.threads)
    net, joint = stages.embedding_network(run, len(classes))
    name, files = p.heads[0], [("04_embedding", "network.pth")]
    head = joint
    if name == "softmax":
        head = stages.classifier(run, len(classes))
        files.append(("08_classifier", "classifier.pth"))
    field = label_maps.crf_from(p, device=run.device)

    def label(image):
        maps = inference.softmax_maps(net, head, image, p.image_size, p.test_scales,
                                      p.flip and len(p.test_scales) > 1, p.window, p.window_stride, run.device)
        maps = np.asarray(maps, np.float32)
        seen = inference.crf_image(image, maps.shape[1:])
        return inference.full_size_labels(seen, maps, image.shape[:2], None, field)[-1]

    folder = f"{name}_crf" if field.iterations else name
    return Predictor(label, classes, read.palette(p.layout), read.background(p.layout), tuple(files),
                     ("09_inference", folder), {"method": METHODS[name], "crf": label_maps.crf_text(field)})
