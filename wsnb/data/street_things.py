"""The things of a street scene: each is drawn at a place (g pixels below the horizon, x metres to the right)."""

import numpy as np

from wsnb.data import textures
from wsnb.data.canvas import box, ellipse, limb

PERSON, RIDER, CAR, TRUCK, BUS, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 32, 33  # label ids
POLE, LIGHT, SIGN, PLANT, STATIC = 17, 19, 20, 21, 4


def _paint(rng, spread=0.7):
    """Any colour that clothes and cars have."""
    return textures.colour(rng.random(), rng.uniform(0, spread), rng.uniform(0.12, 0.95))


def _shadow(scene, g, x, width):
    foot = scene.at(x, g)
    scene.canvas.put([ellipse(foot, (width / 3 * g, 0.10 * g))], np.zeros(3), strength=0.35)


def _frame(scene, g, x):
    """to(u, v): pixels of u metres right of the place's middle and v metres up."""
    foot, metre = scene.at(x, g), g / 1.5
    return lambda points: foot + np.asarray(points, float) * (metre, -metre)


def car(scene, g, x):
    """From behind, or from its side."""
    rng, number = scene.rng, scene.canvas.thing(CAR)
    to, put, skin = _frame(scene, g, x), scene.canvas.put, _paint(rng)
    glass = textures.colour(rng.normal(0.58, 0.05), 0.25, rng.uniform(0.1, 0.5))
    _shadow(scene, g, x, 2.0)
    if rng.random() < 0.6:
        w, h = rng.uniform(0.82, 0.95), rng.uniform(1.4, 1.75)
        for side in (-1, 1):
            put([to([(side * w * 0.95, 0), (side * w * 0.6, 0), (side * w * 0.6, 0.5), (side * w * 0.95, 0.5)])],
                np.full(3, 0.06), number)
        body = [(-w, 0.2), (w, 0.2), (w, 0.85), (w * 0.75, h * 0.97), (w * 0.6, h), (-w * 0.6, h),
                (-w * 0.75, h * 0.97), (-w, 0.85)]
        put([to(body)], skin, number)
        put([to([(-w * 0.72, 0.92), (w * 0.72, 0.92), (w * 0.58, h * 0.93), (-w * 0.58, h * 0.93)])], glass, number)
        for side in (-1, 1):
            lamp = to([(side * w * 0.7, 0.6), (side * w * 0.97, 0.6), (side * w * 0.97, 0.8), (side * w * 0.7, 0.8)])
            put([lamp], np.float32([0.8, 0.1, 0.1] if rng.random() < 0.7 else [0.95, 0.95, 0.8]), number)
        return
    way, h = rng.choice((-1, 1)), rng.uniform(1.4, 1.6)
    side = np.array([(-2.1, 0.3), (2.1, 0.3), (2.1, 0.75), (1.3, 0.9), (0.6, h), (-1.1, h), (-1.8, 0.95), (-2.1, 0.85)])
    put([to(side * (way, 1))], skin, number)
    put([to(np.array([(-1.5, 0.95), (1.0, 0.95), (0.5, h * 0.94), (-1.0, h * 0.94)]) * (way, 1))], glass, number)
    for wheel in (-1.3, 1.3):
        put([ellipse(to([(wheel, 0.32)])[0], (0.32 * g / 1.5,) * 2)], np.full(3, 0.05), number)


def lorry(scene, g, x, label):
    """A bus with a band of windows, or a truck with a box of one colour."""
    rng, number = scene.rng, scene.canvas.thing(label)
    to, put, skin = _frame(scene, g, x), scene.canvas.put, _paint(rng)
    _shadow(scene, g, x, 2.8)
    side = rng.random() < 0.5
    w, h = (rng.uniform(3.0, 4.5) if side else 1.25), rng.uniform(2.9, 3.4)
    for wheel in (-0.7 * w, 0.7 * w):
        tyre = ellipse(to([(wheel, 0.45)])[0], (0.45 * g / 1.5 * (1 if side else 0.5), 0.45 * g / 1.5))
        put([tyre], np.full(3, 0.05), number)
    put([to([(-w, 0.45), (w, 0.45), (w, h), (-w, h)])], skin, number)
    if label == BUS:
        glass = textures.colour(0.58, 0.3, rng.uniform(0.1, 0.35))
        panes = 6 if side else 2
        for pane in range(panes):
            left = -w * 0.92 + pane * 1.84 * w / panes
            put([to([(left, 1.5), (left + 1.6 * w / panes, 1.5), (left + 1.6 * w / panes, h * 0.87),
                     (left, h * 0.87)])], glass, number)
    elif side:  # the cab in another colour
        put([to([(-w, 0.45), (-w * 0.7, 0.45), (-w * 0.7, h * 0.8), (-w * 0.92, h * 0.8), (-w, h * 0.5)])], _paint(rng),
            number)
    else:
        put([to([(-0.03, 0.5), (0.03, 0.5), (0.03, h), (-0.03, h)])], skin * 0.5, number)


def person(scene, g, x, what=None):
    """Walking; WHAT is given for a member of a group."""
    rng = scene.rng
    what = scene.canvas.thing(PERSON) if what is None else what
    to, put, metre = _frame(scene, g, x), scene.canvas.put, g / 1.5
    trousers, coat = _paint(rng), _paint(rng)
    skin = textures.colour(rng.normal(0.07, 0.01), 0.4, rng.uniform(0.35, 0.9))
    tall, step = rng.uniform(0.85, 1.08), rng.uniform(0.05, 0.28)
    _shadow(scene, g, x, 0.7)
    hip, neck = (0, 0.88 * tall), (0, 1.42 * tall)
    for way in (-1, 1):
        foot = (way * step, 0.03)
        put([limb(*to([hip, foot]), 0.22 * metre, 0.14 * metre)], trousers, what)
    put([limb(*to([hip, neck]), 0.38 * metre, 0.42 * metre)], coat, what)
    for way in (-1, 1):
        put([limb(*to([(way * 0.2, 1.4 * tall), (way * (0.22 + step / 2), 0.85 * tall)]), 0.14 * metre, 0.1 * metre)],
            coat * 0.85, what)
    put([ellipse(to([(0, 1.63 * tall)])[0], (0.11 * metre, 0.14 * metre))], skin, what)


def bicycle(scene, g, x, what=None, frame=None):
    """Two wheels and a frame from the side."""
    what = scene.canvas.thing(BICYCLE) if what is None else what
    to, put, metre = frame or _frame(scene, g, x), scene.canvas.put, g / 1.5
    black, skin = np.full(3, 0.08), _paint(scene.rng, 0.9)
    for wheel in (-0.5, 0.5):
        centre = to([(wheel, 0.34)])[0]
        put([ellipse(centre, (0.34 * metre,) * 2), ellipse(centre, (0.24 * metre,) * 2)], black, what)
    for start, end in (((-0.5, 0.34), (-0.1, 0.8)), ((-0.1, 0.8), (0.4, 0.82)), ((0.0, 0.34), (0.4, 0.82)),
                       ((0.5, 0.34), (0.4, 1.0)), ((-0.5, 0.34), (0.0, 0.34))):
        put([limb(*to([start, end]), 0.07 * metre, 0.07 * metre)], skin, what)


def cyclist(scene, g, x, label=None):
    """A rider and what is ridden: two instances, in the way that Cityscapes parts them."""
    rng, put, metre = scene.rng, scene.canvas.put, g / 1.5
    to = _frame(scene, g, x)
    _shadow(scene, g, x, 1.6)
    if label == MOTORCYCLE:
        number = scene.canvas.thing(label)
        for wheel in (-0.65, 0.65):
            put([ellipse(to([(wheel, 0.32)])[0], (0.32 * metre,) * 2)], np.full(3, 0.06), number)
        put([to([(-0.8, 0.6), (-0.3, 0.35), (0.4, 0.35), (0.75, 0.75), (0.45, 1.05), (0.2, 0.85), (-0.3, 0.8)])],
            _paint(rng), number)
    else:
        bicycle(scene, g, x, frame=to)
    rider = scene.canvas.thing(RIDER)
    trousers, coat = _paint(rng), _paint(rng)
    put([limb(*to([(-0.1, 0.95), (0.15, 0.3)]), 0.2 * metre, 0.13 * metre)], trousers, rider)
    put([limb(*to([(-0.12, 0.95), (0.12, 1.45)]), 0.34 * metre, 0.38 * metre)], coat, rider)
    put([limb(*to([(0.12, 1.4), (0.42, 1.0)]), 0.13 * metre, 0.1 * metre)], coat * 0.85, rider)
    put([ellipse(to([(0.2, 1.68)])[0], (0.13 * metre, 0.15 * metre))], _paint(rng), rider)


def group(scene, g, x, label):
    """So many of one class that nobody would part them: one region without a number."""
    rng = scene.rng
    for _ in range(rng.integers(4, 7)):
        place = x + rng.uniform(-1.2, 1.2)
        if label == PERSON:
            person(scene, g * rng.uniform(0.93, 1.07), place, (PERSON, False))
        else:
            bicycle(scene, g * rng.uniform(0.93, 1.07), place, (BICYCLE, False))


def pole(scene, g, x):
    """With a sign, with a traffic light, or bare and tall."""
    rng, metre = scene.rng, g / 1.5
    to, put, kind = _frame(scene, g, x), scene.canvas.put, scene.rng.random()
    tall = rng.uniform(2.4, 3.2) if kind < 0.7 else rng.uniform(4, 6)
    put([limb(*to([(0, 0), (0, tall)]), 0.16 * metre, 0.12 * metre)], np.full(3, rng.uniform(0.2, 0.6)),
        (POLE, False))
    head = to([(0, tall)])[0]
    if kind < 0.4:
        colour = textures.colour(rng.choice((0.0, 0.6, 0.14)), 0.85, 0.85)
        put([ellipse(head, (0.38 * metre,) * 2, rng.choice((3, 4, 8, 28)))], colour, (SIGN, False))
        put([ellipse(head, (0.2 * metre,) * 2)], np.full(3, 0.95), (SIGN, False))
    elif kind < 0.7:
        put([box(*(head - (0.22 * metre, 0.5 * metre)), *(head + (0.22 * metre, 0.45 * metre)))], np.full(3, 0.07),
            (LIGHT, False))
        for k, hue in enumerate((0.0, 0.12, 0.36)):
            lit = 1.0 if rng.random() < 0.4 else 0.3
            put([ellipse(head + (0, (k - 1) * 0.28 * metre), (0.1 * metre,) * 2)], textures.colour(hue, 0.9, lit),
                (LIGHT, False))


def tree(scene, g, x):
    """A trunk and a crown of a few leafy balls."""
    rng, metre = scene.rng, g / 1.5
    to, put, what = _frame(scene, g, x), scene.canvas.put, (PLANT, False)
    tall = rng.uniform(1.0, 1.6) if rng.random() < 0.3 else rng.uniform(3.5, 6)  # a bush, or a tree
    leaves = scene.leaves[rng.integers(len(scene.leaves))]
    put([limb(*to([(0, 0), (0, tall * 0.6)]), 0.3 * metre, 0.2 * metre)], textures.colour(0.07, 0.4, 0.3), what)
    for _ in range(5):
        centre = to([(rng.normal(0, tall * 0.13), tall * rng.uniform(0.55, 0.85))])[0]
        ball = ellipse(centre, (tall * rng.uniform(0.16, 0.28) * metre,) * 2, 24)
        put([ball + rng.normal(0, 0.06 * metre, ball.shape)], leaves, what)


def bin(scene, g, x):
    """Something that is no class: static, and so void."""
    to = _frame(scene, g, x)
    scene.canvas.put([to([(-0.3, 0), (0.3, 0), (0.35, 1.0), (-0.35, 1.0)])], _paint(scene.rng), (STATIC, False))
