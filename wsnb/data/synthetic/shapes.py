"""One seeded picture of the synthetic set `shapes`: textured objects on a textured background, with its masks.

A class is an outline, mostly with its own pattern and hue, but patterns and hues are shared now and then, and patches
of the same patterns are in the background: no single cue tells a class, and a method's quality shows.
"""

from dataclasses import dataclass

import numpy as np

from wsnb.data.synthetic import painting
from wsnb.data.synthetic.painting import VOID

CLASSES = ("background", "disc", "ring", "star", "leaf", "block")
_PATTERN = (None, "dots", "stripes", "checks", "waves", "bricks")
_HUE = (None, 0.02, 0.60, 0.14, 0.34, 0.82)  # turns; drawn with a spread of 0.065, so that neighbours overlap
_SPLITS = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class Scene:
    """A picture and everything that is known of it."""

    image: np.ndarray      # uint8 [H, W, 3]
    mask: np.ndarray       # uint8 [H, W] class, 255 on borders
    instances: np.ndarray  # uint8 [H, W] 0 background, 1..N, 255 on borders
    boxes: np.ndarray      # int64 [N, 4] x0, y0, x1, y1 of what is seen, half-open
    labels: np.ndarray     # int64 [N] class of each instance


def scene(index: int, split: str = "train", size=(96, 128), seed: int = 0, borders: bool = True) -> Scene:
    """Draw picture INDEX of SPLIT; depends on nothing but these arguments. SIZE is (height, width) in pixels.
    Without BORDERS there is no void.

    The classes take turns, so that any five neighbouring pictures show them all. Raises ValueError for a split other
    than train, val, test and for sides under 32.
    """
    if split not in _SPLITS or min(size) < 32:
        raise ValueError(f"scene({split=}, {size=}): take a split of {', '.join(_SPLITS)} and sides of at least 32")
    rng = np.random.default_rng([seed, _SPLITS[split], index])
    unit = min(size) / 96  # lengths below are in pixels of a 96-pixel picture
    light = rng.uniform(0, 2 * np.pi)
    image = background(rng, size, unit)
    instances, labels = np.zeros(size, np.uint8), []
    for label in _cast(rng, index):
        for _ in range(12):  # tries to find a place that hides nothing whole
            alpha = painting.cover(_place(rng, label, size), size)
            tried = np.where(alpha > 0.5, len(labels) + 1, instances).astype(np.uint8)
            if _all_seen(instances, tried, alpha, unit):
                image = _paint_object(rng, image, alpha, label, light, unit)
                instances = tried
                labels.append(label)
                break
    image = image * rng.uniform(0.9, 1.1) + rng.normal(0, 0.012, (*size, 3))
    mask = np.array([0, *labels], np.uint8)[instances]
    boxes = np.array([_extent(instances == k) for k in range(1, len(labels) + 1)], np.int64).reshape(-1, 4)
    if borders:
        border = painting.void_border(instances, max(1, round(unit)))
        mask[border], instances = VOID, np.where(border, VOID, instances).astype(np.uint8)
    picture = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return Scene(picture, mask, instances, boxes, np.array(labels, np.int64))


def _cast(rng, index: int) -> list[int]:
    """Classes of the objects, from the back to the front: one to three classes, each once or twice."""
    first = index % 5 + 1
    others = [label for label in rng.permutation(5) + 1 if label != first]
    classes = [first, *others[: rng.choice(3, p=(0.4, 0.4, 0.2))]]
    cast = [int(label) for label in classes for _ in range(rng.choice((1, 2), p=(0.65, 0.35)))]
    return [cast[k] for k in rng.permutation(len(cast))]


def background(rng, size, unit: float) -> np.ndarray:
    """Two zones of muted texture with patches of the objects' own patterns; float32 [H, W, 3] in 0..1."""
    image = _muted(rng, size, unit)
    horizon = painting.noise(rng, size, 60 * unit, 2)
    level = np.linspace(0, 1, size[0], dtype=np.float32)[:, None] + 0.5 * horizon
    image = painting.blend(image, _muted(rng, size, unit), 0.5 + 0.5 * np.tanh((level - rng.uniform(0.4, 1.1)) * 25))
    for _ in range(rng.integers(1, 4)):
        blob = painting.noise(rng, size, 45 * unit, 2)
        pattern = rng.choice(list(painting.PATTERNS))
        field = painting.PATTERNS[pattern](rng, size, rng.uniform(6, 14) * unit)
        hue, value = rng.random(), rng.uniform(0.4, 0.8)
        patch = painting.mix(field, painting.colour(hue, 0.3, value * 0.75), painting.colour(hue, 0.25, value))
        image = painting.blend(image, patch, 0.45 + 0.45 * np.tanh((blob - rng.uniform(0.68, 0.8)) * 20))
    return image


def _muted(rng, size, unit: float) -> np.ndarray:
    hue, saturation, value = rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.85)
    grain = painting.noise(rng, size, 2.5 * unit, 2)  # as sharp as the objects, which are else found by focus alone
    field = 0.7 * painting.noise(rng, size, rng.uniform(6, 40) * unit, 4) + 0.3 * grain
    return painting.mix(field, painting.colour(hue, saturation, value * 0.65),
                        painting.colour(hue + rng.normal(0, 0.05), saturation * 0.8, min(value * 1.2, 1)))


def _paint_object(rng, image, alpha, label: int, light: float, unit: float) -> np.ndarray:
    """IMAGE with one more object on it, its shadow first."""
    own = rng.random() < 0.8
    pattern = _PATTERN[label] if own else rng.choice(list(painting.PATTERNS))
    field = painting.PATTERNS[pattern](rng, alpha.shape, rng.uniform(6, 11) * unit)
    hue = _HUE[label] + rng.normal(0, 0.065)
    saturation, value = rng.uniform(0.38, 0.85), rng.uniform(0.6, 1.0)
    skin = painting.mix(field, painting.colour(hue + rng.normal(0, 0.04), saturation, value * rng.uniform(0.35, 0.65)),
                        painting.colour(hue, saturation * rng.uniform(0.5, 0.9), value))
    skin *= painting.roundness(alpha, light, 7 * unit)[..., None]
    offset = -4 * unit * np.array([np.cos(light), np.sin(light)])
    return painting.blend(painting.shadow(image, alpha, offset, 2.5 * unit, 0.45), skin, alpha)


def _place(rng, label: int, size) -> list[np.ndarray]:
    """The outline of class LABEL at a random place, size and angle: polygons in pixels."""
    radius = np.exp(rng.uniform(np.log(0.17), np.log(0.40))) * min(size)
    centre = rng.uniform(0.1, 0.9, 2) * (size[1], size[0])
    angle, squeeze = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [polygon * (1, squeeze) @ turn * radius + centre for polygon in _outline(rng, CLASSES[label])]


def _outline(rng, name: str) -> list[np.ndarray]:
    """Polygons [N, 2] of an outline that fills about the unit circle."""
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    if name == "disc":
        return [circle * (1 + rng.uniform(0, 0.06) * np.sin(3 * turn + rng.uniform(0, 6.28)))[:, None] * 0.9]
    if name == "ring":
        return [circle, circle * rng.uniform(0.4, 0.58)]
    if name == "star":
        points = rng.integers(5, 8)
        radii = np.where(np.arange(2 * points) % 2, rng.uniform(0.45, 0.6), 1.15)
        corner = np.arange(2 * points) * np.pi / points
        return [np.stack([np.cos(corner), np.sin(corner)], 1) * radii[:, None]]
    if name == "leaf":
        along, thick = np.linspace(-1, 1, 36), rng.uniform(0.42, 0.6)
        edge = thick * (1 - along**2) * (1 - 0.35 * along)
        bend = rng.uniform(-0.25, 0.25) * along**2
        return [1.2 * np.concatenate([np.stack([along, bend + edge], 1), np.stack([along, bend - edge], 1)[::-1]])]
    corner = np.abs(circle) ** rng.uniform(0.3, 0.45) * np.sign(circle)  # block: a super-ellipse, nearly a rectangle
    return [corner * (1.0, rng.uniform(0.5, 0.8))]


def _all_seen(before, after, alpha, unit: float) -> bool:
    """Whether the new object is large enough in the picture and leaves at least 45 % of every older one."""
    if (alpha > 0.5).sum() < 220 * unit**2:
        return False
    return all((after == k).sum() >= 0.45 * (before == k).sum() for k in np.unique(before) if k)


def _extent(region) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
