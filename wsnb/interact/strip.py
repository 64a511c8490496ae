"""What a control shows at a few of its places, for pages without a kernel: a slider over pictures made beforehand."""

import base64
import html
import inspect

import numpy as np

from wsnb.plots.tiles import Tiles

PLACES = 6  # of the first slider
MOVE = ("const f = this.closest('figure'), k = this.value;"
        "f.querySelectorAll('img').forEach((one, i) => one.hidden = i != k);"
        "f.querySelector('output').value = f.querySelectorAll('img')[k].alt")


class Strip:
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


def strip(function, widgets) -> Strip | None:
    """FUNCTION at `steps` of its WIDGETS; None if it shows something else than `Tiles`."""
    wanted, start = steps(function, widgets)
    frames = {}
    for name, values in wanted.items():
        shown = function(**values)
        if not isinstance(shown, Tiles):
            return None
        frames[name] = shown
    return Strip(frames, start)
