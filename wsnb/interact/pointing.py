"""Pointing at a picture instead of moving sliders: a click, or a drag that draws a box.

The events come from the browser through ipyevents. Where they do not arrive (another front end than JupyterLab), the
sliders serve as before.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wsnb import interact

EVERY = 60  # milliseconds between two events of a kind: the rectangle follows the mouse, and none wait in line
LEAST = 4  # pixels: a shorter drag is a slip of the hand


@dataclass
class Click:
    """rule(tile, x, y) -> {control: value}, or None for nothing: the number of the tile that was clicked, and where in
    it, 0..1 of its width and height."""

    rule: Callable
    events = ("click",)

    def follow(self, panel) -> None:
        """Let clicks on the picture of an `interact.panel` set its controls."""
        self.panel = panel
        listen(panel, self)

    def __call__(self, event) -> None:
        """An event of the browser: dataX, dataY in pixels of the picture."""
        shown = self.panel.picture.tiles
        place = event["dataX"], event["dataY"]
        tile = shown.at(*place)
        values = None if tile is None else self.rule(tile, *shown.share(tile, *place))
        if values:
            interact.set_all(self.panel, values)


@dataclass
class Drag(Click):
    """rule(tile, x0, y0, x1, y1) -> {control: value}: a box drawn from one corner to the other, x0 < x1 and y0 < y1 in
    0..1 of the tile that it was begun in. A rectangle follows the mouse."""

    start = None  # (tile, pixel) where the button went down
    events = ("mousedown", "mousemove", "mouseup")

    def __call__(self, event) -> None:
        picture, place = self.panel.picture, (event["dataX"], event["dataY"])
        if event["type"] == "mousedown":
            tile = picture.tiles.at(*place)
            self.start = None if tile is None else (tile, place)
        elif self.start and (event["type"] == "mouseup" or not event.get("buttons", 1)):  # let go outside
            (tile, first), self.start = self.start, None
            if min(abs(a - b) for a, b in zip(first, place, strict=True)) < LEAST:
                picture.value = picture.tiles.jpeg()  # without the rectangle
                return
            (x0, x1), (y0, y1) = map(sorted, zip(*(picture.tiles.share(tile, *p) for p in (first, place)), strict=True))
            interact.set_all(self.panel, self.rule(tile, x0, y0, x1, y1))
        elif self.start:
            picture.value = picture.tiles.framed(self.start[1], place).jpeg()


def listen(panel, handler) -> None:
    """Send the browser's events of HANDLER.events on a panel's picture to it."""
    from ipyevents import Event

    panel.listener = Event(source=panel.picture, watched_events=list(handler.events), wait=EVERY,
                           prevent_default_action=True)  # the browser would drag the picture away
    panel.listener.on_dom_event(handler)
