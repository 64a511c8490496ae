"""One round of the iteration: predictions of all training pictures become the next labels, until the loss is flat."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wsnb.data.item import classes_only
from wsnb.files import FileError, load_json, read_index, save_json, save_png
from wsnb.ops import parallel
from wsnb.papers.panoptic import cleanup, evaluate
from wsnb.papers.panoptic.boxes import clipped, load_boxes
from wsnb.papers.panoptic.cleanup import RULES, Options
from wsnb.papers.panoptic.data import file_of, saved_tags
from wsnb.papers.panoptic.predict import load_scores, scores_file


def notes(folder) -> dict:
    """Read the notes of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["notes"]


def results(folder) -> list[dict]:
    """Read the results of a finished stage. Raises FileError."""
    return load_json(Path(folder) / "results.json")["results"]


def is_flat(losses) -> bool:
    """Tell whether the last of the rounds' training losses is not below the one before it; the authors stop there.

    False with fewer than two.
    """
    return len(losses) > 1 and losses[-1] >= losses[-2]


def beginning(p, losses) -> tuple[bool, bool, int]:
    """Tell how a round begins: (whether the rounds have ended, whether it takes the earlier weights, its epochs).

    P: parameters of 06; losses: training losses of the rounds before. Without warm start a round begins anew, but for
    one that does not train: it hands the earlier weights on.
    """
    flat = p.stop_when_flat and is_flat(losses)
    epochs = 0 if flat else p.epochs if p.round == 1 or not p.warm_start else p.later_epochs
    return flat, p.round > 1 and (p.warm_start or flat), epochs


@dataclass(frozen=True)
class Folders:
    """Where the inputs of the clean-up lie, a file a picture, under our names or the authors'.

    predictions: ID.png; scores: ID.mat; mandg: ID.png; boxes: ID.mat; tags: ID.npz. What no rule needs may be None.
    """

    predictions: Path
    scores: Path | None
    mandg: Path
    boxes: Path
    tags: Path


def read_inputs(name, options: Options, folders: Folders) -> dict:
    """Read what the OPTIONS need of the picture NAME, and no more: labels, scores, tags, mandg, found (clipped).

    Raises FileError for what is missing, damaged or of another size than the prediction.
    """
    prediction = file_of(folders.predictions, name, ".png")
    labels = classes_only(prediction, read_index(prediction), len(options.space))
    inputs = {"labels": labels, "scores": None, "tags": None, "mandg": None, "found": None}

    def of_one_size(path, array):
        if array.shape != labels.shape:
            raise FileError(f"{path}: {array.shape}, but {prediction} has {labels.shape}; make both alike")
        return array

    if options.run_score_thresh:
        path = scores_file(folders.scores, name)
        path = file_of(folders.scores, name, path.suffix)
        inputs["scores"] = of_one_size(path, load_scores(path, labels.shape))
    if options.run_merge_with_mcg_and_grabcut:
        path = file_of(folders.mandg, name, ".png")
        inputs["mandg"] = of_one_size(path, read_index(path))
    if options.run_check_image_level_tags:
        inputs["tags"] = saved_tags(folders.tags, name)
    if options.run_apply_bbox_prior or options.run_check_low_iou or options.save_ins:
        inputs["found"] = clipped(load_boxes(file_of(folders.boxes, name, ".mat"), options.space.names), labels.shape)
    return inputs


def clean_up(name, options: Options, folders: Folders):
    """Clean the prediction of the picture NAME: (inputs, {rule: labels after it}, last labels, instances or None)."""
    inputs = read_inputs(name, options, folders)
    after, last = cleanup.clean(options=options, **inputs)
    return inputs, after, last, cleanup.instance_labels(last, inputs["found"]) if options.save_ins else None


def write_cleaned(picture, folders: Folders, out) -> dict:
    """Write the cleaned labels of PICTURE, (name, options), below OUT unless they are there.

    Files: labels/NAME.png and, if the options want instances, instances/NAME.png with the classes of its ids in
    instances/NAME.json. Returns the number of pixels that each rule changed; {} if the files were there.
    """
    name, options = picture
    semantic, instance = (Path(out, kind, f"{name}.png") for kind in ("labels", "instances"))
    classes = instance.with_suffix(".json")
    if all(path.exists() for path in ((semantic, instance, classes) if options.save_ins else (semantic,))):
        return {}
    inputs, after, last, found = clean_up(name, options, folders)
    save_png(semantic, last, options.space.palette)
    if found:
        save_png(instance, found.ids, options.space.palette)
        save_json(classes, {"labels": found.labels.tolist()})
    maps = [inputs["labels"], *after.values()]
    changed = {rule: int(np.sum(one != other)) for rule, one, other in zip(after, maps, maps[1:], strict=False)}
    return {"id": name, "pixels": last.size, "changed": changed, "lost": list(found.lost) if found else []}


def write_all(pictures, options: Options, extra_options: Options, folders: Folders, out, workers):
    """Write the cleaned labels of all training pictures in WORKERS processes; yield the records of `write_cleaned`.

    The extra pictures get EXTRA_OPTIONS.
    """
    jobs = [(item.id, extra_options if item.id in pictures.extra_ids else options) for item in pictures.all]
    return parallel.map_images(partial(write_cleaned, folders=folders, out=out), jobs, workers, preload=(__name__,))


def changed_table(records) -> list[dict]:
    """Sum the records of written pictures: rows (rule, pixels changed, share in %)."""
    records = [record for record in records if record]
    pixels = sum(record["pixels"] for record in records)
    rules = [rule for rule in RULES if any(rule in record["changed"] for record in records)]
    return [{"rule": rule.removeprefix("run_"), "pixels": (n := sum(r["changed"].get(rule, 0) for r in records)),
             "share, %": 100 * n / max(pixels, 1)} for rule in rules]


def measured(items, space, folder) -> evaluate.Quality:
    """Measure FOLDER/labels and FOLDER/instances against the truth of pictures (wrap them in stage.progress)."""
    quality = evaluate.Quality(space)
    for item in items:
        quality.add(item, read_index(folder / "labels" / f"{item.id}.png"),
                    read_index(folder / "instances" / f"{item.id}.png"),
                    load_json(folder / "instances" / f"{item.id}.json")["labels"])
    return quality
