"""Paint synthetic pictures: seeded textures, colours and light, and a `Painting` that knows its own masks.

Each pattern takes a random generator, a shape (height, width) and a period in pixels; angle and phase are drawn. A
Painting is painted from the back to the front and remembers for every pixel the object on top.
"""

import cv2
import numpy as np

VOID = 255
FINE = 4  # outlines are rasterised this much finer than the picture: borders are soft


# textures and colours


def noise(rng, shape, period: float, octaves: int = 3) -> np.ndarray:
    """Draw smooth value noise, float32 [H, W] scaled to 0..1; each octave halves the period and the strength."""
    height, width = shape
    field = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        grid = rng.random((int(height / step) + 3, int(width / step) + 3), np.float32)
        field += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = float(field.min()), float(field.max())
    return (field - low) / max(high - low, 1e-6)


def _axes(rng, shape, period: float, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw two perpendicular coordinates in turns (2 pi a period), rotated by a random angle, bent by smooth noise."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = bend * period * (noise(rng, shape, 4 * period, 1) - 0.5)
    turn = 2 * np.pi / period
    return (u + wave) * turn + rng.uniform(0, 6.28), (v + wave) * turn + rng.uniform(0, 6.28)


def _soft(field, sharp: float) -> np.ndarray:
    """Make a step at 0, as wide as 1 / SHARP."""
    return (0.5 + 0.5 * np.tanh(sharp * field)).astype(np.float32)


def stripes(rng, shape, period: float) -> np.ndarray:
    """Draw straight bands."""
    u, _ = _axes(rng, shape, period, bend=0.15)
    return _soft(np.sin(u), 2.5)


def waves(rng, shape, period: float) -> np.ndarray:
    """Draw bands that swing from side to side."""
    u, v = _axes(rng, shape, period, bend=0.3)
    return _soft(np.sin(u + 1.6 * np.sin(0.5 * v)), 2.0)


def dots(rng, shape, period: float) -> np.ndarray:
    """Draw round spots on a square grid."""
    u, v = _axes(rng, shape, period, bend=0.2)
    return _soft(np.cos(u) + np.cos(v) - 0.5, 3.0)


def checks(rng, shape, period: float) -> np.ndarray:
    """Draw a chessboard; two fields to a period."""
    u, v = _axes(rng, shape, period, bend=0.1)
    return _soft(np.sin(u) * np.sin(v), 5.0)


def bricks(rng, shape, period: float) -> np.ndarray:
    """Draw courses of bricks with thin joints, every second course shifted by half a brick."""
    u, v = _axes(rng, shape, period, bend=0.05)
    shifted = 0.5 * u + np.pi / 2 * (np.floor(v / (2 * np.pi)) % 2)
    joint = np.minimum(np.abs(np.sin(v / 2)), np.abs(np.sin(shifted / 2)) * 1.6)
    return _soft(joint - 0.28, 8.0)


PATTERNS = {"stripes": stripes, "waves": waves, "dots": dots, "checks": checks, "bricks": bricks}


def colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """Convert to RGB float32 [3] in 0..1: a hue in turns, a saturation and a value in 0..1."""
    wheel = np.abs(((hue + np.array([0, 2 / 3, 1 / 3])) % 1) * 6 - 3) - 1
    return (value * (1 - saturation * (1 - np.clip(wheel, 0, 1)))).astype(np.float32)


def mix(field, dark, light) -> np.ndarray:
    """Colour a field [H, W]: 0 becomes DARK, 1 becomes LIGHT; float32 [H, W, 3]."""
    return dark + field[..., None] * (light - dark)


# outlines, light and borders


def cover(polygons, shape) -> np.ndarray:
    """Compute the share of each pixel inside the polygons, float32 [H, W]; even-odd rule: a polygon inside another is a
    hole.

    POLYGONS is a list of float [N, 2] of x, y in pixels, where 0 is the outer edge of the first pixel.
    """
    fine = np.zeros((shape[0] * FINE, shape[1] * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round(polygon * FINE - 0.5).astype(np.int32) for polygon in polygons], 1)
    return fine.reshape(shape[0], FINE, shape[1], FINE).mean((1, 3)).astype(np.float32)


def blend(image, paint, alpha) -> np.ndarray:
    """Lay PAINT over IMAGE (both float [H, W, 3]) where ALPHA [H, W] is 1."""
    return image + alpha[..., None] * (paint - image)


def shadow(image, alpha, offset, blur: float, strength: float) -> np.ndarray:
    """Darken IMAGE [H, W, 3] by the soft shadow of ALPHA [H, W], moved by OFFSET (x, y) pixels."""
    move = np.float32([[1, 0, offset[0]], [0, 1, offset[1]]])
    cast = cv2.warpAffine(alpha, move, alpha.shape[::-1])
    return image * (1 - strength * cv2.GaussianBlur(cast, (0, 0), blur)[..., None])


def roundness(alpha, light, depth: float) -> np.ndarray:
    """Compute brightness [H, W] that lets a flat silhouette look solid, lit from direction LIGHT (radians).

    The silhouette is lifted like a cushion, as high as the distance from its border up to DEPTH pixels.
    """
    height = np.minimum(cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3), depth)
    height = cv2.GaussianBlur(height, (0, 0), max(depth / 3, 0.6))
    slope = np.cos(light) * cv2.Sobel(height, cv2.CV_32F, 1, 0) + np.sin(light) * cv2.Sobel(height, cv2.CV_32F, 0, 1)
    return 1 + np.clip(slope / 8, -1, 1) * 0.35


def void_border(instances, width: int = 1) -> np.ndarray:
    """Mark the pixels within WIDTH of a border between two instances or an instance and the background: bool [H, W]."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.dilate(instances, cross, iterations=width) != cv2.erode(instances, cross, iterations=width)


# paintings


class Painting:
    """An image float32 [H, W, 3] in 0..1 and, for every pixel, the number TOP of the layer that was painted last."""

    def __init__(self, size):
        self.size = size
        self.image = np.zeros((*size, 3), np.float32)
        self.top = np.zeros(size, np.int32)
        self._layers = [(0, False)]  # (label, whether it is counted), by number

    def instance(self, label: int) -> int:
        """Begin an instance of LABEL, to be painted by several `put`; returns its number."""
        self._layers.append((label, True))
        return len(self._layers) - 1

    def put(self, polygons, colours, what=None, strength: float = 1.0) -> None:
        """Paint POLYGONS (even-odd, float [N, 2] of x, y) in COLOURS, float [3] or [H, W, 3] of the whole picture.

        WHAT: the number of an `instance`, or (label, False) for stuff and groups, or None: colour alone, as a shadow.
        """
        points = np.concatenate(polygons)
        x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + 1, self.size[::-1])
        if x0 >= x1 or y0 >= y1:
            return
        here = np.s_[y0:y1, x0:x1]
        alpha = cover([polygon - (x0, y0) for polygon in polygons], (y1 - y0, x1 - x0))
        colours = colours[here] if np.ndim(colours) == 3 else np.asarray(colours, np.float32)
        self.image[here] = blend(self.image[here], colours, alpha * strength)
        if what is not None:
            self.top[here][alpha > 0.5] = self._number(what)

    def _number(self, what) -> int:
        if isinstance(what, tuple):
            if what not in self._layers:
                self._layers.append(what)
            return self._layers.index(what)
        return what

    def ids(self, smallest: float = 0) -> tuple[np.ndarray, np.ndarray]:
        """Read labels uint8 [H, W], and ids uint16 [H, W]: label * 1000 + k for the k-th instance, else the label.

        Instances of fewer than SMALLEST pixels are unlabelled, 0.
        """
        seen = np.bincount(self.top.ravel(), minlength=len(self._layers))
        labels, ids, counts = np.zeros(len(seen), np.uint8), np.zeros(len(seen), np.uint16), {}
        for number, (label, counted) in enumerate(self._layers):
            if counted and seen[number] < max(smallest, 1):
                continue
            labels[number] = ids[number] = label
            if counted:
                ids[number] = label * 1000 + counts.setdefault(label, 0)
                counts[label] += 1
        return labels[self.top], ids[self.top]


# polygons


def box(x0, y0, x1, y1) -> np.ndarray:
    """List the corners of a rectangle, float [4, 2]."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def ellipse(centre, radii, n: int = 28) -> np.ndarray:
    """Make a polygon [N, 2] round CENTRE (x, y) with RADII (x, y)."""
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], 1) * radii + centre


def limb(start, end, thick_start: float, thick_end: float) -> np.ndarray:
    """Outline a limb from START to END (x, y) with round ends, a tapered stroke: float [N, 2]."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    angle = np.arctan2(*(end - start)[::-1])
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    back = start + thick_start / 2 * np.stack([np.cos(angle + turn), np.sin(angle + turn)], 1)
    front = end + thick_end / 2 * np.stack([np.cos(angle + np.pi + turn), np.sin(angle + np.pi + turn)], 1)
    return np.concatenate([back, front])
