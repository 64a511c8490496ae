"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are worked on at about the size at which they are seen, so that an answer comes at once."""

from functools import cache

import numpy as np

from wsnb import plots
from wsnb.data import read
from wsnb.methods import cam_store
from wsnb.papers.no_people_allowed import pseudo, walking
from wsnb.plots.tiles import SIDE, smaller, tiles


def threshold(items, store, rule="joint", side=SIDE):
    """A function of the threshold in %: the labels of some pictures from their class maps in STORE."""

    @cache
    def opened():
        images = [smaller(read.image(item), side) for item in items]
        stored = [cam_store.read(store, item.id, image.shape[:2]) for item, image in zip(items, images, strict=True)]
        return [(image, keys + 1, pseudo.normalised(maps, rule))
                for image, (keys, maps) in zip(images, stored, strict=True)]

    def show(percent=30):
        return tiles([plots.overlay(image, pseudo.labels(maps, keys, percent / 100))
                      for image, keys, maps in opened()])

    return show


def walk(net, item, store, rule, p, scale, most=8, side=SIDE):
    """A function of the doublings of the steps: a picture's labels above 0.3 after the walk.

    rule: `walking.Walk`; p: the stage's parameters. The walks of 0 to MOST doublings are made at the first call.
    """

    @cache
    def opened():
        image = read.image(item)
        edge, _, cover = walking.edge_of(net, image, p.walk_side, scale, p.walk_pad)
        keys, raw = cam_store.read(store, item.id, "stored")
        small, maps = smaller(image, side), pseudo.normalised(raw, rule.normalise)
        if not len(keys):
            return small, [np.zeros(small.shape[:2], np.uint8)] * (most + 1)
        walked = [pseudo.walked(maps, edge, rule.radius, rule.beta, k) for k in range(most + 1)]
        return small, [pseudo.labels(pseudo.enlarged(one, small.shape[:2], cover), keys + 1, 0.3) for one in walked]

    def show(steps=most):
        image, labels = opened()
        return tiles([image, plots.overlay(image, labels[steps])], ["picture", f"{2**steps} steps"], 2, 640)

    return show
