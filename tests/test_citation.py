"""Files that others read: citations, references, the container's steps."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from wsnb import __version__
from wsnb.report import publish
from wsnb.run import papers

ROOT = Path(__file__).parents[1]


def test_references_are_those_of_the_papers():
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    assert text == publish.references(), "run `wsnb report` and commit references.bib"
    entries = re.findall(r"^@\w+\{(\w+),", text, re.M)
    assert len(entries) == len(set(entries)) == len(re.findall(r"^ +doi += \{10\.\d{4,}/\S+\}", text, re.M)) == 6


def test_every_paper_is_linked_and_cited():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["version"], cited["license"]) == ("1.2.0", __version__, "Apache-2.0")
    assert [(one["title"], one["year"]) for one in cited["references"]] == [
        (paper.title, paper.year) for paper in papers.load().values()]
    for paper, one in zip(papers.load().values(), cited["references"], strict=True):
        assert paper.links["the paper"] == f"https://doi.org/{one['doi']}" and one["doi"] in paper.bibtex
        names = [f"{author['given-names']} {author['family-names']}" for author in one["authors"]]
        assert names == paper.authors


def test_the_container_is_made_by_the_same_targets():
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    targets = {*re.findall(r"make ([a-z]+)", steps), *re.findall(r'"make", "([a-z]+)"', steps)}
    assert targets == {"setup", "lab"}
    for target in targets:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    pinned = re.search(r"torch==([\d.]+)", (ROOT / "pyproject.toml").read_text())[1]
    assert set(re.findall(r"torch==([\d.]+\d)", steps)) == {pinned}
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"


@pytest.mark.skipif(not os.environ.get("WSNB_SLOW"), reason="installs everything anew, gigabytes: set WSNB_SLOW=1")
def test_the_container_s_steps_work_in_an_empty_folder(tmp_path):
    """Each RUN of the Dockerfile but the system's packages, on the files that git knows, then the command."""
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["TORCH_INDEX"] = os.environ.get("WSNB_TORCH_INDEX", "")
    steps = re.findall(r"^RUN (.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    steps = [step for step in steps if "apt-get" not in step]
    assert steps
    for step in [*steps, "make -n lab", ".venv/bin/wsnb list", ".venv/bin/wsnb run student/shapes_full --dry-run"]:
        done = subprocess.run(["sh", "-ec", step], cwd=tmp_path, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, f"{step}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize(("remote", "address"), [
    ("git@github.com:some/one.git", "https://github.com/some/one"),
    ("https://github.com/some/one", "https://github.com/some/one"), ("/srv/one", ""), (None, ""),
])
def test_source_links_follow_the_remote(tmp_path, remote, address):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert publish.repository(tmp_path) == address
