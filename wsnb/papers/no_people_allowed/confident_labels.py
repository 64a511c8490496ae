"""The program's older way to labels, without a CRF or IRNet: GrabCut from a class map's percentiles (not in its final
pipeline).

From class maps to confident labels, picture after picture, in worker processes.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from wsnb import files
from wsnb.ops import cam
from wsnb.ops import crf as label_crf
from wsnb.ops.crf import CRF
from wsnb.ops.grabcut import grabcut_from_map
from wsnb.papers.no_people_allowed import pseudo_masks
from wsnb.papers.no_people_allowed.presets import sized


@dataclass(frozen=True)
class GrabCutJob:
    """One picture; everything is read in the worker."""

    id: str
    image: Path
    cams: Path
    folder: Path
    side: int
    scale: float
    iterations: int


def grabcut_labels(image, keys, maps, iterations=5) -> np.ndarray:
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


def write_grabcut_label(job: GrabCutJob) -> None:
    """Write a picture's labels at its own size. What is there stays."""
    path = job.folder / f"{job.id}.png"
    if path.exists():  # names only ever show whole files
        return
    picture = files.read_rgb(job.image)
    found = grabcut_labels(sized(picture, job.side, job.scale), *cam.read(job.cams, job.id, "stored"), job.iterations)
    files.save_png(path, cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST))


IGNORE = 255


@dataclass(frozen=True)
class LabelSettings:
    """How one preset labels: folder of the labels, folder of the plain CRF's (thresholded at PLAIN), rule of the
    maximum, thresholds."""

    folder: Path
    crf_folder: Path
    normalise: str
    foreground: float
    background: float
    plain: float


@dataclass(frozen=True)
class Job:
    """One picture; everything is read in the worker."""

    id: str
    image: Path
    cams: Path
    side: int
    scale: float
    crf: CRF
    recipes: tuple


def write_confident_labels(job: Job) -> None:
    """Write a picture's labels for all recipes; all their CRFs share one lattice. What is there stays."""
    paths = [path for r in job.recipes for path in (r.folder / f"{job.id}.png", r.crf_folder / f"{job.id}.png")]
    if all(path.exists() for path in paths):  # names only ever show whole files
        return
    image = sized(files.read_rgb(job.image), job.side, job.scale)
    found = labels(image, *cam.read(job.cams, job.id, image.shape[:2]), job.recipes, job.crf)
    for recipe, (confident, plain) in zip(job.recipes, found, strict=True):
        files.save_png(recipe.folder / f"{job.id}.png", confident)
        files.save_png(recipe.crf_folder / f"{job.id}.png", plain)


def labels(image, keys, raw, recipes, crf) -> list:
    """[(confident labels, labels of the plain CRF), uint8 [H, W] both] of a picture for each of RECIPES.

    image uint8 [H, W, 3]; keys: 0-based classes int [K] of the class maps raw float [K, H, W]. All CRFs share one
    lattice.
    """
    numbers, picked = np.concatenate([[0], keys + 1]), []
    for recipe in recipes:
        maps = pseudo_masks.normalised(raw, recipe.normalise)
        picked += [label_crf.with_background(maps, t) for t in (recipe.foreground, recipe.background, recipe.plain)]
    refined = [numbers[one] for one in label_crf.refine_labels(image, picked, len(numbers), crf)]
    return [(label_crf.combined(*refined[k : k + 2]), refined[k + 2].astype(np.uint8))
            for k in range(0, len(refined), 3)]


def shares(items, folder) -> dict:
    """How much of the labelled area is background, object, unsure: means over the pictures, in [0, 1]."""
    rows = []
    for item in items:
        label = files.read_index(Path(folder) / f"{item.id}.png")
        unsure = (label == IGNORE).mean()
        rows.append(((label == 0).mean(), 1 - (label == 0).mean() - unsure, unsure))
    return dict(zip(("background", "object", "unsure"), np.mean(rows, axis=0).tolist(), strict=True))


def right(items, truth_of, folder) -> dict:
    """Of the pixels that label maps call background, and of those that they call an object: the share that is so, in
    [0, 1]; None where there is no such pixel.

    truth_of(item): [H, W], 255 void, not counted; labels of any size, enlarged by the nearest pixel; 255 unsure.
    """
    hits, counts = np.zeros(2), np.zeros(2)
    for item in items:
        truth = truth_of(item)
        label = files.read_index(Path(folder) / f"{item.id}.png")
        label = cv2.resize(label, truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        known = (label != IGNORE) & (truth != IGNORE)
        for k, asked in enumerate((known & (label == 0), known & (label > 0))):
            counts[k] += asked.sum()
            hits[k] += (label == truth)[asked].sum()
    return {name: hit / count if count else None
            for name, hit, count in zip(("background", "object"), hits.tolist(), counts.tolist(), strict=True)}
