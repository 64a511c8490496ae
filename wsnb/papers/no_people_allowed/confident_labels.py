"""From class maps to labels that are sure enough to learn from (Ahn et al., CVPR 2019, section 3.1), and by GrabCut,
the program's older way, which its final chain does without."""

from dataclasses import dataclass

import cv2
import numpy as np

from wsnb.data import read
from wsnb.ops import cam
from wsnb.ops.crf import CRF, refine_labels
from wsnb.ops.grabcut import grabcut_from_map
from wsnb.papers.no_people_allowed.data import IGNORE, label_in, sized


@dataclass(frozen=True)
class Thresholds:
    """Class maps normalised by the rule NORMALISE: an object's exceeds FOREGROUND, on background none exceeds
    BACKGROUND; PLAIN is the one threshold of labels without an unsure part."""

    normalise: str
    foreground: float
    background: float
    plain: float


def confident(by_foreground, by_background) -> np.ndarray:
    """Combine two label maps into labels uint8 [H, W] that are sure enough to learn from, 255 where they are unsure.

    Of label maps [H, W] by the foreground's and by the background's threshold: an object where the first finds one, 0
    where neither does, else 255. IRN: 0.30 and 0.05. NoPeopleAllowed: 0.0075 and 0.24, that is, the wrong way round,
    and nothing is left unsure.
    """
    label = np.where(by_foreground != 0, by_foreground, IGNORE)
    label[(by_foreground == 0) & (by_background == 0)] = 0
    return label.astype(np.uint8)


def confident_and_plain(image, keys, raw, thresholds, crf) -> tuple:
    """Label a picture: (confident labels, labels at the plain threshold after the CRF), uint8 [H, W] both.

    image uint8 [H, W, 3]; keys: 0-based classes int [K] of the class maps raw float [K, H, W]. The three CRFs share one
    lattice.
    """
    numbers, maps = np.concatenate([[0], keys + 1]), cam.normalised(raw, thresholds.normalise)
    picked = [cam.thresholded(maps, t) for t in (thresholds.foreground, thresholds.background, thresholds.plain)]
    objects, background, plain = (numbers[one] for one in refine_labels(image, picked, len(numbers), crf))
    return confident(objects, background), plain.astype(np.uint8)


def labels_from_cams(item, cams, side, scale, thresholds: Thresholds, crf: CRF) -> tuple:
    """Label a picture by `confident_and_plain`, at its size of `data.sized`, from its class maps in the folder CAMS."""
    image = sized(read.image(item), side, scale)
    return confident_and_plain(image, *cam.read(cams, item.id, image.shape[:2]), thresholds, crf)


def grabcut_labels(image, keys, maps, iterations=5) -> np.ndarray:
    """Label a picture, uint8 [H, W], 0 background, else keys + 1, by a GrabCut for each class map, enlarged
    bicubically to the picture; where several objects lie over each other, the one whose map is highest.

    image: uint8 [H, W, 3]; keys: 0-based classes int [K]; maps: float [K, h, w].
    """
    height, width = image.shape[:2]
    label, highest = np.zeros((height, width), np.uint8), np.full((height, width), -np.inf, np.float32)
    for key, small in zip(keys, maps, strict=True):
        scores = cv2.resize(np.asarray(small, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        mine = grabcut_from_map(image, scores, iterations=iterations) & (scores > highest)
        label[mine], highest[mine] = key + 1, scores[mine]
    return label


def grabcut_labels_from_cams(item, cams, side, scale, iterations) -> np.ndarray:
    """Label a picture by `grabcut_labels` at its own size, cut out at that of `data.sized`."""
    picture = read.image(item)
    found = grabcut_labels(sized(picture, side, scale), *cam.read(cams, item.id, "stored"), iterations)
    return cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def shares(items, folder) -> dict:
    """Measure how much of the labelled area is background, object, unsure: means over the pictures, in [0, 1]."""
    rows = []
    for item in items:
        label = label_in(folder, item)
        unsure = (label == IGNORE).mean()
        rows.append(((label == 0).mean(), 1 - (label == 0).mean() - unsure, unsure))
    return dict(zip(("background", "object", "unsure"), np.mean(rows, axis=0).tolist(), strict=True))


def right(items, truth_of, folder) -> dict:
    """Measure the share of right pixels, in [0, 1], of those that label maps call background and of those that they
    call an object; None where there is no such pixel.

    truth_of(item): [H, W], 255 void, not counted; labels of any size, enlarged by the nearest pixel; 255 unsure.
    """
    hits, counts = np.zeros(2), np.zeros(2)
    for item in items:
        truth = truth_of(item)
        label = cv2.resize(label_in(folder, item), truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        known = (label != IGNORE) & (truth != IGNORE)
        for k, asked in enumerate((known & (label == 0), known & (label > 0))):
            counts[k] += asked.sum()
            hits[k] += (label == truth)[asked].sum()
    return {name: hit / count if count else None
            for name, hit, count in zip(("background", "object"), hits.tolist(), counts.tolist(), strict=True)}
