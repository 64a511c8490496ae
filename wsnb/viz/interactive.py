"""Controls for readers in JupyterLab; a batch run shows what they would, at a few places.

What a control shows at a few of its places, for pages without a kernel: a slider over pictures made beforehand.

Pointing at a picture instead of moving sliders: a click, or a drag that draws a box.

The events come from the browser through ipyevents. Where they do not arrive (another front end than JupyterLab), the
sliders serve as before.
"""

import base64
import html
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsnb.viz.tiles import Tiles


def interactive() -> bool:
    """True if somebody sits at this kernel: JupyterLab allows input, papermill and the runner do not."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def controls(function, pointer=None, /, **widgets):
    """function(**values) redrawn as the ipywidgets in WIDGETS move; in a batch run a `strip.Strip`, which the HTML book
    shows without a kernel.

    A static figure stands beside every use, so nothing is lost on paper. What a FUNCTION shows should come within
    0.3 s: `viz.tiles` are drawn in some milliseconds and change in place. POINTER: of `Pointer`, sets the
    same controls by a click or a drag on these tiles.
    """
    return panel(function, pointer, **widgets) if interactive() else preview(function, widgets)


def panel(function, pointer=None, /, **widgets):
    """The `ipywidgets.interactive` of `controls`, with its `picture` (an ipywidgets.Image) under the controls."""
    import ipywidgets

    picture = ipywidgets.Image(format="jpeg", layout={"display": "none", "max_width": "100%"})

    def redraw(**values):
        found = function(**values)
        if not isinstance(found, Tiles):
            return found  # displayed below, as any cell's value
        picture.tiles, picture.value, picture.layout.display = found, found.jpeg(), None
        return None

    signature = inspect.signature(function)  # ipywidgets would make a control of its other parameters as well
    redraw.__signature__ = signature.replace(parameters=[signature.parameters[name] for name in widgets])
    made = ipywidgets.interactive(redraw, {"auto_display": True}, **widgets)
    *moved, output = made.children
    made.picture, made.children = picture, (*moved, picture, output)
    if pointer:
        pointer.follow(made)
    return made


def set_all(made, values) -> None:
    """Set several controls {name: value} of a `panel`, and redraw once."""
    named = {widget._kwarg: widget for widget in made.kwargs_widgets}
    for widget in named.values():
        widget.unobserve(made.update, names="value")
    try:
        for name, value in values.items():
            named[name].value = value
    finally:
        for widget in named.values():
            widget.observe(made.update, names="value")
    made.update()


PLACES = 6  # of the first slider
MOVE = ("const f = this.closest('figure'), k = this.value;"
        "f.querySelectorAll('img').forEach((one, i) => one.hidden = i != k);"
        "f.querySelector('output').value = f.querySelectorAll('img')[k].alt")


class Preview:
    """Frames {what is shown: `Tiles`}, of which the one at START is seen first; HTML that needs nothing else."""

    def __init__(self, frames, start):
        self.frames, self.start = frames, start

    def __repr__(self):
        return f"{len(self.frames)} pictures: {', '.join(self.frames)}"

    def _repr_html_(self) -> str:
        names, pictures = list(self.frames), []
        for k, (name, shown) in enumerate(self.frames.items()):
            data, hidden = base64.b64encode(shown.jpeg()).decode(), "" if k == self.start else " hidden"
            pictures.append(f'<img alt="{html.escape(name)}" src="data:image/jpeg;base64,{data}"{hidden}>')
        first = html.escape(names[self.start])
        return (f'<figure class="strip"><label><input type="range" min="0" max="{len(names) - 1}" value="{self.start}" '
                f'aria-label="{first}" oninput="{html.escape(MOVE)}"> <output>{first}</output></label>\n'
                f'{"".join(pictures)}</figure>')


def steps(function, widgets) -> tuple[dict, int]:
    """({what is shown: the values that differ from the function's defaults}, the number of the default's).

    Of switches, every one that is on turned off by itself; else PLACES of the first slider (lowest, highest[, step]).
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    if all(isinstance(spec, bool) for spec in widgets.values()):
        return {"all rules": {}} | {f"without {name.replace('_', ' ')}": {name: False} for name in widgets}, 0
    name, spec = next((name, spec) for name, spec in widgets.items() if isinstance(spec, tuple))
    lowest, highest, start = spec[0], spec[1], defaults[name]  # every control's function has defaults
    values = {*np.linspace(lowest, highest, PLACES).tolist(), start}
    whole = all(isinstance(value, int) for value in spec)
    values = sorted({round(value) if whole else round(float(value), 3) for value in values})
    start = start if whole else round(float(start), 3)
    return {f"{name.replace('_', ' ')} = {value:g}": {name: value} for value in values}, values.index(start)


def preview(function, widgets) -> Preview | None:
    """FUNCTION at `steps` of its WIDGETS; None if it shows something else than `Tiles`."""
    wanted, start = steps(function, widgets)
    frames = {}
    for name, values in wanted.items():
        shown = function(**values)
        if not isinstance(shown, Tiles):
            return None
        frames[name] = shown
    return Preview(frames, start)


EVERY = 60  # milliseconds between two events of a kind: the rectangle follows the mouse, and none wait in line
LEAST = 4  # pixels: a shorter drag is a slip of the hand


@dataclass
class Click:
    """rule(tile, x, y) -> {control: value}, or None for nothing: the number of the tile that was clicked, and where in
    it, 0..1 of its width and height."""

    rule: Callable
    events = ("click",)

    def follow(self, panel) -> None:
        """Let clicks on the picture of an `panel` set its controls."""
        self.panel = panel
        listen(panel, self)

    def __call__(self, event) -> None:
        """An event of the browser: dataX, dataY in pixels of the picture."""
        shown = self.panel.picture.tiles
        place = event["dataX"], event["dataY"]
        tile = shown.at(*place)
        values = None if tile is None else self.rule(tile, *shown.share(tile, *place))
        if values:
            set_all(self.panel, values)


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
            set_all(self.panel, self.rule(tile, x0, y0, x1, y1))
        elif self.start:
            picture.value = picture.tiles.framed(self.start[1], place).jpeg()


def listen(panel, handler) -> None:
    """Send the browser's events of HANDLER.events on a panel's picture to it."""
    from ipyevents import Event

    panel.listener = Event(source=panel.picture, watched_events=list(handler.events), wait=EVERY,
                           prevent_default_action=True)  # the browser would drag the picture away
    panel.listener.on_dom_event(handler)
