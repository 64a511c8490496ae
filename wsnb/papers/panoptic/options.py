"""Options of the label clean-up under their original names, with the original's defaults."""

from dataclasses import dataclass, fields, replace

from wsnb.papers.panoptic.space import CITYSCAPES, Space

RULES = (
    "run_score_thresh",
    "run_check_image_level_tags",
    "run_merge_with_mcg_and_grabcut",
    "run_apply_bbox_prior",
    "run_check_low_iou",
)  # in the order in which they work


@dataclass(frozen=True)
class Options:
    """What the clean-up does: thresholds, the switches of its rules, and whether instance maps are made (save_ins)."""

    space: Space = CITYSCAPES
    score_thresh: float = 0.99
    ichk_thresh: float = 0.5
    ichk_do_not_alter_existing_things: bool = True
    save_ins: bool = True
    run_score_thresh: bool = True
    run_check_image_level_tags: bool = True
    run_merge_with_mcg_and_grabcut: bool = True
    run_apply_bbox_prior: bool = True
    run_check_low_iou: bool = True


def changed(options: Options, **overrides) -> Options:
    """The options with some replaced. Raises ValueError for an option that does not exist."""
    known = [field.name for field in fields(Options)]
    if wrong := sorted(set(overrides) - set(known)):
        raise ValueError(f"no option {', '.join(wrong)}; the options are {', '.join(known)}")
    return replace(options, **overrides)


def train_extra(options: Options) -> Options:
    """The recipe for coarse annotations: boxes are inaccurate and tags miss classes there."""
    return changed(options, run_apply_bbox_prior=False, run_check_image_level_tags=False, save_ins=False)


def after_five_rounds(options: Options) -> Options:
    """From the sixth round on the network's own thing masks are better than M&G."""
    return changed(options, run_merge_with_mcg_and_grabcut=False)
