"""Grad-CAM on every crop, stitched to maps of the whole picture, and labels of the stuff classes from them.

The authors released neither classifier nor thresholds: each choice here is ours, a parameter with its reason.
"""

from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb.data import read
from wsnb.data.item import classes_only, of_image_size
from wsnb.files import read_index, save_png
from wsnb.ops import cam, parallel
from wsnb.ops.cam import over_class_maximum, resized
from wsnb.ops.gradcam import gradcam
from wsnb.papers.panoptic.cleanup import tag_rule
from wsnb.papers.panoptic.data import crop_input, file_of
from wsnb.papers.panoptic.evaluate import Quality
from wsnb.papers.panoptic.label_space import IGNORE

LAYER = "dropout"  # of wsnb.models.heads: its input and, in evaluation, its output are the deep features


def crop_maps(network, image, place, classes, size, device="cpu", flip=True, competition="softmax"):
    """Compute the maps of the CLASSES int [K] that one crop is tagged with: float32 [K, h, w] in [0, 1].

    The window PLACE (y0, x0, y1, x1) of the picture uint8 [H, W, 3] goes through the network at SIZE (with its mirror
    image if FLIP); Grad-CAM is multiplied by the number of the features' places, and the classes compete.
    """
    x = crop_input(image, place, size)[None]
    x = torch.cat([x, x.flip(-1)]) if flip else x
    found = gradcam(network, LAYER, x.to(device), classes)
    found = (found[:1] + found[1:].flip(-1)) / 2 if flip else found
    y0, x0, y1, x1 = place
    logits = resized(found * found[0, 0].numel(), (y1 - y0, x1 - x0))[0].cpu().numpy()
    return compete(logits, competition)


def compete(maps, competition):
    """Share the pixels of a crop among its tags: maps float [K, h, w] -> [K, h, w] in [0, 1].

    MAPS are Grad-CAM times the number of places, so that their mean is the class's share of its logit (all of it for
    global average pooling and a linear layer). "softmax": over the crop's tags, at each pixel: the share of a class
    among those that are known to be there; a crop with one tag is all of it. "own": each cut at 0 and divided by its
    maximum, as object CAMs usually are; the weakest tag then reaches 1 as well.
    """
    if competition == "softmax":
        powers = np.exp(maps - maps.max(axis=0))
        return powers / powers.sum(axis=0)
    if competition == "own":
        return over_class_maximum(maps)
    raise ValueError(f"cam_competition {competition!r}: choose softmax or own")


def stitch(crops, classes, shape):
    """Put the maps of crops together: float32 [K, H, W] for the CLASSES int64 [K], ascending.

    crops: (place, the crop's classes, their maps) each. Where crops overlap the larger value counts, and a class may
    reach into a crop without its tag: the clean-up's tag rule takes it away there, as in the released CAM files.
    """
    whole = np.zeros((len(classes), *shape), np.float32)
    for (y0, x0, y1, x1), own, maps in crops:
        rows = np.searchsorted(classes, own)
        whole[rows, y0:y1, x0:x1] = np.maximum(whole[rows, y0:y1, x0:x1], maps)
    return whole


def stitched_maps(network, image, places, tags, *how):
    """Compute (classes int64 [K], maps float32 [K, H, W] in [0, 1]) of a picture uint8 [H, W, 3].

    places [N, 4]: windows; tags bool [N, C]: theirs. HOW: further arguments of `crop_maps`.
    """
    present = np.flatnonzero(tags.any(axis=0))
    crops = ((place, own, crop_maps(network, image, place, own, *how))
             for place, own in zip(places, map(np.flatnonzero, tags), strict=True) if len(own))
    return present, stitch(crops, present, image.shape[:2])


def reduced(maps, stride):
    """Average maps [K, H, W] over areas to 1/STRIDE of their size, as they are kept on disk."""
    size = tuple(max(1, round(side / stride)) for side in maps.shape[2:0:-1])
    return np.stack([cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in maps]) if len(maps) else (
        np.zeros((0, *size[::-1]), np.float32))


def labels_from(classes, maps, threshold):
    """Label each pixel with the class of its largest map where that reaches THRESHOLD, else 255: uint8 [H, W]."""
    if not len(classes):
        return np.full(maps.shape[1:], IGNORE, np.uint8)
    best = np.asarray(classes, np.uint8)[maps.argmax(axis=0)]
    return np.where(maps.max(axis=0) >= threshold, best, IGNORE).astype(np.uint8)


def given_labels(folder, n_classes, item):
    """Read the label map uint8 [H, W] of a picture that FOLDER has, 255 unknown. Raises FileError for one of another
    size than the picture's, or with a label above the classes."""
    path = file_of(folder, item.id, ".png")
    return classes_only(path, of_image_size(item, path, read_index(path)), n_classes)


def write_maps(maps_of, items, folder, palette, threshold, stride, workers):
    """Write labels/ID.png and maps/ID.npz, at 1 / STRIDE of the picture's size, below FOLDER for each picture that has
    no labels yet; yield once for each.

    maps_of(item, image uint8 [H, W, 3]) -> (classes, maps) is called here, where the network is; WORKERS processes
    decode pictures ahead of it, as many write.
    """
    paths = {item.id: Path(folder, "labels", f"{item.id}.png") for item in items}
    missing = [item for item in items if not paths[item.id].exists()]
    images = parallel.map_images(read.image, missing, workers)
    open_ = {item.id for item in missing}

    def jobs():
        for item in items:
            if item.id not in open_:
                yield None
                continue
            classes, maps = maps_of(item, next(images))
            labels = labels_from(classes, maps, threshold)
            yield paths[item.id], labels, palette, Path(folder, "maps"), item.id, classes, reduced(maps, stride)

    yield from parallel.map_images(_write, jobs(), workers, preload=(__name__,))


def _write(job):
    if job is not None:
        path, labels, palette, folder, name, classes, maps = job
        cam.write(folder, name, classes, maps, labels.shape)
        save_png(path, labels, palette)


def sweep(items, folder, places, tags, space, thresholds):
    """Measure the labels from the stored maps at several THRESHOLDS: rows {"threshold", "labelled", "right", "mIoU",
    "mIoU, labelled"} in %, after the crops' tags have been checked, as the clean-up does."""
    each = {threshold: Quality(space) for threshold in thresholds}
    for item in items:
        classes, maps = cam.read(folder, item.id)
        for threshold, quality in each.items():
            labels = labels_from(classes, maps, threshold)
            quality.add_labels(item, tag_rule(labels, places[item.id], tags[item.id]))
    return [{"threshold": threshold, **quality.scores(segments=False)} for threshold, quality in each.items()]


def quality_of(items, folder, space):
    """Measure label maps FOLDER/ID.png as `sweep` does, without any check of tags."""
    quality = Quality(space)
    for item in items:
        quality.add_labels(item, read_index(folder / f"{item.id}.png"))
    return quality.scores(segments=False)
