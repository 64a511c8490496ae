"""The clean-up over files: one picture after another, or many at once; a picture whose files are there can be kept."""

from dataclasses import dataclass
from pathlib import Path

from wsnb.files import FileError, read_index
from wsnb.papers.panoptic import chain
from wsnb.papers.panoptic.box_files import load_boxes
from wsnb.papers.panoptic.boxes import Objects
from wsnb.papers.panoptic.crops import windows
from wsnb.papers.panoptic.options import RULES, Options
from wsnb.papers.panoptic.score_files import load_scores, save_labels

PICTURE = "{}_leftImg8bit"


@dataclass(frozen=True)
class Job:
    """One picture: its files, and where its labels go (None: not saved)."""

    id: str
    options: Options
    prediction: Path
    semantic: Path | None
    instance: Path | None
    scores: Path | None = None
    mandg: Path | None = None
    boxes: Path | None = None
    truth: Path | None = None  # labels whose crops give the tags
    tags: tuple | None = None  # or the tags themselves: windows [N, 4], bool [N, C]

    @property
    def done(self) -> bool:
        """Whether nothing is left to write."""
        return all(path is None or path.exists() for path in (self.semantic, self.instance))


def released_jobs(data_root, ids, options: Options):
    """Jobs of pictures in the folders of the released program below DATA_ROOT and its results folder."""
    root, results = Path(data_root), Path(data_root, options.pred_root)
    for name in ids:
        stem = PICTURE.format(name)
        yield Job(
            name, options, results / options.pred_dir / f"{stem}.png",
            results / options.sem_save_dir / f"{stem}.png" if options.save_sem else None,
            results / options.ins_save_dir / f"{stem}.png" if options.saves_instances else None,
            results / options.pred_score_dir / f"{stem}.mat", results / options.mcg_and_grabcut_dir / f"{stem}.png",
            root / options.annotation_dir / f"{stem}.mat",
            root / options.gt_label_dir / name.split("_")[0] / (options.gt_label_template % name),
        )


def loaded(job: Job) -> dict:
    """What the job's rules need, and no more: labels, scores, truth, tags, mandg, found. Raises FileError."""
    options, labels = job.options, read_index(job.prediction)
    boxes = options.run_apply_bbox_prior or options.run_check_low_iou or options.run_ins_box_process
    inputs = {
        "labels": labels,
        "scores": load_scores(job.scores) if options.run_score_thresh else None,
        "mandg": read_index(job.mandg) if options.run_merge_with_mcg_and_grabcut else None,
        "found": load_boxes(job.boxes, options.space.names) if boxes else None,
        "truth": None, "tags": None,
    }
    if options.run_check_image_level_tags:
        inputs["tags"] = job.tags
        if job.tags is None:
            inputs["truth"], inputs["tags"] = read_index(job.truth), windows(labels.shape, options.schk_crop_size)
    sizes = {"scores": job.scores, "mandg": job.mandg, "truth": job.truth}
    for name, path in sizes.items():
        if inputs[name] is not None and inputs[name].shape != labels.shape:
            raise FileError(f"{path}: {inputs[name].shape}, but {job.prediction} has {labels.shape}; make both alike")
    return inputs


def process(job: Job):
    """(inputs, {rule: labels after it}, last labels, instances or None) of a job; nothing is written."""
    inputs = loaded(job)
    after, last = chain.clean(**{"options": job.options, **inputs})
    found: Objects | None = inputs["found"]
    return inputs, after, last, chain.instances(last, found) if job.options.run_ins_box_process else None


def finish(job: Job) -> dict:
    """Write the labels of a picture, and say how many pixels each rule changed ({} if its files were kept)."""
    if job.done and not job.options.force_overwrite and (job.semantic or job.instance):
        return {}
    inputs, after, last, found = process(job)
    palette = job.options.space.palette
    if job.semantic is not None:
        save_labels(job.semantic, last, palette)
    if job.instance is not None:
        save_labels(job.instance, found.ids, palette)
    counts, before = {}, inputs["labels"]
    for rule in RULES:
        if rule in after:
            counts[rule], before = int((after[rule] != before).sum()), after[rule]
    return {"id": job.id, "pixels": last.size, "ignored": int((last == 255).sum()), "changed": counts,
            "lost": list(found.lost) if found else []}
