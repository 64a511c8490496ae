"""Options of the label clean-up under their original names, with the original's defaults."""

from dataclasses import dataclass, fields, replace

from wsnb.papers.panoptic.space import CITYSCAPES, IGNORE, Space

RULES = (
    "run_score_thresh",
    "run_check_image_level_tags",
    "run_merge_with_mcg_and_grabcut",
    "run_apply_bbox_prior",
    "run_check_low_iou",
)  # in the order in which they work


@dataclass(frozen=True)
class Options:
    """What the clean-up does, and where its files lie (relative to the data root, `pred_root` for results).

    list_path, canvas_size and visualise_results are the original's, and nothing reads them here: `released_jobs` is
    given the ids, each picture has its own size, and the notebooks draw. Raises ValueError for another ignore_label.
    """

    list_path: str = ""
    annotation_dir: str = ""  # boxes, %s_leftImg8bit.mat
    gt_label_dir: str = ""  # labels whose crops give the tags: <dir>/<city>/<template>
    gt_label_template: str = "%s_gtFine_labelTrainIds.png"
    canvas_size: tuple[int, int] = (1024, 2048)
    ignore_label: int = IGNORE
    space: Space = CITYSCAPES
    pred_root: str = "results"
    score_thresh: float = 0.99
    ichk_thresh: float = 0.5
    ichk_do_not_alter_existing_things: bool = True
    schk_crop_size: tuple[int, int] = (400, 500)
    pred_dir: str = "pred_sem_raw"
    pred_score_dir: str = "pred_flat_feat"
    mcg_and_grabcut_dir: str = "mcg_and_grabcut/train"
    sem_save_dir: str = "pred_sem_clean"
    ins_save_dir: str = "pred_ins_clean"
    force_overwrite: bool = True
    save_sem: bool = True
    save_ins: bool = True
    visualise_results: bool = False
    run_score_thresh: bool = True
    run_check_image_level_tags: bool = True
    run_merge_with_mcg_and_grabcut: bool = True
    run_apply_bbox_prior: bool = True
    run_check_low_iou: bool = True
    run_ins_box_process: bool = True

    def __post_init__(self):
        if self.ignore_label != IGNORE:
            raise ValueError(f"ignore_label {self.ignore_label}: it is {IGNORE} everywhere; map your labels to it")

    @property
    def saves_instances(self) -> bool:
        """Instance maps are saved only if they are made."""
        return self.save_ins and self.run_ins_box_process


def get_opts(dataset: str, split: str, **overrides) -> Options:
    """The defaults for a split (train, val, train_extra) of Cityscapes with some OVERRIDES.

    Raises ValueError for another data set or split (the original does so for test too, which has no boxes), and for
    an option that does not exist.
    """
    kinds = {"train": "Fine", "val": "Fine", "train_extra": "Coarse"}
    if dataset != "cityscapes":
        raise ValueError(f"dataset {dataset!r}: only cityscapes has options of the original; set yours by `replace`")
    if split not in kinds:
        raise ValueError(f"split {split!r}: choose one of {', '.join(kinds)}")
    return changed(Options(
        list_path=f"lists/{split}_id.txt",
        annotation_dir=f"gt{kinds[split]}_bboxes/{split}/panoptic",
        gt_label_dir=f"gt{kinds[split]}/{split}",
        gt_label_template=f"%s_gt{kinds[split]}_labelTrainIds.png",
        mcg_and_grabcut_dir=f"mcg_and_grabcut/{split}",
    ), **overrides)


def changed(options: Options, **overrides) -> Options:
    """The options with some replaced; lists become tuples. Raises ValueError for an option that does not exist."""
    known = [field.name for field in fields(Options)]
    if wrong := sorted(set(overrides) - set(known)):
        raise ValueError(f"no option {', '.join(wrong)}; the options are {', '.join(known)}")
    return replace(options, **{k: tuple(v) if isinstance(v, list) else v for k, v in overrides.items()})


def kick_off(options: Options, split="train") -> Options:
    """The recipe of the first labels: CAM labels instead of a prediction, which have no scores."""
    return changed(options, pred_dir=f"cam/{split}", sem_save_dir="pred_sem_cam_mandg_merged",
                   ins_save_dir="pred_ins_cam_mandg_merged", run_score_thresh=False)


def train_extra(options: Options) -> Options:
    """The recipe for coarse annotations: boxes are inaccurate and tags miss classes there."""
    return changed(options, run_apply_bbox_prior=False, run_check_image_level_tags=False, save_ins=False)


def after_five_rounds(options: Options) -> Options:
    """From the sixth round on the network's own thing masks are better than M&G."""
    return changed(options, run_merge_with_mcg_and_grabcut=False)
