"""The map of the book: which supervision, on which data, by which paper, and what of it was run.

The pages of the HTML book as Markdown texts, from records alone: cover, tables, a page a paper and an experiment.
"""

import dataclasses
from pathlib import Path

from wsnb.files import FileError
from wsnb.report import chains, frame, match, publish, table, table_pages
from wsnb.report.table import as_markdown, escape
from wsnb.run import experiments, params
from wsnb.run.experiments import SYNTHETIC

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
    """Places of all experiments, by their `dataset` and `supervision`, else what the paper reports."""
    made = []
    for path in sorted(Path(project, "params").glob("*/*.yaml")):
        try:
            values = experiments.load(project, path.parent.name, path.stem).values
        except (params.ParamsError, FileError):
            continue  # `wsnb run` names it
        paper = path.parent.name
        data = values.get("dataset") or values.get("layout") or "?"
        supervision = str(values.get("supervision") or _usual(paper))
        made.append(Place(paper, path.stem, WORDS.get(supervision, supervision), str(data)))
    return made


def _usual(paper) -> str:
    """The weak supervision of most of a paper's reported numbers."""
    said = [row.supervision.removesuffix(match.CLEAN) for row in match.load() if row.paper == paper]
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


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is told of one experiment. pictures: (file name beside its page, text); chapters: stages with a notebook."""

    paper: str
    name: str
    records: tuple
    open: tuple = ()  # stages begun, not finished
    description: str = ""
    command: str = ""
    pictures: tuple = ()
    chapters: tuple = ()
    project: object = None  # the folder that paths are named from

    @property
    def title(self) -> str:
        """paper/name."""
        return f"{self.paper}/{self.name}"

    @property
    def rows(self) -> list:
        """Its measured numbers."""
        return frame.rows(self.records)


SHOWN = 12  # pictures of an experiment that are not folded
UNSTATED = "not stated"
GOOD_AND_BAD = "good_and_bad"  # the picture that says most of an experiment
START = """Nothing has been run yet. `wsnb list` shows the experiments; those named *shapes* need no data:

```sh
wsnb run --all
wsnb report
```
"""


def index(found, lines, atlas: str = "", papers=(), lessons=()) -> str:
    """The cover: where to begin, the map, what was run, the table as a picture, where the rest is.

    ATLAS is the map of overview.markdown, PAPERS are those with a page, LESSONS the notebooks that belong to no paper.
    """
    parts = [
        "# Weakly supervised segmentation, an experiment book\n",
        "Papers on segmentation from weak labels, each a short chain of notebooks; every number here comes from the "
        "record of a run, beside the number that the paper reported.\n",
    ]
    if "00_start" in lessons:
        parts.append("New here? Begin with [what a weak label is](lessons/00_start.ipynb), fifteen minutes. "
                     "Words are explained in the [glossary](glossary.md).\n")
    if "own_pictures" in lessons:
        parts.append("[Your own pictures](lessons/own_pictures.ipynb): a folder with tags, boxes, scribbles or "
                     "points.\n")
    if papers:
        titles = {name: escape(table_pages.TITLES.get(name, name)) for name in papers}
        parts += ["## Papers\n", *(f"- [{title}]({name}/index.md)" for name, title in titles.items()), ""]
    if atlas:
        parts += ["## The map\n", "Which supervision on which data by which paper.\n", atlas]
    if not found:
        parts.append(START)
    else:
        parts += [
            "## What was run\n",
            _overview(found),
            "## Reported and ours\n",
            _wide("table.png", _spoken(lines), "What was run, the highest of each experiment."),
            "All numbers, sources and protocols: [the whole table](table.md). Every method on the same pictures: "
            "[same data](same_data.md). How good each product of a chain is: [quality ladders](ladders.md). "
            "Time and memory: [stages](stages.md). For slides and spreadsheets: {download}`table.png`, "
            "{download}`table.csv`, {download}`table_stages.csv`, {download}`same_data.png`, "
            "{download}`same_data.csv`, {download}`ladder.png`, {download}`ladder.csv`.\n",
        ]
        shown = sorted((one for one in found if one.pictures), key=lambda one: one.name.startswith(SYNTHETIC))
        if shown:
            first = shown[0]
            best = [picture for picture in first.pictures if GOOD_AND_BAD in picture[0]] or first.pictures
            parts.append(f"## A result of {escape(first.title)}\n\n" + _pictures(best[-1:], f"{first.title}/"))
    parts.append(toctree([f"lessons/{name}" for name in lessons], "Lessons", hidden=True))
    parts.append(toctree([f"{name}/index" for name in papers], "Papers", hidden=True))
    parts.append(toctree(["table", "same_data", "ladders", "stages", "glossary"], "Compare", hidden=True))
    return "\n".join(parts)


def with_picture(title: str, picture: str, spoken: str, caption: str, text: str, records=()) -> str:
    """A page of tables under its picture; side metrics and synthetic pictures are folded, RECORDS' names are links."""
    text = table_pages.linked(table_pages.sections(text), {one.title: f"{one.title}/index.md" for one in records})
    return f"---\nhide-toc: true\n---\n\n# {title}\n\n{_wide(picture, spoken, caption)}\n{text}"


def _wide(picture, spoken, caption):
    """A chart of the site's root, which is small on a phone: a click shows it alone."""
    return (f"```{{figure}} {picture}\n:alt: {spoken}\n:width: 100%\n:target: {picture}\n\n"
            f"{caption} A click shows it in full size.\n```\n")


def _spoken(lines):
    """The table's picture in words."""
    told = []
    for item, row in [(line.reported, line.ours) for line in lines if line.ours is not None][:6]:
        what = f"{table.split_words(item)}, {item.metric}, CRF {table.crf_word(item.crf)}"
        told.append(f"{what}: reported {table.number(item.value)}, ours {table.ours(row.value)}")
    return "Table of reported and own numbers. " + ("; ".join(told) or "No reported number was run")


def _overview(found):
    cells = []
    for one in found:
        state = counted(len(one.records), "stage").replace(" ", NO_BREAK) + (
            f", unfinished: {', '.join(one.open)}" if one.open else ""
        )
        rows = _highest(one.rows)
        best = [
            f"{row.name} {table.ours(row.value, row.unit)}{' %' if row.unit == '%' else ''} ({_how(row, rows)})"
            for row in rows[:2]
        ]
        link = f"[{escape(one.title)}]({one.paper}/{one.name}/index.md)"
        cells.append(
            [
                link,
                escape(state),
                escape(table.duration(sum(r.manifest["seconds"] for r in one.records))).replace(" ", NO_BREAK),
                escape("; ".join(best)),
            ]
        )
    return as_markdown(("experiment", "done", "time", "results"), cells, escaped=True)


def _highest(rows):
    """What an experiment's networks learned, the highest value of its first metric first; without any, its bounds."""
    rows = [row for row in rows if row.protocol is not None and row.value is not None]
    rows = [row for row in rows if row.protocol.supervision != "none" and row.protocol.image_labels != "ground truth"]
    rows = [row for row in rows if row.role == "final"] or [row for row in rows if row.role == "bound"]
    return sorted((row for row in rows if row.name == rows[0].name), key=lambda row: -row.value)


def counted(number: int, what: str) -> str:
    """'1 stage', '2 stages'."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _how(row, rows):
    """What tells a number from its neighbours ROWS: method, preset where those of a method differ in it, CRF."""
    of = row.protocol
    presets = {other.protocol.preset for other in rows if other.protocol.method == of.method}
    preset = f"{of.preset} preset" if len(presets) > 1 and of.preset else ""
    return ", ".join(filter(None, (of.method, preset, "CRF" if of.crf else "no CRF")))


def paper(name: str, found, lines, rest, cards=(), unrun=()) -> str:
    """A paper's page: its chain, its experiments, its tables.

    CARDS are chains.StageCards; UNRUN names the stages that have a page in notebooks/ since none of them was run.
    """
    title = table_pages.TITLES.get(name, name)
    parts = [f"# {title}\n", *([f"{about(name)}\n"] if about(name) else [])]
    if cards:
        ran = {card.name: _ran(card.name, found) for card in cards}
        links = {stage: f"{places[0][1] if places else f'notebooks/{stage}'}.html" for stage, places in ran.items()}
        said = "Each box is a notebook; an arrow leads from what a stage needs, a dashed one from a former round.\n"
        parts += ["## The chain\n", said, "```{raw} html", chains.svg(cards, links, title), "```\n",
                  as_markdown(("stage", "you will learn", "run in"), _stage_rows(cards, ran), escaped=True)]
    if found:
        parts += ["## Experiments\n"]
        parts += [f"- [{escape(one.name)}]({one.name}/index.md) {escape(one.description)}" for one in found]
    else:
        parts.append("Nothing of this paper has been run here yet; `wsnb list` names its experiments.\n")
    parts += [
        "",
        table_pages.linked(
            table_pages.of_paper_folded(name, lines, rest), {one.name: f"{one.name}/index.md" for one in found}
        ),
        toctree([f"{one.name} <{one.name}/index>" for one in found], hidden=True),
        toctree([f"{_short(stage)} <notebooks/{stage}>" for stage in unrun], hidden=True),
    ]
    return "\n".join(parts)


def _ran(stage, found):
    """(experiment, page) of the executed notebooks of a stage in all its rounds, real pictures first."""
    made = []
    for one in sorted(found, key=lambda one: one.name.startswith(SYNTHETIC)):
        for chapter in one.chapters:
            name, _, round_ = chapter.partition("@")
            if name == stage:
                said = f"{one.name}, round{NO_BREAK}{round_}" if round_ else one.name
                made.append((said, f"{one.name}/{chapter}"))
    return made


def _stage_rows(cards, ran):
    rows = []
    for card in cards:
        where = ", ".join(f"[{escape(name)}]({page}.ipynb)" for name, page in ran[card.name])
        source = f"not run here, [as written](notebooks/{card.name}.ipynb)"
        rows.append([escape(card.name), escape(card.summary or card.title), where or source])
    return rows


def experiment(one: Experiment) -> str:
    """An experiment's page: what was run, results with their protocol, pictures, stages, parameters, notebooks."""
    parts = [f"# {escape(one.title)}\n"]
    if one.description:
        parts.append(escape(one.description) + "\n")
    if one.open:
        parts.append(f"Begun, not finished: {escape(', '.join(one.open))}. The same command continues.\n")
    if one.command:
        parts.append(f"```sh\n{one.command}\n```\n")
    if one.rows:
        parts += [
            "## Results\n",
            table_pages.of_experiment(one.rows),
            "## Protocol\n",
            as_markdown(("field", "value"), protocol_cells(one.rows)),
        ]
    if one.pictures:
        more = one.pictures[SHOWN:]
        parts += ["## Pictures\n", _pictures(one.pictures[:SHOWN])]
        parts += [table_pages.details(f"More pictures: {len(more)}", _pictures(more))] if more else []
    if one.records:
        parts += ["## Stages\n", _stages(one)]
        if not one.chapters:
            parts.append(
                "The executed notebooks are not on this machine; the command above makes them again.\n"
            )
        parts += ["## Parameters\n", *(_parameters(record, one.project) for record in one.records)]
    if one.chapters:
        parts += ["## Notebooks\n", toctree([f"{_short(chapter)} <{chapter}>" for chapter in one.chapters])]
    return "\n".join(parts)


def protocol_cells(rows) -> list:
    """(field, value) of the protocols of an experiment's rows; values that vary are joined by 'or', fields that no row
    states share the last line."""
    protocols = [row.protocol.as_dict() for row in rows if row.protocol is not None]
    # The bound all-background has neither network nor supervision and would blur the others.
    protocols = [p for p in protocols if p["method"] != "all background"] or protocols
    cells = []
    silent = []
    for name in protocols[0] if protocols else ():
        values = dict.fromkeys(_value(name, p[name]) for p in protocols)
        if list(values) == [UNSTATED]:
            silent.append(name.replace("_", " "))
        else:
            cells.append([name.replace("_", " "), " or ".join(values)])
    return [*cells, *([[UNSTATED, ", ".join(silent)]] if silent else [])]


def _value(name, value):
    if isinstance(value, list):
        return ", ".join(f"{item:g}" for item in value) or UNSTATED
    if name == "split_hash" and value:
        return value[:12]
    if name == "crf":
        return value or "none"
    return {None: UNSTATED, "": UNSTATED, True: "yes", False: "no"}.get(value, str(value))


def _stages(one):
    cells = []
    for record, cell in zip(one.records, table.stage_cells(one.records), strict=True):
        name = escape(record.stage)
        link = f"[{name}]({record.stage}.ipynb)" if record.stage in one.chapters else name
        cells.append([link, *map(escape, cell[2:]), escape(record.manifest["key"][:8])])
    return as_markdown((*table.STAGES[1:], "key"), cells, escaped=True)


def _parameters(record, project):
    cells = sorted(publish.portable(record.manifest["params"], project).items())
    return table_pages.details(f"{record.stage}: {len(cells)} parameters", as_markdown(("parameter", "value"), cells))


def _pictures(pictures, place=""):
    return "\n".join(
        f"```{{figure}} {place}{name}\n:alt: {alt}\n\n{escape(alt)}\n```\n" for name, alt in pictures
    )


def _short(chapter) -> str:
    """A notebook's name as the list beside the pages shows it: their headings all begin with the paper's."""
    name, _, round_ = chapter.partition("@")
    return name.replace("_", " ") + (f", round {round_}" if round_ else "")


def toctree(names, caption: str = "", hidden: bool = False) -> str:
    """Sphinx's list of the pages below this one, each as PAGE or as TITLE <PAGE>."""
    options = (f":caption: {caption}\n" if caption else "") + (":hidden:\n" if hidden else ":maxdepth: 1\n")
    return f"```{{toctree}}\n{options}\n" + "\n".join(names) + "\n```\n" if names else ""
