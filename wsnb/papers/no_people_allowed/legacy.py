"""The program's older way to labels, without a CRF or IRNet: GrabCut from a class map's percentiles (not in its final
pipeline)."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from wsnb import files
from wsnb.methods import cam_store
from wsnb.methods.grabcut import grabcut_from_map
from wsnb.papers.no_people_allowed.recipes import sized


@dataclass(frozen=True)
class Job:
    """One picture; everything is read in the worker."""

    id: str
    image: Path
    cams: Path
    folder: Path
    side: int
    scale: float
    iterations: int


def labels(image, keys, maps, iterations=5) -> np.ndarray:
    """uint8 [H, W]: 0 background, else keys + 1. A GrabCut for each class map, enlarged bicubically to the picture;
    where several objects lie over each other, the one whose map is highest.

    image: uint8 [H, W, 3]; keys: 0-based classes int [K]; maps: float [K, h, w].
    """
    height, width = image.shape[:2]
    label, highest = np.zeros((height, width), np.uint8), np.full((height, width), -np.inf, np.float32)
    for key, small in zip(keys, maps, strict=True):
        scores = cv2.resize(np.asarray(small, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        mine = grabcut_from_map(image, scores, iterations=iterations) & (scores > highest)
        label[mine], highest[mine] = key + 1, scores[mine]
    return label


def finish(job: Job) -> None:
    """Write a picture's labels at its own size. What is there stays."""
    path = job.folder / f"{job.id}.png"
    if path.exists():  # names only ever show whole files
        return
    picture = files.read_rgb(job.image)
    found = labels(sized(picture, job.side, job.scale), *cam_store.read(job.cams, job.id, "stored"), job.iterations)
    files.save_png(path, cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST))
