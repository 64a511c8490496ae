"""A sixth paper of one notebook: chain, run, table row and site page appear, and no other file is touched."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsnb.files import FileError
from wsnb.report import match
from wsnb.run import papers

ROOT = Path(__file__).parents[2]
COPIED = ("wsnb", "params/single_stage", "notebooks/single_stage")
COMPARISON = "notebooks/compare/01_reported_and_ours.ipynb"
FILES = {
    "wsnb/papers/sixth/__init__.py": '"""The sixth paper."""\n\nSCORE = 61.5\n',
    "wsnb/papers/sixth/paper.toml": """
name = "The sixth"
title = "A Sixth Paper"
authors = ["Ada Lovelace", "Emmy Noether"]
venue = "XYZ 2030"
year = 2030
order = 6
supervision = "points"
summary = "points → a class at every pixel"
bibtex = "@misc{sixth}"

[[alias]]
of = "ours"
when = {method = "sixth, (?P<name>.*)"}
set = {method = "{name}"}

[[ladder]]
step = "second|third"
after = ["first"]

[[own_pictures]]
learns_from = "points"
gives = "a class of every pixel"
small = "shapes"
tiny = "shapes"
kinds = {points = ""}
""",
    "wsnb/papers/sixth/reported.csv": """\
paper,dataset,split,supervision,image_labels,method,backbone,crf,metric,value,unit,source_kind,source,note
sixth,shapes,val,points,,plain,VGG16,no,mIoU,60.0,%,readme,ada/sixth:README.md,
sixth,VOC2012,val,points,,plain,VGG16,no,mIoU,70.0,%,readme,ada/sixth:README.md,
""",
    "params/sixth/shapes.yaml": """\
# The sixth paper on synthetic pictures
stages: [01_all]
data_root: ""
run_dir: runs/sixth/shapes
device: cpu
workers: 0
seed: 0
dataset: shapes
supervision: points
""",
}
CELLS = [
    'data_root: str = ""\nrun_dir: str = ""\ndevice: str = "cpu"\nworkers: int = 0  # processes\nseed: int = 0\n'
    'dataset: str = "VOC2012"\nsupervision: str = "points"',
    'from wsnb.papers.sixth import SCORE\nfrom wsnb.report.protocol import Protocol\nfrom wsnb.run.stage import Stage\n'
    'stage = Stage.begin("sixth", "01_all", globals())',
    'def result(value, step=""):\n'
    '    protocol = Protocol(dataset, 4, "val", method=f"sixth, {step or \'plain\'}", supervision=supervision,\n'
    '                        backbone="VGG16")\n'
    '    role = {"role": "ladder", "step": step} if step else {}\n'
    '    return {"name": "mIoU", "value": value, "unit": "%", "protocol": protocol.as_dict(), **role}\n'
    'stage.finish(results=[*map(result, (20.0, 30.0, 35.0), ("first", "second", "third")), result(SCORE)])',
]


def write(root):
    """Write the paper's files."""
    cells = [{"cell_type": "markdown", "metadata": {}, "id": "head",
              "source": "# The sixth: everything\n\n**You will learn** what a sixth paper needs."}]
    cells += [{"cell_type": "code", "metadata": {} if k else {"tags": ["parameters"]}, "id": f"c{k}", "source": source,
               "outputs": [], "execution_count": None} for k, source in enumerate(CELLS)]
    for name, text in {**FILES, "notebooks/sixth/01_all.ipynb": json.dumps(
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def content(root):
    """{file: bytes} of the project, without results and without what Python keeps."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for name in ("wsnb", "params", "notebooks")
            for path in (root / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the paper in it, its chain run and reported; and the files before that."""
    root = tmp_path_factory.mktemp("book")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    (root / COMPARISON).parent.mkdir()
    shutil.copy(ROOT / COMPARISON, root / COMPARISON)
    before = content(root)
    write(root)
    return root, before


def wsnb(root, *words) -> str:
    """What the command prints in the copy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSNB_")}
    done = subprocess.run([sys.executable, "-m", "wsnb.run.cli", *words], cwd=root, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                          env={**kept, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_chain_run_table_row_and_site_page_appear(project):
    root, before = project
    listed = wsnb(root, "list").splitlines()
    assert listed[listed.index("sixth/shapes") + 2] == "    The sixth paper on synthetic pictures"
    assert not [line for line in listed if line.startswith("compare")]
    wsnb(root, "run", "sixth/shapes")
    assert (root / "runs/sixth/shapes/01_all/manifest.json").is_file()
    wsnb(root, "report")
    site = root / "_site"

    rows = [row for row in csv.DictReader((site / "table.csv").open(encoding="utf-8")) if row["paper"] == "sixth"]
    first, second = [row for row in rows if row["reported"]]
    assert (first["ours"], first["difference"], first["protocols_match"]) == ("61.5", "1.5", "yes")
    assert (second["ours"], second["experiment"]) == ("not run", "")  # synthetic pictures never stand near
    steps = [row for row in csv.DictReader((site / "ladder.csv").open(encoding="utf-8")) if row["paper"] == "sixth"]
    assert [row["since"] for row in steps] == ["", "first", "first", "third"]

    page = (site / "sixth/index.html").read_text(encoding="utf-8")
    assert "A Sixth Paper (Lovelace, Noether, XYZ 2030)" in page and "@misc" in page
    assert '<a href="shapes/01_all.html"><rect' in page
    assert "61.5" in (site / "sixth/shapes/index.html").read_text(encoding="utf-8")
    cover = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="sixth/index.html"' in cover and "points → a class at every pixel" in cover
    compared = (site / "compare/01_reported_and_ours.html").read_text(encoding="utf-8")
    assert "A Sixth Paper (Lovelace, Noether, XYZ 2030)" in compared

    after = content(root)
    assert {name for name in after if after[name] != before.get(name)} == {*FILES, "notebooks/sixth/01_all.ipynb"}
    assert set(before) <= set(after)


@pytest.mark.parametrize("text, said", [
    ("name = 1", "name is not a str"), ("colour = 'red'", "unknown key colour"), ("= 3", "not a TOML file"),
    ("", "title is missing")])
def test_a_paper_that_is_not_whole_is_refused(tmp_path, text, said):
    (tmp_path / "paper.toml").write_text(text)
    with pytest.raises(FileError, match=f"paper.toml.*{said}"):
        papers.read(tmp_path / "paper.toml")


def test_every_paper_has_a_summary_and_an_address_that_is_a_source():
    sources = " ".join(match.load().source)
    for paper in papers.load().values():
        assert "→" in paper.summary and paper.bibtex.strip().startswith("@") and str(paper.year) in paper.venue
        for address in paper.links.values():
            name = address.removeprefix("https://").removeprefix("github.com/").removeprefix("arxiv.org/abs/")
            assert name in sources or name.removeprefix("doi.org/") in paper.bibtex


def test_run_and_report_name_no_paper():
    for path in [*(ROOT / "wsnb/run").rglob("*.py"), *(ROOT / "wsnb/report").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not [key for key in papers.load() if key in text], path
