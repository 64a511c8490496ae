"""Panoptic scores of instance maps on disk: the authors' evaluator, COCO's panoptic quality, Cityscapes' AP."""

from dataclasses import dataclass

import numpy as np

from wsnb.data import read
from wsnb.methods.detection_files import load_instances
from wsnb.metrics import panoptic, panoptic_authors
from wsnb.metrics.instance_ap import InstanceAP
from wsnb.metrics.segments import VOID, split_means
from wsnb.papers.panoptic.annotation import instances_of
from wsnb.papers.panoptic.space import Space


@dataclass
class Tally:
    """What is kept of the pictures of one kind of map: a few numbers a segment."""

    standard: panoptic.PanopticQuality
    authors: panoptic_authors.Overlaps
    fixed: panoptic_authors.Overlaps
    instances: InstanceAP

    @classmethod
    def of(cls, space: Space) -> "Tally":
        classes = scored_classes(space)
        return cls(panoptic.PanopticQuality(len(space)), panoptic_authors.Overlaps.of(classes),
                   panoptic_authors.Overlaps.of(classes, fixed=True), InstanceAP(space.things))

    def add(self, truth, ids, classes, scores) -> None:
        """Count a picture: truth as of `truth_of`; ids [H, W] with classes and scores by id ascending."""
        true_ids, true_classes, crowd, mask = truth
        by_id, confidence = _by_id(ids, classes), _by_id(ids, scores)
        self.standard.add(true_ids, true_classes, ids, by_id, crowd)
        self.instances.add(true_ids, true_classes, ids, by_id, confidence, crowd)
        without = np.where(np.isin(true_ids, crowd), VOID, true_ids)
        for overlaps in (self.authors, self.fixed):
            overlaps.add(without, mask, ids, classes, scores)


def scored_classes(space: Space) -> list[int]:
    """All classes but VOC's background."""
    return [k for k in range(len(space)) if k != space.background]


def truth_of(item, space: Space):
    """The true segments of a picture: ids [H, W], {id: class}, ids of groups, class mask [H, W].

    Without an instance mask nothing is known of them: all of ids is void.
    """
    mask = read.mask(space.layout, item, len(space))
    if item.instances is None:
        return np.full(mask.shape, VOID, np.uint16), {}, (), mask
    return (*panoptic.truth(mask, instances_of(space.layout, item), space.things, space.background), mask)


def tallies(items, folders, space: Space):
    """Score the instance maps of each folder: ({name: Tally}, rows of id, kind and PQ a picture).

    items: pictures (wrap them in stage.progress); folders: {name: folder}. A missing map raises FileError. Pictures
    without an instance mask are not scored; their PQ is NaN.
    """
    found, rows = {name: Tally.of(space) for name in folders}, []
    for item in items:
        truth = truth_of(item, space)
        for name, folder in folders.items():
            ids, classes, scores = load_instances(folder, item.id)
            if item.instances is not None:
                found[name].add(truth, ids, classes, scores)
            own = panoptic.PanopticQuality(len(space))
            own.add(*truth[:2], ids, _by_id(ids, classes), truth[2])
            rows.append({"id": item.id, "kind": name, "PQ": split_means(own.scores()["PQ"], space.things)["all"]})
    return found, rows


def with_truth(items) -> list:
    """The pictures that can be scored: those with an instance mask, or all if none has one."""
    return [item for item in items if item.instances is not None] or list(items)


def _by_id(ids, values) -> dict:
    return dict(zip((int(k) for k in np.unique(ids) if k not in (0, VOID)), values, strict=True))


def true_segments(item, space: Space):
    """(ids [H, W], {id: class}) of the ground truth, to draw."""
    return truth_of(item, space)[:2]


def found_segments(item, folder):
    """(ids [H, W], {id: class}) of a picture's map in FOLDER, to draw."""
    ids, classes, _ = load_instances(folder, item.id)
    return ids, _by_id(ids, classes)


def by_class(tally: Tally, space: Space) -> dict[str, np.ndarray]:
    """Every score of each class, [C] in [0, 1], NaN where it does not apply (VOC's background, classes not there)."""
    kept = scored_classes(space)

    def spread(values, classes=kept):
        result = np.full(len(space), np.nan)
        result[list(classes)] = values
        return result

    table = {}
    for suffix, overlaps in (("", tally.authors), (", fixed", tally.fixed)):
        for name, values in panoptic_authors.quality(overlaps).items():
            table[name + suffix] = spread(values)
        table["AP_vol^r" + suffix] = spread(panoptic_authors.average_precision(overlaps).mean(1))
    for name, values in tally.standard.scores().items():
        table[f"{name}, COCO"] = spread(values[kept])
    ap = tally.instances.average_precision()
    table["AP, Cityscapes"] = spread(ap.mean(1), space.things)
    table["AP50, Cityscapes"] = spread(ap[:, 0], space.things)
    return table
