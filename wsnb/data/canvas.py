"""A picture that is painted from the back to the front and remembers what lies on top at every pixel."""

import numpy as np

from wsnb.data import paint


class Canvas:
    """An image float32 [H, W, 3] in 0..1 and, for every pixel, the number TOP of what was painted last."""

    def __init__(self, size):
        self.size = size
        self.image = np.zeros((*size, 3), np.float32)
        self.top = np.zeros(size, np.int32)
        self._things = [(0, False)]  # (label, whether it is counted), by number

    def thing(self, label: int) -> int:
        """A new thing of LABEL, to be painted by several `put`; it is counted among the instances."""
        self._things.append((label, True))
        return len(self._things) - 1

    def put(self, polygons, colours, what=None, strength: float = 1.0) -> None:
        """Paint POLYGONS (even-odd, float [N, 2] of x, y) in COLOURS, float [3] or [H, W, 3] of the whole picture.

        WHAT: the number of a `thing`, or (label, False) for stuff and groups, or None: colour alone, as a shadow is.
        """
        points = np.concatenate(polygons)
        x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + 1, self.size[::-1])
        if x0 >= x1 or y0 >= y1:
            return
        here = np.s_[y0:y1, x0:x1]
        alpha = paint.cover([polygon - (x0, y0) for polygon in polygons], (y1 - y0, x1 - x0))
        colours = colours[here] if np.ndim(colours) == 3 else np.asarray(colours, np.float32)
        self.image[here] = paint.blend(self.image[here], colours, alpha * strength)
        if what is not None:
            self.top[here][alpha > 0.5] = self._number(what)

    def _number(self, what) -> int:
        if isinstance(what, tuple):
            if what not in self._things:
                self._things.append(what)
            return self._things.index(what)
        return what

    def ids(self, smallest: float = 0) -> tuple[np.ndarray, np.ndarray]:
        """Labels uint8 [H, W], and uint16 [H, W] with label * 1000 + k for the k-th counted thing, else the label.

        Counted things of fewer than SMALLEST pixels are unlabelled, 0.
        """
        seen = np.bincount(self.top.ravel(), minlength=len(self._things))
        labels, ids, counts = np.zeros(len(seen), np.uint8), np.zeros(len(seen), np.uint16), {}
        for number, (label, counted) in enumerate(self._things):
            if counted and seen[number] < max(smallest, 1):
                continue
            labels[number] = ids[number] = label
            if counted:
                ids[number] = label * 1000 + counts.setdefault(label, 0)
                counts[label] += 1
        return labels[self.top], ids[self.top]


def box(x0, y0, x1, y1) -> np.ndarray:
    """The corners of a rectangle, float [4, 2]."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def ellipse(centre, radii, n: int = 28) -> np.ndarray:
    """A polygon [N, 2] round CENTRE (x, y) with RADII (x, y)."""
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], 1) * radii + centre


def limb(start, end, thick_start: float, thick_end: float) -> np.ndarray:
    """A limb from START to END (x, y) with round ends: the outline of a tapered stroke, float [N, 2]."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    angle = np.arctan2(*(end - start)[::-1])
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    back = start + thick_start / 2 * np.stack([np.cos(angle + turn), np.sin(angle + turn)], 1)
    front = end + thick_end / 2 * np.stack([np.cos(angle + np.pi + turn), np.sin(angle + np.pi + turn)], 1)
    return np.concatenate([back, front])
