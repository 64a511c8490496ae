"""Long pages of tables made short: real pictures first, side metrics and synthetic pictures folded away."""

import html
import re

from wsnb.book import results, table, tables
from wsnb.book.experiments import SYNTHETIC

MAIN = ("mIoU", "PQ (all)", "mAP^r@0.5")  # the metric that a set of pictures is shown with; else its first
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
        parts += [f"## {tables.TITLES.get(paper, paper)}\n", of_paper(paper, lines, rest, "###")]
    return "\n".join(parts)


def of_paper(paper: str, lines, rest, level: str = "##") -> str:
    """tables.of_paper with our main results on real pictures alone; other numbers and synthetic pictures are folded."""
    mine = [row for row in rest if row.paper == paper]
    real = [row for row in mine if not row.experiment.startswith(SYNTHETIC)]
    main = [row for row in real if row.name in MAIN and row.role in ("final", "bound")]
    if not main:
        return tables.of_paper(paper, lines, rest, level=level)
    more = [row for row in real if row not in main]
    made = [row for row in mine if row not in real]
    folded = [details(f"{words}: {len(rows)}", _own(rows)) + "\n" for rows, words in (
        (more, "More numbers of ours (other metrics, labels on the way, losses)"),
        (made, "Ours on synthetic pictures, which show that the chain runs, not how good it is")) if rows]
    text, sources, rest = tables.of_paper(paper, lines, main, level=level).partition(f"{level} Sources of")
    return text.rstrip("\n") + "\n\n" + "".join(folded) + sources + rest


def _own(rows):
    return table.as_markdown(table.OWN, table.own_cells(rows))


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
