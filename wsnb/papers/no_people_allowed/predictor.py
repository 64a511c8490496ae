"""A finished chain on new pictures: 07's label maps, without tags."""

from wsnb.data import read
from wsnb.models import training
from wsnb.ops.prediction import Predictor
from wsnb.papers.no_people_allowed import inference, segmenter


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    p, trained = run.upstream_params("07_inference"), run.upstream_params("06_segmenter")
    classes = read.class_names(p.layout, run.data_root)
    training.seed_everything(trained.seed, p.threads)
    net = segmenter.load(trained, len(classes), run.upstream("06_segmenter") / "network.pth").to(run.device)

    def label(image):
        return inference.label_picture(net, image, p.test_style, trained.seg_side, trained.seg_base, p.test_scales,
                                       run.device)

    return Predictor(label, classes, read.palette(p.layout), read.background(p.layout),
                     (("06_segmenter", "network.pth"),), ("07_inference", "labels"))
