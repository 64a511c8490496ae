"""M&G: inside every box a segment proposal and GrabCut; where both agree lies a label.

M&G labels over a data set: jobs for worker processes, and how good they are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import read
from wsnb.files import FileError, read_index
from wsnb.ops import hierarchies, proposals
from wsnb.ops.grabcut import enlarged, grabcut_label, reduced
from wsnb.papers.panoptic.boxes import Objects, clipped, load_boxes
from wsnb.papers.panoptic.data import file_of
from wsnb.papers.panoptic.label_space import IGNORE, Space
from wsnb.papers.panoptic.predict import save_labels

BACKGROUND = 0  # in M&G labels; not a class, even where class 0 is road


@dataclass(frozen=True)
class Settings:
    """margin: share of the box's sides that GrabCut sees around it; iterations and seed of GrabCut; side: pictures
    whose longer side is larger are reduced to it for the proposals (0: never), whose memory grows with the square of
    the pixels."""

    margin: float = 0.5
    iterations: int = 5
    seed: int = 0
    side: int = 640


def around(box, shape, margin) -> tuple[int, int, int, int]:
    """BOX (x0, y0, x1, y1) grown by MARGIN of its sides, at least 8 pixels, cut at the picture's borders."""
    x0, y0, x1, y1 = box
    dx, dy = (max(8, round(margin * side)) for side in (x1 - x0, y1 - y0))
    return max(0, x0 - dx), max(0, y0 - dy), min(shape[1], x1 + dx), min(shape[0], y1 + dy)


def grabcut_in_box(image, box, settings):
    """bool [H, W]: the object in BOX by GrabCut in a window around it. Only the window is looked at: the background
    that matters is near, and the time is the box's, not the picture's."""
    mask = np.zeros(image.shape[:2], bool)
    left, top, right, bottom = around(box, mask.shape, settings.margin)
    inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    mask[top:bottom, left:right] = grabcut_label(image[top:bottom, left:right], inner, settings.seed,
                                                         settings.iterations)
    return mask


def proposals_of(image, boxes, side=0):
    """The proposal that fits each of BOXES int64 [N, 4] best, bool [H, W] each, from one hierarchy of the picture,
    reduced to SIDE pixels (0: as it is)."""
    small, places = reduced(image, boxes, side)
    candidates = proposals.nodes(hierarchies.ucm(hierarchies.boundary_map(small)))
    return [enlarged(proposals.best_for_box(candidates, place), image.shape[:2], box)
            for place, box in zip(places.tolist(), boxes.tolist(), strict=True)]


def masks_of(image, found: Objects, settings: Settings):
    """[(object k, GrabCut bool [H, W], proposal bool [H, W])] of the single things among the objects (clipped), largest
    box first. Groups, stuff and empty boxes have none."""
    wanted = [int(k) for k in np.argsort(-found.areas, kind="stable")
              if not (found.groups[k] or found.stuff[k]) and found.areas[k]]
    if not wanted:
        return []
    proposed = proposals_of(image, found.boxes[wanted], settings.side)
    return [(k, grabcut_in_box(image, tuple(found.boxes[k].tolist()), settings), proposal)
            for k, proposal in zip(wanted, proposed, strict=True)]


def merged(masks, found: Objects, shape):
    """M&G labels uint8 [H, W] from `masks_of`: 0 background, a thing's class where both masks say object, 255 where
    they differ.

    Smaller boxes are painted last, since small things are in front; a box's doubt does not erase what a larger one is
    sure of outside the smaller box's own masks. Within the boxes of groups, whose members are unknown, all that no
    single thing claims is 255.
    """
    labels = np.full(shape, BACKGROUND, np.uint8)
    for x0, y0, x1, y1 in found.boxes[found.groups & ~found.stuff].tolist():
        labels[y0:y1, x0:x1] = IGNORE
    for k, grabcut, proposal in masks:
        labels[grabcut ^ proposal] = IGNORE
        labels[grabcut & proposal] = found.labels[k]
    return labels


def mandg_labels(image, found: Objects, settings: Settings):
    """M&G labels uint8 [H, W] of a picture with objects (clipped)."""
    return merged(masks_of(image, found, settings), found, image.shape[:2])


@dataclass(frozen=True)
class Job:
    """A picture, its boxes, where its M&G labels go, and given ones to take instead (None: compute)."""

    item: object
    boxes: Path
    space: Space
    settings: Settings
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
        labels = mandg_labels(image, found, job.settings)
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
