"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import cost
from wsnb.ops import segmenter

STAGES = {
    "01_labels": lambda p: cost.reading(sizes.pictures(p.layout, p.train_split, p.limit) * sizes.of(p).megapixels),
    "02_train": lambda p: segmenter.training_work(p, sizes.of(p).classes, p.batch * epochs(p) * steps(p)),
    "03_evaluate": lambda p: segmenter.test_work(p, sizes.of(p), sizes.pictures(p.layout, p.val_split, p.val_limit)),
}


def steps(p) -> int:
    """Count the steps of an epoch."""
    return max(1, sizes.pictures(p.layout, p.train_split, p.limit) // p.batch)


def epochs(p) -> int:
    """Count the epochs that make the steps."""
    return segmenter.epochs_of(p.steps, sizes.pictures(p.layout, p.train_split, p.limit), p.batch)
