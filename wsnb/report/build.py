"""`wsnb report`: tables and the HTML book from the records of finished stages. Nothing is fetched, and a kernel starts
only for a comparison (notebooks/compare) whose records changed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from wsnb import viz
from wsnb.files import FileError, save_text, write
from wsnb.report import (
    chains,
    chapters,
    charts,
    claims,
    compare,
    executed,
    frame,
    front,
    ladder,
    match,
    pages,
    same_data,
    table,
    text,
)
from wsnb.report import publish as publishing
from wsnb.run import clean, experiments, locks, papers, params
from wsnb.run import paths as root

SITE = Path(__file__).with_name("site")
MARK = clean.SITE_MARK  # stands in a folder that may be replaced by a new site
WRITTEN = ("glossary", "teaching")  # pages that no record fills
MATHJAX = ("tex-svg.js", "input/tex/extensions")  # all that a page needs; glyphs are in the first


class ReportError(RuntimeError):
    """The HTML book could not be built; the message holds what Sphinx or papermill said."""


def build(runs, figures, out, publish=(), project=None, say=lambda text: None) -> dict:
    """Make the tables and the HTML book. Returns {name: path}, in the order in which they are to be printed.

    runs      folder of run folders, whose manifests and executed notebooks are read
    figures   folder of published records; its table is made again from them alone
    out       the site's folder; it is replaced whole, once the new one is complete
    publish   experiments ("paper/name") of RUNS to copy to FIGURES first, with their pictures
    say       called with a line before each part that takes a while

    An experiment's own run stands for its published record where it holds all its stages. Sphinx works in
    build/NAME beside OUT, so that unchanged pages are not made again. Raises FileError or ReportError.
    """
    runs, figures, out = Path(runs).absolute(), Path(figures).absolute(), Path(out).absolute()
    project = root.find() if project is None else Path(project)
    _check(out)
    made = {}
    for title in publish:
        made[f"published {title}"] = publishing.publish(runs, title, figures, project)
        executed.keep(runs, title, figures, project)
    if publish:
        local = frame.records(runs)
        front.publish(project, local, frame.results(local), figures)
    published = frame.published(figures)
    if published:
        say(f"tables of the {len({record.title for record in published})} published experiments")
        made["published table"] = Tables(published).save(figures)["table"]
        if figures.resolve() == (project / "figures").resolve():
            publishing.update(project / "README.md", published)
            save_text(project / "references.bib", publishing.references())
    work = out.parent / "build" / out.name
    with locks.acquire(work / ".lock", f"the HTML book in {out}", wait=60, note="(wsnb report)"):
        records = frame.chosen(frame.records(runs), published)
        say(f"pages and comparisons of {len({record.title for record in records})} experiments")
        files = _site_files(records, runs, figures, project, work)
        _write(files, work / "source")
        count = sum(name.endswith((".md", ".ipynb")) and not name.startswith(chapters.WRITTEN) for name in files)
        say(f"HTML of {count} pages; Sphinx's log is {work / 'sphinx.log'}")
        _sphinx(work)
        _install(work / "html", out)
    names = {"report": "index.html", "table": "table.md", "csv": "table.csv", "picture": "table.png"}
    return {**made, **{name: out / file for name, file in names.items()}}


class Tables:
    """The results frame of Records and all that is computed of it once."""

    def __init__(self, records):
        self.results, self.stages = frame.results(records), frame.stages(records)
        self.lines, self.rest = match.compare(self.results, None if records else ())
        self.claims = claims.judged(self.results)
        self.entries, self.steps = same_data.entries(self.results), ladder.steps(self.results)

    def save(self, folder) -> dict:
        """Write table.md, table.csv, table_stages.csv, table.png, and same_data and ladder as .csv and .png, into
        FOLDER: the same bytes each time. Returns {name: path}."""
        folder, made = Path(folder), {}
        frames = {"csv": ("table.csv", table.csv(self.lines, self.rest)),
                  "stages": ("table_stages.csv", table.stages_csv(self.stages)),
                  "same data": ("same_data.csv", same_data.csv(self.entries)),
                  "ladders": ("ladder.csv", ladder.csv(self.steps))}  # fmt: skip
        figures = {"picture": ("table.png", charts.overview(self.lines, self.rest)),
                   "same data, picture": ("same_data.png", charts.bars(self.entries)),
                   "ladders, picture": ("ladder.png", charts.ladders(self.steps))}  # fmt: skip
        made["table"] = folder / "table.md"
        save_text(made["table"], pages.tables(self))
        for name, (file, cells) in frames.items():
            made[name] = folder / file
            save_text(made[name], cells.to_csv(index=False, lineterminator="\n"))
        return made | {name: viz.save(figure, folder / file) for name, (file, figure) in figures.items()}


def _site_files(records, runs, figures, project, work) -> dict:
    """{path below the source folder: bytes} of the whole site."""
    tables = Tables(records)
    files = {path.name: path.read_bytes() for path in tables.save(work / "tables").values() if path.suffix != ".md"}
    titles = {record.title for record in records} | {"/".join(parts[:2]) for parts in frame.unfinished(runs)}
    titles = sorted(titles, key=lambda title: (papers.find(title.split("/")[0]).order, title))
    found = [_experiment(title, records, tables, runs, figures, project, files) for title in titles]
    lessons = _lessons(runs, project, files)
    comparisons = _comparisons(records, runs, figures, project, work, files)
    names = [*chains.with_notebooks(project)]
    names += sorted({one.paper for one in found} - set(names))
    shown = tables.entries[tables.entries.group == tables.entries.group.iloc[0]] if len(tables.entries) else None
    best = "none yet" if shown is None else "; ".join(
        f"{text.method(row)} {text.ours(row.value, row.unit)}" for row in shown.iloc[:5].itertuples())
    front_text, thumbnails = _front(records, tables.results, found, runs, figures, project, files)
    made = {"index": pages.index(found, project, names, lessons, comparisons,
                                 f"Bars of methods on the same pictures: {best}", tables.lines, front_text, thumbnails),
            **{name: (SITE / f"{name}.md").read_text(encoding="utf-8") for name in WRITTEN}}  # fmt: skip
    for paper in names:
        mine, cards = [one for one in found if one.paper == paper], chains.stages(project, paper)
        unrun = _unrun(paper, cards, mine, project, files)
        made[f"{paper}/index"] = pages.paper(paper, mine, tables.lines, tables.rest, tables.claims,
                                              claims.replication(project, paper), cards, unrun)
    made |= {f"{one.title}/index": pages.experiment(one) for one in found}
    files |= {f"{name}.md": page.encode() for name, page in made.items()}
    files["references.bib"] = publishing.references().encode()
    files["conf.py"] = (SITE / "conf.py").read_bytes()
    files |= {f"_static/{name}": (SITE / name).read_bytes() for name in ("book.css", "book.js", "favicon.svg")}
    return {**files, **_mathjax()}


def _front(records, results, found, runs, figures, project, files) -> tuple:
    """(text of the front picture or "", {paper: text of its thumbnail}); both are added to FILES."""
    drawn, thumbnails = front.figure(project, records, results), {}
    if drawn is not None:
        files[front.NAME] = front.jpeg(drawn)
    elif (figures / front.NAME).is_file():
        files[front.NAME] = (figures / front.NAME).read_bytes()
    for one in sorted(found, key=lambda one: one.synthetic):
        best = [(name, alt) for name, alt in one.pictures if pages.GOOD_AND_BAD in name]
        if best and one.paper not in thumbnails and not best[0][0].endswith(".svg"):
            name, alt = best[0]
            files[f"thumbnails/{one.paper}.jpg"] = front.thumbnail(files[f"{one.title}/{name}"])
            thumbnails[one.paper] = f"The first row of: {alt}"
    return front.TEXT if front.NAME in files else "", thumbnails


def _page(files, target, path, written, project, *more, note="", **options) -> None:
    """Add the notebook PATH to FILES as the page TARGET, with a NOTE and a link to WRITTEN, of which it was made."""
    place = re.sub(r"[^\w./-]", "_", Path(written).relative_to(Path(project, "notebooks")).as_posix())
    page = chapters.chapter(path, *more, written=written, project=project, **options)
    if Path(written).is_file():
        files[f"{chapters.WRITTEN}/{place}"] = Path(written).read_bytes()
        page = chapters.with_links(page, place, publishing.repository(project), note)
    files[target] = json.dumps(page, ensure_ascii=False).encode()


def _lessons(runs, project, files) -> list:
    """Pages of the notebooks that belong to no paper, added to FILES: as they were run (runs/NAME), else as written.
    A page is called as its notebook, with _ for what an address or a list of pages would misread."""
    pages_ = {re.sub(r"[^\w.-]", "_", path.stem): path for path in sorted(Path(project, "notebooks").glob("*.ipynb"))}
    for name, path in pages_.items():
        ran = runs / path.name
        _page(files, f"lessons/{name}.ipynb", ran if ran.is_file() else path, path, project, path.stem)
    return list(pages_)


def _comparisons(records, runs, figures, project, work, files) -> list:
    """(name, title, first sentence) of the comparisons, run and added to FILES; none without a record."""
    if not records:
        return []
    titles = {record.title for record in records}
    try:
        made = compare.run(project, records, runs, figures, work / "compare")
    except compare.CompareError as error:
        raise ReportError(str(error)) from error
    written = compare.notebooks(project)
    for path in made:
        source = Path(project, "notebooks/compare", path.name)
        _page(files, f"compare/{path.name}", path, source, project, path.stem, [one.stem for one in written],
              titles=titles)  # fmt: skip
    return [(path.stem, *chains.heading(path)) for path in written]


def _unrun(paper, cards, found, project, files) -> list:
    """Names of the stages that no experiment ran; their notebooks are added to FILES as they are written."""
    ran = {chapter.split("@")[0] for one in found for chapter in one.chapters}
    names = [card.name for card in cards if card.name not in ran]
    for card in cards:
        if card.name in names:
            _page(files, f"{paper}/notebooks/{card.name}.ipynb", card.path, card.path, project, card.title, names,
                  note=_maker(project, paper, card.name))  # fmt: skip
    return names


def _maker(project, paper, stage) -> str:
    """Why a page has no pictures, and a command that makes them: if there is one, an experiment on synthetic ones."""
    titles = [title for title in experiments.names(project) if title.split("/")[0] == paper and stage in _stages(
        project, title)]
    titles.sort(key=lambda title: not title.split("/")[1].startswith(experiments.SYNTHETIC))
    how = f" `wsnb run {titles[0]}` and `wsnb report` make them." if titles else ""
    return f"No run of this notebook is on this machine, and its outputs are missing here.{how}"


def _stages(project, title) -> list:
    path = Path(project, "params", f"{title}.yaml")
    try:
        return experiments.stage_names(params.load_yaml(path), path)
    except (params.ParamsError, FileError):
        return []  # `wsnb run` names it


def _experiment(title, records, tables, runs, figures, project, files) -> pages.Experiment:
    """An experiment's page as pages.experiment wants it; its notebooks and pictures are added to FILES."""
    mine = tuple(record for record in records if record.title == title)
    paper, name = title.split("/")
    local = bool(mine) and mine[0].folder is not None
    if local:
        pictures = [(f"{record.stage}-{path.name}", path, alt)
                    for record in mine for path, alt in publishing.pictures(record, project)]
    else:
        pictures = [(path.name, path, alt) for path, alt in publishing.published_pictures(figures, title)]
    pictures.sort(key=lambda one: pages.GOOD_AND_BAD not in one[0])  # the rest in the chain's order
    files |= {f"{title}/{target}": path.read_bytes() for target, path, _ in pictures}
    ran = [record for record in mine if record.notebook.is_file()]
    stages = [record.stage for record in ran]
    for record in ran:
        written = project / "notebooks" / paper / f"{record.stage.split('@')[0]}.ipynb"
        _page(files, f"{title}/{record.stage}.ipynb", record.notebook, written, project,
              f"{title}: {record.stage}", stages, record=record.manifest)  # fmt: skip
    yaml = project / "params" / paper / f"{name}.yaml"
    done = {record.stage for record in mine}
    begun = [stage for *of, stage in frame.unfinished(runs) if of == [paper, name] and stage not in done]
    rows, own = (some[(some.paper == paper) & (some.experiment == name)] for some in (tables.results, tables.stages))
    return pages.Experiment(
        paper, name, rows, own, mine, tuple(begun), experiments.description(yaml) if yaml.is_file() else "",
        publishing.command(project, mine) if local else publishing.published_command(figures, title),
        tuple((target, alt) for target, _, alt in pictures), tuple(stages), project)  # fmt: skip


def _mathjax() -> dict:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None:
        raise FileError(
            "the package sphinx-mathjax-offline is missing: `pip install -e .` in the project brings it"
        )
    home = Path(spec.origin).parent / "static/mathjax"
    paths = [path for name in MATHJAX
             for path in ([home / name] if name.endswith(".js") else sorted((home / name).glob("*.js")))]
    return {f"_static/mathjax/{path.relative_to(home).as_posix()}": path.read_bytes() for path in paths}


def _write(files, folder):
    """Make FOLDER hold exactly FILES; unchanged ones stay untouched, so that Sphinx need not read them again."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            with write(path) as file:
                file.write(data)


def _sphinx(work):
    """Build WORK/html anew from WORK/source; pages that were read before are not read again. Raises ReportError."""
    shutil.rmtree(work / "html", ignore_errors=True)  # else pages of earlier experiments would stay
    command = [sys.executable, "-m", "sphinx", "-q", "-j", "auto", "-b", "html", "-d", work / "doctrees",
               work / "source", work / "html"]  # fmt: skip
    # A site must not depend on a reader's settings of Jupyter or on the time zone.
    environment = {**os.environ, "JUPYTER_NO_CONFIG": "1", "PYTHONWARNINGS": "ignore", "SOURCE_DATE_EPOCH": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr
    with write(work / "sphinx.log", "w") as file:
        file.write(said)
    if done.returncode:
        raise ReportError(
            f"the HTML book could not be built; all of it is in {work / 'sphinx.log'}:\n{said[-2000:]}"
        )


def _check(out):
    """Refuse to replace a folder that was not made here."""
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise FileError(
            f"{out}: holds something that `wsnb report` did not make; name another folder with --out, or move it away"
        )


def _install(html, out):
    """Put a copy of HTML in the place of OUT."""
    _check(out)
    new, old = (out.with_name(f".{out.name}.{os.getpid()}.{word}.tmp") for word in ("new", "old"))
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(html, new, ignore=shutil.ignore_patterns(".buildinfo", "objects.inv"))
    for path in sorted((html.parent / "tables").iterdir()):
        shutil.copy(path, new / path.name)
    (new / MARK).write_text("made by wsnb report\n")
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)
