"""The chains of the papers as their notebooks tell them: stages, titles, what each needs; drawn as a diagram."""

import dataclasses
import html
import json
import re
import textwrap
from pathlib import Path

import networkx as nx

from wsnb.report.chapters import text
from wsnb.run import notebooks, papers
from wsnb.run.paths import check_name

BOX, TALL, GAP, ROW = 300, 48, 24, 84  # of the diagram, in its units


@dataclasses.dataclass(frozen=True)
class StageCard:
    """One notebook of a paper: its name, the part of its heading after the colon, what a reader learns there (else its
    first sentence) as plain text, names of the stages that it needs."""

    name: str
    title: str
    summary: str
    needs: tuple
    path: Path


def with_notebooks(project) -> list:
    """Names of the papers (folders with a paper.toml) that have notebooks, in the order of the chapters."""
    return [name for name in papers.load() if any(Path(project, "notebooks", name).glob("[0-9]*.ipynb"))]


def stages(project, paper: str) -> list:
    """StageCards of the notebooks in notebooks/PAPER, in their order. Raises FileError."""
    made = []
    for path in sorted(Path(project, "notebooks", paper).glob("[0-9]*.ipynb")):
        found = notebooks.read(path.with_name(f"{check_name('notebook', path.stem)}.ipynb"))
        before = tuple(made[i].name for i in range(len(made)))
        needs = before[-1:] if found.needs is None else tuple(need.removesuffix("?") for need in found.needs)
        made.append(StageCard(path.stem, *heading(path), needs, path))
    return made


def heading(path) -> tuple:
    """(title, what a reader learns, else the first sentence) of a notebook's first Markdown cell."""
    source, body = _opening(path)
    title = next((line.lstrip("# ").strip() for line in source.splitlines() if line.startswith("#")), "")
    learn = re.search(r"^\*\*You will learn\*\*\s+(.+?)(?:\n\s*\n|\Z)", source, re.M | re.S)
    said = learn[1] if learn else body[0] if body else ""
    first = plain(re.split(r"(?<=[.!?])\s", " ".join(said.split()))[0])
    return title.rpartition(": ")[2] or Path(path).stem, first[:1].upper() + first[1:]


def about(project, key: str) -> papers.Paper:
    """The Paper KEY; a chapter without a paper.toml is summed up by the first paragraph of its first notebook."""
    paper, path = papers.find(key), min(Path(project, "notebooks", key).glob("[0-9]*.ipynb"), default=None)
    body = [] if paper.summary or path is None else _opening(path)[1]
    if not body:
        return paper
    return dataclasses.replace(paper, name=key.replace("_", " ").capitalize(), summary=plain(" ".join(body[0].split())))


def _opening(path) -> tuple:
    """(the first Markdown cell of a notebook, its paragraphs of plain text)."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    source = next((text(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"), "")
    return source, [part for part in re.split(r"\n\s*\n", source)
                    if part.strip() and not re.match(r"\s*[#>|*`$-]", part)]


def plain(markdown: str) -> str:
    """Markdown of one line without the marks of emphasis and code: '*I know* `x`' is 'I know x'."""
    parts = re.split(r"`([^`]+)`", markdown)  # every second part is code and stays as it is
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"(\*{1,3})(?=\S)(.+?)(?<=\S)\1", r"\2", parts[i])
        parts[i] = re.sub(r"(?<!\w)(_{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", parts[i])
    return "".join(parts)


def graph(cards) -> nx.DiGraph:
    """The chain as a graph of stage names from each need to the stage, without edges that others imply; edges with
    `feedback` go back to an earlier stage, or to the stage itself in its next round."""
    place = {card.name: i for i, card in enumerate(cards)}
    needs = [(need, card.name) for card in cards for need in card.needs if need in place]
    ahead = nx.DiGraph((a, b) for a, b in needs if place[a] < place[b])
    ahead.add_nodes_from(place)
    made = nx.transitive_reduction(ahead)
    made.add_edges_from(((a, b) for a, b in needs if place[a] >= place[b]), feedback=True)
    return made


def layers(chain) -> list:
    """Stage names in rows: each stage below all that it needs."""
    ahead = nx.DiGraph((a, b) for a, b, feedback in chain.edges(data="feedback") if not feedback)
    ahead.add_nodes_from(chain)
    return [sorted(row) for row in nx.topological_generations(ahead)]


def svg(cards, links: dict, title: str) -> str:
    """The chain as an SVG picture in the colours of the page. LINKS is {stage: address}."""
    chain = graph(cards)
    rows, drawn = layers(chain), []
    wide = max(map(len, rows), default=1)
    width = wide * BOX + (wide - 1) * GAP + 2 * 40
    centre, level = {}, {}
    for y, row in enumerate(rows):
        left = (width - len(row) * BOX - (len(row) - 1) * GAP) / 2
        for x, name in enumerate(row):
            centre[name], level[name] = (left + x * (BOX + GAP) + BOX / 2, y * ROW + TALL / 2 + 6), y
    for source, target, feedback in sorted(chain.edges(data="feedback", default=False)):
        drawn.append(_edge(centre[source], centre[target], level[target] - level[source], feedback, width))
    drawn += [_box(card, *centre[card.name], links.get(card.name)) for card in cards]
    said = ", then ".join(" and ".join(_label(name) for name in row) for row in rows)
    head = (
        f'<svg class="chain" viewBox="0 0 {width:.0f} {len(rows) * ROW:.0f}" role="img" '
        f'aria-label="{html.escape(f"Chain of {title}: {said}", quote=True)}" '
        f'style="width:100%;max-width:{width:.0f}px" xmlns="http://www.w3.org/2000/svg">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L10 5L0 10z" fill="currentColor"/></marker></defs>'
    )
    return head + "".join(drawn) + "</svg>"


def _label(name):
    return name.replace("_", " ")


def _edge(a, b, down, feedback, width):
    line = 'fill="none" stroke="currentColor" stroke-width="1.6" marker-end="url(#tip)"'
    half = TALL / 2
    side = -1 if a[0] < width / 2 + 1 and a[0] <= b[0] else 1  # of the boxes, away from the middle
    if feedback and a == b:  # a stage that takes its own round before
        x, y, out = a[0] + side * BOX / 2, a[1], a[0] + side * (BOX / 2 + 34)
        return f'<path d="M{x:.0f} {y - 10:.0f}C{out:.0f} {y - 22:.0f} {out:.0f} {y + 22:.0f} {x + 2 * side:.0f} ' \
               f'{y + 10:.0f}" stroke-dasharray="5 4" {line}/>'
    if feedback or (down > 1 and abs(a[0] - b[0]) < 1):
        edge = min(a[0], b[0]) - BOX / 2 - 34 if side < 0 else max(a[0], b[0]) + BOX / 2 + 34
        edge = min(max(edge, 6), width - 6)
        dashed = ' stroke-dasharray="5 4"' if feedback else ""
        return f'<path d="M{a[0] + side * BOX / 2:.0f} {a[1]:.0f}C{edge:.0f} {a[1]:.0f} {edge:.0f} {b[1]:.0f} ' \
               f'{b[0] + side * (BOX / 2 + 2):.0f} {b[1]:.0f}"{dashed} {line}/>'
    if down > 1:  # past the boxes between, into the side
        x = b[0] + (BOX / 2 + 2) * (-1 if a[0] < b[0] else 1)
        bend = f"{a[0]:.0f} {b[1]:.0f}"
        return f'<path d="M{a[0]:.0f} {a[1] + half:.0f}C{bend} {bend} {x:.0f} {b[1]:.0f}" {line}/>'
    return f'<path d="M{a[0]:.0f} {a[1] + half:.0f}L{b[0]:.0f} {b[1] - half - 2:.0f}" {line}/>'


def _box(card, x, y, link):
    lines = textwrap.wrap(card.title, 34)[:1] or [""]
    if len(textwrap.wrap(card.title, 34)) > 1:
        lines = [textwrap.shorten(card.title, 33, placeholder=" …")]
    text_ = (
        f'<rect x="{x - BOX / 2:.0f}" y="{y - TALL / 2:.0f}" width="{BOX}" height="{TALL}" rx="7" fill="none" '
        f'stroke="currentColor" stroke-width="1.4"/>'
        f'<text x="{x:.0f}" y="{y - 5:.0f}" text-anchor="middle" font-size="15" font-weight="600" '
        f'fill="currentColor">{html.escape(_label(card.name))}</text>'
        f'<text x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle" font-size="14" '
        f'fill="currentColor">{html.escape(lines[0])}</text>'
    )
    return f'<a href="{html.escape(link, quote=True)}">{text_}</a>' if link else text_
