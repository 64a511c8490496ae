"""Pictures side by side without matplotlib, made of pixels in some milliseconds: a control's picture follows at once.

`viz.grid` takes 0.2 to 0.3 s for the same; figures that are kept are still drawn by it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 250  # pixels: pictures behind controls are worked on at about the size at which they are seen
FIELD_SIDE = 200  # pixels: a CRF behind a control has to answer on slow machines too
GAP, LINE, TYPE = 4, 18, 13  # pixels: between tiles, of a line of a title, of its type
RECTANGLE = (255, 255, 0)


@dataclass(frozen=True, repr=False, eq=False)
class Tiles:
    """A picture uint8 [H, W, 3] of tiles that lie at `places`, int [N, 4]: x0, y0, x1, y1, half-open."""

    pixels: np.ndarray
    places: np.ndarray

    def __repr__(self):
        return f"{len(self.places)} pictures"

    def jpeg(self) -> bytes:
        """For a widget: a tenth of the time and the bytes of a PNG."""
        return _encoded(self.pixels, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 92)

    def _repr_png_(self) -> bytes:
        return _encoded(self.pixels, ".png", cv2.IMWRITE_PNG_COMPRESSION, 3)

    def at(self, x, y) -> int | None:
        """The tile at a pixel; None between tiles and on titles."""
        inside = (self.places[:, :2] <= (x, y)).all(1) & (self.places[:, 2:] > (x, y)).all(1)
        return int(inside.argmax()) if inside.any() else None

    def share(self, tile, x, y) -> tuple[float, float]:
        """A pixel's place in a tile, 0..1 of its width and height; a pixel outside is moved to the border."""
        x0, y0, x1, y1 = self.places[tile].tolist()
        return min(max((x - x0) / (x1 - x0), 0.0), 1.0), min(max((y - y0) / (y1 - y0), 0.0), 1.0)

    def framed(self, one, other) -> "Tiles":
        """The same with a thin rectangle between two pixels (x, y)."""
        drawn = self.pixels.copy()
        cv2.rectangle(drawn, *(tuple(int(v) for v in corner) for corner in (one, other)), RECTANGLE, 2)
        return Tiles(drawn, self.places)


def tiles(images, titles=None, columns: int = 4, width: int = 960) -> Tiles:
    """Images uint8 [h, w, 3] in rows of COLUMNS on white, each with its title above, WIDTH pixels in all.

    A tile is as wide as its column: larger pictures are averaged, smaller ones keep hard pixels.
    """
    images = [np.asarray(image) for image in images]
    titles = [""] * len(images) if titles is None else [str(title) for title in titles]
    if not images or len(images) != len(titles):
        raise ValueError(f"tiles: {len(images)} images, {len(titles)} titles; give one title an image, and an image")
    columns = min(columns, len(images))
    side = (width - GAP * (columns - 1)) // columns
    scaled = [_wide(image, side) for image in images]
    head = LINE * max(title.count("\n") + 1 for title in titles) if any(titles) else 0
    tall = [head + max(one.shape[0] for one in scaled[k : k + columns]) for k in range(0, len(scaled), columns)]
    whole = np.full((sum(tall) + GAP * (len(tall) - 1), side * columns + GAP * (columns - 1), 3), 255, np.uint8)
    places = []
    for k, (one, title) in enumerate(zip(scaled, titles, strict=True)):
        row, column = divmod(k, columns)
        x, y = column * (side + GAP), sum(tall[:row]) + GAP * row + head
        whole[y : y + one.shape[0], x : x + side] = one
        if title:
            whole[y - head : y, x : x + side] = _written(title, side, head)
        places.append((x, y, x + side, y + one.shape[0]))
    return Tiles(whole, np.array(places))


def smaller(image, side: int = SIDE) -> np.ndarray:
    """A picture uint8 [H, W, 3], or a map float [H, W], averaged until its longer side has SIDE pixels at most."""
    size = _reduced(image.shape, side)
    return image if size == image.shape[:2] else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def smaller_labels(labels, side: int = SIDE) -> np.ndarray:
    """Labels [H, W] at the same size, by the nearest pixel."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(_reduced(labels.shape, side), labels.shape,
                                                                     strict=True))
    return labels[rows[:, None], columns]


def side_for(shape, maps: int, cells: int = 240_000) -> int:
    """The longer side, FIELD_SIDE at most, at which MAPS maps of a picture of SHAPE (H, W) have CELLS pixels together.

    The time of a CRF goes with them."""
    scale = (cells / (max(maps, 1) * shape[0] * shape[1])) ** 0.5
    return max(1, min(FIELD_SIDE, int(max(shape[:2]) * scale)))


def _reduced(shape, side):
    scale = min(1.0, side / max(shape[:2]))
    return tuple(max(1, round(length * scale)) for length in shape[:2])


def _wide(image, side):
    if image.shape[1] == side:
        return image
    how = cv2.INTER_AREA if image.shape[1] > side else cv2.INTER_NEAREST
    return cv2.resize(image, (side, max(1, round(image.shape[0] * side / image.shape[1]))), interpolation=how)


@cache
def _font():
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), TYPE)


@cache
def _written(title, width, height):
    """A title as pixels uint8 [height, width, 3]; kept, since most do not change when a control moves."""
    line = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(line).multiline_text((width / 2, height - 3), title, "black", _font(), "md", align="center")
    return np.asarray(line)


def _encoded(pixels, suffix, *how):
    return cv2.imencode(suffix, np.ascontiguousarray(pixels[..., ::-1]), how)[1].tobytes()
