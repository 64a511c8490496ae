"""The map of the book: which supervision, on which data, by which paper, and what of it was run."""

import dataclasses
from pathlib import Path

from wsnb.book import params, reported
from wsnb.book.table import as_markdown, escape
from wsnb.files import FileError

ORDER = ("image labels", "boxes", "boxes and image labels", "points", "scribbles", "semi", "full")
WORDS = {"tag": "image labels", "box": "boxes", "point": "points", "scribble": "scribbles"}
NAMES = {
    "single_stage": "Single-stage",
    "no_people_allowed": "No people allowed",
    "simple_does_it": "Simple does it",
    "panoptic": "Panoptic",
    "spml": "SPML",
}
# What a paper is, and an address that reported.csv knows as a source: the paper, its page, or the authors' code.
ABOUT = {
    "single_stage": (
        "*Single-Stage Semantic Segmentation from Image Labels*, Nikita Araslanov and Stefan Roth, CVPR 2020: "
        "image tags → a class at every pixel, in one training run.",
        "the authors' code", "https://github.com/visinf/1-stage-wseg"),
    "no_people_allowed": (
        "*NoPeopleAllowed: The Three-Step Approach to Weakly Supervised Semantic Segmentation*, Dobko, Viniavskyi and "
        "Dobosevych, LID challenge at CVPR 2020: image tags → a class at every pixel, in three steps.",
        "the paper on arXiv", "https://arxiv.org/abs/2006.07601"),
    "simple_does_it": (
        "*Simple Does It: Weakly Supervised Instance and Semantic Segmentation*, Khoreva, Benenson, Hosang, Hein and "
        "Schiele, CVPR 2017: boxes → a class at every pixel, or a mask of every object.", "", ""),
    "panoptic": (
        "*Weakly- and Semi-Supervised Panoptic Segmentation*, Qizhu Li, Anurag Arnab and Philip H. S. Torr, ECCV 2018: "
        "boxes of things and image tags of stuff → a class and an instance at every pixel.",
        "the authors' page", "https://qizhuli.github.io/publication/weakly-supervised-panoptic-segmentation/"),
    "spml": (
        "*Universal Weakly Supervised Segmentation by Pixel-to-Segment Contrastive Learning*, Ke, Hwang and Yu, "
        "ICLR 2021: image tags, boxes, scribbles or points → a class at every pixel.",
        "the authors' code", "https://github.com/twke18/SPML"),
}
RUN, NOT_RUN, NO_BREAK = "●", "○", "\u00a0"
LEGEND = f"""{RUN} run, the link leads to its page; {NOT_RUN} an experiment of the book that was not run here (its
parameters are in `params/`, its data or its hours were not at hand).
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """One experiment on the map."""

    paper: str
    name: str
    supervision: str
    dataset: str


def about(paper: str) -> str:
    """What a paper is, as a line of Markdown with a link where an address is known; "" for an unknown paper."""
    said, name, address = ABOUT.get(paper, ("", "", ""))
    return f"{said} [{name[:1].upper()}{name[1:]}]({address})." if address else said


def places(project) -> list:
    """Places of all experiments, from their YAML files: `dataset` and `supervision`, else what the paper reports."""
    made = []
    for path in sorted(Path(project, "params").glob("*/*.yaml")):
        try:
            values = params.load_yaml(path)
        except (params.ParamsError, FileError):
            continue  # `wsnb run` names it
        paper = path.parent.name
        data = values.get("dataset") or values.get("layout") or "?"
        supervision = str(values.get("supervision") or _usual(paper))
        made.append(Place(paper, path.stem, WORDS.get(supervision, supervision), str(data)))
    return made


def _usual(paper) -> str:
    """The weak supervision of most of a paper's reported numbers."""
    said = [row.supervision.removesuffix(reported.CLEAN) for row in reported.load() if row.paper == paper]
    said = [word for word in said if word in ORDER and word != "full"]
    return max(dict.fromkeys(said), key=said.count, default="?")


def cells(found, run: dict) -> tuple:
    """(header, rows) in Markdown: a row a supervision, a column a data set. RUN is {"paper/name": page}."""
    data = sorted({one.dataset for one in found}, key=lambda name: (name.startswith("shapes"), name))
    rows = []
    known = {name: i for i, name in enumerate(ORDER)}
    for supervision in sorted({one.supervision for one in found}, key=lambda name: (known.get(name, 99), name)):
        row = [escape(supervision)]
        for dataset in data:
            mine = [one for one in found if (one.supervision, one.dataset) == (supervision, dataset)]
            row.append("<br>".join(_papers(mine, run)))
        rows.append(row)
    return ("supervision", *map(escape, data)), rows


def _papers(mine, run):
    for paper in dict.fromkeys(one.paper for one in mine):
        own = [one for one in mine if one.paper == paper]
        pages = [run[f"{one.paper}/{one.name}"] for one in own if f"{one.paper}/{one.name}" in run]
        name = escape(NAMES.get(paper, paper))
        yield f"{RUN}{NO_BREAK}[{name}]({pages[0]})" if pages else f"{NOT_RUN}{NO_BREAK}{name}"


def markdown(project, run: dict) -> str:
    """The map as a Markdown table, or "" for a project without experiments."""
    found = places(project)
    if not found:
        return ""
    header, rows = cells(found, run)
    return as_markdown(header, rows, escaped=True) + "\n" + LEGEND
