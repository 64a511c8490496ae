"""M&G labels over a data set: jobs for worker processes, and how good they are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import read
from wsnb.files import FileError, read_index
from wsnb.papers.panoptic import consensus
from wsnb.papers.panoptic.box_files import load_boxes
from wsnb.papers.panoptic.boxes import clipped
from wsnb.papers.panoptic.pictures import file_of
from wsnb.papers.panoptic.score_files import save_labels
from wsnb.papers.panoptic.space import IGNORE, Space


@dataclass(frozen=True)
class Job:
    """A picture, its boxes, where its M&G labels go, and given ones to take instead (None: compute)."""

    item: object
    boxes: Path
    space: Space
    settings: consensus.Settings
    path: Path
    given: Path | None


def jobs(items, box_folder, space, settings, folder, given_folder=""):
    """A Job a picture: box_folder/ID.mat -> folder/ID.png."""
    for item in items:
        given = file_of(given_folder, item.id, ".png") if given_folder else None
        yield Job(item, Path(box_folder) / f"{item.id}.mat", space, settings, folder / f"{item.id}.png", given)


def finish(job: Job) -> None:
    """Write the M&G labels of a picture unless they are there. Raises FileError for given ones of another size."""
    if job.path.exists():
        return
    image = read.image(job.item)
    if job.given is not None:
        labels = read_index(job.given)
        if labels.shape != image.shape[:2]:
            raise FileError(f"{job.given}: {labels.shape}, but the picture has {image.shape[:2]}; make both alike")
    else:
        found = clipped(load_boxes(job.boxes, job.space.names), image.shape[:2])
        labels = consensus.mandg_labels(image, found, job.settings)
    save_labels(job.path, labels, job.space.palette)


def quality(items, folder, space) -> dict:
    """In %, over all pictures: `right` of the pixels with a thing's label, `found` of the true pixels of things with
    their label, `unsure` of the true pixels of things without a decision (255)."""
    named = right = true = unsure = 0
    for item in items:
        mask, labels = read.mask(space.layout, item, len(space)), read_index(folder / f"{item.id}.png")
        things, scored = np.isin(mask, space.things), mask != IGNORE
        claims = np.isin(labels, space.things) & scored
        named, right = named + int(claims.sum()), right + int((claims & (labels == mask)).sum())
        true, unsure = true + int(things.sum()), unsure + int((things & (labels == IGNORE)).sum())
    share = {"right": (right, named), "found": (right, true), "unsure": (unsure, true)}
    return {name: 100 * part / whole if whole else float("nan") for name, (part, whole) in share.items()}
