"""An executed notebook as a page of the HTML book: short outputs, texts beside pictures, nothing from the network."""

import ast
import re
import urllib.parse
from pathlib import Path

from wsnb.files import FileError, load_json
from wsnb.report import captions, publish
from wsnb.report.text import escape
from wsnb.run.fingerprint import ASIDE

LINES, KEPT = 200, 60  # printed lines of a cell that are shown whole; else so many of the head and of the tail
LONGEST = 2000  # characters of a line
PROMPTS = {"parameters": "Parameters, what they mean, their defaults", "injected-parameters": "The values of this run"}
IMPORTS = 6  # lines of a cell that only imports; longer ones are closed like parameters
WIDGET = "application/vnd.jupyter.widget-view+json"
CONTROL_NOTE = "*An interactive control stands here: open the notebook in JupyterLab to move it.*"
REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|source|video)\b[^>]*(?:src|href)\s*=\s*["']?(?:https?:)?//""", re.I
)

LEGENDS, LEGEND = ("viz.legend(", "figures.legend("), "The colours of the classes"

WRITTEN = "_written"  # folder of the notebooks to download
PRINTED = ("text/plain", "text/html", "text/markdown")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')  # as papermill writes them


def chapter(path, title: str, others=(), written=None, project=None, titles=(), record=None) -> dict:
    """The executed notebook PATH as JSON for the site, headed by TITLE if it has no heading of its own.

    OTHERS are the stages whose notebooks are in the site beside it: links to these stay links. WRITTEN is the file
    that was run, for its text of today. Files in the folder PROJECT are named from there. A cell of a table that is one
    of the experiments TITLES, "paper/name", becomes a link to its page. RECORD is the manifest of the run. Raises
    FileError if one of them is no notebook of format 4.
    """
    notebook = load(path)
    if written and Path(written).is_file():
        notebook = {**notebook, "cells": with_current_text(notebook["cells"], load(written)["cells"])}
    cells, heading, values, recorded = [], "", *_record(path, record)
    for cell in notebook["cells"]:
        source = text(cell.get("source", ""))
        if cell.get("cell_type") == "markdown":
            headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", source, re.M)
            heading = headings[-1] if headings else heading
            cells.append({**cell, "source": _local(source, others)})
        elif cell.get("cell_type") == "code":
            caption, said = captions.of_cell(cell, values), _caption(source, recorded)
            spoken = "Figure: " + (caption.replace("`", "") or said or _spoken(heading or title))
            if source.startswith(LEGENDS):
                spoken = LEGEND
            outputs = [output(one, project, titles) for one in cell.get("outputs", [])]
            metadata = _metadata(cell.get("metadata", {}), spoken, source,
                                 (caption or escape(said)) if _is_figure(outputs) else "")
            if "injected-parameters" in _tags(cell):
                source = placed(source, project)
            cells.append({**cell, "source": source, "metadata": metadata, "outputs": outputs})
        else:
            cells.append(cell)
    first = next((text(cell["source"]) for cell in cells if cell.get("cell_type") == "markdown"), "")
    if not re.match(r"\s*#\s", first):
        cells.insert(0, {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {escape(title)}"})
    elif round_ := re.search(r"@(\d+)$", title):  # a later round reads like the first one
        head = next(i for i, cell in enumerate(cells) if cell.get("cell_type") == "markdown")
        source = re.sub(r"^#\s.*?$", rf"\g<0>, round {round_[1]}", cells[head]["source"], count=1, flags=re.M)
        cells[head] = {**cells[head], "source": source}
    metadata = {key: value for key, value in notebook.get("metadata", {}).items() if key != "widgets"}
    return {**notebook, "cells": cells, "metadata": metadata}


def with_links(page: dict, place: str, repository: str, note: str = "") -> dict:
    """A page with a NOTE and links under its heading: notebooks/PLACE, here and in the REPOSITORY if there is one."""
    links = [f"{{download}}`the notebook </{WRITTEN}/{place}>`"]
    if repository:
        name = repository.partition("github.com/")[2]
        tree = urllib.parse.quote(f"lab/tree/notebooks/{place}", safe="")
        links += [f"[its source]({repository}/blob/HEAD/notebooks/{place})",
                  f"[open in Binder](https://mybinder.org/v2/gh/{name}/HEAD?urlpath={tree})"]
        parameters = "".join(text(cell["source"]) for cell in page["cells"] if "parameters" in _tags(cell))
        if "\nrepository: str" in parameters:  # it installs the book where it is not
            links.append(f"[open in Colab](https://colab.research.google.com/github/{name}/blob/HEAD/notebooks/{place})")
    cells = list(page["cells"])
    cell = {"cell_type": "markdown", "id": "links", "metadata": {}, "source": "\n\n".join(
        filter(None, [note and f"*{note}*", f"Take along: {' · '.join(links)}"]))}
    return {**page, "cells": [*cells[:1], cell, *cells[1:]]}


def load(path) -> dict:
    """A notebook as JSON. Raises FileError if it is none of format 4."""
    notebook = load_json(path)
    if (
        not isinstance(notebook, dict)
        or notebook.get("nbformat") != 4
        or not isinstance(notebook.get("cells"), list)
    ):
        raise FileError(f"{path}: not a notebook of format 4; run that stage again")
    return notebook


def with_current_text(ran: list, written: list) -> list:
    """The cells that RAN between the Markdown and the exercises that are WRITTEN today: an edit of these runs no stage
    again, and the site should not show the old ones. RAN as it is where the code is another.
    """
    todays = [cell for cell in written if _counts(cell)]
    if [text(cell["source"]) for cell in ran if _counts(cell)] != [text(cell["source"]) for cell in todays]:
        return ran
    answered = {text(cell["source"]): cell for cell in ran if set(ASIDE) & _tags(cell)}
    injected = [cell for cell in ran if "injected-parameters" in _tags(cell)]
    done, cells = iter([cell for cell in ran if _counts(cell)]), []
    for cell in written:
        if _counts(cell):
            cells.append({**next(done), "metadata": cell.get("metadata", {})})
        else:
            cells.append(answered.get(text(cell["source"]), cell))
        if "parameters" in _tags(cell):
            cells += injected
    return cells


def _counts(cell) -> bool:
    """Whether it is a cell of the stage's own code."""
    return cell.get("cell_type") == "code" and not {*ASIDE, "injected-parameters"} & _tags(cell)


def _tags(cell) -> set:
    return set(cell.get("metadata", {}).get("tags", []))


def text(source) -> str:
    """A notebook's text, which may be a list of lines."""
    return "".join(source) if isinstance(source, list) else str(source)


def _local(source, others):
    """Pictures from the network become links to them, links to files that are not in the site plain text."""

    def kept(link):
        place = link[2].split("#")[0]
        return (
            link[0] if not place or ":" in place or place in {f"{name}.ipynb" for name in others} else link[1]
        )

    source = re.sub(r"!\[([^\]]*)\]\((https?://[^)\s]+)[^)]*\)", r"[\1](\2)", source)
    return re.sub(r"(?<![!\]\w])\[([^\]]+)\]\(([^)\s]+)\)", kept, source)


def _metadata(metadata, spoken, source, caption) -> dict:
    """A cell's metadata with the text SPOKEN of its pictures, and their CAPTION (Markdown); parameters, imports and
    solutions open by a click."""
    shown = {"image": {"alt": spoken}} | ({"figure": {"caption": caption}} if caption else {})
    tags = list(metadata.get("tags", []))
    prompts = [prompt for tag, prompt in PROMPTS.items() if tag in tags] + ["Imports"] * only_imports(source)
    if prompts:
        tags.append("hide-input")
        shown |= {"code_prompt_show": prompts[0], "code_prompt_hide": prompts[0]}
    if "solution" in tags:
        tags.append("hide-cell")
        shown |= {"code_prompt_show": "Solution", "code_prompt_hide": "Solution"}
    return {**metadata, "tags": tags, "mystnb": shown}


def only_imports(source: str) -> bool:
    """Whether a cell has more than IMPORTS lines and does nothing but import."""
    if len(source.strip().splitlines()) <= IMPORTS:
        return False
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # a magic, say
        return False
    return bool(body) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)


def _record(path, record) -> tuple:
    """(parameters, {file name: caption}) of a notebook: of the run with the manifest RECORD, else its defaults."""
    if record is None:
        return (captions.defaults(path) if any(map(captions.has_names, load(path)["cells"])) else {}), {}
    figures = record.get("notes", {}).get("figures", {})
    return captions.of_record(record), figures if isinstance(figures, dict) else {}


def _is_figure(outputs) -> bool:
    return any(kind.startswith("image/") for output in outputs for kind in output.get("data", {}))


def _caption(source, recorded):
    """The caption of the one picture that a cell saves and shows, or "" if it names none or several."""
    named = {name for name in re.findall(r"""["']([^"'/]+)["']""", source) if recorded.get(name)}
    return recorded[named.pop()] if len(named) == 1 else ""


def _spoken(heading):
    """A heading as plain text, for those who cannot see the picture."""
    return re.sub(r"[`*_$\\{}\[\]]", "", heading).strip()


def placed(source, project):
    """The values of a run without places of its machine."""
    return STRING.sub(lambda found: f'"{publish.portable(found[1], project)}"', source)


def _from_root(said, project) -> str:
    """Printed text that names the files in PROJECT from there."""
    if project is None:
        return said
    here = re.escape(str(Path(project).absolute()))
    return re.sub(rf"{here}(/|(?![\w-]))", lambda found: "" if found[1] else ".", said)


def output(of: dict, project, titles) -> dict:
    """The output OF a cell for the site: a note instead of a control, short texts, nothing from the network."""
    if of.get("output_type") == "stream":
        return {**of, "text": shortened(_from_root(text(of.get("text", "")), project))}
    data = of.get("data")
    if not isinstance(data, dict):
        return of
    if WIDGET in data:
        return {"output_type": "display_data", "metadata": {}, "data": {"text/markdown": CONTROL_NOTE}}
    data = {
        kind: value
        for kind, value in data.items()
        if not (kind == "text/html" and REMOTE.search(text(value))) and kind != "application/javascript"
    }
    data |= {kind: _from_root(text(data[kind]), project) for kind in PRINTED if kind in data}
    if "text/html" in data:
        data["text/html"] = re.sub(r"(?<=<td>)([\w.-]+/[\w.-]+)(?=</td>)", lambda cell: (
            f'<a href="../{cell[0]}/index.html">{cell[0]}</a>' if cell[0] in titles else cell[0]), data["text/html"])
    if "text/plain" in data:
        data["text/plain"] = shortened(data["text/plain"])
    return {**of, "data": data}


def shortened(printed: str) -> str:
    """Printed text with the middle of many lines, and the end of long lines, left out and said so."""
    lines = printed.splitlines(keepends=True)
    lines = [line if len(line) <= LONGEST else line[:LONGEST] + " [line cut]\n" for line in lines]
    if len(lines) > LINES:
        lines[KEPT:-KEPT] = [f"[{len(lines) - 2 * KEPT} lines left out; the run's notebook has them all]\n"]
    return "".join(lines)
