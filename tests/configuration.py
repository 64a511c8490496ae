"""Tables of every value of the paper-size experiments beside the original's: tests/PAPER/configuration.csv.

experiment  name, or a pattern (voc12_*), or several of them with spaces between; of several rows for one parameter that
            with the plainest name counts: a name before a pattern
stage       the first notebook of the chain that declares the parameter
parameter   its name
ours        its resolved value as JSON
original    the original's value in our terms as JSON; empty where the original has no such thing
source      where that stands: `owner/repo path:line`, or `paper: ...`, `slides: ...`, `thread: ...`
why         why ours differs, or what the parameter is for where there is no original; empty where both are equal
"""

import csv
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

from tests import departures
from wsnb.run import experiments, params

ROOT = Path(__file__).parents[1]
COLUMNS = ["experiment", "stage", "parameter", "ours", "original", "source", "why"]
SOURCE = re.compile(r"[\w.-]+/[\w.-]+ \S+:\d+(-\d+)?|(paper|slides|thread): \S.*")
MACHINE = {*params.MACHINE, "threads", "deterministic", "gpus", "speed", "crf_backend"}  # where and how fast it runs


def rows(paper) -> list[dict]:
    """All rows of a paper's table; a file of other columns is refused."""
    with open(ROOT / f"tests/{paper}/configuration.csv", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        assert reader.fieldnames == COLUMNS, f"{paper}: the columns are {', '.join(COLUMNS)}"
        return list(reader)


def faults(paper, names) -> list[str]:
    """What is wrong with the table of PAPER for its paper-size experiments NAMES; nothing where all is well."""
    table, used, found = rows(paper), set(), []
    for name in names:
        first, helps = first_declared(paper, name)
        marked = params.paper_values(ROOT / f"params/{paper}/{name}.yaml")
        for parameter, value in departures.values(f"{paper}/{name}").items():
            if parameter in MACHINE:
                continue
            row = row_of(table, name, parameter)
            if row is None:
                found.append(f"{name}: {parameter} has no row, or several that fit alike")
                continue
            used.add(id(row))
            found += [f"{name}: {parameter}: {fault}" for fault in faults_of_row(
                row, value, first[parameter], helps[parameter], marked)]
    return found + [f"no experiment has {row['experiment']}: {row['parameter']}"
                    for row in table if id(row) not in used]


def row_of(table, name, parameter):
    """The row of an experiment's parameter; None for none, or for two that fit alike."""
    fits = [row for row in table if row["parameter"] == parameter
            and any(fnmatchcase(name, pattern) for pattern in row["experiment"].split())]
    exact = [row for row in fits if name in row["experiment"].split()]
    chosen = exact or fits
    return chosen[0] if len(chosen) == 1 else None


def first_declared(paper, name) -> tuple:
    """Of every parameter of an experiment: the first stage that declares it, and the comment beside its default."""
    stages, helps = {}, {}
    for stage in experiments.load(ROOT, paper, name).stages:
        if not stage.source:
            for key, param in stage.params.items():
                stages.setdefault(key, stage.name)
                helps.setdefault(key, param.help)
    return stages, helps


def faults_of_row(row, value, stage, help_, marked):
    """What is wrong with one row. A value that differs from the original's is marked `# paper: VALUE` in the
    experiment, or the comment beside the notebook's default names the paper or the original."""
    original = json.loads(row["original"]) if row["original"] else None
    differs = bool(row["original"]) and original != value
    if json.loads(row["ours"]) != value:
        yield f"is {value!r}, the table says {row['ours']}"
    if row["stage"] != stage:
        yield f"is first declared in {stage}, the table says {row['stage']}"
    if bool(row["original"]) != bool(row["source"]) or row["source"] and not SOURCE.fullmatch(row["source"]):
        yield f"source {row['source']!r}: with an original value `owner/repo path:line` or `paper: ...`, else nothing"
    if bool(row["why"]) != (differs or not row["original"]):
        yield "`why` says why a value differs, or what it is for without an original, and is empty where both are equal"
    if differs and marked.get(row["parameter"]) != original and not re.search("paper|original", help_, re.IGNORECASE):
        yield f"differs from {original!r}: mark it `# paper: {row['original']}, reason` in the experiment"
