"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import cost
from wsnb.ops import segmenter
from wsnb.papers.simple_does_it import instances

RUNS = {"grabcut": 1, "grabcut_plus": None, "grabcut_plus_i": None, "m_and_g_plus": None}  # None: `jitter_runs`


def boxed(p, kind, pictures) -> dict:
    """Processor work of the labels KIND of PICTURES' boxes."""
    boxes, found = pictures * sizes.of(p).objects, {"picture": pictures * sizes.of(p).megapixels}
    if kind in RUNS:
        nodes = "GrabCut" if kind == "grabcut" else f"GrabCut+ between {p.grabcut_plus_nodes}"
        found[nodes] = boxes * (RUNS[kind] or getattr(p, "jitter_runs", 1))
    if kind in ("mcg", "m_and_g_plus", "proposal"):
        found["proposals"] = pictures
    return found


def prepare(p) -> cost.Work:
    """Weigh the label masks of all boxes."""
    pictures = sizes.pictures("sbd", p.train_split, p.limit) + sizes.pictures("sbd", p.val_split, p.val_limit)
    return cost.Work(cores=boxed(p, p.label_kind, pictures), kept=pictures * sizes.of(p).megapixels)


def train_boxes(p) -> cost.Work:
    """One box after another, the kinds of `train_on` side by side in turn; the steps of three stages are counted on."""
    size = sizes.of(p)
    network = cost.count(instances.build, (p.backbone, p.output_stride, p.freeze_norms), (4, size.height, size.width))
    samples = p.samples * p.last_steps[-1] * len(p.train_on)
    states = 1 if p.optimiser == "momentum" else 2
    return cost.training(network, 1, samples, "box sample", states)


def test_boxes(p) -> cost.Work:
    """Weigh the network on the boxes to test on."""
    size, boxes = sizes.of(p), sizes.pictures("sbd", p.val_split, p.val_limit) * sizes.of(p).objects
    network = cost.count(instances.build, (p.backbone, p.output_stride, p.freeze_norms), (4, size.height, size.width))
    return cost.inference(network, boxes * size.megapixels, (size.height, size.width), len(p.train_on))


def evaluate_boxes(p) -> cost.Work:
    """Weigh the scoring of boxes."""
    return cost.reading(sizes.pictures("sbd", p.val_split, p.val_limit) * sizes.of(p).megapixels)


def labels(p) -> cost.Work:
    """Weigh the labels of all methods."""
    pictures, found = sizes.pictures(p.layout, p.train_split, p.limit), {}
    for kind in p.label_methods:
        for name, amount in boxed(p, kind, pictures).items():
            found[name] = found.get(name, 0) + amount
    return cost.Work(cores=found, kept=pictures * sizes.of(p).megapixels * len(p.label_methods))


def train(p) -> cost.Work:
    """A network for each kind of labels; from the second round on those of `recursive_labels`, after de-noising."""
    pictures, size = sizes.pictures(p.layout, p.train_split, p.limit), sizes.of(p)
    kinds = len(p.train_labels) if p.round == 1 else len(p.recursive_labels)
    work = segmenter.training_work(p, size.classes, pictures // p.batch * p.batch * p.epochs)
    tests = segmenter.test_work(p, size, sizes.pictures(p.layout, p.val_split, p.val_limit), p.crf_at_test)
    again = [segmenter.test_work(p, size, pictures)] if p.round > 1 else []  # de-noised
    return cost.together(*kinds * [work, tests, *again])


def evaluate(p) -> cost.Work:
    """Weigh the scoring, which reads label maps."""
    return cost.reading(0)


STAGES = {"01_prepare": prepare, "02_surgery": evaluate, "03_train": train_boxes, "04_test": test_boxes,
          "05_evaluate": evaluate_boxes, "06_labels": labels, "07_train": train, "08_evaluate": evaluate}
