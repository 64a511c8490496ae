"""The finished student on new pictures: with its CRF, where it was measured with one."""

from wsnb.data import read
from wsnb.models import training
from wsnb.ops import label_maps, segmenter
from wsnb.ops.prediction import Predictor
from wsnb.papers.student import evaluate


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    p, trained = run.upstream_params("03_evaluate"), run.upstream_params("02_train")
    labels = run.upstream_params("01_labels")
    classes = read.class_names(labels.layout, run.data_root)
    training.seed_everything(0, p.threads)
    network = segmenter.load(trained, len(classes), run.upstream("02_train") / "network.pth", run.device)
    scores_of = segmenter.scorer(segmenter.settings(p, base=trained.base), network, run.device)
    field = label_maps.crf_from(p, device=run.device) if p.crf_iterations else None

    def label(image):
        return label_maps.winners(image, scores_of(image), field)[-1]

    return Predictor(label, classes, read.palette(labels.layout), read.background(labels.layout),
                     (("02_train", "network.pth"),), ("03_evaluate", "val_crf" if field else "val"),
                     evaluate.conditions(labels, trained, p, field))
