"""M&G labels: inside every box a GrabCut mask and a segment proposal; where both agree stands a label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import read
from wsnb.data.item import classes_only
from wsnb.files import FileError, read_index
from wsnb.ops import boundaries, hierarchies, proposals
from wsnb.ops.grabcut import enlarged, grabcut_label, reduced
from wsnb.papers.panoptic.boxes import Objects, clipped, load_boxes
from wsnb.papers.panoptic.data import file_of
from wsnb.papers.panoptic.label_space import IGNORE, Space

BACKGROUND = 0  # in M&G labels; not a class, even where class 0 is road


@dataclass(frozen=True)
class Settings:
    """How the two masks of a box are made.

    margin: share of the box's sides that GrabCut sees around it; iterations and seed of GrabCut; side: pictures whose
    longer side is larger are reduced to it for the proposals (0: never), whose memory grows with the square of the
    pixels.
    """

    margin: float = 0.5
    iterations: int = 5
    seed: int = 0
    side: int = 640


def around(box, shape, margin) -> tuple[int, int, int, int]:
    """Grow BOX (x0, y0, x1, y1) by MARGIN of its sides, at least 8 pixels, and cut it at the picture's borders."""
    x0, y0, x1, y1 = box
    dx, dy = (max(8, round(margin * side)) for side in (x1 - x0, y1 - y0))
    return max(0, x0 - dx), max(0, y0 - dy), min(shape[1], x1 + dx), min(shape[0], y1 + dy)


def grabcut_in_box(image, box, settings):
    """Cut out the object in BOX by GrabCut: bool [H, W].

    GrabCut sees a window around the box only: the background that matters is near, and the time is the box's, not the
    picture's.
    """
    mask = np.zeros(image.shape[:2], bool)
    left, top, right, bottom = around(box, mask.shape, settings.margin)
    inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    window = image[top:bottom, left:right]
    mask[top:bottom, left:right] = grabcut_label(window, inner, settings.seed, settings.iterations)
    return mask


def proposals_of(image, boxes, side=0):
    """Choose the segment proposal that fits each of BOXES int64 [N, 4] best: a list of bool [H, W].

    All come from one hierarchy of the picture, reduced to SIDE pixels (0: as it is).
    """
    small, places = reduced(image, boxes, side)
    candidates = proposals.nodes(hierarchies.ucm(boundaries.boundary_map(small)))
    return [enlarged(proposals.best_for_box(candidates, place), image.shape[:2], box)
            for place, box in zip(places.tolist(), boxes.tolist(), strict=True)]


def mask_pairs(image, found: Objects, settings: Settings):
    """Make both masks of every single instance among the objects (clipped), largest box first.

    Returns [(place in FOUND, GrabCut bool [H, W], proposal bool [H, W])]. Groups, stuff and empty boxes have none.
    """
    wanted = [int(k) for k in np.argsort(-found.areas, kind="stable")
              if not (found.groups[k] or found.stuff[k]) and found.areas[k]]
    if not wanted:
        return []
    proposed = proposals_of(image, found.boxes[wanted], settings.side)
    return [(k, grabcut_in_box(image, tuple(found.boxes[k].tolist()), settings), proposal)
            for k, proposal in zip(wanted, proposed, strict=True)]


def consensus(pairs, found: Objects, shape):
    """Merge pairs of masks to M&G labels uint8 [H, W]: 0 background, an instance's class where both of its masks agree
    on it, 255 where they differ.

    Smaller boxes come last, since small objects are in front; where the masks of a small box differ, a larger box
    loses its label, elsewhere it keeps it. Within the boxes of groups, whose members are unknown, all that no single
    instance claims is 255.
    """
    labels = np.full(shape, BACKGROUND, np.uint8)
    for x0, y0, x1, y1 in found.boxes[found.groups & ~found.stuff].tolist():
        labels[y0:y1, x0:x1] = IGNORE
    for k, grabcut, proposal in pairs:
        labels[grabcut ^ proposal] = IGNORE
        labels[grabcut & proposal] = found.labels[k]
    return labels


def mandg_labels(item, box_folder, space: Space, settings: Settings, given_folder=""):
    """Make the M&G labels uint8 [H, W] of a picture from BOX_FOLDER/ID.mat, or read GIVEN_FOLDER/ID.png if it is named.

    Raises FileError for given labels of another size than the picture's.
    """
    image = read.image(item)
    if not given_folder:
        found = clipped(load_boxes(Path(box_folder) / f"{item.id}.mat", space.names), image.shape[:2])
        return consensus(mask_pairs(image, found, settings), found, image.shape[:2])
    path = file_of(given_folder, item.id, ".png")
    labels = read_index(path)
    if labels.shape != image.shape[:2]:
        raise FileError(f"{path}: {labels.shape}, but the picture has {image.shape[:2]}; make both alike")
    return classes_only(path, labels, len(space))


def quality(items, folder, space) -> dict:
    """Measure M&G labels FOLDER/ID.png against the true masks, in % over all pictures.

    right: of the pixels labelled with a thing class, those labelled right; found: of the true pixels of thing classes,
    those labelled right; unsure: of the same pixels, those without a decision (255).
    """
    named = right = true = unsure = 0
    for item in items:
        mask, labels = read.mask(space.layout, item, len(space)), read_index(folder / f"{item.id}.png")
        things, scored = np.isin(mask, space.things), mask != IGNORE
        claims = np.isin(labels, space.things) & scored
        named, right = named + int(claims.sum()), right + int((claims & (labels == mask)).sum())
        true, unsure = true + int(things.sum()), unsure + int((things & (labels == IGNORE)).sum())
    share = {"right": (right, named), "found": (right, true), "unsure": (unsure, true)}
    return {name: 100 * part / whole if whole else float("nan") for name, (part, whole) in share.items()}
