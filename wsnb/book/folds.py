"""Long pages of tables made short: real pictures first, side metrics and synthetic pictures folded away."""

import html
import re

from wsnb.book import results, table, tables
from wsnb.book.experiments import SYNTHETIC

MAIN = ("mIoU", "PQ (all)", "mAP^r@0.5")  # the metric that a set of pictures is shown with; else its first
MORE = "More numbers of ours (other metrics, labels on the way, losses)"
NOTE = "Synthetic pictures show that the chains run, not how good they are."
PICTURES = re.compile(r"(?P<where>.+, \d+ pictures): (?P<metric>.+)")  # the heading of a table of samedata


def details(summary: str, text: str) -> str:
    """Markdown TEXT that a reader opens by a click on SUMMARY."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{text}\n</details>\n"


def whole(records) -> str:
    """The page of all reported numbers and ours, a section a paper."""
    if not records:
        return tables.markdown(records)
    lines, rest = table.lines_of(results.rows(records), records)
    parts = ["# Reported and ours\n", tables.LEGEND]
    for paper in sorted({line.reported.paper for line in lines} | {record.paper for record in records}):
        text = of_paper(paper, lines, rest, "###")
        places = {one.experiment: f"{one.title}/index.md" for one in records if one.paper == paper}
        parts += [f"## {tables.TITLES.get(paper, paper)}\n", linked(text, places)]
    return "\n".join(parts)


def linked(text: str, places: dict) -> str:
    """TEXT with links where a cell, or the end of one in brackets, is an experiment's name: PLACES are {name: page}."""
    names = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
    cell = rf"(?<=\| )({names})(?= \|)|(?<= \()({names})(?=\) \|)"
    return re.sub(cell, lambda found: f"[{found[0]}]({places[found[0]]})", text) if places else text


def of_paper(paper: str, lines, rest, level: str = "##") -> str:
    """tables.of_paper with what was run alone: reported numbers that were not, numbers beside the main ones of real
    pictures, and synthetic pictures are folded."""
    lines = tables.run_first(paper, lines)
    rest = [row for row in rest if row.paper == paper]
    parts = [*_reported(lines, level), *_ours(rest, level), *tables.sources(lines, level)]
    return "\n".join(parts) or "No result yet.\n"


def _reported(lines, level) -> list:
    """Reported numbers that something of ours stands beside; the others folded, with their number."""
    idle = [line for line in lines if line.ours is None and line.near is None]
    shown, numbered = lines[: len(lines) - len(idle)], table.numbered_sources(lines)
    parts = [f"{level} {tables.COMPARED}\n"] if lines else []
    if shown:
        parts.append(_filled(table.COMPARISON, table.comparison_cells(shown, numbered)))
    elif lines:
        parts.append("None of them was run.\n")
    if idle:
        said = [["" if cell == table.NOT_RUN else cell for cell in row]
                for row in table.comparison_cells(idle, numbered)]
        parts.append(details(f"Reported, not run here: {len(idle)}", _filled(table.COMPARISON, said)))
    return parts


def _ours(rest, level) -> list:
    """Our results without a reported counterpart: the main ones of real pictures, else all."""
    real = [row for row in rest if not row.experiment.startswith(SYNTHETIC)]
    main = _main(real) or rest
    more = [row for row in real if row not in main]
    made = [row for row in rest if row not in real and row not in main]
    folded = [details(f"{words}: {len(rows)}", _own(rows)) for rows, words in (
        (more, MORE), (made, "Ours on synthetic pictures, which show that the chain runs, not how good it is")) if rows]
    return [f"{level} {tables.OWN}\n", _own(main), *folded] if rest else []


def of_experiment(rows) -> str:
    """The numbers of one experiment: the main ones, and the others folded."""
    main = _main(rows) or rows
    more = [row for row in rows if row not in main]
    return "\n".join([_own(main, 1), *([details(f"{MORE}: {len(more)}", _own(more, 1))] if more else [])])


def _main(rows):
    return [row for row in rows if row.name in MAIN and row.role in ("final", "bound")]


def _own(rows, first=0):
    """The table of ROWS from its column number FIRST on."""
    return _filled(table.OWN[first:], [cells[first:] for cells in table.own_cells(rows)])


def _filled(header, cells):
    return table.as_markdown(*table.filled(header, cells))


def sections(text: str, level: str = "##") -> str:
    """TEXT with some of its sections folded: further metrics of the same pictures below the main one, and, in one
    place behind all real pictures, what was measured on synthetic ones."""
    head, *found = re.split(rf"^{level} ", text, flags=re.M)
    parts = [part.partition("\n")[::2] for part in found]  # (heading, body)
    synthetic = [part for part in parts if _is_synthetic(part[0])]
    if len(synthetic) == len(parts):
        synthetic = []  # nothing else to show
    shown, last, done = [], [], set()
    for heading, body in [part for part in parts if part not in synthetic]:
        match = PICTURES.fullmatch(heading)
        if match is None:
            (last if shown and _is_appendix(heading) else shown).append(f"{level} {heading}\n{body}")
        elif match["where"] not in done:
            done.add(match["where"])
            same = [part for part in parts if part not in synthetic and part[0].startswith(f"{match['where']}: ")]
            shown += _group(same, match["where"], level)
    if synthetic:
        opened = details(f"Synthetic pictures: {_tables(len(synthetic))}", _bold(synthetic))
        shown.append(f"{level} Synthetic pictures\n\n{NOTE}\n\n{opened}\n")
    return head + "".join([*shown, *last])


def _group(same, where, level):
    """The main table of a set of pictures, and the others folded."""
    main = next((part for name in MAIN for part in same if _is_metric(part[0], name)), same[0])
    others = [part for part in same if part is not main]
    shown = [f"{level} {main[0]}\n{main[1]}"]
    plain = re.sub(r"\\(.)", r"\1", where)
    return shown + ([details(f"{plain}: {_tables(len(others))} of other metrics", _bold(others)) + "\n"]
                    if others else [])


def _is_metric(heading, name):
    metric = re.sub(r"\\(.)", r"\1", PICTURES.fullmatch(heading)["metric"])
    return metric == name or metric.startswith(f"{name} (")


def _is_synthetic(heading):
    """Whether a heading is of a data set or of an experiment (PAPER/NAME) of synthetic pictures."""
    return re.match(rf"([a-z_]+/)?{SYNTHETIC}", heading) is not None


def _is_appendix(heading):
    return heading.startswith("Prices")


def _bold(parts):
    return "\n".join(f"**{heading}**\n{body}" for heading, body in parts)


def _tables(number):
    return f"{number} table{'' if number == 1 else 's'}"
