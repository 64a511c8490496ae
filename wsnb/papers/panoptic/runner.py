"""The clean-up of one picture from file to file; a picture whose files are there is kept."""

from dataclasses import dataclass
from pathlib import Path

from wsnb.files import FileError, read_index
from wsnb.papers.panoptic import chain
from wsnb.papers.panoptic.box_files import load_boxes
from wsnb.papers.panoptic.boxes import Objects
from wsnb.papers.panoptic.options import RULES, Options
from wsnb.papers.panoptic.score_files import load_scores, save_labels


@dataclass(frozen=True)
class Job:
    """One picture: its files, and where its labels go; instance None: no instance map."""

    id: str
    options: Options
    prediction: Path
    semantic: Path
    instance: Path | None
    scores: Path | None = None
    mandg: Path | None = None
    boxes: Path | None = None
    tags: tuple | None = None  # windows [N, 4] and their tags bool [N, C]

    @property
    def done(self) -> bool:
        """Whether nothing is left to write."""
        return all(path is None or path.exists() for path in (self.semantic, self.instance))


def loaded(job: Job) -> dict:
    """What the job's rules need, and no more: labels, scores, tags, mandg, found. Raises FileError."""
    options, labels = job.options, read_index(job.prediction)
    boxes = options.run_apply_bbox_prior or options.run_check_low_iou or options.save_ins
    inputs = {
        "labels": labels,
        "scores": load_scores(job.scores) if options.run_score_thresh else None,
        "mandg": read_index(job.mandg) if options.run_merge_with_mcg_and_grabcut else None,
        "found": load_boxes(job.boxes, options.space.names) if boxes else None,
        "tags": job.tags if options.run_check_image_level_tags else None,
    }
    for name, path in {"scores": job.scores, "mandg": job.mandg}.items():
        if inputs[name] is not None and inputs[name].shape != labels.shape:
            raise FileError(f"{path}: {inputs[name].shape}, but {job.prediction} has {labels.shape}; make both alike")
    return inputs


def process(job: Job):
    """(inputs, {rule: labels after it}, last labels, instances or None) of a job; nothing is written."""
    inputs = loaded(job)
    after, last = chain.clean(**{"options": job.options, **inputs})
    found: Objects | None = inputs["found"]
    return inputs, after, last, chain.instances(last, found) if job.options.save_ins else None


def finish(job: Job) -> dict:
    """Write the labels of a picture, and say how many pixels each rule changed ({} if its files were kept)."""
    if job.done:
        return {}
    inputs, after, last, found = process(job)
    palette = job.options.space.palette
    save_labels(job.semantic, last, palette)
    if job.instance is not None:
        save_labels(job.instance, found.ids, palette)
    counts, before = {}, inputs["labels"]
    for rule in RULES:
        if rule in after:
            counts[rule], before = int((after[rule] != before).sum()), after[rule]
    return {"id": job.id, "pixels": last.size, "ignored": int((last == 255).sum()), "changed": counts,
            "lost": list(found.lost) if found else []}
