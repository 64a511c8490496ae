"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are drawn, and the slow ones made, at about the size at which they are seen."""

from dataclasses import replace
from functools import cache

import numpy as np

from wsnb.methods.detections import Detections
from wsnb.papers.panoptic import chain, crop_cams, instance_network, views
from wsnb.papers.panoptic import options as opts
from wsnb.plots.segments import segments_overlay
from wsnb.plots.tiles import SIDE, side_for, smaller, smaller_labels, tiles


def threshold(image, classes, maps, space, start, side=2 * SIDE):
    """A function of the threshold: labels from the stitched class maps [K, H, W] of a picture."""

    @cache
    def opened():
        small = smaller(image, side)
        return small, np.array([smaller(one, side) for one in maps]).reshape(-1, *small.shape[:2])

    def show(threshold=start):
        small, found = opened()
        labels = crop_cams.labels_from(classes, found, threshold)
        return tiles([small, views.shown(small, labels, space)],
                     ["picture", f"{100 * np.mean(labels != views.IGNORE):.0f} % labelled"], 2)

    return show


def rules(image, inputs, options, space, side=2 * SIDE):
    """A function of the clean-up's switches: labels before, by all rules, by those that are on, and where they differ.

    inputs: what `chain.clean` takes. The rules work on the whole picture; it is drawn smaller.
    """

    @cache
    def opened():
        whole = chain.clean(options=options, **inputs)[1]
        small = smaller(image, side)
        parts = [smaller_labels(one, side) for one in (inputs["labels"], whole)]
        return small, whole, parts[1], [views.shown(small, one, space) for one in parts]

    def show(score=True, tags=True, merge=True, box_prior=True, low_iou=True):
        small, whole, before, drawn = opened()
        on = dict(zip(opts.RULES, (score, tags, merge, box_prior, low_iou), strict=True))
        off = [rule for rule in opts.RULES if getattr(options, rule) and not on[rule]]
        last = chain.clean(options=opts.changed(options, **dict.fromkeys(off, False)), **inputs)[1]
        after, names = smaller_labels(last, side), ", ".join(views.TITLES[rule] for rule in off) or "none"
        pictures = [*drawn, views.shown(small, after, space), views.changed_picture(small, before, after, space)]
        return tiles(pictures, ["before", "all rules", f"off: {names}", f"{100 * np.mean(whole != last):.1f} % differ"],
                     2)

    return show


def field(image, probabilities, things, space, settings, look):
    """A function of the mean field's steps and the weights of the unary terms: the instances of a picture.

    As `instance_network.labels_of` with these SETTINGS, on a picture of 200 pixels (fewer for more than 8 labels) and
    with the CRF's distances shrunk alike: fine borders differ a little. LOOK: how `segments_overlay` draws.
    """

    @cache
    def opened():
        side = side_for(image.shape, len(space.stuff) + len(things))
        small = smaller(image, side)
        factor = small.shape[1] / (image.shape[1] * min(1, settings.side / max(image.shape[:2])))
        ratio = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]] * 2)
        boxes = things.boxes * ratio
        found = Detections(things.classes, np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], 1),
                           things.scores)
        maps = np.stack([smaller(one, side) for one in np.asarray(probabilities, np.float32)])
        crf = replace(settings.field, gaussian_sxy=settings.field.gaussian_sxy * factor,
                      bilateral_sxy=settings.field.bilateral_sxy * factor)
        return small, maps, found, crf

    def show(iterations=settings.field.iterations, box_weight=settings.box_weight,
             global_weight=settings.global_weight):
        small, maps, found, crf = opened()
        one = replace(settings, field=replace(crf, iterations=iterations), box_weight=box_weight,
                      global_weight=max(global_weight, 0.01))  # not both 0
        winner, labels = instance_network.labels_of(small, maps, found, space, one)
        drawn = segments_overlay(small, winner + 256, dict(enumerate(labels.classes, 256)), **look)
        return tiles([small, drawn], ["picture", f"{iterations} steps"], 2, 840)

    return show
