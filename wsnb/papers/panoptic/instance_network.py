"""Instances of whole pictures from a segmenter's probabilities and detections (Li, Arnab and Torr, ECCV 2018, 3.4)."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from wsnb.data import read
from wsnb.files import FileError
from wsnb.ops import detections, instance_crf, label_maps, parallel
from wsnb.ops.crf import CRF
from wsnb.ops.instance_crf import evidence, instance_map
from wsnb.papers.panoptic.data import instances_of
from wsnb.papers.panoptic.label_space import Space
from wsnb.papers.panoptic.predict import load_probabilities

DETECTORS = ("components", "files", "ground truth")


@dataclass(frozen=True)
class Settings:
    """How the instances of a picture are found.

    detector        where boxes come from at test: "components" (of the predicted labels: no detector), "files" (of any
                    detector, in detections_dir), "ground truth" (an upper bound)
    min_score, max_iou    detections of files that are kept; the authors' demo: 0.5 and 0.3
    min_pixels      smallest component that counts as a detection
    box_weight, global_weight    w_B and w_G of the unary term; only their ratio matters
    field           the CRF; 0 iterations: none
    side            pictures whose longer side is larger are reduced to it for the CRF (the authors' input: 521)
    """

    detector: str = "components"
    detections_dir: str = ""
    min_score: float = 0.5
    max_iou: float = 0.3
    min_pixels: int = 50
    box_weight: float = 1.0
    global_weight: float = 1.0
    field: CRF = field(default=instance_crf.INSTANCES)
    side: int = 521

    def __post_init__(self):
        if self.detector not in DETECTORS:
            raise ValueError(f"detections {self.detector!r}: choose of {', '.join(DETECTORS)}")
        if self.detector == "files" and not self.detections_dir:
            raise ValueError("detections from files: name their folder in detections_dir")


def settings_from(p, device="cpu") -> dict[str, Settings]:
    """Make {detector: Settings} of the parameters of 09 instances; DEVICE of a CRF in torch."""
    field = label_maps.crf_from(p, device=device)
    return {name: Settings(name, p.detections_dir, p.min_score, p.max_iou, p.min_pixels, p.box_weight,
                           p.global_weight, field, p.side) for name in p.detections}


def detections_of(folder, names, item) -> detections.Detections:
    """Read the detections of a picture in FOLDER, with the classes NAMES. Raises FileError."""
    return detections.of_picture(folder, item.id, names)


def need_detections(items, space: Space, settings) -> None:
    """Raise FileError, naming detections_dir, if one of SETTINGS wants detections from files and a picture has none
    that can be read."""
    for folder in {one.detections_dir for one in settings if one.detector == "files"}:
        for item in items:
            try:
                detections_of(folder, space.names, item)
            except FileError as error:
                raise FileError(f"detections_dir: {error}") from error


def detect(item, probabilities, space: Space, settings: Settings) -> detections.Detections:
    """Find the detections of thing classes in a picture, cleaned. probabilities: float [C, H, W]."""
    size = probabilities.shape[1:]
    if settings.detector == "files":
        found = detections_of(settings.detections_dir, space.names, item)
        found = found.take(np.isin(found.classes, space.things))
        return detections.clean(found, size, settings.min_score, settings.max_iou)
    if settings.detector == "components":
        found = detections.from_segmentation(probabilities.argmax(0), space.things, settings.min_pixels)
    elif item.instances is None:  # the boxes of the annotation
        boxes, labels, _ = read.boxes(space.layout, item, space.names)
        found = detections.Detections.of(labels, boxes)
    else:
        found = detections.from_truth(read.mask(space.layout, item, len(space)), instances_of(space.layout, item))
    return detections.clean(found, size, min_score=0.0, max_iou=1.0)


def assign(image, probabilities, detected, space: Space, settings: Settings):
    """Assign each pixel to a detection: (winner int32 [H, W], the detections that it indexes).

    image: uint8 [H, W, 3]; probabilities: float [C, H, W]; detected: Detections of thing classes. Every stuff class
    joins as a detection of the whole picture.
    """
    size = image.shape[:2]
    found = detections.joined(detections.whole_picture(space.stuff, size), detected)
    scale = min(1.0, settings.side / max(size))
    small = tuple(max(1, round(side * scale)) for side in size)
    if small != size:
        image = cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA)
        probabilities = np.stack([cv2.resize(q, small[::-1], interpolation=cv2.INTER_AREA) for q in probabilities])
    weighed = evidence(probabilities, found.scaled(small[0] / size[0], small[1] / size[1]), settings.box_weight,
                       settings.global_weight)
    return _largest(instance_crf.marginals(image, weighed, settings.field), size), found


def _largest(maps, size):
    """Find the index of the largest of MAPS [N, h, w] at SIZE; enlarged one at a time, for memory's sake."""
    if maps.shape[1:] == tuple(size):
        return maps.argmax(0).astype(np.int32)
    best, winner = np.full(size, -1, np.float32), np.zeros(size, np.int32)
    for k, map_ in enumerate(maps):
        large = cv2.resize(map_, tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
        better = large > best
        best[better], winner[better] = large[better], k
    return winner


def instances(image, probabilities, detected, space: Space, settings: Settings):
    """Find the instances of a picture: (ids uint16 [H, W], classes and scores of the ids ascending).

    0 is VOC's background. Arguments as in `assign`.
    """
    winner, found = assign(image, probabilities, detected, space, settings)
    hidden = () if space.background is None else (space.background,)
    return instance_map(winner, probabilities, found, hidden)


def write_instances(item, probabilities_dir, space: Space, settings: Settings, folder) -> dict:
    """Write FOLDER/ID.png and ID.txt of a picture from PROBABILITIES_DIR/ID.npz, unless they are there and whole.

    Returns its id, the number of its detections and of the instances of thing classes in its map.
    """
    image = read.image(item)
    probabilities = load_probabilities(Path(probabilities_dir) / f"{item.id}.npz", image.shape[:2])
    detected = detect(item, probabilities, space, settings)
    try:
        classes = detections.load_instances(folder, item.id)[1]
    except FileError:  # not there, or damaged
        ids, classes, scores = instances(image, probabilities, detected, space, settings)
        detections.save_instances(folder, item.id, ids, classes, scores)
    return {"id": item.id, "detections": len(detected), "instances": int(np.isin(classes, space.things).sum())}


def write_all(items, probabilities_dir, space: Space, settings: Settings, folder, workers):
    """Write the instances of all pictures in WORKERS processes; yield the records of `write_instances`."""
    write = partial(write_instances, probabilities_dir=probabilities_dir, space=space, settings=settings, folder=folder)
    return parallel.map_images(write, items, workers, preload=(__name__,))


def folder_name(detector: str) -> str:
    """Name the stage's folder for the maps with boxes of DETECTOR."""
    return detector.replace(" ", "_")


def example(items, space: Space, among=12):
    """Choose the picture with most instances of the first AMONG, to look at."""
    def instances(item):
        return 0 if item.instances is None else len(np.unique(instances_of(space.layout, item)))

    return max(items[:among], key=instances)
