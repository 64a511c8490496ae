"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import cost
from wsnb.papers.single_stage import model


def network(p) -> cost.Count:
    """Count the network of the chapter."""
    return cost.count(model.build, (p.model, p.backbone, "random", sizes.of(p).classes, p.width, p.psi, p.output_stride,
                                    "", p.freeze, tuple(p.head_rates)), (3, p.crop, p.crop))


def train(p) -> cost.Work:
    """Epochs 0 to `epochs`, validation before every `validate_every`th on the crops of two lists."""
    found, epochs = network(p), p.epochs + 1
    samples = epochs * sizes.pictures(p.layout, p.train_split)
    watched = (1 + p.epochs // p.validate_every) * sum(sizes.pictures(p.layout, split)
                                                       for split in (p.watch_split, p.val_split))
    later = (epochs - p.pretrain) / epochs * (p.model == "single_stage")  # epochs with masks
    refined = later * p.pamr_iterations * pamr_operations(p) * (1 + sizes.of(p).tags)
    work = cost.training(found, p.batch, samples, "crop, single_stage", more=refined)
    return cost.together(work, cost.Work(flops=watched * found.forward, cores={"crop, single_stage": watched}))


def pamr_operations(p) -> float:
    """Sums and products of one iteration of PAMR for one class: eight neighbours a dilation."""
    return 2 * 8 * len(p.pamr_dilations) * p.crop**2


def masks(p) -> cost.Work:
    """Each variant of a picture goes through the network in a frame of `padded_side`."""
    through = sizes.pictures(p.layout, p.split, p.limit) * sizes.of(p).megapixels
    frames = len(p.scales) * (2 if p.flip else 1) * p.padded_side**2 / (1e6 * sizes.of(p).megapixels)
    fields = {"dense CRF": through * len(p.tag_sources) * p.crf_iterations * (1 + sizes.of(p).tags)}
    return cost.inference(network(p), through, (p.crop, p.crop), frames, **fields)


def evaluate(p) -> cost.Work:
    """Weigh the scoring, which reads label maps."""
    return cost.reading(sizes.pictures(p.layout, p.split, p.limit) * sizes.of(p).megapixels)


STAGES = {"01_train": train, "02_masks": masks, "03_evaluate": evaluate}
