"""The clean-up over a data set as the stages 05 and 08 do it: jobs, parallel work, quality of what came out."""

from wsnb.files import load_json, read_index, save_json
from wsnb.papers.panoptic import options as opts
from wsnb.papers.panoptic import quality as qualities
from wsnb.papers.panoptic import runner
from wsnb.papers.panoptic.annotation import saved_tags
from wsnb.papers.panoptic.box_files import load_boxes
from wsnb.papers.panoptic.boxes import clipped
from wsnb.papers.panoptic.instances import instance_labels
from wsnb.papers.panoptic.pictures import file_of


def options_from(p, space) -> opts.Options:
    """The clean-up's options from a stage's parameters, which bear their names."""
    names = (*opts.RULES, "score_thresh", "ichk_thresh", "ichk_do_not_alter_existing_things")
    given = {name: getattr(p, name) for name in names if hasattr(p, name)}
    return opts.changed(opts.Options(space=space), **given)


def jobs(pictures, options, extra_options, folder, predictions, scores, mandg, boxes, tags):
    """A runner.Job a picture; extra pictures get EXTRA_OPTIONS. Folders of inputs may be the authors' own."""
    extra = pictures.extra_ids
    for item in pictures.all:
        own = extra_options if item.id in extra else options
        merges = own.run_merge_with_mcg_and_grabcut
        yield runner.Job(
            item.id, own, file_of(predictions, item.id, ".png"), folder / "labels" / f"{item.id}.png",
            folder / "instances" / f"{item.id}.png" if own.save_ins else None,
            file_of(scores, item.id, ".mat") if own.run_score_thresh else None,
            file_of(mandg, item.id, ".png") if merges else None, file_of(boxes, item.id, ".mat"),
            tags=saved_tags(tags, item.id) if own.run_check_image_level_tags else None,
        )


def finish(job) -> dict:
    """`runner.finish`, and the classes of the instance ids beside their map."""
    record = runner.finish(job)
    if job.instance is None:
        return record
    classes = job.instance.with_suffix(".json")
    if not classes.exists():
        found = load_boxes(job.boxes, job.options.space.names)
        labels = read_index(job.semantic)
        save_json(classes, {"labels": instance_labels(labels, clipped(found, labels.shape)).labels.tolist()})
    return record


def measured(items, space, folder) -> qualities.Quality:
    """The quality of folder/labels and folder/instances over pictures (wrap them in stage.progress)."""
    quality = qualities.Quality(space)
    for item in items:
        quality.add(item, read_index(folder / "labels" / f"{item.id}.png"),
                    read_index(folder / "instances" / f"{item.id}.png"),
                    load_json(folder / "instances" / f"{item.id}.json")["labels"])
    return quality


def changed_table(records) -> list[dict]:
    """Rows (rule, pixels changed, share in %) summed over the records of finished jobs."""
    records = [record for record in records if record]
    pixels = sum(record["pixels"] for record in records)
    rules = [rule for rule in opts.RULES if any(rule in record["changed"] for record in records)]
    return [{"rule": rule.removeprefix("run_"), "pixels": (n := sum(r["changed"].get(rule, 0) for r in records)),
             "share, %": 100 * n / max(pixels, 1)} for rule in rules]


