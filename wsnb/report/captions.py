"""Captions of figures, as MyST-NB takes them from a cell: metadata `mystnb.figure.caption`.

A name in braces stands for a parameter of the stage: `{val_split}` is the list of pictures that was shown, and
`{scored_split}` the one that its results are of.
"""

import re
from pathlib import Path

from wsnb.files import load_json
from wsnb.run import notebooks, params

SCORED = "scored_split"
NAMED = re.compile(r"\{(\w+)\}")
SAVED = re.compile(r"""viz\.save\(\w+, stage\.folder / ["']([^"'/]+)["']""")


def written(cell: dict) -> str:
    """The caption as it stands in a notebook's cell; "" if it has none."""
    return cell.get("metadata", {}).get("mystnb", {}).get("figure", {}).get("caption", "")


def has_names(cell: dict) -> bool:
    """Whether its caption names a parameter."""
    return bool(NAMED.search(written(cell)))


def of_cell(cell: dict, values: dict) -> str:
    """The caption of a notebook's cell with the VALUES of its parameters, as Markdown. Raises KeyError for a name in
    braces that is no parameter."""
    return NAMED.sub(lambda name: Path(str(values[name[1]])).name.replace("`", ""), written(cell))


def defaults(path) -> dict:
    """{parameter: default} of the notebook PATH. Raises FileError or ParamsError."""
    return {SCORED: "val"} | {name: param.default for name, param in params.declared(notebooks.read(path)).items()}


def of_record(record: dict) -> dict:
    """The same of a run, by the manifest of its stage."""
    splits = [result["protocol"]["split"] for result in record.get("results", ()) if result.get("protocol")]
    return {SCORED: splits[0] if splits else "the scored list"} | record.get("params", {})


def of_files(path, record: dict) -> dict:
    """{name of a picture's file without suffix: its caption as plain text} of the notebook PATH, for the run with the
    manifest RECORD; {} if there is no such notebook.
    """
    if not Path(path).is_file():
        return {}
    values = defaults(path) | of_record(record)
    found = {}
    for cell in load_json(path)["cells"]:
        source = "".join(cell["source"])
        for file in SAVED.findall(source):
            if caption := of_cell(cell, values):
                found[Path(file).stem] = caption.replace("`", "")
    return found
