"""Executed notebooks as pages of the HTML book."""

import json
from pathlib import Path

import pytest

from wsnb.files import FileError
from wsnb.report import captions, chapters

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_solutions_open_by_a_click(tmp_path):
    cells = [{"cell_type": "code", "metadata": {"tags": ["solution"]}, "source": "check(a, 1)", "outputs": []}]
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    cell = chapters.chapter(path, "x")["cells"][1]
    assert "hide-cell" in cell["metadata"]["tags"] and cell["metadata"]["mystnb"]["code_prompt_show"] == "Solution"


def code_cell(tmp_path, source, *tags, figures=None, outputs=(), project=None):
    """The code cell SOURCE as the site shows it; FIGURES are the captions in the record beside the notebook."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# A\n\n## How it `went`"},
             {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": list(outputs)}]
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    record = None if figures is None else {"notes": {"figures": figures}}
    return chapters.chapter(path, "x", project=project, record=record)["cells"][1]


LONG = "import a\n\nfrom b import (\n    c,\n    d,\n)\nimport e  # f\n"


@pytest.mark.parametrize("source, closed", [
    (LONG, True), ("import a\n" * 6, False), (LONG + "x = 1", False), ("%pip\n" + LONG, False), ("# a\n" * 9, False)])
def test_a_wall_of_imports_opens_by_a_click(tmp_path, source, closed):
    metadata = code_cell(tmp_path, source)["metadata"]
    assert ("hide-input" in metadata["tags"]) == closed == (metadata["mystnb"].get("code_prompt_show") == "Imports")


def test_parameters_open_by_a_click_on_their_own_name(tmp_path):
    metadata = code_cell(tmp_path, "x: int = 1", "parameters")["metadata"]
    assert metadata["mystnb"]["code_prompt_show"].startswith("Parameters") and "hide-input" in metadata["tags"]


@pytest.mark.parametrize("source, alt", [
    ("viz.save(figure, stage.folder / \"a.png\")\nfigure", "Figure: All of a_b"),
    ("show(\"a.png\", 'b.png')", "Figure: How it went"),
    ("show(\"c.png\")", "Figure: How it went"),
])
def test_a_picture_is_described_by_its_caption_else_by_its_heading(tmp_path, source, alt):
    cell = code_cell(tmp_path, source, figures={"a.png": "All of a_b", "b.png": "b"})
    assert cell["metadata"]["mystnb"]["image"]["alt"] == alt


def test_chapter_keeps_out_the_network_and_has_a_heading(tmp_path):
    path = tmp_path / "n.ipynb"
    data = {"text/html": "<script src='https://cdn.x/y.js'></script>", "text/plain": "a plot"}
    cells = [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": [
                "text ![a](https://x.y/z.png), ",
                "[next](02.ipynb) and [last](03.ipynb), [web](http://x.y)",
            ],
        },
        {
            "cell_type": "code",
            "metadata": {},
            "source": "x",
            "execution_count": 1,
            "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}],
        },
    ]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    page = chapters.chapter(path, "A title", ["02"])
    assert (
        page["cells"][0]["source"] == "# A title"
        and "text [a](https://x.y/z.png)," in page["cells"][1]["source"]
    )
    assert "[next](02.ipynb) and last, [web](http://x.y)" in page["cells"][1]["source"]
    assert page["cells"][2]["outputs"][0]["data"] == {"text/plain": "a plot"}
    cells[0]["source"] = "# Training\n\ntext"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    assert chapters.chapter(path, "paper/x: 01_train")["cells"][0]["source"] == "# Training\n\ntext"
    assert chapters.chapter(path, "paper/x: 01_train@2")["cells"][0]["source"] == "# Training, round 2\n\ntext"
    for damage in ("{", "[]", '{"nbformat": 3}'):
        path.write_text(damage)
        with pytest.raises(FileError, match=r"n\.ipynb"):
            chapters.chapter(path, "A title")


def test_a_page_has_the_text_of_today_around_the_code_that_ran(tmp_path):
    def cell(source, *tags, **more):
        kind = "code" if tags or more else "markdown"
        return {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": source, **more}

    ran = [cell("old"), cell("x: int = 1", "parameters"), cell("x = 2", "injected-parameters"),
           cell(["print(x)\n", "stage.finish()"], outputs=["2"]), cell("answer_1 = None", "exercise", outputs=[]),
           cell("check(answer_1, 2)", "solution", outputs=["Not answered yet"])]
    written = [cell("new"), cell("x: int = 1", "parameters"), cell("print(x)\nstage.finish()", outputs=[]),
               cell("A question"), cell("answer_1 = None", "exercise", outputs=[]),
               cell("check(answer_1, 2)", "solution", outputs=[]), cell("check(answer_2, 3)", "solution", outputs=[])]
    cells = chapters.with_current_text(ran, written)
    assert cells == [written[0], *ran[1:4], written[3], *ran[4:6], written[6]]
    assert chapters.with_current_text(ran, [written[0], cell("x: int = 3", "parameters"), *written[2:]]) == ran
    assert chapters.with_current_text(ran, written[:2]) == ran

    (tmp_path / "ran.ipynb").write_text(json.dumps({"nbformat": 4, "cells": ran[:1]}))
    (tmp_path / "written.ipynb").write_text(json.dumps({"nbformat": 4, "cells": written[:1]}))
    page = chapters.chapter(tmp_path / "ran.ipynb", "T", written=tmp_path / "written.ipynb")
    assert [one["source"] for one in page["cells"]] == ["# T", "new"]
    assert chapters.chapter(tmp_path / "ran.ipynb", "T", written=tmp_path / "gone.ipynb")["cells"][1]["source"] == "old"


def test_the_values_of_a_run_name_no_place_of_its_machine(tmp_path):
    project = tmp_path / "a b"
    written = (f'data_root = "{project}/data/VOCdevkit"\nweights = "/srv/Net\'s \\"best\\".pth"\n'
               f'lists = ["{project}/lists/a.txt", "b"]\nrun_dir = "../runs/x"\nrate = 1 / 2 / 3\nname = "a/b"  # /n')
    told = ('data_root = "data/VOCdevkit"\nweights = ".../Net\'s \\"best\\".pth"\nlists = ["lists/a.txt", "b"]\n'
            'run_dir = ".../x"\nrate = 1 / 2 / 3\nname = "a/b"  # /n')
    assert code_cell(tmp_path, written, "injected-parameters", project=project)["source"] == told
    assert code_cell(tmp_path, written, "parameters", project=project)["source"] == written  # what stands in git
    broken = "data_root = \"/srv/x\nlr = 1"
    assert code_cell(tmp_path, broken, "injected-parameters", project=project)["source"] == broken


@pytest.mark.parametrize("kind", ["stream", "data", "html"])
def test_outputs_name_files_of_the_project_from_its_root(tmp_path, kind):
    project = tmp_path / "home"
    said = f"wrote {project}/runs/a.png; {project}, {project}er/b.png"
    output = {"stream": {"output_type": "stream", "name": "stdout", "text": said},
              "data": {"output_type": "execute_result", "data": {"text/plain": said}},
              "html": {"output_type": "display_data", "data": {"text/html": [said]}}}[kind]
    shown = code_cell(tmp_path, "x", project=project, outputs=[output])["outputs"][0]
    assert (shown["text"] if kind == "stream" else [*shown["data"].values()][0]) == (
        f"wrote runs/a.png; ., {project}er/b.png")


def test_a_cell_that_is_an_experiment_leads_to_its_page(tmp_path):
    path = tmp_path / "n.ipynb"
    html = "<td>spml/voc</td><td>spml/gone</td><td>of spml/voc</td>"
    outputs = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}]
    cells = [{"cell_type": "code", "metadata": {}, "source": "x", "outputs": outputs}]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    page = chapters.chapter(path, "A title", titles={"spml/voc"})
    link = '<td><a href="../spml/voc/index.html">spml/voc</a></td>'
    assert page["cells"][1]["outputs"][0]["data"]["text/html"] == html.replace("<td>spml/voc</td>", link)


def test_a_very_long_line_is_cut():
    assert chapters.shortened("x" * 10**6) == "x" * chapters.LONGEST + " [line cut]\n"
    assert chapters.shortened("a\nb") == "a\nb"


PICTURE = [{"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo="}}]


def test_a_picture_has_the_caption_of_its_cell_with_the_run_s_parameters(tmp_path):
    captioned = {"mystnb": {"figure": {"caption": "Pictures of `{val_split}`."}}}
    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": [],
              "source": 'val_split: str = "val"'},
             {"cell_type": "code", "metadata": captioned, "source": "figure", "outputs": PICTURE},
             {"cell_type": "code", "metadata": captioned, "source": "figure or text", "outputs": []},
             {"cell_type": "code", "metadata": {}, "source": "viz.legend(classes)", "outputs": PICTURE}]
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    for params, split in (({}, "val"), ({"val_split": "lists/train.txt"}, "train.txt")):
        record = {"params": params, "notes": {}} if params else None
        _, _, shown, said, legend = chapters.chapter(path, "x", record=record)["cells"]
        assert shown["metadata"]["mystnb"]["figure"] == {"caption": f"Pictures of `{split}`."}
        assert shown["metadata"]["mystnb"]["image"]["alt"] == f"Figure: Pictures of {split}."
        assert "figure" not in said["metadata"]["mystnb"]  # text in place of a picture is no figure
        assert legend["metadata"]["mystnb"]["image"]["alt"] == chapters.LEGEND


def test_captions_name_parameters_that_are_there():
    for path in NOTEBOOKS.rglob("[0o]*.ipynb"):
        values = captions.defaults(path)
        assert all(captions.of_cell(cell, values) is not None for cell in json.loads(path.read_text())["cells"])


def test_only_the_notebook_that_installs_the_book_opens_in_colab():
    def links(source):
        cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}]
        return chapters.with_links({"cells": cells}, "a/b.ipynb", "https://github.com/one/book")["cells"][1]["source"]

    assert "colab" not in links("x: int = 1") and "mybinder.org/v2/gh/one/book/HEAD" in links("x: int = 1")
    start = "".join(json.loads((NOTEBOOKS / "00_start.ipynb").read_text())["cells"][1]["source"])
    assert "https://colab.research.google.com/github/one/book/blob/HEAD/notebooks/a/b.ipynb" in links(start)
