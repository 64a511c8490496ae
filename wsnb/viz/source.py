"""The source of a library function beside the formula that it computes."""

import inspect
import textwrap
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


class Source:
    """Functions as text, with their places; JupyterLab and the HTML book highlight it."""

    def __init__(self, listings):
        self.listings = listings  # {place: text}

    def __repr__(self):
        return "\n\n".join(f"{place}\n{text}" for place, text in self.listings.items())

    def _repr_markdown_(self) -> str:
        return "\n\n".join(f"`{place}`\n\n````python\n{text}\n````" for place, text in self.listings.items())


def show_source(*functions) -> Source:
    """Show each function or class with its place, FILE:LINE below the project's root.

    Raises ValueError for a function from outside the package, whose line another reader would not find.
    """
    listings = {}
    for function in functions:
        function = inspect.unwrap(function)  # getsourcefile stops at decorators, getsourcelines does not
        path, (lines, first) = Path(inspect.getsourcefile(function)).resolve(), inspect.getsourcelines(function)
        if PACKAGE not in path.parents:
            raise ValueError(f"{function.__name__}: defined in {path}, outside of wsnb; show its code in the cell")
        listings[f"{path.relative_to(PACKAGE.parent)}:{first}"] = textwrap.dedent("".join(lines)).rstrip()
    return Source(listings)
