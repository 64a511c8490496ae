"""Products of earlier stages, as the notebooks read them."""

from dataclasses import dataclass
from functools import partial

from wsnb import files
from wsnb.data import read
from wsnb.models import backbones
from wsnb.papers.spml import model, weak_labels

FOLDERS = {"pseudo": ("05_pseudo_labels", ""), "walk": ("05_pseudo_labels", ""),  # with or without CRF: 05 says
           "retrieval": ("07_retrieval", "labels"), "weak": ("03_weak_masks", "weak")}


@dataclass(frozen=True)
class TrainingSet:
    """Training pictures: class names, items, and functions from an item to its weak and its true mask uint8 [H, W].

    measurable: the items whose masks are true ones, for measuring labels only.
    """

    classes: tuple
    items: list
    weak_of: partial
    truth_of: partial
    measurable: list


def training_set(stage, params) -> TrainingSet:
    """Read the training pictures that PARAMS (of 03 or 04) name, with the weak masks of 03."""
    classes = read.class_names(params.layout, stage.data_root)
    items = read.items(params.layout, stage.data_root, params.train_split, params.limit)
    listed = stage.upstream_params("03_weak_masks").weak_source == "list"  # its masks are no true ones
    return TrainingSet(classes, items, weak_labels.in_folder(stage.upstream("03_weak_masks") / "weak"),
                       weak_labels.truth(params.layout, len(classes)),
                       [item for item in items if item.mask is not None and not listed])


def labels(stage, name, choices, truth_of=None):
    """Return a function from an item to its training label map: of the parameter NAME, one of CHOICES."""
    kind = getattr(stage.params, name)
    weak_labels.check_choice(name, kind, choices)
    if kind == "ground truth":
        return truth_of
    folder = stage.upstream(FOLDERS[kind][0])
    inner = FOLDERS[kind][1] or files.load_json(folder / "results.json")["notes"]["labels"]
    return weak_labels.in_folder(folder / inner)


def embedding_network(stage, n_classes, device=None):
    """Load (embedding network, joint head) of 04 to DEVICE (the stage's), in evaluation mode."""
    params = stage.upstream_params("04_embedding")
    net, _ = model.build(params.backbone, params.head, params.dim, "random", params.norms, params.norm_momentum,
                         params.output_stride, params.head_width, rates=params.head_rates)
    head = model.SoftmaxHead(params.dim, n_classes)
    model.load_snapshot(stage.upstream("04_embedding") / "network.pth", net, head)
    device = device or stage.device
    return net.to(device).eval(), head.to(device).eval()


def classifier(stage, n_classes, device=None):
    """Load the classifier of 08 to DEVICE (the stage's), in evaluation mode."""
    path = stage.upstream("08_classifier") / "classifier.pth"
    head = model.SoftmaxHead(stage.upstream_params("04_embedding").dim, n_classes)
    backbones.fill(head, files.load_torch(path), str(path))
    return head.to(device or stage.device).eval()
