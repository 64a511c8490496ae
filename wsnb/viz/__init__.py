"""Pictures of pictures: one colour a class throughout, readable type, the same bytes each time.

Functions return arrays or a Figure and leave pyplot's state alone: a batch run and a notebook show the same.
"""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text

from wsnb.files import voc_palette, write

PALETTE = voc_palette()
VOID = 255
VOID_COLOUR = (236, 236, 228)  # light: never like background (black) or a class
FONT = 11  # points
DPI = 110


class Picture(Figure):
    """A matplotlib Figure that notebooks show by its bytes, which are the same on every run."""

    drawn = None  # PNG of the last drawing, which serves as long as nothing changed since

    def _repr_png_(self) -> bytes:
        return _render(self, "png")


# after a notebook's first widget, matplotlib's inline backend would show it another way, and not at all without axes
_shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
if _shell is not None:
    _shell.display_formatter.formatters["image/png"].for_type(Picture, Picture._repr_png_)


def colour(mask, palette=PALETTE) -> np.ndarray:
    """RGB uint8 [H, W, 3] of a mask uint8 [H, W] in the colours of PALETTE [256, 3] (VOC's); void (255) is drawn
    light."""
    table = np.array(palette, np.uint8)
    table[VOID] = VOID_COLOUR
    return table[np.asarray(mask, np.uint8)]


def boundaries(mask, width: int = 1) -> np.ndarray:
    """True [H, W] on the pixels within WIDTH of a change of label."""
    mask = np.asarray(mask, np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, cross, iterations=width) > 0


def overlay(image, mask, alpha: float = 0.4, palette=PALETTE, background: int | None = 0) -> np.ndarray:
    """IMAGE uint8 [H, W, 3] tinted by its mask: classes and void at ALPHA, so that the picture stays to be seen, with a
    firm contour; the class BACKGROUND untouched (None: every class is tinted, as in street scenes, whose class 0 is
    road)."""
    image, mask = np.asarray(image), np.asarray(mask, np.uint8)
    if image.shape[:2] != mask.shape:
        raise ValueError(f"image {image.shape[:2]}, mask {mask.shape}: give a mask of the image's size")
    colours = colour(mask, palette)
    tinted = np.ones(mask.shape, bool) if background is None else mask != background
    shown = np.where(tinted[..., None], image * (1 - alpha) + colours * alpha, image)
    line = boundaries(mask, 1 + min(mask.shape) // 200) & tinted
    shown[line] = colours[line]
    return (shown + 0.5).astype(np.uint8)


def heat(image, scores, alpha: float = 0.6) -> np.ndarray:
    """IMAGE uint8 [H, W, 3] under a map float [h, w] of 0..1 (clipped; resized to the image), blue low, yellow high."""
    image = np.asarray(image)
    scores = cv2.resize(np.asarray(scores, np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if not np.isfinite(scores).all():
        raise ValueError("heat: the map holds NaN or Inf; look where it comes from")
    level = (np.clip(scores, 0, 1) * 255 + 0.5).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return (image * (1 - alpha) + coloured * alpha + 0.5).astype(np.uint8)


def grid(images, titles=None, columns: int = 4, width: float = 10.0) -> Figure:
    """Images uint8 [H, W, 3] or [H, W] (grey) in rows of COLUMNS, each with its title; WIDTH of the whole in inches."""
    images = [np.asarray(image) for image in images]
    titles = [""] * len(images) if titles is None else [str(title) for title in titles]
    if not images or len(images) != len(titles):
        raise ValueError(f"grid: {len(images)} images, {len(titles)} titles; give one title an image, and an image")
    columns = min(columns, len(images))
    side, gap = width / columns, 0.03  # inches
    ratios = [image.shape[0] / image.shape[1] for image in images]
    starts = range(0, len(images), columns)
    tall = [max(ratios[k:k + columns]) * (side - 2 * gap) for k in starts]
    lines = [title.count("\n") + 1 if title else 0 for title in titles]
    heads = [0.04 + 0.22 * max(lines[k:k + columns]) for k in starts]
    height = sum(tall) + sum(heads) + 2 * gap * len(tall)
    figure = Picture(figsize=(width, height), dpi=DPI)
    # Places are computed, because matplotlib's automatic layouts move a little with each drawing.
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(k, columns)
        bottom = height - sum(tall[:row + 1]) - sum(heads[:row + 1]) - 2 * gap * row - gap
        axis = figure.add_axes(((column * side + gap) / width, bottom / height,
                                (side - 2 * gap) / width, tall[row] / height))
        axis.set_axis_off()
        axis.set_anchor("N")
        axis.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest")
        axis.set_title(title, fontsize=FONT, pad=3)
    return figure


def rows(items, columns: dict, width: float = 10.0, across: int = 1) -> Figure:
    """A row an item, a column an entry of COLUMNS: {title: function(item) -> uint8 [H, W, 3] or [H, W]}, titled once.

    A function may return (image, title of its own), which stands above that image. ACROSS: items side by side in a row.
    """
    images, titles = [], []
    for number, item in enumerate(items):
        for title, image_of in columns.items():
            found = image_of(item)
            image, own = found if isinstance(found, tuple) else (found, "")
            images.append(image)
            titles.append(own or (title if number < across else ""))
    if not images:
        return grid([np.full((60, 240, 3), 255, np.uint8)], ["no picture"], width=width)
    return grid(images, titles, columns=len(columns) * min(across, len(images) // len(columns)), width=width)


def legend(names, ids=None, columns: int = 7, void: bool = True, palette=PALETTE) -> Figure:
    """Name the colours of the classes IDS (default: all of NAMES), and of void, at most COLUMNS in a row."""
    entries = [(names[k], palette[k]) for k in (range(len(names)) if ids is None else ids)]
    entries += [("void", np.array(VOID_COLOUR))] if void else []
    columns = -(-len(entries) // -(-len(entries) // columns))  # rows of equal length
    figure = Picture(figsize=(1.55 * columns, 0.32 * -(-len(entries) // columns) + 0.1), dpi=DPI)
    patches = [Patch(facecolor=rgb / 255, edgecolor="0.4", linewidth=0.6, label=name) for name, rgb in entries]
    figure.legend(handles=patches, loc="center", ncols=columns, frameon=False, fontsize=FONT, handlelength=1.2,
                  columnspacing=1.2, borderpad=0)
    return figure


def save(figure, path) -> Path:
    """Write FIGURE by the suffix of PATH (.png, .svg, .pdf), whole or not at all, without dates or versions in it."""
    path = Path(path)
    data = _render(figure, path.suffix.lstrip("."))
    with write(path) as file:
        file.write(data)
    return path


def _render(figure, kind: str) -> bytes:
    import matplotlib

    plain = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None},
             "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}}
    if kind not in plain:
        raise ValueError(f"a figure cannot be saved as .{kind}: take {', '.join('.' + name for name in plain)}")
    if kind == "png" and not figure.stale and getattr(figure, "drawn", None):
        return figure.drawn
    if kind == "png":
        FigureCanvasAgg(figure)  # whatever backend the session runs, the pixels come from this one
    buffer = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may be called anything, "$\\frac{a$" too
    with matplotlib.rc_context({"svg.hashsalt": "wsnb", "font.family": "DejaVu Sans", "savefig.bbox": None,
                                "text.parse_math": False}):
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=plain[kind], facecolor="white")
    if kind == "png":
        figure.drawn, figure.stale = buffer.getvalue(), False  # savefig leaves every figure stale
    return buffer.getvalue()
