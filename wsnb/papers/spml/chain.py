"""What the stages after the embedding share: its network, the CRF, the labels' quality, conditions of a number."""

import numpy as np

from wsnb import metrics
from wsnb.files import load_torch, read_index
from wsnb.methods import weights as weights_of
from wsnb.methods.crf import CRF
from wsnb.methods.evaluation import BACKBONES
from wsnb.methods.label_maps import crf_text
from wsnb.papers.spml import network
from wsnb.papers.spml.heads import SoftmaxHead


def load(e, path, n_classes, device):
    """(embedding network, joint head) of the parameters E of 04 and its file, in evaluation mode."""
    net, _ = network.build(e.backbone, e.head, e.dim, "random", e.norms, e.norm_momentum, e.output_stride, e.head_width)
    head = SoftmaxHead(e.dim, n_classes)
    network.load_snapshot(path, net, head)
    return net.to(device).eval(), head.to(device).eval()


def load_head(dim, n_classes, path, device):
    """The classifier of 08, in evaluation mode."""
    head = SoftmaxHead(dim, n_classes)
    weights_of.fill(head, load_torch(path), str(path))
    return head.to(device).eval()


def of_round(values, number):
    """The value of a round: the last one serves all later rounds too. Raises ValueError for an empty list."""
    if not values:
        raise ValueError("a list with a value for each round is empty; give at least one")
    return values[min(number, len(values)) - 1]


def crf_from(p, iterations) -> CRF:
    """The CRF of a stage's parameters with ITERATIONS."""
    return CRF(iterations, p.crf_gaussian_sxy, p.crf_gaussian_compat, p.crf_bilateral_sxy, p.crf_bilateral_srgb,
               p.crf_bilateral_compat)


def label_quality(items, truth_of, weak_of, folders, n_classes) -> dict:
    """Confusion of the training pictures' labels with their true masks, {name: int64 [C, C]}: the weak masks, whose
    unlabelled pixels count as background, and each folder's."""
    tables = {name: np.zeros((n_classes, n_classes), np.int64) for name in ("weak", *(f.name for f in folders))}
    for item in items:
        truth, weak = truth_of(item), weak_of(item)
        found = {"weak": np.where(weak < n_classes, weak, 0)}
        found |= {f.name: read_index(f / f"{item.id}.png") for f in folders}
        for name, labels in found.items():
            counted = labels < n_classes
            tables[name] += metrics.confusion(np.where(counted, truth, 255).astype(np.uint8),
                                              np.where(counted, labels, 0).astype(np.uint8), n_classes)
    return tables


STEPS = {"weak": "weak masks", "walk": "random walk", "walk_crf": "random walk, CRF", "labels_votes": "retrieval",
         "labels": "retrieval, CRF"}


def ladder(tables, number, skip=()) -> list[dict]:
    """Rows of results of the labels' quality {name: confusion} in a round, as steps of the chain."""
    return [{"name": "mIoU of the labels", "value": 100 * metrics.mean_iou(table), "unit": "%", "role": "ladder",
             "step": f"{STEPS[name]}{f', round {number}' if number > 1 else ''}"}
            for name, table in tables.items() if name not in skip]


def of_prototypes(labels, retrieve_labels) -> dict:
    """What the LABELS of 06's prototypes add to the protocol of retrieval: with the truth it is not weakly supervised.
    Raises ValueError if the truth would come back as labels to train on."""
    if labels != "ground truth":
        return {}
    if retrieve_labels:
        raise ValueError("prototype_labels 'ground truth': 08 would be trained on labels that were retrieved from the "
                         "true masks; take pseudo or weak, or set retrieve_labels: false")
    return {"label_source": "full"}


def conditions(e, p, scales, with_crf, threshold="") -> dict:
    """Protocol fields of predictions made with the parameters P of a stage and E of the embedding."""
    several = len(scales) > 1
    size = f"longer side {p.image_size}" if p.image_size else "picture's size"
    return {"scales": list(scales), "flip": bool(p.flip and several), "ignore_label": 255,
            "crf": crf_text(crf_from(p, p.crf_iterations)) if with_crf else "", "resolution": size,
            "threshold": threshold, "backbone": BACKBONES.get(e.backbone, "ResNet101"), "preset": e.preset}
