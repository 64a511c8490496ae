"""Docstrings, comments, notebooks and pages are plain technical English: a list of words that they do without."""

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AVOIDED = {  # pattern: what serves instead
    r"\btold\b": "stated, given, named",
    r"\bformer\b": "previous, earlier",
    r"\bmend(s|ed|ing)?\b": "remedy, correct, fix",
    r"\bby hand\b": "interactively, or name the tool",
    r"\bcanvas\b": "padded picture, or layers",
    r"\btwins?\b": "synthetic set",
    r"\breckon\w*": "compute, count",
    r"[,;] so (?!that\b|far\b|on\b)": "a sentence of its own",
    r"\b[Ww]hat (lies|stands)\b": "the noun that is meant",
    r"\b[Rr]ecipes?\b": "method, settings",
}
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.ClassDef)


def texts(path) -> list:
    """Docstrings and comments of a module, Markdown of a notebook, comments of a parameter file, or all of a page."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(source)["cells"] if cell["cell_type"] == "markdown"]
    if path.suffix == ".yaml":
        return re.findall("#(.*)", source)
    if path.suffix != ".py":
        return [source]
    found = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return found + [token.string for token in tokens if token.type == tokenize.COMMENT]


PLACES = [("wsnb", "*.py"), ("wsnb", "*.md"), ("notebooks", "*.ipynb"), ("params", "*.yaml"), (".", "README.md")]
PATHS = sorted(path for folder, kind in PLACES
               for path in ((ROOT / folder).rglob(kind) if folder != "." else [ROOT / kind]))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_words_to_avoid(path):
    found = [f"{match[0].strip()!r} in ...{text[max(0, match.start() - 40):match.end() + 20]!r}: use {better}"
             for text in texts(path) for pattern, better in AVOIDED.items() for match in re.finditer(pattern, text)]
    assert not found, "\n".join(found)


def test_a_word_is_seen(tmp_path):
    for name, text in {"a.py": '"""It was told."""\n', "b.py": "x = 1  # the former\n", "c.yaml": "x: 1  # a recipe\n",
                       "d.md": "It is known, so it counts.\n"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(AssertionError, match="use"):
            test_words_to_avoid(tmp_path / name)
