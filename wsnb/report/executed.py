"""Executed notebooks that come with the book: light enough for git, without places of the machine that ran them."""

import base64
import io
import json
import re
from pathlib import Path

from PIL import Image

from wsnb.files import open_image, write
from wsnb.report import chapters, frame, publish
from wsnb.run import papers

WIDEST = 800  # pixels of a picture's width; a page of the book is not wider
QUALITY = 72  # of JPEG
SMALL = 25_000  # bytes of a PNG of 256 colours that a JPEG, blurred at edges, does not replace
WITHIN = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)")  # HTML


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

    Pictures are at most WIDEST pixels wide and lightly encoded. A note stands for a control. Paths in
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
        data.update([_picture(chapters.text(data.pop("image/png")))])
    if "text/html" in data:
        data["text/html"] = WITHIN.sub(lambda found: "data:{};base64,{}".format(*_picture(found[1])), data["text/html"])
    return {**output, "data": data}


def _picture(encoded: str) -> tuple:
    """(type, base64) of a picture in base64 as JPEG or PNG, whichever is lighter; a PNG up to SMALL stays one."""
    with open_image(io.BytesIO(base64.b64decode(encoded))) as image:
        image = publish.on_white(image)
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    few = publish.encoded(image.quantize(256, dither=Image.Dither.NONE), "PNG", optimize=True)
    photo = publish.encoded(image, "JPEG", quality=QUALITY, optimize=True)
    kind, best = ("png", few) if len(few) <= max(SMALL, len(photo)) else ("jpeg", photo)
    return f"image/{kind}", base64.b64encode(best).decode()


def _renamed(said, places) -> str:
    said = chapters.text(said)
    for place, name in places.items():
        said = said.replace(place, name)
    return said
