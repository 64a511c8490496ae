"""`wsnb report`: tables and the HTML book from the records of finished stages. No kernel starts, nothing is fetched."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from wsnb.files import FileError, write
from wsnb.report import chains, chapters, frame, ladder, pages, same_data, table, table_pages
from wsnb.report import publish as publishing
from wsnb.run import experiments, locks
from wsnb.run import paths as root

SITE = Path(__file__).with_name("site")
MARK = ".wsnb-site"  # stands in a folder that may be replaced by a new site
NOTEBOOK = "notebook.ipynb"
MATHJAX = ("tex-svg.js", "input/tex/extensions")  # what a page needs; glyphs are in the first


class ReportError(RuntimeError):
    """The HTML book could not be built; the message holds what Sphinx said."""


def build(runs, figures, out, publish=(), project=None) -> dict:
    """Make the tables and the HTML book. Returns {what: path}, in the order in which it should be told.

    runs      folder of run folders, whose manifests and executed notebooks are read
    figures   folder of published records; its table is made again from them alone
    out       the site's folder; it is replaced whole, once the new one is complete
    publish   experiments ("paper/name") of RUNS to copy to FIGURES first, with their pictures

    An experiment's own run stands for its published record where it holds all its stages. Sphinx works in
    build/NAME beside OUT, so that unchanged pages are not made again. Raises FileError or ReportError.
    """
    runs, figures, out = Path(runs), Path(figures), Path(out).absolute()
    project = root.find() if project is None else Path(project)
    _check(out)
    made = {}
    for title in publish:
        made[f"published {title}"] = publishing.publish(runs, title, figures, project)
    published = publishing.published(figures)
    if published:
        made["published table"] = table_pages.save(published, figures)["table"]
        if figures.resolve() == (project / "figures").resolve():
            publishing.update(project / "README.md", published)
    work = out.parent / "build" / out.name
    with locks.acquire(work / ".lock", f"the HTML book in {out}", wait=60, note="(wsnb report)"):
        records = frame.chosen(frame.records(runs), published)
        files = _sources(records, runs, figures, project, work)
        _write(files, work / "source")
        _sphinx(work)
        _install(work / "html", out)
    names = {"report": "index.html", "table": "table.md", "csv": "table.csv", "picture": "table.png"}
    return {**made, **{what: out / name for what, name in names.items()}}


def _sources(records, runs, figures, project, work) -> dict:
    """{path below the source folder: bytes} of the whole site."""
    saved = table_pages.save(records, work / "tables")
    files = {path.name: path.read_bytes() for path in saved.values() if path.suffix != ".md"}
    files["table.md"] = b"---\nhide-toc: true\n---\n\n" + table_pages.whole(records).encode()
    rows = frame.rows(records)
    lines, rest = table.lines_of(rows, records)
    files |= _compared(rows, records)
    found = [_experiment(title, records, runs, figures, project, files) for title in _titles(records, runs)]
    papers = sorted({one.paper for one in found} | set(chains.papers(project)))
    lessons = _lessons(runs, project, files)
    atlas = pages.markdown(project, {one.title: f"{one.title}/index.md" for one in found if one.records})
    files["index.md"] = pages.index(found, lines, atlas, papers, lessons).encode()
    files["stages.md"] = _stages_page(records).encode()
    files["glossary.md"] = (SITE / "glossary.md").read_bytes()
    for paper in papers:
        mine = [one for one in found if one.paper == paper]
        cards = chains.stages(project, paper)
        unrun = _unrun(paper, cards, mine, files)
        files[f"{paper}/index.md"] = pages.paper(paper, mine, lines, rest, cards, unrun).encode()
    for one in found:
        files[f"{one.title}/index.md"] = pages.experiment(one).encode()
    files["conf.py"] = (SITE / "conf.py").read_bytes()
    files["_static/book.css"] = (SITE / "book.css").read_bytes()
    return {**files, **_mathjax()}


def _compared(rows, records) -> dict:
    """The pages of methods on the same data and of the ladders."""
    groups, ladders = same_data.groups(rows, records), ladder.ladders(rows)
    shown = groups[0].entries[:5] if groups else ()
    best = "; ".join(f"{same_data.method(one.row)} {table.ours(one.row.value, one.row.unit)}" for one in shown)
    said = f"Bars of methods on the same pictures: {best or 'none yet'}"
    same = pages.with_picture("Same data", "same_data.png", said, "Methods on the same pictures, the highest first.",
                              table_pages.same_data(groups, "##"), records)
    said = f"Lines of quality, step by step, of {len(ladders)} chains"
    steps = pages.with_picture("Quality ladders", "ladder.png", said, "Chains, step by step from the top down.",
                               table_pages.ladder_tables(ladders, "##"))
    return {"same_data.md": same.encode(), "ladders.md": steps.encode()}


def _lessons(runs, project, files) -> list:
    """Names of the notebooks that belong to no paper, added to FILES: as they were run (runs/NAME), else as written."""
    names = []
    for path in sorted(Path(project, "notebooks").glob("*.ipynb")):
        ran = runs / path.name
        names.append(path.stem)
        page = chapters.chapter(ran if ran.is_file() else path, path.stem, written=path, project=project)
        files[f"lessons/{path.name}"] = json.dumps(page, ensure_ascii=False).encode()
    return names


def _unrun(paper, cards, found, files) -> list:
    """Names of the stages that no experiment ran; their notebooks are added to FILES as they are written."""
    ran = {chapter.split("@")[0] for one in found for chapter in one.chapters}
    names = [card.name for card in cards if card.name not in ran]
    for card in cards:
        if card.name in names:
            page = chapters.chapter(card.path, card.title, names)
            files[f"{paper}/notebooks/{card.name}.ipynb"] = json.dumps(page, ensure_ascii=False).encode()
    return names


def _titles(records, runs):
    begun = {"/".join(parts[:2]) for parts in frame.unfinished(runs)}
    return sorted(begun | {record.title for record in records})


def _stages_page(records):
    header = (
        "# Time and memory of the stages\n\nWall time and largest memory, from the record of each run.\n\n"
    )
    cells = table.as_markdown(table.STAGES, table.stage_cells(records))
    return header + table_pages.linked(cells, {record.title: f"{record.title}/index.md" for record in records})


def _experiment(title, records, runs, figures, project, files) -> pages.Experiment:
    """An experiment's page as pages.experiment wants it; its notebooks and pictures are added to FILES."""
    mine = tuple(record for record in records if record.title == title)
    paper, name = title.split("/")
    local = bool(mine) and mine[0].folder is not None
    shown = []
    pictures = (
        [
            (f"{record.stage}-{path.name}", path, alt)
            for record in mine
            for path, alt in publishing.pictures(record)
        ]
        if local
        else [(path.name, path, alt) for path, alt in publishing.published_pictures(figures, title)]
    )
    pictures.sort(key=lambda one: pages.GOOD_AND_BAD not in one[0])  # the rest in the chain's order
    for target, path, alt in pictures:
        files[f"{title}/{target}"] = path.read_bytes()
        shown.append((target, alt))
    told = [record.stage for record in mine if local and (record.folder / NOTEBOOK).is_file()]
    for record in mine:
        if record.stage in told:
            written = project / "notebooks" / paper / f"{record.stage.split('@')[0]}.ipynb"
            page = chapters.chapter(record.folder / NOTEBOOK, f"{title}: {record.stage}", told, written, project)
            files[f"{title}/{record.stage}.ipynb"] = json.dumps(page, ensure_ascii=False).encode()
    yaml = project / "params" / paper / f"{name}.yaml"
    said = publishing.command(project, mine) if local else publishing.published_command(figures, title)
    done = {record.stage for record in mine}
    begun = tuple(
        stage for *of, stage in frame.unfinished(runs) if of == [paper, name] and stage not in done
    )
    return pages.Experiment(
        paper,
        name,
        mine,
        begun,
        experiments.description(yaml) if yaml.is_file() else "",
        said,
        tuple(shown),
        tuple(told),
        project,
    )


def _mathjax() -> dict:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None:
        raise FileError(
            "the package sphinx-mathjax-offline is missing: `pip install -e .` in the project brings it"
        )
    home = Path(spec.origin).parent / "static/mathjax"
    paths = [
        path
        for name in MATHJAX
        for path in ([home / name] if name.endswith(".js") else sorted((home / name).glob("*.js")))
    ]
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
    shutil.rmtree(work / "html", ignore_errors=True)  # else pages of former experiments would stay
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-j",
        "auto",
        "-b",
        "html",
        "-d",
        work / "doctrees",
        work / "source",
        work / "html",
    ]
    # A site must not depend on a reader's settings of Jupyter or on the time zone.
    environment = {
        **os.environ,
        "JUPYTER_NO_CONFIG": "1",
        "PYTHONWARNINGS": "ignore",
        "SOURCE_DATE_EPOCH": "0",
    }
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
