"""What one round hands on to the next, and when the rounds end.

The clean-up of one picture from file to file; a picture whose files are there is kept.

The clean-up over a data set as the stages 05 and 08 do it: jobs, parallel work, quality of what came out.
"""

from dataclasses import dataclass
from pathlib import Path

from wsnb.files import FileError, load_json, read_index, save_json
from wsnb.papers.panoptic import cleanup, evaluate
from wsnb.papers.panoptic.boxes import Objects, clipped, load_boxes
from wsnb.papers.panoptic.cleanup import RULES, Options, instance_labels
from wsnb.papers.panoptic.data import file_of, saved_tags
from wsnb.papers.panoptic.predict import load_scores, save_labels


def notes(folder) -> dict:
    """The notes of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["notes"]


def is_flat(losses) -> bool:
    """Whether the last of the rounds' training losses is not below the one before it: the authors stop
    there. False with fewer than two."""
    return len(losses) > 1 and losses[-1] >= losses[-2]


def results(folder) -> list[dict]:
    """The results of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["results"]


def beginning(p, losses) -> tuple[bool, bool, int]:
    """(flat, goes on, epochs) of the round with 06's parameters P after rounds with these training LOSSES: whether the
    rounds have ended, whether the round takes the former weights, and how long it trains. Without warm start it begins
    anew, but for a round that does not train: it hands the former weights on."""
    flat = p.stop_when_flat and is_flat(losses)
    epochs = 0 if flat else p.epochs if p.round == 1 or not p.warm_start else p.later_epochs
    return flat, p.round > 1 and (p.warm_start or flat), epochs


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
    after, last = cleanup.clean(**{"options": job.options, **inputs})
    found: Objects | None = inputs["found"]
    return inputs, after, last, cleanup.instances(last, found) if job.options.save_ins else None


def clean_up_files(job: Job) -> dict:
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


def options_from(p, space) -> cleanup.Options:
    """The clean-up's options from a stage's parameters, which bear their names."""
    names = (*cleanup.RULES, "score_thresh", "ichk_thresh", "ichk_do_not_alter_existing_things")
    given = {name: getattr(p, name) for name in names if hasattr(p, name)}
    return cleanup.changed(cleanup.Options(space=space), **given)


def jobs(pictures, options, extra_options, folder, predictions, scores, mandg, boxes, tags):
    """A runner.Job a picture; extra pictures get EXTRA_OPTIONS. Folders of inputs may be the authors' own."""
    extra = pictures.extra_ids
    for item in pictures.all:
        own = extra_options if item.id in extra else options
        merges = own.run_merge_with_mcg_and_grabcut
        yield Job(
            item.id, own, file_of(predictions, item.id, ".png"), folder / "labels" / f"{item.id}.png",
            folder / "instances" / f"{item.id}.png" if own.save_ins else None,
            file_of(scores, item.id, ".mat") if own.run_score_thresh else None,
            file_of(mandg, item.id, ".png") if merges else None, file_of(boxes, item.id, ".mat"),
            tags=saved_tags(tags, item.id) if own.run_check_image_level_tags else None,
        )


def write_labels(job) -> dict:
    """`runner.finish`, and the classes of the instance ids beside their map."""
    record = clean_up_files(job)
    if job.instance is None:
        return record
    classes = job.instance.with_suffix(".json")
    if not classes.exists():
        found = load_boxes(job.boxes, job.options.space.names)
        labels = read_index(job.semantic)
        save_json(classes, {"labels": instance_labels(labels, clipped(found, labels.shape)).labels.tolist()})
    return record


def measured(items, space, folder) -> evaluate.Quality:
    """The quality of folder/labels and folder/instances over pictures (wrap them in stage.progress)."""
    quality = evaluate.Quality(space)
    for item in items:
        quality.add(item, read_index(folder / "labels" / f"{item.id}.png"),
                    read_index(folder / "instances" / f"{item.id}.png"),
                    load_json(folder / "instances" / f"{item.id}.json")["labels"])
    return quality


def changed_table(records) -> list[dict]:
    """Rows (rule, pixels changed, share in %) summed over the records of finished jobs."""
    records = [record for record in records if record]
    pixels = sum(record["pixels"] for record in records)
    rules = [rule for rule in cleanup.RULES if any(rule in record["changed"] for record in records)]
    return [{"rule": rule.removeprefix("run_"), "pixels": (n := sum(r["changed"].get(rule, 0) for r in records)),
             "share, %": 100 * n / max(pixels, 1)} for rule in rules]
