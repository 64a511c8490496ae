"""Instances of whole pictures from a segmentation's probabilities and detections (the last step of Li,
Arnab and Torr, ECCV 2018)."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from wsnb.data import read
from wsnb.files import FileError
from wsnb.ops import detections, instance_crf, label_maps
from wsnb.ops.crf import CRF
from wsnb.ops.instance_crf import evidence, instance_map
from wsnb.papers.panoptic.data import instances_of
from wsnb.papers.panoptic.label_space import Space

SOURCES = ("components", "files", "ground truth")


@dataclass(frozen=True)
class Settings:
    """How the instances of a picture are found.

    source          where boxes of things come from at test: "components" (of the predicted labels: no detector),
                    "files" (of any detector, in detections_dir), "ground truth" (an upper bound)
    min_score, max_iou    detections of files that are kept; the authors' demo: 0.5 and 0.3
    min_pixels      smallest component that counts as a detection
    box_weight, global_weight    w_B and w_G of the unary term; only their ratio matters
    field           the CRF; 0 iterations: none
    side            pictures whose longer side is larger are reduced to it for the CRF (the authors' input: 521)
    """

    source: str = "components"
    detections_dir: str = ""
    min_score: float = 0.5
    max_iou: float = 0.3
    min_pixels: int = 50
    box_weight: float = 1.0
    global_weight: float = 1.0
    field: CRF = field(default=instance_crf.INSTANCES)
    side: int = 521

    def __post_init__(self):
        if self.source not in SOURCES:
            raise ValueError(f"detections {self.source!r}: choose of {', '.join(SOURCES)}")
        if self.source == "files" and not self.detections_dir:
            raise ValueError("detections from files: name their folder in detections_dir")


def found_things(item, probabilities, space: Space, settings: Settings) -> detections.Detections:
    """The detections of things in a picture, cleaned."""
    if settings.source == "files":
        found = detections.of_picture(settings.detections_dir, item.id, space.names)
        found = found.take(np.isin(found.classes, space.things))
    elif settings.source == "ground truth" and item.instances is None:  # the boxes of the annotation
        marked, labels, _ = read.boxes(space.layout, item, space.names)
        return detections.clean(detections.Detections.of(labels, marked), probabilities.shape[1:], 0.0, 1.0)
    elif settings.source == "ground truth":
        found = detections.from_truth(read.mask(space.layout, item, len(space)), instances_of(space.layout, item))
        return detections.clean(found, probabilities.shape[1:], 0.0, 1.0)
    else:
        found = detections.from_segmentation(probabilities.argmax(0), space.things, settings.min_pixels)
        return detections.clean(found, probabilities.shape[1:], 0.0, 1.0)
    return detections.clean(found, probabilities.shape[1:], settings.min_score, settings.max_iou)


def labels_of(image, probabilities, things, space: Space, settings: Settings):
    """Labels of a picture: (winner int32 [H, W], the detections that the labels index).

    image uint8 [H, W, 3]; probabilities float [C, H, W]; things: Detections. Every stuff class joins as a detection of
    the whole picture.
    """
    size = image.shape[:2]
    found = detections.joined(detections.whole_picture(space.stuff, size), things)
    scale = min(1.0, settings.side / max(size))
    small = tuple(max(1, round(side * scale)) for side in size)
    if small != size:
        image = cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA)
        probabilities = np.stack([cv2.resize(q, small[::-1], interpolation=cv2.INTER_AREA) for q in probabilities])
        factor = np.array([small[1], small[0]] * 2) / [size[1], size[0], size[1], size[0]]
        boxes = found.boxes * factor
        reduced = detections.Detections(
            found.classes, np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], 1), found.scores
        )
    else:
        reduced = found
    weighed = evidence(probabilities, reduced, settings.box_weight, settings.global_weight)
    return _largest(instance_crf.marginals(image, weighed, settings.field), size), found


def _largest(maps, size):
    """Index of the largest of MAPS [N, h, w] at SIZE; enlarged one at a time, for memory's sake."""
    if maps.shape[1:] == tuple(size):
        return maps.argmax(0).astype(np.int32)
    best, winner = np.full(size, -1, np.float32), np.zeros(size, np.int32)
    for k, map_ in enumerate(maps):
        large = cv2.resize(map_, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
        better = large > best
        best[better], winner[better] = large[better], k
    return winner


def instances(image, probabilities, things, space: Space, settings: Settings):
    """Instances of a picture: (ids uint16 [H, W], classes and scores of the ids ascending); 0 is VOC's background."""
    winner, found = labels_of(image, probabilities, things, space, settings)
    hidden = () if space.background is None else (space.background,)
    return instance_map(winner, probabilities, found, hidden)


@dataclass(frozen=True)
class Job:
    """A picture whose instances are to be written."""

    item: object
    probabilities: Path
    space: Space
    settings: Settings
    folder: Path


def jobs(items, probabilities_dir, space, settings, folder):
    """A Job a picture: probabilities_dir/ID.npz -> folder/ID.png and ID.txt."""
    for item in items:
        yield Job(item, Path(probabilities_dir) / f"{item.id}.npz", space, settings, Path(folder))


def run(job: Job) -> dict:
    """Write the instances of one picture, unless its map is there already and whole. Returns its id, the number of its
    detections of things and of the instances of things in its map."""
    from wsnb.papers.panoptic.predict import load_probabilities

    name, space = job.item.id, job.space
    image = read.image(job.item)
    probabilities = load_probabilities(job.probabilities, image.shape[:2])
    things = found_things(job.item, probabilities, space, job.settings)
    try:
        classes = detections.load_instances(job.folder, name)[1]
    except FileError:  # not there, or damaged
        ids, classes, scores = instances(image, probabilities, things, space, job.settings)
        detections.save_instances(job.folder, name, ids, classes, scores)
    return {"id": name, "detections": len(things), "instances": int(np.isin(classes, space.things).sum())}


def settings_from(p) -> dict[str, Settings]:
    """{source: Settings} of the parameters of the notebook 09_instances."""
    field = label_maps.crf_from(p)
    return {source: Settings(source, p.detections_dir, p.min_score, p.max_iou, p.min_pixels, p.box_weight,
                             p.global_weight, field, p.side) for source in p.detections}


def need_detections(items, space: Space, settings) -> None:
    """Raise FileError, naming detections_dir, if one of the pictures has no readable file there and one of SETTINGS
    asks for it: told before any instances are made."""
    for folder in {one.detections_dir for one in settings if one.source == "files"}:
        for item in items:
            try:
                detections.of_picture(folder, item.id, space.names)
            except FileError as error:
                raise FileError(f"detections_dir: {error}") from error


def folder_name(source: str) -> str:
    """The stage's folder for the maps with boxes from SOURCE."""
    return source.replace(" ", "_")


def example(items, space: Space, among=12):
    """Of the first pictures the one with the most things, to look at."""
    def things(item):
        return 0 if item.instances is None else len(np.unique(instances_of(space.layout, item)))

    return max(items[:among], key=things)
