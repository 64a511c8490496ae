"""`show_source`: the text and the place of a function, as a notebook shows them."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from wsnb.models.training import Training
from wsnb.ops.pamr import local_std, pamr
from wsnb.viz import source
from wsnb.viz.source import show_source

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(ROOT.glob("notebooks/**/[!.]*.ipynb"))


@pytest.mark.parametrize("function", [local_std, pamr, Training, Training.add])  # pamr is decorated, add is a method
def test_the_place_leads_to_the_text(function):
    (place, text), = show_source(function).listings.items()
    file, line = place.rsplit(":", 1)
    lines = (ROOT / file).read_text().splitlines()[int(line) - 1:]
    assert [one.strip() for one in text.splitlines()] == [one.strip() for one in lines[: len(text.splitlines())]]
    assert not text.startswith(" ") and f"{function.__name__}(" in text.replace("class Training:", "Training(")


def test_a_notebook_shows_highlighted_code():
    data, _ = DisplayFormatter().format(show_source(local_std))
    shown = data["text/markdown"]
    assert shown.startswith("`wsnb/ops/pamr.py:") and "````python\ndef local_std(" in shown
    assert "def local_std(" in data["text/plain"]


def test_several_functions_stand_one_after_another():
    shown = repr(show_source(pamr, local_std))
    assert shown.index("def pamr(") < shown.index("def local_std(")


def test_a_function_from_elsewhere_is_refused():
    with pytest.raises(ValueError, match="outside of wsnb"):
        show_source(np.mean)
    assert source.PACKAGE == ROOT / "wsnb"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_code_stands_under_every_displayed_formula(path):
    cells = json.loads(path.read_text())["cells"]
    bare = [one["id"] for one, following in pairwise(cells) if one["cell_type"] == "markdown"
            and "$$" in "".join(one["source"]) and following["cell_type"] != "code"]
    assert not bare
