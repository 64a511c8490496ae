"""Chains as diagrams, the map of the book, and the pages made of them."""

import json
import re
import xml.etree.ElementTree

import pytest

from tests.report import made
from wsnb.report import build, chains, pages


def project_in(root, needs, paper="toy"):
    """A project with notebooks that have nothing but a heading and NEEDS {stage: needed stages}."""
    folder = root / "notebooks" / paper
    folder.mkdir(parents=True, exist_ok=True)
    for name, of in needs.items():
        cells = [{"cell_type": "markdown", "metadata": {}, "id": "a",
                  "source": f"# The toy: {name[3:]} & more\n\nIt does a thing. Then another."},
                 {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "x: int = 1", "outputs": [],
                  "execution_count": None, "id": "b"}]
        metadata = {} if of is None else {"wsnb": {"needs": of}}
        (folder / f"{name}.ipynb").write_text(
            json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}))
    return root


NEEDS = {
    "01_a": [],
    "02_b": ["01_a"],
    "03_c": ["01_a"],
    "04_d": ["01_a", "02_b", "03_c", "05_e?", "04_d?"],
    "05_e": ["01_a", "04_d"],
}


def test_edges_leave_out_what_others_imply(tmp_path):
    cards = chains.stages(project_in(tmp_path, NEEDS), "toy")
    assert [card.title for card in cards][:2] == ["a & more", "b & more"] and cards[0].summary == "It does a thing."
    chain = chains.graph(cards)
    assert set(chain.edges(data="feedback", default=False)) == {
        ("01_a", "02_b", False), ("01_a", "03_c", False), ("02_b", "04_d", False), ("03_c", "04_d", False),
        ("04_d", "05_e", False), ("05_e", "04_d", True), ("04_d", "04_d", True),
    }  # fmt: skip
    assert chains.layers(chain) == [["01_a"], ["02_b", "03_c"], ["04_d"], ["05_e"]]


@pytest.mark.parametrize("said, summary", [
    ("It is *one*.\n\n**You will learn** to say *I do\nnot know*, and `p.x_y` by its **mAP^r**. More.\n\nx",
     "To say I do not know, and p.x_y by its mAP^r."),
    ("> 01 → 02\n\nAll is **image tags** (\"2 * 3 * 4\"). More.", 'All is image tags ("2 * 3 * 4").'),
    ("", ""),
])
def test_a_stage_says_what_is_learned_else_how_it_begins(tmp_path, said, summary):
    cell = {"cell_type": "markdown", "metadata": {}, "id": "a", "source": f"# The toy: a\n\n{said}"}
    (tmp_path / "notebooks/toy").mkdir(parents=True)
    path = tmp_path / "notebooks/toy/01_a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}))
    assert chains.stages(tmp_path, "toy")[0].summary == summary


def test_without_needs_a_stage_follows_the_one_before(tmp_path):
    cards = chains.stages(project_in(tmp_path, {"01_a": None, "02_b": None, "03_c": None}), "toy")
    assert set(chains.graph(cards).edges) == {("01_a", "02_b"), ("02_b", "03_c")}


def test_the_picture_is_sound(tmp_path):
    cards = chains.stages(project_in(tmp_path, NEEDS), "toy")
    text = chains.svg(cards, {"01_a": 'x"y.html'}, "A <title>")
    tree = xml.etree.ElementTree.fromstring(text)
    assert "Chain of A <title>: 01 a, then 02 b and 03 c" in tree.attrib["aria-label"]
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    boxes = [{k: float(v) for k, v in one.attrib.items() if k in ("x", "y", "width", "height")}
             for one in tree.iter() if one.tag.endswith("rect")]
    assert len(boxes) == 5
    assert all(0 <= b["x"] and b["x"] + b["width"] <= width and b["y"] + b["height"] <= height for b in boxes)
    apart = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]
             if abs(a["x"] - b["x"]) < a["width"] and abs(a["y"] - b["y"]) < a["height"]]
    assert not apart
    assert sum(one.tag.endswith("path") and "stroke-dasharray" in one.attrib for one in tree.iter()) == 2


def test_the_map(tmp_path):
    for paper in ("spml", "simple_does_it"):
        project_in(tmp_path, {"01_a": []}, paper)
        path = tmp_path / f"notebooks/{paper}/01_a.ipynb"
        cells = json.loads(path.read_text())
        cells["cells"][1]["source"] = 'supervision: str = ""\ndataset: str = "VOC2012"'
        path.write_text(json.dumps(cells))
        (tmp_path / "params" / paper).mkdir(parents=True)
    for name, supervision, dataset in (("a", "tag", "VOC2012"), ("b", "point", "DensePose"), ("c", "tag", "shapes")):
        (tmp_path / f"params/spml/{name}.yaml").write_text(
            f"stages: [01_a]\nsupervision: {supervision}\ndataset: {dataset}\n")
    (tmp_path / "params/simple_does_it/x.yaml").write_text(  # boxes, as its paper says
        'stages: [01_a]\ndataset: VOC2012\nsupervision: ""\n')
    (tmp_path / "params/simple_does_it/wrong.yaml").write_text("stages: [02_gone]\ndataset: Cityscapes\n")
    found = pages.book_map(tmp_path, ["spml/c"])
    assert list(found.supervision) == ["image labels", "boxes", "points"]
    assert list(found["run here"]) == ["SPML: [shapes](spml/c/index.md)", "–", "–"]
    assert list(found.iloc[:, 2]) == ["SPML: VOC2012", "Simple does it: VOC2012", "SPML: DensePose"]


def test_pages_of_stages_that_were_run_and_of_others(tmp_path, monkeypatch):
    project_in(tmp_path, NEEDS, "single_stage")
    project_in(tmp_path, {"01_a": []}, "spml")
    (tmp_path / "notebooks/00_start.ipynb").write_text((tmp_path / "notebooks/spml/01_a.ipynb").read_text())
    folder = made.manifest(tmp_path / "runs", "single_stage/shapes", "02_b", [made.result(52.3)])
    made.notebook(folder / "notebook.ipynb")
    made.again(folder)
    monkeypatch.setattr(build, "_sphinx", lambda work: (work / "html").mkdir(exist_ok=True))
    build.build(tmp_path / "runs", tmp_path / "figures", tmp_path / "_site", project=tmp_path)
    source = tmp_path / "build/_site/source"
    page = (source / "single_stage/index.md").read_text(encoding="utf-8")
    assert '<a href="shapes/02_b.html">' in page and '<a href="notebooks/01_a.html">' in page
    assert "[shapes](shapes/02_b.ipynb)" in page and "(https://github.com/visinf/1-stage-wseg)" in page
    found = {path.relative_to(source).as_posix() for path in source.rglob("*.ipynb")}
    taken = {path for path in found if path.startswith("_written/")}
    assert taken == {"_written/00_start.ipynb", "_written/spml/01_a.ipynb",
                     *(f"_written/single_stage/{name}.ipynb" for name in NEEDS)}
    written = found - taken
    assert written == {"single_stage/shapes/02_b.ipynb", "spml/notebooks/01_a.ipynb", "lessons/00_start.ipynb",
                       *(f"single_stage/notebooks/{name}.ipynb" for name in NEEDS if name != "02_b")}
    assert "Nothing of this paper has been run" in (source / "spml/index.md").read_text(encoding="utf-8")
    assert "BibTeX" in page and "araslanov2020single" in page
    assert "lessons/00_start" in (source / "index.md").read_text(encoding="utf-8")


def test_a_chapter_without_a_paper_is_summed_up_by_its_first_notebook(tmp_path):
    project = project_in(tmp_path, NEEDS)
    found = chains.about(project, "toy")
    assert (found.name, found.summary) == ("Toy", "It does a thing. Then another.")
    assert chains.about(project, "spml").summary.endswith("a class at every pixel")
    assert "It does a thing" in pages.index([], project, ["toy"])


@pytest.mark.parametrize("term", ["mean IoU", "dense CRF", "pseudo label", "protocol", "panoptic quality"])
def test_glossary_explains(term):
    text = (build.SITE / "glossary.md").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(term)}$", text, re.M)
