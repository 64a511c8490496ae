"""One seeded picture of jointed figures with DensePose's fourteen parts, right and left distinguished.

Figures face the viewer or turn their back, which the head alone shows: a limb's side follows from its place and from
that. Clothes cover parts across their borders (long and short sleeves and trousers), so that colour does not tell
parts apart.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.data.synthetic import painting, shapes
from wsnb.data.synthetic.painting import Painting, ellipse, limb

TORSO, HEAD = 1, 14
#           hand, foot, thigh, leg, arm, forearm
_PARTS = {"right": (2, 5, 6, 8, 11, 13), "left": (3, 4, 7, 9, 10, 12)}
_SPLITS = {"train": 0, "val": 1, "test": 2}
_SMALLEST = 80  # pixels of a 128-pixel picture that must be seen of a figure


@dataclass(frozen=True)
class Figures:
    """A picture and everything that is known of it."""

    image: np.ndarray   # uint8 [H, W, 3]
    parts: np.ndarray   # uint8 [H, W] 0 background, 1..14
    people: np.ndarray  # uint8 [H, W] 0 background, 1..N
    pieces: np.ndarray  # uint16 [H, W] number of the part of a person, 0 background


def figures(index: int, split: str = "train", size=(128, 160), seed: int = 0) -> Figures:
    """Draw picture INDEX of SPLIT; depends on nothing but these arguments. SIZE is (height, width) in pixels.

    Raises ValueError for a split other than train, val, test and for sides under 64.
    """
    if split not in _SPLITS or min(size) < 64:
        raise ValueError(f"figures({split=}, {size=}): take a split of {', '.join(_SPLITS)} and sides of at least 64")
    rng = np.random.default_rng([seed, 200 + _SPLITS[split], index])
    painted = Painting(size)
    painted.image[:] = shapes.background(rng, size, size[0] / 96)
    owners = [(0, 0)]  # (part, person) by number of the painting
    count = int(rng.choice((1, 2, 3), p=(0.5, 0.35, 0.15)))
    for person, x in enumerate(sorted(rng.permutation(3)[:count]), 1):
        _figure(painted, rng, person, owners, (x - 1) * 0.3 + 0.5 if count > 1 else rng.uniform(0.3, 0.7))
    parts, people = (np.array([owner[k] for owner in owners], np.uint8)[painted.top] for k in (0, 1))
    for person in range(1, count + 1):
        if (people == person).sum() < _SMALLEST * (size[0] / 128) ** 2:
            parts[people == person] = people[people == person] = 0
    image = painted.image * rng.uniform(0.85, 1.15) + rng.normal(0, 0.015, (*size, 3))
    picture = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return Figures(picture, parts, people, np.where(parts > 0, painted.top, 0).astype(np.uint16))


def _cloth(rng, size) -> np.ndarray:
    """A plain or patterned stuff over the whole picture."""
    hue, saturation, value = rng.random(), rng.uniform(0, 0.8), rng.uniform(0.2, 0.95)
    if rng.random() < 0.5:
        field, dark = painting.noise(rng, size, 12, 2), 0.85
    else:
        pattern, dark = rng.choice(list(painting.PATTERNS)), 0.5
        field = painting.PATTERNS[pattern](rng, size, rng.uniform(5, 11) * size[0] / 128)
    return painting.mix(field, painting.colour(hue, saturation, value * dark), painting.colour(hue, saturation, value))


def _turned(start, angle: float, length: float) -> np.ndarray:
    """LENGTH below START, swung by ANGLE (0: straight down, positive: to the right of the picture)."""
    return np.asarray(start) + length * np.array([np.sin(angle), np.cos(angle)])


def _figure(painted: Painting, rng, person: int, owners: list, across: float) -> None:
    """One person: legs, torso, head, arms, in lengths of a figure that is 1 high."""
    size = painted.size
    tall = size[0] * rng.uniform(0.6, 1.05)
    front, lean = rng.random() < 0.65, rng.normal(0, 0.09)
    neck = np.array([size[1] * across + rng.normal(0, 6), size[0] * 0.5 - tall * rng.uniform(0.22, 0.36)])
    hip = _turned(neck, lean, 0.32 * tall)
    skin = painting.colour(rng.normal(0.07, 0.012), rng.uniform(0.3, 0.55), rng.uniform(0.3, 0.95))
    shirt, trousers = _cloth(rng, size), _cloth(rng, size)
    shoe = painting.colour(rng.random(), 0.3, rng.uniform(0.1, 0.9))
    long_sleeve, long_leg, glove = rng.random() < 0.5, rng.random() < 0.65, rng.random() < 0.15
    light = rng.uniform(0, 2 * np.pi)

    def put(part, polygon, colours):
        number = painted.instance(part)
        owners.append((part, person))
        painted.put([polygon], np.zeros(3), strength=0.25)  # a dark rim parts limbs that lie on each other
        painted.put([polygon], _lit(painted, polygon, colours, light, tall), number)

    def leg(way, side):
        joint = hip + np.array([way * 0.075 * tall, 0.0])
        swing = way * abs(rng.normal(0.12, 0.25)) + rng.normal(0, 0.08)
        knee = _turned(joint, swing, 0.245 * tall)
        ankle = _turned(knee, swing - way * abs(rng.normal(0, 0.3)), 0.235 * tall)
        _, foot, thigh, shin, _, _ = _PARTS[side]
        put(foot, limb(ankle, ankle + np.array([way * 0.06, 0.05]) * tall, 0.055 * tall, 0.05 * tall), shoe)
        put(shin, limb(knee, ankle, 0.085 * tall, 0.06 * tall), trousers if long_leg else skin)
        put(thigh, limb(joint, knee, 0.115 * tall, 0.09 * tall), trousers)

    def arm(way, side):
        shoulder = neck + np.array([way * 0.115, 0.035]) * tall
        swing = way * abs(rng.normal(0.5, 0.6))
        elbow = _turned(shoulder, swing, 0.165 * tall)
        wrist = _turned(elbow, swing + rng.normal(0.2 * way, 0.8), 0.15 * tall)
        hand, _, _, _, upper, forearm = _PARTS[side]
        put(upper, limb(shoulder, elbow, 0.08 * tall, 0.065 * tall), shirt)
        put(forearm, limb(elbow, wrist, 0.06 * tall, 0.045 * tall), shirt if long_sleeve else skin)
        put(hand, limb(wrist, wrist + 0.4 * (wrist - elbow) * 0.6, 0.055 * tall, 0.05 * tall), shoe if glove else skin)

    sides = (("right", -1), ("left", 1)) if front else (("left", -1), ("right", 1))
    behind = [bool(rng.random() < 0.3) for _ in sides]
    for (side, way), hidden in zip(sides, behind, strict=True):
        if hidden:
            arm(way, side)
    for side, way in sides:
        leg(way, side)
    wide = np.array([0.125, 0]) * tall
    put(TORSO, np.stack([neck - wide * 0.45 - (0, 0.01 * tall), neck + wide * 0.45 - (0, 0.01 * tall),
                         neck + wide + (0, 0.04 * tall), hip + wide * 0.95 + (0, 0.04 * tall),
                         hip - wide * 0.95 + (0, 0.04 * tall), neck - wide + (0, 0.04 * tall)]), shirt)
    for (side, way), hidden in zip(sides, behind, strict=True):
        if not hidden:
            arm(way, side)
    _head(put, painted, rng, neck, tall, front, skin)


def _head(put, painted: Painting, rng, neck, tall: float, front: bool, skin) -> None:
    centre = neck - (0, 0.085 * tall)
    hair = painting.colour(rng.normal(0.08, 0.03), rng.uniform(0, 0.7), rng.uniform(0.05, 0.7))
    put(HEAD, ellipse(centre, (0.062 * tall, 0.085 * tall)), hair)
    if front:
        painted.put([ellipse(centre + (0, 0.018 * tall), (0.05 * tall, 0.062 * tall))], skin)
        for way in (-1, 1):
            eye = ellipse(centre + np.array([way * 0.02, 0.005]) * tall, (0.009 * tall,) * 2, 8)
            painted.put([eye], np.full(3, 0.05))
        painted.put([ellipse(centre + (0, 0.048 * tall), (0.02 * tall, 0.006 * tall), 8)], np.float32([0.5, 0.1, 0.1]))


def _lit(painted: Painting, polygon, colours, light: float, tall: float) -> np.ndarray:
    """COLOURS over the whole picture, brighter towards the light as on a round limb."""
    x0, y0 = np.maximum(np.floor(polygon.min(0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(polygon.max(0)).astype(int) + 1, painted.size[::-1])
    lit = np.broadcast_to(colours, (*painted.size, 3)).astype(np.float32)
    if x0 < x1 and y0 < y1:
        alpha = painting.cover([polygon - (x0, y0)], (y1 - y0, x1 - x0))
        lit = lit.copy()
        lit[y0:y1, x0:x1] *= painting.roundness(alpha, light, 0.04 * tall)[..., None]
    return lit
