"""Executed notebooks that come with the book: light enough for git, without places of the machine that ran them."""

import base64
import io
import json
from pathlib import Path

from PIL import Image

from wsnb.files import open_image, write
from wsnb.report import chapters, frame, publish
from wsnb.run import papers

WIDEST, QUALITY = 900, 75  # pixels of a picture's width, of which a page shows fewer; of its JPEG


def keep(runs, title: str, figures, project) -> list:
    """Write the executed notebooks of the finished run TITLE, of stages with rounds the first, beside its published
    record, if the paper.toml of its paper names it as `executed`, and remove older ones. Returns their paths."""
    paper, name = title.split("/")
    folder = Path(figures, title)
    kept = {}
    if papers.find(paper).executed == name:
        kept = {folder / frame.notebook_name(record.stage): light(record.notebook, record.manifest, project)
                for record in frame.records(runs) if record.title == title and "@" not in record.stage}
    for path in set(folder.glob("*.ipynb")) - set(kept):
        path.unlink()
    for path, data in kept.items():
        with write(path) as file:
            file.write(data)
    return sorted(kept)


def light(path, record: dict, project) -> bytes:
    """The executed notebook PATH of the stage with the manifest RECORD, as JSON of format 4.

    Pictures are at most WIDEST pixels wide and encoded by publish.lighter. A note stands for a control. Paths in
    PROJECT are named from there; of paths in parameters the last part stays. Raises FileError if PATH is no notebook.
    """
    notebook = chapters.load(path)
    places = {value: publish.portable(value, project) for value in record["params"].values()
              if isinstance(value, str) and value.startswith("/")}
    cells = []
    for cell in notebook["cells"]:
        kept = {"cell_type": cell["cell_type"], "id": cell["id"], "source": chapters.text(cell["source"]),
                "metadata": {name: value for name, value in cell["metadata"].items() if name in ("tags", "mystnb")}}
        if cell["cell_type"] == "code":
            if "injected-parameters" in kept["metadata"].get("tags", ()):
                kept["source"] = chapters.placed(kept["source"], project)
            outputs = [chapters.output(one, project, ()) for one in cell["outputs"]]
            kept |= {"execution_count": cell["execution_count"], "outputs": [_light(one, places) for one in outputs]}
        cells.append(kept)
    made = {"cells": cells, "metadata": {"kernelspec": notebook["metadata"]["kernelspec"]}, "nbformat": 4,
            "nbformat_minor": 5}
    return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def _light(output: dict, places: dict) -> dict:
    """An output with a lighter picture and with PLACES, {path: another name}, renamed in its text."""
    if "text" in output:
        return {**output, "text": _renamed(output["text"], places)}
    if "data" not in output:
        return output
    data = {kind: _renamed(value, places) if kind in chapters.PRINTED else value
            for kind, value in output["data"].items()}
    if "image/png" in data:
        png = base64.b64decode(chapters.text(data.pop("image/png")))
        with open_image(io.BytesIO(png)) as image:
            if image.width > WIDEST:
                size = WIDEST, round(image.height * WIDEST / image.width)
                smaller = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
                png = publish.encoded(smaller, "PNG", optimize=True)
        small, suffix = publish.lighter(png, ".png", QUALITY)
        data["image/png" if suffix == ".png" else "image/jpeg"] = base64.b64encode(small).decode()
    return {**output, "data": data}


def _renamed(said, places) -> str:
    said = chapters.text(said)
    for place, name in places.items():
        said = said.replace(place, name)
    return said
