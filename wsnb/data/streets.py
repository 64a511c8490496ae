"""One seeded street scene: stuff in perspective, things on it at every distance, with label and instance ids.

A camera 1.5 m above a straight street. A place is (X metres right of the camera, G pixels below the horizon): G pixels
are then 1.5 m. Colours and patterns of classes overlap, far things are small and hide behind near ones, so that
neither colour nor place alone tells a class.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.data import street_things, textures
from wsnb.data.canvas import Canvas, box, ellipse
from wsnb.data.street_things import BICYCLE, BUS, MOTORCYCLE, PERSON, TRUCK

SKY, ROAD, SIDEWALK, BUILDING, WALL, FENCE, TERRAIN, EGO = 23, 7, 8, 11, 12, 13, 22, 1
_SPLITS = {"train": 0, "val": 1, "test": 2, "train_extra": 3}
_SMALLEST = 12  # pixels of a 96-pixel picture; what is seen less of a thing is unlabelled


@dataclass(frozen=True)
class Street:
    """A picture and everything that is known of it, in Cityscapes' label ids."""

    image: np.ndarray      # uint8 [H, W, 3]
    labels: np.ndarray     # uint8 [H, W] label ids, 0 unlabelled
    instances: np.ndarray  # uint16 [H, W] label id * 1000 + k for things, the bare label id for stuff and groups


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
    for g, draw in sorted(_cast(scene, index), key=lambda thing: thing[0]):  # from far to near
        draw(scene, g)
    if rng.random() < 0.4:
        bonnet = ellipse((size[1] * rng.uniform(0.4, 0.6), size[0] * 1.04), (size[1] * 0.5, size[0] * 0.13))
        scene.canvas.put([bonnet], textures.colour(rng.random(), 0.2, rng.uniform(0.1, 0.35)), (EGO, False))
    labels, instances = scene.canvas.ids(_SMALLEST * scene.unit**2)
    image = scene.canvas.image * rng.uniform(0.8, 1.15) + rng.normal(0, 0.015, (*size, 3))
    return Street(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8), labels, instances)


def coarse(street: Street, rng) -> Street:
    """STREET as an annotator in a hurry leaves it: borders unlabelled, small things left out, no region exact."""
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
    """What the drawing of things needs to know of the street."""

    def __init__(self, rng, size):
        self.rng, self.size, self.unit = rng, size, size[0] / 96
        self.canvas = Canvas(size)
        self.horizon, self.middle = size[0] * rng.uniform(0.36, 0.46), size[1] * rng.uniform(0.4, 0.6)
        self.leaves = [self.grain(rng.normal(0.28, 0.04), rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.6), "noise")
                       for _ in range(3)]
        self.road, self.edge = rng.uniform(3.0, 4.5), rng.uniform(6.0, 8.0)  # half widths of road and street, metres

    def at(self, x: float, g: float, up: float = 0.0) -> np.ndarray:
        """Pixel (x, y) of a place, UP metres above the ground."""
        return np.array([self.middle + x / 1.5 * g, self.horizon + g - up / 1.5 * g])

    def sky(self):
        rng, (height, width) = self.rng, self.size
        hue, grey = rng.normal(0.58, 0.03), rng.uniform(0.05, 0.5)
        clouds = textures.noise(rng, self.size, 40 * self.unit, 4)
        colours = textures.mix(clouds, textures.colour(hue, grey, rng.uniform(0.65, 0.9)),
                               textures.colour(hue, grey * 0.3, rng.uniform(0.85, 1)))
        self.canvas.put([box(0, 0, width, height)], colours, (SKY, False))

    def ground(self):
        """Sidewalks or grass on both sides, the road with its marks."""
        rng, bottom = self.rng, self.size[0] - self.horizon
        for side in (-1, 1):
            strip = self._strip(side * self.road, side * 60)
            grass = rng.random() < 0.25
            hue, saturation = (rng.normal(0.26, 0.03), 0.45) if grass else (rng.random(), rng.uniform(0, 0.15))
            self.canvas.put([strip], self.grain(hue, saturation, rng.uniform(0.4, 0.7), "noise" if grass else "checks"),
                            (TERRAIN if grass else SIDEWALK, False))
        self.canvas.put([self._strip(-self.road, self.road)],
                        self.grain(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.25, 0.5), "noise"), (ROAD, False))
        self._marks(bottom)

    def _marks(self, bottom):
        near = bottom
        while near > 3 * self.unit:
            far = near * 0.72
            line = np.stack([self.at(-0.09, near), self.at(0.09, near), self.at(0.09, far), self.at(-0.09, far)])
            self.canvas.put([line], np.float32([0.85, 0.85, 0.8]), (ROAD, False))
            near = far * 0.7

    def _strip(self, left: float, right: float) -> np.ndarray:
        """Ground between LEFT and RIGHT metres, from the horizon to the bottom."""
        near = (self.size[0] - self.horizon) * 1.05
        return np.stack([self.at(left, near), self.at(right, near), self.at(right, 0.01), self.at(left, 0.01)])

    def grain(self, hue, saturation, value, pattern: str):
        """A texture over the whole picture, float32 [H, W, 3]."""
        rough = textures.noise(self.rng, self.size, self.rng.uniform(3, 9) * self.unit, 3)
        if pattern != "noise":
            rough = 0.6 * rough + 0.4 * textures.PATTERNS[pattern](self.rng, self.size,
                                                                   self.rng.uniform(4, 9) * self.unit)
        return textures.mix(rough, textures.colour(hue, saturation, value * 0.75),
                            textures.colour(hue, saturation, min(value * 1.2, 1)))

    def row_of_houses(self, side: int):
        """Fronts from the picture's edge to the vanishing point; gaps show trees or the sky."""
        rng = self.rng
        g, farthest = 1.5 * self.size[1] / self.edge, 2.0 * self.unit
        while g > farthest:
            far = g * rng.uniform(0.5, 0.8)
            kind = rng.random()
            if kind < 0.72:
                self._house(side, g, far)
            elif kind < 0.9:
                for _ in range(3):
                    street_things.tree(self, rng.uniform(far, g), side * self.edge * rng.uniform(1, 1.3))
            if rng.random() < 0.25:
                fence = rng.random() < 0.5
                front = self._front(side * self.edge * 0.97, g, far, rng.uniform(0.8, 1.6))
                skin = self.grain(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.4, 0.7),
                                  "stripes" if fence else "bricks")
                self.canvas.put([front], skin, (FENCE if fence else WALL, False))
            g = far

    def _front(self, x, near, far, high, low=0.0):
        return np.stack([self.at(x, near, low), self.at(x, near, high), self.at(x, far, high), self.at(x, far, low)])

    def _house(self, side, near, far):
        rng, x = self.rng, side * self.edge
        storeys = rng.integers(2, 5)
        pattern = rng.choice(["bricks", "noise", "checks", "stripes"])
        wall = self.grain(rng.choice([rng.normal(0.06, 0.03), rng.random()]), rng.uniform(0.05, 0.5),
                          rng.uniform(0.35, 0.8), pattern)
        self.canvas.put([self._front(x, near, far, 3.0 * storeys)], wall, (BUILDING, False))
        glass = textures.colour(rng.normal(0.58, 0.1), rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.6))
        columns = rng.integers(2, 5)
        for storey in range(storeys):
            for column in range(columns):
                a, b = (1 / (1 / near + (1 / far - 1 / near) * (column + t) / columns) for t in (0.25, 0.75))
                self.canvas.put([self._front(x, a, b, 3 * storey + 2.4, 3 * storey + 0.9)], glass, (BUILDING, False))


def _cast(scene, index: int) -> list:
    """(g, draw) of everything that stands on the street. The rarer classes take turns."""
    rng, unit, cast = scene.rng, scene.unit, []
    nearest = (scene.size[0] - scene.horizon) * 0.85

    def some(draw, count, near=1.0, far=5.0):
        for _ in range(count):
            cast.append((float(np.exp(rng.uniform(np.log(far * unit), np.log(nearest * near)))), draw))

    def walk():
        return rng.choice((-1, 1)) * rng.uniform(scene.road, scene.edge) if rng.random() < 0.75 else rng.uniform(-3, 3)

    def drive():
        return rng.choice((-1, 1)) * rng.uniform(0.35, 0.9) * scene.road

    some(lambda s, g: street_things.car(s, g, drive()), rng.integers(2, 6), 0.8)
    some(lambda s, g: street_things.person(s, g, walk()), rng.integers(1, 6), 0.8)
    some(lambda s, g: street_things.pole(s, g, rng.choice((-1, 1)) * (scene.road + 0.4)), rng.integers(1, 5))
    some(lambda s, g: street_things.tree(s, g, rng.choice((-1, 1)) * rng.uniform(scene.road + 0.8, scene.edge)),
         rng.integers(0, 4), 0.6)
    turns = (
        lambda s, g: street_things.cyclist(s, g, drive()),
        lambda s, g: street_things.lorry(s, g, drive(), BUS),
        lambda s, g: street_things.bicycle(s, g, walk()),
        lambda s, g: street_things.lorry(s, g, drive(), TRUCK),
        lambda s, g: street_things.cyclist(s, g, drive(), MOTORCYCLE),
        lambda s, g: street_things.group(s, g, walk(), PERSON),
        lambda s, g: street_things.group(s, g, walk(), BICYCLE),
        lambda s, g: street_things.bin(s, g, walk()),
    )
    for turn in {index % len(turns), *rng.choice(len(turns), 2, replace=False).tolist()}:
        some(turns[turn], 1, 0.7, 9.0)
    return cast
