"""Show a function's own source in a notebook, so that the code stands beside the formula that it computes."""

import html
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path

import wsnb


@dataclass(frozen=True)
class Source:
    """The text of a function and its place, `file:line`; notebooks show it highlighted."""

    text: str
    place: str

    def __repr__(self):
        return f"# {self.place}\n{self.text}"

    def _repr_html_(self) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        code = highlight(self.text, PythonLexer(), HtmlFormatter(noclasses=True))
        return f"<p><code>{html.escape(self.place)}</code></p>{code}"


def show_source(function) -> Source:
    """Show the source of a function, method or class of this project with its file and line."""
    lines, first = inspect.getsourcelines(function)
    path = Path(inspect.getsourcefile(function)).resolve()
    place = path.relative_to(Path(wsnb.__file__).resolve().parents[1])
    return Source(textwrap.dedent("".join(lines)).rstrip(), f"{place.as_posix()}:{first}")
