"""Keys: prose re-runs nothing, code re-runs its stage and what depends on it (reliability row 18)."""

import re

import pytest

from wsnb.files import write
from wsnb.run import fingerprint, notebooks


def standing(project, *arguments):
    """{stage: what a dry run says}."""
    lines = project.run("--dry-run", *arguments).splitlines()
    return dict(line.removeprefix("toy/tiny ").split(": ", 1) for line in lines)


@pytest.mark.parametrize("edit", ["prose", "comment", "docstring", "outputs", "layout", "run", "viz"])
def test_edits_that_re_run_nothing(finished, edit):
    root = finished.root
    if edit == "prose":
        finished.edit("02_train", "# 02_train\nprose", "# other prose")
    if edit == "comment":
        finished.edit("02_train", "try:\n", "try:  # now\n\n    # a comment\n")
    if edit == "outputs":
        path = root / "notebooks/toy/02_train.ipynb"
        path.write_text(path.read_text().replace('"execution_count": null', '"execution_count": 3'))
    toy = root / "wsnb/ops/toy.py"
    if edit == "docstring":
        toy.write_text(
            toy.read_text().replace("One item.", "An item, explained.").replace("Toy method.", "Method.")
        )
    if edit == "layout":
        toy.write_text(toy.read_text().replace("seed * 7 + i * 3", "seed*7  +  (i*3)") + "\n# end\n")
    if edit == "run":
        with open(root / "wsnb/run/stage.py", "a") as file:
            file.write("\nX = 1\n")
    if edit == "viz":
        (root / "wsnb/viz.py").write_text("x = 1\n")
    text = finished.run()
    assert text.count("done already") == 3 and "runs, because" not in text


def test_edits_that_re_run(finished):
    assert set(standing(finished).values()) == {"done"}
    finished.edit("02_train", 'w": 1.0', 'w": 1.5')
    now = standing(finished)
    assert now == {
        "01_make": "done",
        "02_train": "would run: code of the notebook's cells changed",
        "03_score": "would run: upstream 02_train changed",
    }
    text = finished.run()
    assert text.count("done already") == 1 and text.count("runs, because") == 2
    finished.edit("02_train", 'w": 1.5', 'w": 1.0')  # back again: the earlier work counts again
    assert finished.run().count("done already") == 3


def test_a_module_reached_through_others(finished):
    methods = finished.root / "wsnb/ops"
    (methods / "deep.py").write_text("def f():\n    return 11\n")
    (methods / "toy.py").write_text(
        (methods / "toy.py")
        .read_text()
        .replace('    """One item."""\n', '    """One item."""\n    from . import deep\n')
        .replace("/ 11", "/ deep.f()")
    )
    now = standing(finished)
    assert now["01_make"].startswith(
        "would run: code of wsnb.ops.deep changed (newly reached); code of wsnb.ops.toy changed"
    )
    finished.run()
    (methods / "deep.py").write_text("def f():\n    return 12\n")
    now = standing(finished)
    assert now == {
        "01_make": "would run: code of wsnb.ops.deep changed",
        "02_train": "would run: upstream 01_make changed",
        "03_score": "would run: upstream 02_train changed",
    }


def test_parameters(finished):
    assert standing(finished, "-p", "lr=0.5", "--workers", "3", "--device", "auto") == dict.fromkeys(
        ["01_make", "02_train", "03_score"], "done"
    )
    now = standing(finished, "-p", "lr=0.25")
    assert now["02_train"] == "would run: lr: 0.5 -> 0.25" and now["01_make"] == "done"


def test_files_that_changed(finished):
    path = finished.runs / "01_make/2.json"
    path.write_text(path.read_text().replace("5", "4"))
    assert standing(finished)["01_make"] == "would run: 2.json was changed"
    path.unlink()
    assert standing(finished)["01_make"] == "would run: 2.json is missing"
    text = finished.run()
    assert text.count("done already") == 2  # the same key: the stages that depend on it stand
    record = finished.runs / "03_score/manifest.json"
    record.write_text(re.sub(r'"value": [\d.]+', '"value": 99.99', record.read_text(), count=1))
    assert "results is not what results.json says" in standing(finished)["03_score"]
    said = finished.wsnb("status")
    assert "03_score                 damaged: " in said and "99.99" not in said
    record.write_text("{")
    assert "cannot be read" in standing(finished)["03_score"]


def test_data_set(finished, tmp_path):
    data = tmp_path / "data"
    (data / "lists").mkdir(parents=True)
    (data / "lists/train.txt").write_text("a\n")
    (data / "a.jpg").write_bytes(b"123")
    now = standing(finished, "--data-root", str(data))
    assert all("files of the data set changed" in text for text in now.values())
    finished.run("--data-root", str(data))
    (tmp_path / "link").symlink_to(data)
    (data / "loop").symlink_to(data)
    assert set(standing(finished, "--data-root", str(tmp_path / "link")).values()) == {"done"}
    (data / "lists/train.txt").write_text("b\n")
    assert "files of the data set changed" in standing(finished, "--data-root", str(data))["01_make"]
    assert "no such folder" in finished.run("--data-root", str(tmp_path / "none"), code=2)


def test_weights_by_content(project):
    project.single("stage.log(weights)\nstage.finish()", parameters='weights: str = "random"  # or a file')
    for name in ("one.pth", "two.pth"):
        (project.root / name).write_bytes(b"weights")
    assert f"{project.root}/one.pth" in project.run("-p", "weights=one.pth")
    assert "done already" in project.run("-p", "weights=two.pth")
    (project.root / "two.pth").write_bytes(b"others!")
    assert "would run: weights" in project.run("--dry-run", "-p", "weights=two.pth")


def test_import_graph(tmp_path):
    for name, text in {
        "__init__": "",
        "a": "from wsnb.b import c as d\nimport wsnb.viz",
        "b/__init__": "from .e import f",
        "b/c": "from .. import g",
        "b/e": "def f():\n    import wsnb.run.stage, numpy",
        "g": "import wsnb.a",
        "viz": "import wsnb.h",
        "h": "",
        "run/__init__": "",
        "run/stage": "import wsnb.h",
    }.items():
        path = tmp_path / "wsnb" / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    cells = (notebooks.Cell(0, "%matplotlib inline\n!ls\nimport wsnb.a\nx = await f()", ()),)
    reached = fingerprint.reached(notebooks.Notebook(tmp_path / "n.ipynb", cells, None), tmp_path / "wsnb")
    assert sorted(reached) == ["cells", "wsnb", "wsnb.a", "wsnb.b", "wsnb.b.c", "wsnb.b.e", "wsnb.g"]


def test_a_module_edited_between_two_looks_of_one_process(tmp_path):
    package = tmp_path / "wsnb"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("x = 1\n")
    (package / "b.py").write_text("")
    book = notebooks.Notebook(tmp_path / "n.ipynb", (notebooks.Cell(0, "from wsnb import a", ()),), None)
    first = fingerprint.reached(book, package)
    (package / "a.py").write_text("import wsnb.b\n")
    second = fingerprint.reached(book, package)
    assert sorted(second) == [*sorted(first), "wsnb.b"] and first["wsnb.a"] != second["wsnb.a"]
    with write(package / "a.py", "w") as file:  # as an editor does: a new file of the same length in its place
        file.write("x = 2\n")
    third = fingerprint.reached(book, package)
    assert sorted(third) == sorted(first) and third["wsnb.a"] != first["wsnb.a"]


def test_a_cell_that_does_not_parse_is_named(project):
    project.edit("02_train", "try:\n", "try\n")
    assert "02_train.ipynb, cell 3: does not parse" in project.run(code=2)
