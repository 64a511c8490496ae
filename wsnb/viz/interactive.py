"""Controls of a notebook: a function of some values, redrawn as the reader moves sliders or points at a picture.

In JupyterLab they are ipywidgets, and clicks and drags come from the browser through ipyevents; where these do not
arrive (another front end), the sliders serve alone. In a batch run, and on pages without a kernel, a control is a
slider over pictures made beforehand.
"""

import base64
import html
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsnb.viz.tiles import Tiles

PLACES = 6  # of the first slider, in a preview
EVERY = 60  # milliseconds between two events of a kind: the rectangle follows the mouse, and none wait
LEAST = 4  # pixels: a shorter drag is a slip of the hand


def interactive() -> bool:
    """True if somebody sits at this kernel: JupyterLab allows input, papermill and the runner do not."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def controls(function, pointer=None, /, **widgets):
    """Redraw function(**values) as the ipywidgets in WIDGETS move; in a batch run, show a `Preview`.

    A static figure stands beside every use, and nothing is lost on paper. The answer of a FUNCTION should come within
    0.3 s: `viz.tiles` are drawn in some milliseconds and change in place. POINTER: a `Click` or a `Drag`, sets the same
    controls on these tiles.
    """
    return panel(function, pointer, **widgets) if interactive() else preview(function, widgets)


def panel(function, pointer=None, /, **widgets):
    """Make the `ipywidgets.interactive` of `controls`, with its `picture` (an ipywidgets.Image) under the controls."""
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


class Preview:
    """Show one of the frames {title: `Tiles`}, first the one at START, chosen by a slider of plain HTML.

    The site's script (report/site/book.js) moves it: a page may run no script of a notebook's output.
    """

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
        return (f'<figure class="control"><label><input type="range" min="0" max="{len(names) - 1}" '
                f'value="{self.start}" aria-label="picture" aria-valuetext="{first}"> '
                f'<output>{first}</output></label>\n'
                f'{"".join(pictures)}</figure>')


def steps(function, widgets) -> tuple[dict, int]:
    """Choose the places of a preview: ({title: values that differ from the function's defaults}, the default's place).

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


@dataclass
class Click:
    """Set controls by a click: rule(tile, x, y) -> {control: value}, or None for nothing.

    tile: its number; x, y: the place in it, 0..1 of its width and height.
    """

    rule: Callable
    events = ("click",)

    def follow(self, panel) -> None:
        """Let clicks on the picture of a `panel` set its controls."""
        self.panel = panel
        listen(panel, self)

    def __call__(self, event) -> None:
        """Take an event of the browser: dataX, dataY in pixels of the picture."""
        shown = self.panel.picture.tiles
        place = event["dataX"], event["dataY"]
        tile = shown.at(*place)
        values = None if tile is None else self.rule(tile, *shown.share(tile, *place))
        if values:
            set_all(self.panel, values)


@dataclass
class Drag(Click):
    """Set controls by a box drawn from one corner to the other: rule(tile, x0, y0, x1, y1) -> {control: value}.

    x0 < x1 and y0 < y1 in 0..1 of the tile that the box was begun in. A rectangle follows the mouse.
    """

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
