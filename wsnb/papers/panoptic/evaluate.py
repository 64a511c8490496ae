"""Scores of generated labels and of instance maps against the truth, and the results that the stages report.

Labels: mIoU and PQ of the training labels, whose true masks the method itself never sees. Instance maps: the authors'
evaluator, COCO's panoptic quality and Cityscapes' AP side by side.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from wsnb import metrics
from wsnb.data import read
from wsnb.metrics import panoptic, panoptic_authors, ranked
from wsnb.metrics.instances import THRESHOLDS, InstanceAP
from wsnb.metrics.panoptic import PanopticQuality
from wsnb.metrics.panoptic_authors import VOC_THRESHOLDS
from wsnb.metrics.segments import VOID, ids_of, split_means
from wsnb.ops import label_maps
from wsnb.ops.detections import load_instances
from wsnb.papers.panoptic.data import instances_of
from wsnb.papers.panoptic.label_space import IGNORE, Space

WANTED = ("PQ", "AP_vol^r", "SQ", "DQ", "PQ, fixed", "AP_vol^r, fixed", "PQ, COCO", "AP, Cityscapes")
OTHERS = ("PQ", "AP_vol^r")  # of these with boxes of further detectors
GROUPS = {"SQ": ("all",), "DQ": ("all",), "AP, Cityscapes": ("things",)}  # else all, things and stuff


# the truth


def with_truth(items) -> list:
    """Select the pictures that can be scored: those with an instance mask, or all if none has one."""
    return [item for item in items if item.instances is not None] or list(items)


def truth_of(item, space: Space):
    """Read the true segments of a picture: ids [H, W], {id: class}, ids of groups, class mask [H, W].

    Without an instance mask nothing is known of them: all of ids is void.
    """
    mask = read.mask(space.layout, item, len(space))
    if item.instances is None:
        return np.full(mask.shape, VOID, np.uint16), {}, (), mask
    return (*panoptic.truth(mask, instances_of(space.layout, item), space.things, space.background), mask)


def true_segments(item, space: Space):
    """Read (ids [H, W], {id: class}) of the ground truth, to draw."""
    return truth_of(item, space)[:2]


def found_segments(item, folder):
    """Read (ids [H, W], {id: class}) of a picture's map in FOLDER, to draw."""
    ids, classes, _ = load_instances(folder, item.id)
    return ids, _by_id(ids, classes)


def _by_id(ids, values) -> dict:
    return dict(zip(ids_of(ids).tolist(), values, strict=True))


# generated labels


@dataclass
class Quality:
    """Quality of labels, summed over pictures.

    table: int64 [C + 1, C + 1], pixels by true class (rows) and label (columns; the last is "no label"); panoptic: the
    segments.
    """

    space: Space
    table: np.ndarray = field(default=None)
    panoptic: PanopticQuality = field(default=None)

    def __post_init__(self):
        self.table = np.zeros((len(self.space) + 1, len(self.space) + 1), np.int64)
        self.panoptic = PanopticQuality(len(self.space))

    def add(self, item, labels, ids=None, classes=()):
        """Count a picture: class labels uint8 [H, W]; instance ids with the class of id k at classes[k - 1].

        Segments count only where the set has an instance mask for the picture, which VOC has not for all.
        """
        if item.instances is None:
            self.add_labels(item, labels)
            return
        ids_true, classes_true, crowd, mask = truth_of(item, self.space)
        self._count(mask, labels)
        if ids is not None:
            by_id = {k: int(label) for k, label in enumerate(classes, start=1)
                     if k < IGNORE and label != self.space.background}
            shown = np.where(np.isin(ids, [*by_id, IGNORE]), ids, 0)
            self.panoptic.add(ids_true, classes_true, np.where(shown == IGNORE, 0, shown), by_id, crowd)

    def add_labels(self, item, labels):
        """Count the class labels of a picture alone: faster where segments do not matter."""
        self._count(read.mask(self.space.layout, item, len(self.space)), labels)

    def _count(self, mask, labels):
        unknown = np.where(labels == IGNORE, len(self.space), labels).astype(np.uint8)
        self.table += metrics.confusion(mask, unknown, len(self.space) + 1)

    def scores(self, segments=True) -> dict:
        """Compute the scores, in %.

        mIoU: no label counts as missed; "mIoU, labelled": over labelled pixels only; labelled: their share; right: the
        share of right ones among them; with SEGMENTS also PQ of all, things and stuff (COCO's).
        """
        n = len(self.space)
        square = self.table[:n, :n]
        true, hit = self.table[:n].sum(1), np.diag(square)
        union = true + square.sum(0) - hit
        iou = np.divide(hit, union, out=np.full(n, np.nan), where=union > 0)
        whole, labelled = int(true.sum()), int(square.sum())
        found = {
            "mIoU": 100 * float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan"),
            "mIoU, labelled": 100 * metrics.mean_iou(square),
            "labelled": 100 * labelled / whole if whole else float("nan"),
            "right": 100 * int(hit.sum()) / labelled if labelled else float("nan"),
        }
        if segments:
            pq = split_means(self.panoptic.scores()["PQ"], self.space.things)
            found |= {"PQ": 100 * pq["all"], "PQ (things)": 100 * pq["things"], "PQ (stuff)": 100 * pq["stuff"]}
        return found

    def iou(self) -> dict:
        """Compute the IoU of each class in %, unlabelled pixels counted as missed, without classes that are nowhere."""
        n = len(self.space)
        union = self.table[:n].sum(1) + self.table[:n, :n].sum(0) - np.diag(self.table)[:n]
        return {name: 100 * float(self.table[k, k] / union[k]) for k, name in enumerate(self.space.names) if union[k]}


def rows(scores, step, wanted=("mIoU", "PQ", "labelled", "right")) -> list[dict]:
    """Make results for Stage.finish of the labels after a STEP of the chain, without undefined ones."""
    return [{"name": f"{name} of the labels", "value": scores[name], "unit": "%", "role": "ladder", "step": step}
            for name in wanted if np.isfinite(scores[name])]


def plain(scores, number) -> dict:
    """Make the notes' row of the labels after round NUMBER: None instead of NaN."""
    return {"round": number, **{name: (value if np.isfinite(value) else None) for name, value in scores.items()}}


# instance maps


@dataclass
class Tally:
    """Counts of the instance maps of one detector by all definitions: a few numbers a segment; by_id: those of each
    picture alone, {id: Tally}."""

    standard: panoptic.PanopticQuality
    authors: panoptic_authors.Overlaps
    fixed: panoptic_authors.Overlaps
    instances: InstanceAP
    by_id: dict = field(default_factory=dict)

    @classmethod
    def of(cls, space: Space) -> "Tally":
        """Start with nothing counted."""
        classes = scored_classes(space)
        return cls(panoptic.PanopticQuality(len(space)), panoptic_authors.Overlaps.of(classes),
                   panoptic_authors.Overlaps.of(classes, fixed=True), InstanceAP(space.things))

    def add(self, name, truth, ids, classes, scores, space: Space) -> None:
        """Count the picture NAME: truth as of `truth_of`; ids [H, W] with classes and scores by id ascending."""
        self.by_id[name] = Tally.of(space)
        for one in (self, self.by_id[name]):
            one._count(truth, ids, classes, scores)

    def _count(self, truth, ids, classes, scores):
        true_ids, true_classes, crowd, mask = truth
        by_id, confidence = _by_id(ids, classes), _by_id(ids, scores)
        self.standard.add(true_ids, true_classes, ids, by_id, crowd)
        self.instances.add(true_ids, true_classes, ids, by_id, confidence, crowd)
        without = np.where(np.isin(true_ids, crowd), VOID, true_ids)
        for overlaps in (self.authors, self.fixed):
            overlaps.add(without, mask, ids, classes, scores)

    def counts(self) -> dict:
        """Keep what PQ and AP are made of: {score: fields of a result for Stage.finish}, pictures by id."""
        alone, order, n_classes = list(self.by_id.values()), np.argsort(list(self.by_id)), len(self.standard.iou)
        if not alone:
            return {}

        def spread(tables, rows):
            made = np.zeros((len(alone), n_classes, *tables.shape[2:]), tables.dtype)
            made[:, rows] = tables
            return made[order]

        def ranking(pictures, rows, ranks):
            return spread(ranked.kept(*zip(*pictures, strict=True), ranks), rows)

        found = {"PQ, COCO": (spread(np.stack([one.standard.counts() for one in alone]), range(n_classes)),
                              "panoptic quality"),
                 "AP, Cityscapes": (ranking([one.instances.picture() for one in alone], self.instances.classes,
                                            ranked.together), "average precision, centred")}
        for suffix, kind in (("", "authors"), (", fixed", "fixed")):
            each, rows = [getattr(one, kind) for one in alone], list(self.authors.n_truth)
            found[f"PQ{suffix}"] = (spread(np.stack([panoptic_authors.picture_counts(one) for one in each]), rows),
                                    "panoptic quality")
            found[f"AP_vol^r{suffix}"] = (ranking([panoptic_authors.picture_ranked(one) for one in each], rows,
                                                  ranked.first_come), "average precision, by steps")
        return {name: {"counts": tables, "measure": measure} for name, (tables, measure) in found.items()}


def scored_classes(space: Space) -> list[int]:
    """List all classes but VOC's background."""
    return [k for k in range(len(space)) if k != space.background]


def tallies(items, folders, space: Space):
    """Count the instance maps of each folder: ({name: Tally}, rows of id, kind and PQ a picture).

    items: pictures (wrap them in stage.progress); folders: {name: folder}. A missing map raises FileError. Pictures
    without an instance mask are not scored; their PQ is NaN.
    """
    found, rows = {name: Tally.of(space) for name in folders}, []
    for item in items:
        truth = truth_of(item, space)
        for name, folder in folders.items():
            segments, quality = load_instances(folder, item.id), float("nan")
            if item.instances is not None:
                found[name].add(item.id, truth, *segments, space)
                own = found[name].by_id[item.id].standard.scores()["PQ"]
                quality = split_means(own, space.things)["all"]
            rows.append({"id": item.id, "kind": name, "PQ": quality})
    return found, rows


def by_class(tally: Tally, space: Space) -> dict[str, np.ndarray]:
    """Compute every score of each class: [C] in [0, 1], NaN where it does not apply (VOC's background, classes that are
    nowhere)."""
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


# results


def means(table, space: Space, names) -> pd.DataFrame:
    """Tabulate means in % over all classes, things and stuff: a row a score of NAMES, NaN where there is none."""
    rows = {name: split_means(table[name], space.things) for name in names}
    return (100 * pd.DataFrame(rows)).T.round(1)


def mean(table, name, group, space: Space):
    """Compute one of them, in %; None where it is undefined."""
    value = 100 * split_means(table[name], space.things)[group]
    return value if np.isfinite(value) else None


def conditions(trained, predicted, instances, train_size, annotation="") -> dict:
    """Make the fields of a Protocol from the parameters of 06 train, 07 predict and 09 instances.

    ANNOTATION: text that says which choices used whole masks.
    """
    kind = {"share": "semi"}.get(trained.label_source, trained.label_source)
    return {
        "split": instances.val_split,
        "backbone": label_maps.BACKBONES.get(trained.backbone, trained.backbone),
        "scales": predicted.scales,
        "flip": predicted.flip,
        "resolution": "picture",
        "label_source": kind,
        "full_share": {"weak": 0.0, "full": 1.0}.get(kind, trained.full_share),
        "train_size": train_size,
        "annotation": "" if kind == "full" else annotation,
    }


def matching(name) -> dict:
    """Make the fields of a Protocol that say how segments were matched for the score NAME."""
    whose = name.partition(", ")[2]
    matched = {"COCO": "COCO", "Cityscapes": "Cityscapes"}.get(whose, "authors' evaluator")
    fields = {"matching": matched, "preset": "fixed" if whose == "fixed" else "faithful"}
    if name.startswith("AP"):
        fields["iou_thresholds"] = THRESHOLDS if whose == "Cityscapes" else VOC_THRESHOLDS
    return fields


def results(tables, counted, confusion, common, crf, space: Space) -> list[dict]:
    """Make the results for Stage.finish, in %.

    tables: {detector: scores by class}; counted: {detector: `Tally.counts`}; WANTED of the first and OTHERS of the rest
    as means over all, things and stuff, where they are defined; the mean IoU of the semantic labels likewise. common:
    fields of a Protocol; crf: text of the instance network's. Numbers that ground-truth boxes helped to are bounds.
    """
    method, found = common.get("method", "weakly-supervised panoptic"), []

    def add(name, values, protocol, groups=("all", "things", "stuff"), role=None, counts=None):
        thing = np.isin(np.arange(len(space)), list(space.things))
        rows = {"all": slice(None), "things": thing, "stuff": ~thing}
        for group, value in split_means(values, space.things).items():
            kept = {} if counts is None else {**counts, "counts": counts["counts"][:, rows[group]]}
            if group in groups and np.isfinite(value):
                detail = {c: 100 * float(v) for c, v in zip(space.names, values, strict=True) if np.isfinite(v)}
                found.append({"name": f"{name} ({group})", "value": 100 * value, "unit": "%", "protocol": protocol,
                              "detail": detail if group == groups[0] else {}, **kept,
                              **({"role": role} if role else {})})

    for place, (detector, table) in enumerate(tables.items()):
        role = "bound" if detector == "ground truth" else None
        for name in OTHERS if place else WANTED:
            protocol = {**common, "crf": crf, "method": f"{method}, boxes: {detector}", **matching(name)}
            add(name, table[name], protocol, GROUPS.get(name, ("all", "things", "stuff")), role,
                counted[detector].get(name))
    add("IoU", metrics.scores(confusion)["iou"], {**common, "method": method})
    return found
