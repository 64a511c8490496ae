"""The pages of the HTML book as Markdown, from templates (site/templates) filled by the results frame."""

import dataclasses
import functools
from pathlib import Path

import jinja2
import pandas as pd

from wsnb.files import FileError
from wsnb.report import chains, claims, headline, ladder, match, publish, same_data, statistics, table, text
from wsnb.report.protocol import FIELDS
from wsnb.run import experiments, papers, params

TEMPLATES = Path(__file__).with_name("site") / "templates"
ORDER = ("image labels", "boxes", "boxes and image labels", "points", "scribbles", "semi", "full")  # of the map's rows
SUPERVISIONS = {"tag": "image labels", "box": "boxes", "point": "points", "scribble": "scribbles"}  # as parameters say
NO_BREAK = "\u00a0"
MAP_LEGEND = ("A link leads to a run on that data set. The parameters of what was not run are in `params/`; its data "
              "or its hours were not at hand.")  # fmt: skip
SHOWN = 12  # pictures of an experiment that need no click
UNSTATED = "not stated"
GOOD_AND_BAD = "good_and_bad"  # the picture that says most of an experiment
MORE = "More numbers of ours (other metrics, labels on the way, losses)"
SYNTHETIC = "Ours on synthetic pictures, which show that the chain runs, not how good it is"
ASIDE = "mIoU of objects"  # in the CSV alone


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment of the book: its rows of the results frame and of frame.stages, its Records.

    open      stages begun, not finished
    pictures  (file name beside its page, text)
    chapters  stages with an executed notebook
    """

    paper: str
    name: str
    rows: pd.DataFrame
    stages: pd.DataFrame
    records: tuple = ()
    open: tuple = ()
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
    def synthetic(self) -> bool:
        """Whether its pictures are of the built-in sets."""
        return self.name.startswith(experiments.SYNTHETIC)


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # fmt: skip
    made.filters |= {"table": text.table, "escape": text.escape, "counted": text.counted,
                     "fenced": text.fenced, "quoted": text.quoted}
    return made


def render(template: str, **context) -> str:
    """The page of a template of site/templates."""
    return _environment().get_template(template).render(**context)


def tables(of) -> str:
    """All tables OF a build.Tables as one Markdown text, table.md: reported and ours, same pictures, ladders, time and
    memory."""
    found = [(papers.find(name).heading, table.of_paper(name, of.lines, of.rest))
             for name in _papers(of.lines, of.rest, of.stages)]
    return render("table.md.j2", run=len(of.stages) > 0, papers=found, t=table, same_data=same_data, ladder=ladder,
                  entries=of.entries, steps=of.steps, stages=table.stages(of.stages), aside=ASIDE,
                  reruns=match.reruns())  # fmt: skip


def _papers(lines, rest, stages) -> list:
    """Names of the papers that have a reported number or a result, in the order of the chapters."""
    names = {*lines.paper, *rest.paper, *stages.paper} if len(stages) else set()
    return sorted(names, key=lambda name: (papers.find(name).order, name))


def index(found, project, chapters=(), lessons=(), comparisons=(), chart_text="", compared=None, front="",
          thumbnails=None) -> str:
    """The cover: what weak supervision is, the papers, the same pictures, reported and ours, what was run, the map.

    CHAPTERS are names of papers with a page, LESSONS names of notebooks, COMPARISONS (name, title, first sentence),
    COMPARED the lines of match.compare, FRONT the text of front.png or "", THUMBNAILS {paper: its picture's text}.
    """
    ran = [one.title for one in found if len(one.stages)]
    small = headline.frame(compared) if compared is not None else pd.DataFrame()
    headlines = {name: "" if compared is None else headline.of_paper(compared, name) for name in chapters}
    return render("index.md.j2", papers=[chains.about(project, name) for name in chapters], lessons=lessons,
                  comparisons=comparisons, map=book_map(project, ran), map_legend=MAP_LEGEND, overview=overview(found),
                  chart_text=chart_text, headline=small, headlines=headlines, kept=headline.KEPT,
                  caveat="" if compared is None else headline.sentence(compared), front=front,
                  thumbnails=dict.fromkeys(chapters, "") | (thumbnails or {}))  # fmt: skip


def book_map(project, ran) -> pd.DataFrame:
    """A row a supervision: the papers with the data sets of their experiments, as links where these are among RAN,
    titles "paper/name", and those that were not run."""
    places = []
    for title in experiments.names(project):
        paper, name = title.split("/")
        try:
            values = experiments.load(project, paper, name).values
        except (params.ParamsError, FileError):
            continue  # `wsnb run` names it
        supervision = str(values.get("supervision") or papers.find(paper).supervision or "?")
        data = str(values.get("dataset") or values.get("layout") or "?")
        places.append((SUPERVISIONS.get(supervision, supervision), data, paper, title))
    places = pd.DataFrame(places, columns=["supervision", "data", "paper", "title"], dtype=object)
    rows = sorted(set(places.supervision), key=lambda name: (ORDER.index(name) if name in ORDER else 99, name))
    made = {"supervision": rows, "run here": [], "in the book, not run here": []}
    for row in rows:
        cells = [_on_map(paper, own, ran) for paper, own in
                 places[places.supervision == row].groupby("paper", sort=False)]  # fmt: skip
        for column, state in (("run here", 0), ("in the book, not run here", 1)):
            made[column].append(text.Markdown("<br>".join(cell[state] for cell in cells if cell[state]) or "–"))
    return pd.DataFrame(made, dtype=object)


def _on_map(paper, own, ran) -> tuple:
    """('SPML: VOC2012 subset, shapes' with links, 'SPML: VOC2012'): data sets of a paper, those that were run first."""
    name = text.escape(papers.find(paper).name)
    of = {data: [title for title in rows.title if title in ran] for data, rows in own.groupby("data", sort=False)}
    done = [f"[{text.escape(data)}]({titles[0]}/index.md)" for data, titles in of.items() if titles]
    idle = [text.escape(data) for data, titles in of.items() if not titles]
    return tuple(f"{name}: {', '.join(data)}" if data else "" for data in (done, idle))


def overview(found) -> pd.DataFrame:
    """What was run: an experiment, its stages, its time, its highest numbers."""
    made = []
    for one in found:
        state = text.counted(len(one.stages), "stage").replace(" ", NO_BREAK)
        rows = list(highest(one.rows).itertuples())
        best = [f"{row.metric} {text.ours(row.value, row.unit)}{' %' if row.unit == '%' else ''} ({_how(row, rows)})"
                for row in rows[:2]]
        made.append({"experiment": text.link(one.title, f"{one.title}/index.md"),
                     "done": state + (f", unfinished: {', '.join(one.open)}" if one.open else ""),
                     "time": text.duration(sum(one.stages.seconds)).replace(" ", NO_BREAK), "results": "; ".join(best)})
    return pd.DataFrame(made, dtype=object)


def highest(rows) -> pd.DataFrame:
    """What an experiment's networks learned, the highest value of its first metric first; without any, its bounds."""
    rows = rows[rows.stated & rows.value.notna() & (rows.supervision != "none") & (rows.image_labels != "ground truth")]
    rows = rows[rows.role == "final"] if (rows.role == "final").any() else rows[rows.role == "bound"]
    return rows[rows.metric == rows.metric.iloc[:1].squeeze()].sort_values("value", ascending=False, kind="stable")


def _how(row, rows) -> str:
    """What distinguishes a number from its neighbours ROWS: method, preset where a method has several, CRF."""
    presets = {other.preset for other in rows if other.method == row.method}
    preset = f"{row.preset} preset" if len(presets) > 1 and row.preset else ""
    return ", ".join(filter(None, (row.method, preset, "CRF" if row.crf else "no CRF")))


def paper(name: str, found, lines, rest, judged, replicated, cards=(), unrun=()) -> str:
    """A paper's page: its chain, its experiments, its tables, its claims, the replication in short.

    JUDGED are the rows of claims.judged, REPLICATED those of claims.replication; CARDS are chains.StageCards; UNRUN
    names the stages that have a page in notebooks/ since none of them was run.
    """
    about, ran = papers.find(name), {card.name: _ran(card.name, found) for card in cards}
    links = {stage: f"{places[0][1] if places else f'notebooks/{stage}'}.html" for stage, places in ran.items()}
    rows = [{"stage": card.name, "you will learn": card.summary or card.title,
             "run in": text.Markdown(", ".join(text.link(name, f"{page}.ipynb") for name, page in ran[card.name])
                                     or f"not run here, [as written](notebooks/{card.name}.ipynb)")} for card in cards]
    lines, rest = table.of_paper(name, lines, rest)
    pages = {one.name: f"{one.name}/index.md" for one in found}
    numbered = table.sources(lines)
    run, idle = lines[lines.found != ""], lines[lines.found == ""]
    elsewhere = run.found.eq("near") & run.differs.map(lambda differs: "split" in [name for name, *_ in differs])
    elsewhere &= not elsewhere.all()  # a page without any would say nothing
    apart, run = run[elsewhere], run[~elsewhere]
    real, numbers = rest[~rest.synthetic], table.main(rest[~rest.synthetic])
    numbers = numbers if len(numbers) else rest
    judged, again = judged[judged.of == name], match.reruns()
    again = again[again.chapter == name]
    alike = lines.found.eq("ours") & lines.differs.map(lambda differs: not differs)
    closed = {MORE: real.drop(numbers.index, errors="ignore"),
              SYNTHETIC: rest[rest.synthetic].drop(numbers.index, errors="ignore")}  # fmt: skip
    return render(
        "paper.md.j2", about=about, chain=chains.svg(cards, links, about.heading) if cards else "",
        stages=pd.DataFrame(rows, dtype=object), found=found, lines=lines,
        run=linked(text.filled(table.comparison(run, numbered)), pages), caveat=headline.sentence(run),
        apart=linked(text.filled(table.comparison(apart, numbered)), pages),
        idle=text.filled(table.comparison(idle, numbered).replace({"ours": {table.NOT_RUN: ""}})),
        numbers=linked(text.filled(table.own(numbers)), pages), sources=table.source_list(lines),
        closed=[(f"{title}: {len(more)}", linked(text.filled(table.own(more)), pages))
                for title, more in closed.items() if len(more)],
        unrun=[(short(stage), f"notebooks/{stage}") for stage in unrun],
        claims=text.filled(claims.table(judged)), summary=claims.summary(judged), alike=int(alike.sum()),
        replicated=linked(replication(replicated, pages), pages), departures=claims.departures(replicated),
        reruns=text.filled(table.reruns(again)),
    )  # fmt: skip


def replication(replicated, pages: dict) -> pd.DataFrame:
    """Rows of claims.replication as text; PAGES {experiment: page} of those that were run."""
    return pd.DataFrame({
        "experiment": list(replicated.experiment),
        "run here": ["yes" if name in pages else "no" for name in replicated.experiment],
        "values kept": [str(number) for number in replicated.kept],
        "values that depart": [str(len(departs)) for departs in replicated.departs],
        "in": [", ".join(departs) for departs in replicated.departs],
    }, dtype=object)


def linked(frame, pages: dict):
    """The data frame with links where a cell, or the end of one in brackets, is an experiment's name: {name: page}."""
    def cell(one):
        head, _, name = one.rpartition("(")
        if one in pages:
            return text.link(one, pages[one])
        if name.removesuffix(")") in pages:
            return text.Markdown(f"{text.escape(head)} ({text.link(name[:-1], pages[name[:-1]])})")
        return one

    return frame.apply(lambda column: column.map(cell) if column.name in ("experiment", "ours") else column)


def _ran(stage, found) -> list:
    """(experiment, page) of the executed notebooks of a stage in all its rounds, real pictures first."""
    made = []
    for one in sorted(found, key=lambda one: one.synthetic):
        for chapter in one.chapters:
            name, _, round_ = chapter.partition("@")
            if name == stage:
                said = f"{one.name}, round{NO_BREAK}{round_}" if round_ else one.name
                made.append((said, f"{one.name}/{chapter}"))
    return made


def experiment(one: Experiment) -> str:
    """An experiment's page: what was run, results with their protocol, pictures, stages, parameters, notebooks."""
    rows = statistics.merged(one.rows)
    numbers = table.main(rows)
    numbers = numbers if len(numbers) else rows
    more = rows.drop(numbers.index)
    shown = table.stages(one.stages).drop(columns="experiment")
    shown["stage"] = [text.link(name, f"{name}.ipynb" if name in one.chapters else None) for name in shown.stage]
    shown["key"] = one.stages.key.str[:8].array
    parameters = [(record.stage, pd.DataFrame(sorted(publish.portable(record.manifest["params"], one.project).items()),
                                              columns=["parameter", "value"], dtype=object)) for record in one.records]
    return render(
        "experiment.md.j2", one=one, stages=shown, parameters=parameters, pictures=one.pictures[:SHOWN],
        more_pictures=one.pictures[SHOWN:], protocol=protocol(one.rows),
        numbers=text.filled(table.own(numbers).drop(columns="experiment")),
        title=f"{MORE}: {len(more)}" if len(more) else "",
        more=text.filled(table.own(more).drop(columns="experiment")),
        chapters=[(short(chapter), chapter) for chapter in one.chapters],
    )  # fmt: skip


def protocol(rows) -> pd.DataFrame:
    """The fields of the protocols of an experiment's rows; values that vary are joined by 'or', fields that no row
    states share the last line."""
    rows = rows[rows.stated]
    # The bound all-background has neither network nor supervision and would blur the others.
    rows = rows[rows.method != same_data.FLOOR] if (rows.method != same_data.FLOOR).any() else rows
    cells, silent = [], []
    for name in FIELDS if len(rows) else ():
        values = dict.fromkeys(_value(name, value) for value in rows[name])
        if list(values) == [UNSTATED]:
            silent.append(name.replace("_", " "))
        else:
            cells.append([name.replace("_", " "), " or ".join(values)])
    cells += [[UNSTATED, ", ".join(silent)]] if silent else []
    return pd.DataFrame(cells, columns=["field", "value"], dtype=object)


def _value(name, value) -> str:
    if name == "split_hash" and value:
        return value[:12]
    if name == "crf":
        return value or "none"
    return UNSTATED if value is None or value in ("", ()) else text.value(value)


def short(chapter: str) -> str:
    """A notebook's name as the list beside the pages shows it: their headings all begin with the paper's."""
    name, _, round_ = chapter.partition("@")
    return name.replace("_", " ") + (f", round {round_}" if round_ else "")
