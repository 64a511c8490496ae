"""Executed notebooks of a published experiment come with the book, and a fresh clone's site shows them."""

import base64
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.report import made
from wsnb.report import chapters, executed, frame, publish
from wsnb.run import papers


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A finished run of single_stage/a with a large photograph in its notebook, which the paper.toml names."""
    paper = dataclasses.replace(papers.load()["single_stage"], executed="a")
    monkeypatch.setattr(papers, "load", lambda: {"single_stage": paper})
    folder = made.manifest(tmp_path / "runs", "single_stage/a", "02_masks", [made.result(50.0)])
    smooth = np.linspace(0, 255, 1600)[None, :, None] * np.linspace(0.3, 1, 900)[:, None, None] * [1, 0.8, 0.6]
    photo = (smooth + np.random.default_rng(0).normal(0, 9, (900, 1600, 3))).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    made.notebook(folder / "notebook.ipynb", picture=buffer.getvalue())
    notebook = json.loads((folder / "notebook.ipynb").read_text())
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell{number}"
        if cell["metadata"].get("tags") == ["injected-parameters"]:
            cell["source"] = f'data_root = "/srv/data/VOCdevkit"\nrun_dir = "{tmp_path}/runs/single_stage/a"'
            cell["outputs"] = [{"output_type": "stream", "name": "stdout",
                                "text": f"read /srv/data/VOCdevkit, wrote {tmp_path}/runs/x.png"}]
    notebook["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "papermill": {"x": "/srv"}}
    (folder / "notebook.ipynb").write_text(json.dumps(notebook))
    made.again(folder)
    return tmp_path


def test_the_notebook_comes_with_the_book_and_is_light(finished):
    runs, figures = finished / "runs", finished / "figures"
    publish.publish(runs, "single_stage/a", figures, project=finished)
    (figures / "single_stage/a/09_old.ipynb").write_text("{}")
    shutil.copytree(runs / "single_stage/a/02_masks", runs / "single_stage/a/02_masks@2")
    path, = executed.keep(runs, "single_stage/a", figures, finished)
    assert [one.name for one in (figures / "single_stage/a").glob("*.ipynb")] == ["02_masks.ipynb"] == [path.name]
    said = path.read_text()
    assert str(finished) not in said and "/srv" not in said and "read .../VOCdevkit, wrote runs/x.png" in said
    assert len(said) < 0.4 * (runs / "single_stage/a/02_masks/notebook.ipynb").stat().st_size
    record, = frame.published(figures)
    assert record.notebook == path and record.folder is None
    cells = chapters.chapter(path, "x", record=record.manifest)["cells"]
    kinds = {kind for cell in cells for one in cell.get("outputs", ()) for kind in one.get("data", ())}
    assert "image/jpeg" in kinds and not {"image/png", chapters.WIDGET} & kinds
    shown = next(one["data"]["image/jpeg"] for cell in cells for one in cell.get("outputs", ())
                 if "image/jpeg" in one.get("data", ()))
    with Image.open(io.BytesIO(base64.b64decode(shown))) as image:
        assert image.width == executed.WIDEST


def test_only_the_named_experiment_keeps_its_notebooks(finished):
    runs, figures = finished / "runs", finished / "figures"
    made.manifest(runs, "single_stage/b", "02_masks", [made.result(50.0)])
    publish.publish(runs, "single_stage/b", figures, project=finished)
    assert executed.keep(runs, "single_stage/b", figures, finished) == []
    assert not frame.published(figures)[0].notebook.exists()
