"""The HTML book: built once from a made run, offline; the comparisons are run, once."""

import base64
import hashlib
import html.parser
import json
import re
import shutil
import urllib.parse
from pathlib import Path

import pytest

from tests.report import made
from wsnb.files import FileError
from wsnb.report import build

ROOT = Path(__file__).parents[2]
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}


def runs_in(root):
    """A finished experiment with two notebooks, one 5 MB, and an unfinished stage; a second one only begun."""
    runs = root / "runs"
    for stage, title in (("01_train", "Training"), ("03_evaluate", "Evaluation")):
        folder = made.manifest(
            runs,
            "single_stage/shapes",
            stage,
            [made.result(52.3, dataset="shapes", dataset_size=60), made.result(38.0, dataset_size=200)],
        )
        big = made.png((1100, 1100)) if stage == "01_train" else None
        made.notebook(folder / "notebook.ipynb", title, lines=5000, picture=big)
        made.again(folder)
    (folder / "good_and_bad.png").write_bytes(made.png())
    made.again(folder)
    for name in ("shapes/02_masks", "begun/01_train"):
        (runs / "single_stage" / name).mkdir(parents=True)
        (runs / "single_stage" / name / "params.json").write_text("{}")
    return runs


EVIL = "<img src=x onerror=alert(1)> <script>alert(1)</script> [y](javascript:alert(1)) `$\\frac{a$` | *z*\n# h\n```"


def hostile(root, runs):
    """A run whose every free text is HTML, Markdown, LaTeX and line breaks, and a notebook with such a name."""
    row = made.result(1.0, EVIL, dataset=EVIL, method=EVIL, backbone=EVIL, weights=EVIL, detail={EVIL: 1.0})
    folder = made.manifest(runs, "single_stage/hostile", "01_train", [row, made.step(1.0, EVIL, dataset=EVIL)],
                           notes={"figures": {"good_and_bad.png": EVIL}}, params={"seed": 0, "split": EVIL})
    made.notebook(folder / "notebook.ipynb", "Training")
    (folder / "good_and_bad.png").write_bytes(made.png())
    made.again(folder)
    name = "<img src=x onerror=alert(1)>.ipynb"
    made.notebook(root / "notebooks" / name)
    written = json.loads((root / "notebooks" / name).read_text())
    live = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>alert(1)</script>"}}
    written["cells"] = [{**written["cells"][4], "outputs": [live]}]  # no heading: the name becomes one
    (root / "notebooks" / name).write_text(json.dumps(written))


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(root, what build returned) of a site in a folder with a space in its name."""
    root = tmp_path_factory.mktemp("a site")
    runs = runs_in(root)
    assert (runs / "single_stage/shapes/01_train/notebook.ipynb").stat().st_size > 4_500_000
    (root / "params").mkdir()
    shutil.copytree(ROOT / "notebooks/compare", root / "notebooks/compare")
    hostile(root, runs)
    return root, build.build(runs, root / "figures", root / "_site", project=root)


class Links(html.parser.HTMLParser):
    """Collects what a page loads, its links, its ids, and pictures without text."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.ids, self.silent = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if attrs.get(LOADED.get(tag)):
            self.loaded.append(attrs[LOADED[tag]])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "img" and not (attrs.get("alt") or "").strip():
            self.silent.append(attrs)


def pages(root):
    """{path: Links} of the site."""
    return {
        path: Links(path.read_text(encoding="utf-8")) for path in sorted((root / "_site").rglob("*.html"))
    }


def test_it_is_there_and_sphinx_had_nothing_to_say(built):
    root, said = built
    assert all(path.is_file() for path in said.values())
    assert list(said) == ["report", "table", "csv", "picture"]
    assert (root / "build/_site/sphinx.log").read_text() == ""
    names = {path.relative_to(root / "_site").as_posix() for path in pages(root)}
    assert names >= {
        "index.html",
        "compare/01_reported_and_ours.html",
        "compare/02_same_pictures.html",
        "compare/03_ladders.html",
        "compare/04_cost.html",
        "compare/05_student.html",
        "compare/06_claims.html",
        "single_stage/index.html",
        "single_stage/shapes/index.html",
        "single_stage/shapes/01_train.html",
        "single_stage/shapes/03_evaluate.html",
        "single_stage/begun/index.html",
    }


def test_nothing_comes_from_the_network(built):
    root, _ = built
    for path, page in pages(root).items():
        assert not [
            url
            for url in page.loaded
            if urllib.parse.urlsplit(url).scheme in ("http", "https") or url.startswith("//")
        ], path
        assert not re.search(
            r"import\s*\(?['\"]https?:|fetch\(['\"]https?:", path.read_text(encoding="utf-8")
        ), path
    for path in (root / "_site").rglob("*.css"):
        assert not re.search(
            r"url\(\s*['\"]?(?:https?:)?//|@import\s+(?:url\()?['\"]?https?:",
            path.read_text(encoding="utf-8"),
        ), path


class Live(html.parser.HTMLParser):
    """Collects what a page runs: scripts, handlers, addresses of scripts; and its pictures' places."""

    def __init__(self, text):
        super().__init__()
        self.policy, self.scripts, self.handlers, self.pictures, self._inside = "", [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._inside = tag == "script" and "src" not in attrs and attrs.get("type") in (None, "text/javascript")
        self.scripts += [""] * self._inside
        self.handlers += [name for name, value in attrs.items()
                          if name.startswith("on") or str(value).strip().lower().startswith("javascript:")]  # fmt: skip
        self.pictures += [attrs.get("src")] * (tag == "img")
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


def test_names_and_outputs_run_nothing(built):
    """The policy lets the theme's scripts run; one in a notebook's output is in the page, and not allowed."""
    root, _ = built
    refused = 0
    for path in pages(root):
        page = Live(path.read_text(encoding="utf-8"))
        assert "x" not in page.pictures and page.handlers == [], path
        assert re.search(r"default-src 'none'; script-src 'self' 'sha256-[^;]*; style-src 'self' 'unsafe-inline'; "
                         r"img-src 'self' data:;", page.policy), path  # fmt: skip
        assert "http" not in page.policy and "*" not in page.policy
        for script in page.scripts:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            allowed = f"'sha256-{digest}'" in page.policy
            assert allowed != ("alert" in script), (path, script)
            refused += not allowed
    assert refused == 1 and "alert(1)" in (root / "_site/single_stage/hostile/index.html").read_text(encoding="utf-8")


def test_all_that_is_loaded_or_linked_exists(built):
    root, _ = built
    found = pages(root)
    for path, page in found.items():
        for url in page.loaded + page.links:
            parts = urllib.parse.urlsplit(url)
            if parts.scheme or url.startswith("data:"):
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.name}: {url}"
            if parts.fragment and target in found:
                assert parts.fragment in found[target].ids | {""}, f"{path.name}: {url}"


def test_every_picture_has_a_text(built):
    root, _ = built
    assert {path.name: page.silent for path, page in pages(root).items() if page.silent} == {}
    assert 'alt="Figure: What was learned"' in (root / "_site/single_stage/shapes/01_train.html").read_text(
        encoding="utf-8"
    )


def test_formulas_are_shown_by_a_local_mathjax(built):
    root, _ = built
    page = (root / "_site/single_stage/shapes/01_train.html").read_text(encoding="utf-8")
    script = re.search(r'<script[^>]*src="([^"]*mathjax/[^"]*)"', page)[1].split("?")[0]
    assert (root / "_site/single_stage/shapes" / script).resolve().stat().st_size > 1_000_000
    assert "window.MathJax" in page and r"\frac{\sum_p" in page
    assert list((root / "_site/_static/mathjax/input/tex/extensions").glob("boldsymbol.js"))


def test_long_output_is_shortened_and_widgets_leave_a_note(built):
    root, _ = built
    page = (root / "_site/single_stage/shapes/01_train.html").read_text(encoding="utf-8")
    assert "[4880 lines left out" in page and "step 4999" in page and "step 2500" not in page
    assert "The values of this run" in page
    assert "An interactive control stands here" in page and "IntSlider" not in page


def test_experiment_page_says_it_all(built):
    root, _ = built
    page = (root / "_site/single_stage/shapes/index.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for words in (
        "52.3",
        "Begun, not finished: 02_masks",
        "2 min 05 s",
        "1.24 GB",
        "Good and bad",
        "image labels predicted",
        "01_train: 4 parameters",
        "03 evaluate",
        "not stated threshold split, label source, full share",
        "data_root …/VOCdevkit",
    ):
        assert words in text, words
    assert "/srv/" not in page
    assert "Begun, not finished: 01_train" in (root / "_site/single_stage/begun/index.html").read_text(
        encoding="utf-8"
    )


def test_cells_know_their_column_and_long_names_may_break(built):
    root, _ = built
    page = (root / "_site/index.html").read_text(encoding="utf-8")
    assert page.count('<td class="col-results">') == page.count('<td class="col-time">') == 3
    assert '<th class="head col-experiment">' in page
    name = "single_<wbr>stage/<wbr>shapes"
    assert re.search(rf'<td class="col-experiment"><p><a [^>]*href="single_stage/shapes/index.html">.*{name}', page)
    shown = (root / "_site/single_stage/shapes/index.html").read_text(encoding="utf-8")
    assert "01_<wbr>train" not in shown and ">01_train</span>" in shown  # short ones stay whole
    assert "<wbr>" not in (root / "_site/searchindex.js").read_text(encoding="utf-8")


def test_comparisons_are_notebooks_that_were_run(built):
    root, _ = built
    page = (root / "_site/compare/04_cost.html").read_text(encoding="utf-8")
    assert '<td><a href="../single_stage/shapes/index.html">' in page and "2 min 05 s" in page
    page = (root / "_site/compare/01_reported_and_ours.html").read_text(encoding="utf-8")
    assert "[38.0] (shapes)" not in page and "59.7" in page and str(root) not in page
    assert "compare/02_same_pictures.html" in (root / "_site/index.html").read_text(encoding="utf-8")


def no_papermill(run):
    """subprocess.run that refuses to run a notebook."""
    def refusing(command, **options):
        assert "papermill" not in command, "a kernel would start"
        return run(command, **options)

    return refusing


def test_again_is_byte_equal_and_starts_no_kernel(built, monkeypatch):
    """Row 19 of the reliability list, for the whole site."""
    root, _ = built
    before = {path: path.read_bytes() for path in (root / "_site").rglob("*") if path.is_file()}
    monkeypatch.setenv("PATH", "/nowhere")  # no command can be found
    monkeypatch.setenv("JUPYTER_PATH", "/nowhere")
    monkeypatch.setattr(build.compare.subprocess, "run", no_papermill(build.compare.subprocess.run))
    build.build(root / "runs", root / "figures", root / "_site", project=root)
    after = {path: path.read_bytes() for path in (root / "_site").rglob("*") if path.is_file()}
    differing = sorted(
        path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    print(f"{len(before)} files of the site, {len(differing)} differ when built again")
    assert differing == []


def unbuilt(monkeypatch):
    """Spares Sphinx where only the texts are looked at."""
    monkeypatch.setattr(build, "_sphinx", lambda work: (work / "html").mkdir(exist_ok=True))


def test_a_comparison_runs_again_after_a_change_of_the_records_and_a_failure_is_named(tmp_path):
    (tmp_path / "notebooks/compare").mkdir(parents=True)
    source = tmp_path / "notebooks/compare/01_a.ipynb"

    def written(code):
        cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "id": "a", "outputs": [],
                  "execution_count": None, "source": 'runs: str = ""\nfigures: str = ""'},
                 {"cell_type": "code", "metadata": {}, "id": "b", "outputs": [], "execution_count": None,
                  "source": code}]
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        source.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}))

    def run():
        records = build.frame.records(tmp_path / "runs")
        return build.compare.run(tmp_path, records, tmp_path / "runs", tmp_path / "figures", tmp_path / "work")[0]

    written("import os\nos.urandom(8).hex()")
    (tmp_path / "params").mkdir()
    made.manifest(tmp_path / "runs", "single_stage/a", "03_evaluate", [made.result(1.0)])
    first = run().read_bytes()
    assert run().read_bytes() == first
    made.manifest(tmp_path / "runs", "single_stage/a", "03_evaluate", [made.result(2.0)])
    second = run().read_bytes()
    assert second != first and run().read_bytes() == second
    written("1 / 0")
    with pytest.raises(build.compare.CompareError, match=r"(?s)01_a.ipynb could not be run.*ZeroDivisionError"):
        run()


def test_publish_as_part_of_the_report(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    folder = made.manifest(runs, "single_stage/shapes", "03_evaluate", [made.result(52.3, dataset="shapes")])
    (folder / "good_and_bad.png").write_bytes(made.png())
    made.again(folder)
    with monkeypatch.context() as patch:
        unbuilt(patch)
        told = build.build(
            runs, tmp_path / "figures", tmp_path / "_site", ["single_stage/shapes"], project=tmp_path
        )
    assert (
        told["published table"] == tmp_path / "figures/table.md"
        and told["published single_stage/shapes"].is_dir()
    )
    first = {path: path.read_bytes() for path in (tmp_path / "figures").rglob("*") if path.is_file()}
    build.build(tmp_path / "no runs", tmp_path / "figures", tmp_path / "_site", project=tmp_path)
    assert first == {path: path.read_bytes() for path in (tmp_path / "figures").rglob("*") if path.is_file()}
    page = (tmp_path / "_site/single_stage/shapes/index.html").read_text(encoding="utf-8")
    assert "52.3" in page and "not on this machine" in page and "good_and_bad" in page
    unbuilt(monkeypatch)
    build.build(tmp_path / "no runs", tmp_path / "nothing", tmp_path / "_site", project=tmp_path)
    source = tmp_path / "build/_site/source"
    assert "Nothing has been run yet" in (source / "index.md").read_text(encoding="utf-8")
    assert not (source / "single_stage/shapes/index.md").exists()


def test_overview_shows_what_was_learned_the_highest_first(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    baseline = made.result(70.0, supervision="none", method="Rectangle", image_labels="none")
    learned = [made.result(value, image_labels="predicted") for value in (41.5, 43.5, 42.5)]
    made.manifest(runs, "simple_does_it/a", "08_evaluate", [baseline, *learned])
    made.manifest(runs, "spml/full", "10_evaluate", [made.result(60.5, supervision="full", image_labels="none")])
    unbuilt(monkeypatch)
    build.build(runs, tmp_path / "nothing", tmp_path / "_site", project=tmp_path)
    page = (tmp_path / "build/_site/source/index.md").read_text(encoding="utf-8")
    (line,) = (one for one in page.splitlines() if "simple_does_it/a" in one)
    assert line.index("43.5") < line.index("42.5") and "41.5" not in line and "70" not in line
    assert any("spml/full" in one and "60.5" in one for one in page.splitlines())


def test_a_folder_of_others_is_not_replaced(tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    with pytest.raises(FileError, match="--out"):
        build.build(tmp_path, tmp_path, out, project=tmp_path)
    assert (out / "thesis.tex").read_text() == "x"
