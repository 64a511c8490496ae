"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call, so that an answer comes at once."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from wsnb import plots
from wsnb.data import transforms
from wsnb.methods.crf import crf_labels
from wsnb.methods.pamr import pamr
from wsnb.papers.single_stage import decoder
from wsnb.plots.tiles import side_for, smaller, tiles


def refinement(image, masks, present, settings, most=40):
    """A function of PAMR's iterations: the winning class of a picture uint8 [H, W, 3] after them.

    masks float [C, h, w] in [0, 1], of which the classes PRESENT may win. An iteration goes on from the one before, so
    all of them are made at the first call.
    """

    @cache
    def opened():
        kept = [torch.from_numpy(np.clip(masks[present], 0, 1).astype(np.float32))[None]]
        small = decoder.upsample(transforms.to_unit(image)[None], kept[0].shape[-2:])  # as in training
        for _ in range(most):
            kept.append(pamr(small, kept[-1], settings.dilations, 1, band=small.shape[-2]))
        return kept

    def show(iterations=settings.iterations):
        soft = decoder.upsample(opened()[iterations], image.shape[:2])[0]
        labels = np.array(present, np.uint8)[soft.numpy().argmax(0)]
        return tiles([image, plots.overlay(image, labels)], ["picture", f"{iterations} iterations"], 2, 700)

    return show


def scaled(field, factor):
    """The `crf.CRF` for a picture whose sides are FACTOR times as long: its distances in pixels shrink alike."""
    return replace(field, gaussian_sxy=field.gaussian_sxy * factor, bilateral_sxy=field.bilateral_sxy * factor)


def crf(image, scores, field):
    """A function of the CRF's parameters: labels without it, and with it.

    image uint8 [H, W, 3], scores float [C, H, W]. It works on a picture of 200 pixels (fewer for more than 8 classes
    with a score), with the distances shrunk alike: fine borders differ a little from those at full size.
    """

    @cache
    def opened():
        side = side_for(image.shape, np.count_nonzero(scores.max((1, 2)) > 0))
        small = smaller(image, side)
        found = np.stack([smaller(one, side) for one in np.asarray(scores, np.float32)])
        return small, found, small.shape[1] / image.shape[1]

    def show(iterations=field.iterations, distance=field.bilateral_sxy, colour=field.bilateral_srgb,
             weight=field.bilateral_compat):
        small, found, factor = opened()
        chosen = replace(field, iterations=iterations, bilateral_sxy=distance, bilateral_srgb=colour,
                         bilateral_compat=weight)
        before = found.argmax(0).astype(np.uint8)
        labels = crf_labels(small, found, scaled(chosen, factor)) if iterations else before
        changed = 100 * np.mean(labels != before)
        return tiles([small, plots.overlay(small, before), plots.overlay(small, labels)],
                     ["picture", "without CRF", f"with CRF: {changed:.1f} % changed"], 3, 840)

    return show
