"""The clean-up of one picture: the five rules in their order, then instances, as in the released program."""

from wsnb.papers.panoptic import cleanup
from wsnb.papers.panoptic.boxes import Objects, clipped
from wsnb.papers.panoptic.instances import instance_labels
from wsnb.papers.panoptic.options import RULES, Options


def clean(labels, options: Options, scores=None, tags=None, mandg=None, found: Objects | None = None):
    """({rule: uint8 [H, W] after it}, last map) of a prediction LABELS uint8 [H, W]; rules that are off are left out.

    scores float32 [H, W]; tags: (windows [N, 4], their tags bool [N, C]); mandg uint8 [H, W]; found: objects of the
    picture. Raises ValueError for what a rule wants and has not.
    """
    wanted = {"run_score_thresh": scores, "run_check_image_level_tags": tags, "run_merge_with_mcg_and_grabcut": mandg,
              "run_apply_bbox_prior": found, "run_check_low_iou": found}
    for rule, value in wanted.items():
        if getattr(options, rule) and value is None:
            raise ValueError(f"{rule} is on, but its input is missing; give it, or switch the rule off")
    inside = None if found is None else clipped(found, labels.shape)
    steps = {
        "run_score_thresh": lambda p: cleanup.score_rule(p, scores, options.score_thresh),
        "run_check_image_level_tags": lambda p: cleanup.tag_rule(p, *tags),
        "run_merge_with_mcg_and_grabcut": lambda p: cleanup.merge_rule(p, mandg, options.space),
        "run_apply_bbox_prior": lambda p: cleanup.box_rule(p, inside, options.space),
        "run_check_low_iou": lambda p: cleanup.low_iou_rule(p, inside, options.space, options.ichk_thresh,
                                                            options.ichk_do_not_alter_existing_things),
    }
    after, last = {}, labels
    for rule in RULES:
        if getattr(options, rule):
            after[rule] = last = steps[rule](last)
    return after, last


def instances(labels, found: Objects):
    """Instance labels of a cleaned map with the picture's objects."""
    return instance_labels(labels, clipped(found, labels.shape))
