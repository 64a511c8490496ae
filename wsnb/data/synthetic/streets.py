"""One seeded street scene: stuff in perspective, objects on it at every distance, with label and instance ids.

A camera 1.5 m above a straight street. A place is (X metres right of the camera, G pixels below the horizon): G pixels
are then 1.5 m. Colours and patterns of classes overlap, far objects are small and hide behind near ones: neither colour
nor place alone tells a class.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.data.synthetic import painting
from wsnb.data.synthetic.painting import Painting, box, ellipse, limb

SKY, ROAD, SIDEWALK, BUILDING, WALL, FENCE, TERRAIN, EGO = 23, 7, 8, 11, 12, 13, 22, 1  # label ids
PERSON, RIDER, CAR, TRUCK, BUS, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 32, 33
POLE, LIGHT, SIGN, PLANT, STATIC = 17, 19, 20, 21, 4
_SPLITS = {"train": 0, "val": 1, "test": 2, "train_extra": 3}
_SMALLEST = 12  # pixels of a 96-pixel picture; an instance of which fewer are seen is unlabelled


@dataclass(frozen=True)
class Street:
    """A picture and its labels, in Cityscapes' label ids."""

    image: np.ndarray      # uint8 [H, W, 3]
    labels: np.ndarray     # uint8 [H, W] label ids, 0 unlabelled
    instances: np.ndarray  # uint16 [H, W] label id * 1000 + k for instances, the bare label id for stuff and groups


def street(index: int, split: str = "train", size=(96, 192), seed: int = 0) -> Street:
    """Draw picture INDEX of SPLIT; depends on nothing but these arguments. SIZE is (height, width) in pixels.

    Raises ValueError for a split other than train, val, test, train_extra and for sides under 48.
    """
    if split not in _SPLITS or min(size) < 48:
        raise ValueError(f"street({split=}, {size=}): take a split of {', '.join(_SPLITS)} and sides of at least 48")
    rng = np.random.default_rng([seed, 100 + _SPLITS[split], index])
    scene = _Scene(rng, size)
    scene.sky()
    scene.ground()
    for side in (-1, 1):
        scene.row_of_houses(side)
    for g, draw in sorted(_cast(scene, index), key=lambda one: one[0]):  # from far to near
        draw(scene, g)
    if rng.random() < 0.4:
        bonnet = ellipse((size[1] * rng.uniform(0.4, 0.6), size[0] * 1.04), (size[1] * 0.5, size[0] * 0.13))
        scene.painting.put([bonnet], painting.colour(rng.random(), 0.2, rng.uniform(0.1, 0.35)), (EGO, False))
    labels, instances = scene.painting.ids(_SMALLEST * scene.unit**2)
    image = scene.painting.image * rng.uniform(0.8, 1.15) + rng.normal(0, 0.015, (*size, 3))
    return Street(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8), labels, instances)


def coarse(street: Street, rng) -> Street:
    """Label STREET in a hurry: borders unlabelled, small objects left out, no region exact."""
    import cv2

    height = street.labels.shape[0]
    kept = np.zeros_like(street.labels, bool)
    for key in np.unique(street.instances):
        region = (street.instances == key).astype(np.uint8)
        width = int(rng.integers(1, 3) * max(1, height // 96)) * 2 + 1
        inner = cv2.erode(np.pad(region, width, mode="edge"), np.ones((width, width), np.uint8))[
            width:-width, width:-width]
        if key >= 1000 and inner.sum() < height**2 / 250:
            continue
        kept |= inner > 0
    return Street(street.image, np.where(kept, street.labels, 0).astype(np.uint8),
                  np.where(kept, street.instances, 0).astype(np.uint16))


class _Scene:
    """A street and its painting: the layout that all objects are drawn in."""

    def __init__(self, rng, size):
        self.rng, self.size, self.unit = rng, size, size[0] / 96
        self.painting = Painting(size)
        self.horizon, self.middle = size[0] * rng.uniform(0.36, 0.46), size[1] * rng.uniform(0.4, 0.6)
        self.leaves = [self.grain(rng.normal(0.28, 0.04), rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.6), "noise")
                       for _ in range(3)]
        self.road, self.edge = rng.uniform(3.0, 4.5), rng.uniform(6.0, 8.0)  # half widths of road and street, metres

    def at(self, x: float, g: float, up: float = 0.0) -> np.ndarray:
        """Project a place, UP metres above the ground, to its pixel (x, y)."""
        return np.array([self.middle + x / 1.5 * g, self.horizon + g - up / 1.5 * g])

    def sky(self):
        rng, (height, width) = self.rng, self.size
        hue, grey = rng.normal(0.58, 0.03), rng.uniform(0.05, 0.5)
        clouds = painting.noise(rng, self.size, 40 * self.unit, 4)
        colours = painting.mix(clouds, painting.colour(hue, grey, rng.uniform(0.65, 0.9)),
                               painting.colour(hue, grey * 0.3, rng.uniform(0.85, 1)))
        self.painting.put([box(0, 0, width, height)], colours, (SKY, False))

    def ground(self):
        """Paint sidewalks or grass on both sides, and the road with its marks."""
        rng, bottom = self.rng, self.size[0] - self.horizon
        for side in (-1, 1):
            outline = self._ground_between(side * self.road, side * 60)
            grass = rng.random() < 0.25
            hue, saturation = (rng.normal(0.26, 0.03), 0.45) if grass else (rng.random(), rng.uniform(0, 0.15))
            texture = self.grain(hue, saturation, rng.uniform(0.4, 0.7), "noise" if grass else "checks")
            self.painting.put([outline], texture, (TERRAIN if grass else SIDEWALK, False))
        self.painting.put([self._ground_between(-self.road, self.road)],
                        self.grain(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.25, 0.5), "noise"), (ROAD, False))
        self._marks(bottom)

    def _marks(self, bottom):
        near = bottom
        while near > 3 * self.unit:
            far = near * 0.72
            line = np.stack([self.at(-0.09, near), self.at(0.09, near), self.at(0.09, far), self.at(-0.09, far)])
            self.painting.put([line], np.float32([0.85, 0.85, 0.8]), (ROAD, False))
            near = far * 0.7

    def _ground_between(self, left: float, right: float) -> np.ndarray:
        """Outline the ground between LEFT and RIGHT metres, from the horizon to the bottom."""
        near = (self.size[0] - self.horizon) * 1.05
        return np.stack([self.at(left, near), self.at(right, near), self.at(right, 0.01), self.at(left, 0.01)])

    def grain(self, hue, saturation, value, pattern: str):
        """Draw a texture over the whole picture, float32 [H, W, 3]."""
        rough = painting.noise(self.rng, self.size, self.rng.uniform(3, 9) * self.unit, 3)
        if pattern != "noise":
            rough = 0.6 * rough + 0.4 * painting.PATTERNS[pattern](self.rng, self.size,
                                                                   self.rng.uniform(4, 9) * self.unit)
        return painting.mix(rough, painting.colour(hue, saturation, value * 0.75),
                            painting.colour(hue, saturation, min(value * 1.2, 1)))

    def row_of_houses(self, side: int):
        """Paint house fronts from the picture's edge to the vanishing point; gaps show trees or the sky."""
        rng = self.rng
        g, farthest = 1.5 * self.size[1] / self.edge, 2.0 * self.unit
        while g > farthest:
            far = g * rng.uniform(0.5, 0.8)
            kind = rng.random()
            if kind < 0.72:
                self._house(side, g, far)
            elif kind < 0.9:
                for _ in range(3):
                    tree(self, rng.uniform(far, g), side * self.edge * rng.uniform(1, 1.3))
            if rng.random() < 0.25:
                fence = rng.random() < 0.5
                front = self._front(side * self.edge * 0.97, g, far, rng.uniform(0.8, 1.6))
                skin = self.grain(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.4, 0.7),
                                  "stripes" if fence else "bricks")
                self.painting.put([front], skin, (FENCE if fence else WALL, False))
            g = far

    def _front(self, x, near, far, high, low=0.0):
        return np.stack([self.at(x, near, low), self.at(x, near, high), self.at(x, far, high), self.at(x, far, low)])

    def _house(self, side, near, far):
        rng, x = self.rng, side * self.edge
        storeys = rng.integers(2, 5)
        pattern = rng.choice(["bricks", "noise", "checks", "stripes"])
        wall = self.grain(rng.choice([rng.normal(0.06, 0.03), rng.random()]), rng.uniform(0.05, 0.5),
                          rng.uniform(0.35, 0.8), pattern)
        self.painting.put([self._front(x, near, far, 3.0 * storeys)], wall, (BUILDING, False))
        glass = painting.colour(rng.normal(0.58, 0.1), rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.6))
        columns = rng.integers(2, 5)
        for storey in range(storeys):
            for column in range(columns):
                a, b = (1 / (1 / near + (1 / far - 1 / near) * (column + t) / columns) for t in (0.25, 0.75))
                self.painting.put([self._front(x, a, b, 3 * storey + 2.4, 3 * storey + 0.9)], glass, (BUILDING, False))


def _cast(scene, index: int) -> list:
    """List (g, draw) of every object that stands on the street. The rarer classes take turns."""
    rng, unit, cast = scene.rng, scene.unit, []
    nearest = (scene.size[0] - scene.horizon) * 0.85

    def some(draw, count, near=1.0, far=5.0):
        for _ in range(count):
            cast.append((float(np.exp(rng.uniform(np.log(far * unit), np.log(nearest * near)))), draw))

    def walk():
        return rng.choice((-1, 1)) * rng.uniform(scene.road, scene.edge) if rng.random() < 0.75 else rng.uniform(-3, 3)

    def drive():
        return rng.choice((-1, 1)) * rng.uniform(0.35, 0.9) * scene.road

    some(lambda s, g: car(s, g, drive()), rng.integers(2, 6), 0.8)
    some(lambda s, g: person(s, g, walk()), rng.integers(1, 6), 0.8)
    some(lambda s, g: pole(s, g, rng.choice((-1, 1)) * (scene.road + 0.4)), rng.integers(1, 5))
    some(lambda s, g: tree(s, g, rng.choice((-1, 1)) * rng.uniform(scene.road + 0.8, scene.edge)),
         rng.integers(0, 4), 0.6)
    turns = (
        lambda s, g: cyclist(s, g, drive()),
        lambda s, g: lorry(s, g, drive(), BUS),
        lambda s, g: bicycle(s, g, walk()),
        lambda s, g: lorry(s, g, drive(), TRUCK),
        lambda s, g: cyclist(s, g, drive(), MOTORCYCLE),
        lambda s, g: group(s, g, walk(), PERSON),
        lambda s, g: group(s, g, walk(), BICYCLE),
        lambda s, g: litter_bin(s, g, walk()),
    )
    for turn in {index % len(turns), *rng.choice(len(turns), 2, replace=False).tolist()}:
        some(turns[turn], 1, 0.7, 9.0)
    return cast


# the objects of a scene, each drawn at a place


def _paint(rng, spread=0.7):
    """Draw a colour that clothes and cars have."""
    return painting.colour(rng.random(), rng.uniform(0, spread), rng.uniform(0.12, 0.95))


def _shadow(scene, g, x, width):
    foot = scene.at(x, g)
    scene.painting.put([ellipse(foot, (width / 3 * g, 0.10 * g))], np.zeros(3), strength=0.35)


def _frame(scene, g, x):
    """Make to(points): pixels of points (metres right of the place's middle, metres up)."""
    foot, metre = scene.at(x, g), g / 1.5
    return lambda points: foot + np.asarray(points, float) * (metre, -metre)


def car(scene, g, x):
    """Draw a car from behind or from its side."""
    rng, number = scene.rng, scene.painting.instance(CAR)
    to, put, skin = _frame(scene, g, x), scene.painting.put, _paint(rng)
    glass = painting.colour(rng.normal(0.58, 0.05), 0.25, rng.uniform(0.1, 0.5))
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
    """Draw a bus with a band of windows, or a truck with a box of one colour."""
    rng, number = scene.rng, scene.painting.instance(label)
    to, put, skin = _frame(scene, g, x), scene.painting.put, _paint(rng)
    _shadow(scene, g, x, 2.8)
    side = rng.random() < 0.5
    w, h = (rng.uniform(3.0, 4.5) if side else 1.25), rng.uniform(2.9, 3.4)
    for wheel in (-0.7 * w, 0.7 * w):
        tyre = ellipse(to([(wheel, 0.45)])[0], (0.45 * g / 1.5 * (1 if side else 0.5), 0.45 * g / 1.5))
        put([tyre], np.full(3, 0.05), number)
    put([to([(-w, 0.45), (w, 0.45), (w, h), (-w, h)])], skin, number)
    if label == BUS:
        glass = painting.colour(0.58, 0.3, rng.uniform(0.1, 0.35))
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
    """Draw a walking person; WHAT is given for a member of a group."""
    rng = scene.rng
    what = scene.painting.instance(PERSON) if what is None else what
    to, put, metre = _frame(scene, g, x), scene.painting.put, g / 1.5
    trousers, coat = _paint(rng), _paint(rng)
    skin = painting.colour(rng.normal(0.07, 0.01), 0.4, rng.uniform(0.35, 0.9))
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
    """Draw two wheels and a frame from the side."""
    what = scene.painting.instance(BICYCLE) if what is None else what
    to, put, metre = frame or _frame(scene, g, x), scene.painting.put, g / 1.5
    black, skin = np.full(3, 0.08), _paint(scene.rng, 0.9)
    for wheel in (-0.5, 0.5):
        centre = to([(wheel, 0.34)])[0]
        put([ellipse(centre, (0.34 * metre,) * 2), ellipse(centre, (0.24 * metre,) * 2)], black, what)
    for start, end in (((-0.5, 0.34), (-0.1, 0.8)), ((-0.1, 0.8), (0.4, 0.82)), ((0.0, 0.34), (0.4, 0.82)),
                       ((0.5, 0.34), (0.4, 1.0)), ((-0.5, 0.34), (0.0, 0.34))):
        put([limb(*to([start, end]), 0.07 * metre, 0.07 * metre)], skin, what)


def cyclist(scene, g, x, label=None):
    """Draw a rider on a bicycle or motorcycle: two instances, as in Cityscapes."""
    rng, put, metre = scene.rng, scene.painting.put, g / 1.5
    to = _frame(scene, g, x)
    _shadow(scene, g, x, 1.6)
    if label == MOTORCYCLE:
        number = scene.painting.instance(label)
        for wheel in (-0.65, 0.65):
            put([ellipse(to([(wheel, 0.32)])[0], (0.32 * metre,) * 2)], np.full(3, 0.06), number)
        put([to([(-0.8, 0.6), (-0.3, 0.35), (0.4, 0.35), (0.75, 0.75), (0.45, 1.05), (0.2, 0.85), (-0.3, 0.8)])],
            _paint(rng), number)
    else:
        bicycle(scene, g, x, frame=to)
    rider = scene.painting.instance(RIDER)
    trousers, coat = _paint(rng), _paint(rng)
    put([limb(*to([(-0.1, 0.95), (0.15, 0.3)]), 0.2 * metre, 0.13 * metre)], trousers, rider)
    put([limb(*to([(-0.12, 0.95), (0.12, 1.45)]), 0.34 * metre, 0.38 * metre)], coat, rider)
    put([limb(*to([(0.12, 1.4), (0.42, 1.0)]), 0.13 * metre, 0.1 * metre)], coat * 0.85, rider)
    put([ellipse(to([(0.2, 1.68)])[0], (0.13 * metre, 0.15 * metre))], _paint(rng), rider)


def group(scene, g, x, label):
    """Draw a crowd of one class that an annotator would not separate: one region without a number."""
    rng = scene.rng
    for _ in range(rng.integers(4, 7)):
        place = x + rng.uniform(-1.2, 1.2)
        if label == PERSON:
            person(scene, g * rng.uniform(0.93, 1.07), place, (PERSON, False))
        else:
            bicycle(scene, g * rng.uniform(0.93, 1.07), place, (BICYCLE, False))


def pole(scene, g, x):
    """Draw a pole with a sign, with a traffic light, or bare and tall."""
    rng, metre = scene.rng, g / 1.5
    to, put, kind = _frame(scene, g, x), scene.painting.put, scene.rng.random()
    tall = rng.uniform(2.4, 3.2) if kind < 0.7 else rng.uniform(4, 6)
    put([limb(*to([(0, 0), (0, tall)]), 0.16 * metre, 0.12 * metre)], np.full(3, rng.uniform(0.2, 0.6)),
        (POLE, False))
    head = to([(0, tall)])[0]
    if kind < 0.4:
        colour = painting.colour(rng.choice((0.0, 0.6, 0.14)), 0.85, 0.85)
        put([ellipse(head, (0.38 * metre,) * 2, rng.choice((3, 4, 8, 28)))], colour, (SIGN, False))
        put([ellipse(head, (0.2 * metre,) * 2)], np.full(3, 0.95), (SIGN, False))
    elif kind < 0.7:
        put([box(*(head - (0.22 * metre, 0.5 * metre)), *(head + (0.22 * metre, 0.45 * metre)))], np.full(3, 0.07),
            (LIGHT, False))
        for k, hue in enumerate((0.0, 0.12, 0.36)):
            lit = 1.0 if rng.random() < 0.4 else 0.3
            put([ellipse(head + (0, (k - 1) * 0.28 * metre), (0.1 * metre,) * 2)], painting.colour(hue, 0.9, lit),
                (LIGHT, False))


def tree(scene, g, x):
    """Draw a trunk and a crown of a few leafy balls."""
    rng, metre = scene.rng, g / 1.5
    to, put, what = _frame(scene, g, x), scene.painting.put, (PLANT, False)
    tall = rng.uniform(1.0, 1.6) if rng.random() < 0.3 else rng.uniform(3.5, 6)  # a bush, or a tree
    leaves = scene.leaves[rng.integers(len(scene.leaves))]
    put([limb(*to([(0, 0), (0, tall * 0.6)]), 0.3 * metre, 0.2 * metre)], painting.colour(0.07, 0.4, 0.3), what)
    for _ in range(5):
        centre = to([(rng.normal(0, tall * 0.13), tall * rng.uniform(0.55, 0.85))])[0]
        ball = ellipse(centre, (tall * rng.uniform(0.16, 0.28) * metre,) * 2, 24)
        put([ball + rng.normal(0, 0.06 * metre, ball.shape)], leaves, what)


def litter_bin(scene, g, x):
    """Draw a bin, which is of no class: static, that is void."""
    to = _frame(scene, g, x)
    scene.painting.put([to([(-0.3, 0), (0.3, 0), (0.35, 1.0), (-0.35, 1.0)])], _paint(scene.rng), (STATIC, False))
