"""A finished chain on new pictures: the best network that learned from boxes, or the one that fills given boxes."""

import numpy as np

from wsnb.data import read
from wsnb.files import load_torch
from wsnb.models import backbones, training
from wsnb.ops import label_maps, segmenter
from wsnb.ops.prediction import Predictor
from wsnb.papers.simple_does_it import data, evaluate, instances, semantic

WEAK = "weak"  # of the instance networks, the one that learned from boxes


def predictor(run) -> Predictor:
    """Make the Predictor of a finished RUN, as `wsnb.run.predict` gives it. Raises FileError for a missing stage."""
    return _of_boxes(run) if run.has("04_test") else _of_pictures(run)


def _of_pictures(run) -> Predictor:
    tables = semantic.load_tables(run.upstream("07_train") / "tables.npz")
    p = run.upstream_params("07_train")
    name = (evaluate.best_and_full(tables) or p.train_labels)[0]
    stage = f"07_train@{name.partition('@')[2] or 1}"
    p = run.upstream_params(stage)
    classes = read.class_names(p.layout, run.data_root)
    training.seed_everything(p.seed, p.threads)
    file = f"{name}/network.pth"
    scores_of = segmenter.scorer(p, segmenter.load(p, len(classes), run.upstream(stage) / file, run.device), run.device)
    field = label_maps.crf_from(p, device=run.device) if p.crf_at_test and p.crf_iterations else None

    kind = "val_crf" if field else "val"

    def label(image):
        return label_maps.winners(image, scores_of(image), field)[-1]

    return Predictor(label, classes, read.palette(p.layout), read.background(p.layout),
                     ((run.upstream_name(stage), file), (run.upstream_name("07_train"), "tables.npz")),
                     (run.upstream_name(stage), f"{kind}/{name}"), evaluate.network_conditions(name, kind, p))


def _of_boxes(run) -> Predictor:
    p, trained = run.upstream_params("04_test"), run.upstream_params("03_train")
    kind = WEAK if WEAK in trained.train_on else trained.train_on[0]
    training.seed_everything(0, p.threads)
    network = instances.build(trained.backbone, trained.output_stride)
    file = f"{kind}/network.pth"
    backbones.fill(network, load_torch(run.upstream("03_train") / file), file)
    network.to(run.device).eval()

    def label(image, boxes):
        found = np.zeros(image.shape[:2], np.uint8)
        for number, box in enumerate(boxes, 1):
            probability = instances.predict(network, image, box, trained.backbone, trained.preset, trained.side,
                                            run.device, p.clip_to_box)
            found[data.predicted_mask(probability) > 0] = number
        return found

    return Predictor(label, ("background", "object"), read.palette(p.layout), 0, (("03_train", file),),
                     ("04_test", f"predicted_inst_masks/{kind}"), of_boxes=True)
