"""`wsnb list`: the experiments of each chapter, with what each one needs."""

import re
from pathlib import Path

from wsnb.files import FileError, load_json, read_text
from wsnb.run import experiments, papers, params

NEEDED = re.compile(r'^(data_root|(?:\w+_)?weights): "([^"]*)"', re.M)
STAGES = re.compile(r"^stages: (.*)$", re.M)
TAKEN = re.compile(r": (\w+/\w+)")  # the experiment that a stage is taken from
FROM_NOTHING = ("random", "classifier", "")  # weights that no file holds


def text(project, chosen: list) -> str:
    """The experiments of the papers CHOSEN, of all if it is empty, in the order of the chapters.

    A line says what each one needs, another what it is. Raises FileError for an unknown paper.
    """
    names = experiments.names(project)
    known = list(dict.fromkeys(name.split("/")[0] for name in names))
    for paper in chosen:
        if paper not in known:
            raise FileError(f"no paper {paper}; {params.nearest(paper, known)}")
    lines, last = [], None
    for title in names:
        paper = title.split("/")[0]
        if chosen and paper not in chosen:
            continue
        if paper != last:
            lines += ["", papers.find(paper).heading]
            last = paper
        try:
            said = [needs(project, title), experiments.description(_path(project, title))]
        except (FileError, params.ParamsError) as error:
            said = [f"({error})"]
        lines += [title, *(f"    {one}" for one in said if one)]
    return "\n".join(lines[1:])


def needs(project, title: str) -> str:
    """Time on which machine, memory of the published run, weights and data of an experiment, as its files say."""
    header, content = experiments.header(_path(project, title)), read_text(_path(project, title))
    values = NEEDED.findall(content)
    weights = {value for name, value in values if name != "data_root"}
    for source in {*TAKEN.findall("".join(STAGES.findall(content)))}:  # its stages need what they need there
        weights |= {value for name, value in NEEDED.findall(read_text(_path(project, source))) if name != "data_root"}
    weights = sorted(weights - {*FROM_NOTHING})
    roots = [value for name, value in values if name == "data_root"]
    is_builtin = title.split("/")[1].startswith(experiments.SYNTHETIC)
    found = [header.get("Hardware and time", "").split(". ")[0].rstrip(".")]
    if memory := _memory(project, title):
        found.append(f"{memory / 1e9:.1f} GB of memory")
    found.append("weights: " + (", ".join("ImageNet's" if one == "imagenet" else one for one in weights) or "none"))
    found.append("data: " + ("drawn by the book" if is_builtin else ", ".join(roots) or "the notebooks' default"))
    return "; ".join(filter(None, found))


def _memory(project, title) -> int | None:
    """The most bytes that a stage of the published run took; None if none is published."""
    path = Path(project, "figures", title, "record.json")
    if not path.is_file():
        return None
    return max((stage.get("peak_cpu_bytes") or 0 for stage in load_json(path)["stages"].values()), default=None)


def _path(project, title) -> Path:
    return Path(project, "params", f"{title}.yaml")
