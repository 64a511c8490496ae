"""Controls for readers in JupyterLab; a batch run shows what they would, at a few places."""

import inspect

from wsnb.interact.strip import strip
from wsnb.plots.tiles import Tiles


def interactive() -> bool:
    """True if somebody sits at this kernel: JupyterLab allows input, papermill and the runner do not."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def controls(function, pointer=None, /, **widgets):
    """function(**values) redrawn as the ipywidgets in WIDGETS move; in a batch run a `strip.Strip`, which the HTML book
    shows without a kernel.

    A static figure stands beside every use, so nothing is lost on paper. What a FUNCTION shows should come within
    0.3 s: `plots.tiles` are drawn in some milliseconds and change in place. POINTER: of `interact.pointing`, sets the
    same controls by a click or a drag on these tiles.
    """
    return panel(function, pointer, **widgets) if interactive() else strip(function, widgets)


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

