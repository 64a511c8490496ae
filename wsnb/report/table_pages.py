"""The table as files: Markdown, CSV and a picture, from records alone; the same bytes each time.

Long pages of tables made short: real pictures first, side metrics and synthetic pictures folded away.
"""

import html
import re
from pathlib import Path

from wsnb.files import write
from wsnb.report import charts, frame, ladder, table
from wsnb.report import same_data as samedata
from wsnb.run.experiments import SYNTHETIC

TITLES = {
    "panoptic": "Weakly- and semi-supervised panoptic segmentation (Li, Arnab, Torr, ECCV 2018)",
    "spml": "Pixel-to-segment contrastive learning (Ke, Hwang, Yu, ICLR 2021)",
    "simple_does_it": "Simple does it (Khoreva et al., CVPR 2017)",
    "no_people_allowed": "NoPeopleAllowed (Dobko et al., 2020)",
    "single_stage": "Single-stage segmentation from image labels (Araslanov, Roth, CVPR 2020)",
}
LEGEND = """*difference*: ours minus reported; in brackets where the protocols differ, and it is no verdict.
*protocols match?*: compared is what both sides state; what differs is named.
*not run*: nothing of ours measures it. *[25.9]*: neither does this one, it is the nearest of ours with the same method
and supervision under other conditions, not comparable; no difference is reckoned.
*unverified*: no source was found that states the number.
*disputed*: sources contradict each other. *?*: the source does not say.
The CSV holds all digits, all sources and notes.
"""


def markdown(records, stages: bool = True) -> str:
    """All tables as one Markdown text: reported and ours, same data, ladders, time and memory of the stages."""
    rows = frame.rows(records)
    lines, rest = table.lines_of(rows, records)
    parts = ["# Reported and ours\n"]
    if not records:
        return "\n".join([*parts, "Nothing has been run yet.\n"])
    parts.append(LEGEND)
    for paper in sorted({line.reported.paper for line in lines} | {record.paper for record in records}):
        parts += [f"## {TITLES.get(paper, paper)}\n", of_paper(paper, lines, rest)]
    if stages:
        parts += [
            "## Same data\n",
            same_data(samedata.groups(rows, records)),
            "## Quality ladders\n",
            ladder_tables(ladder.ladders(rows)),
            "## Time and memory of the stages\n",
            table.as_markdown(table.STAGES, table.stage_cells(records)),
        ]
    return "\n".join(parts)


COMPARED, OWN = "Reported numbers, and ours where run", "Our results without a reported counterpart"
ASIDE = ("mIoU of objects",)  # in the CSV alone
SAME = """Every method and supervision of the book on the same pictures, under the same metric, the highest first.
*of full supervision*: the value over that of full supervision of the same backbone, which is named: of the same method
where the paper has one, else the paper's best, else the highest of all. *unlike most*: what was set otherwise than in
most rows of the table: test scales, flip or resolution. *labels, s a picture*: a person's seconds for the labels of a
training picture, counted by the experiment or typical of the data set; *?* where no source was found that states a
price.
"""
LADDER = """How good each product of a chain is, in the order of the chain. *change*: against the step that it was made
from (*since*), on the same pictures; recipes that are alternatives have none. Presets are not mixed.
"""


def same_data(groups, level: str = "###") -> str:
    """The tables of samedata.groups, and what the labels' prices are."""
    if not groups:
        return "Nothing has been run twice on the same pictures yet.\n"
    parts = [SAME]
    for group in [group for group in groups if group.metric not in ASIDE]:
        note = "Synthetic pictures: they show that the chains run, not how good they are.\n" if group.synthetic else ""
        cells = table.as_markdown(samedata.header(group), samedata.cells(group))
        usual = samedata.usual_words(group)
        parts += [f"{level} {table.escape(group.title)}\n", *filter(None, [note]), cells, *filter(None, [usual])]
    prices = samedata.sources(groups)
    if prices:
        parts += [f"{level} Prices of the labels\n", "".join(f"- {table.escape(one)}\n" for one in prices)]
    return "\n".join(parts)


def ladder_tables(found, level: str = "###") -> str:
    """The tables of ladder.ladders."""
    if not found:
        return "No chain with measured steps has been run yet.\n"
    parts = [LADDER]
    for one in found:
        title = table.escape(f"{one.title}: {one.metric}{f', {one.unit}' if one.unit else ''}")
        parts += [f"{level} {title}\n", table.as_markdown(ladder.HEADER, ladder.cells(one))]
    return "\n".join(parts)


def of_paper(paper: str, lines, rest, level: str = "###") -> str:
    """The tables of one paper: its reported numbers, our other results, the sources."""
    lines = run_first(paper, lines)
    rest = [row for row in rest if row.paper == paper]
    parts = []
    if lines:
        cells = table.comparison_cells(lines, table.numbered_sources(lines))
        parts += [f"{level} {COMPARED}\n", table.as_markdown(table.COMPARISON, cells)]
    if rest:
        parts += [f"{level} {OWN}\n", table.as_markdown(table.OWN, table.own_cells(rest))]
    return "\n".join([*parts, *source_list(lines, level)]) or "No result yet.\n"


def run_first(paper: str, lines) -> list:
    """The Lines of one paper: those with a number of ours, those with one nearby, those that were not run."""
    lines = [line for line in lines if line.reported.paper == paper]
    return sorted(lines, key=lambda line: (line.ours is None, line.near is None))


def source_list(lines, level: str) -> list:
    """The numbered list of where the numbers of Lines were reported, under its heading, as parts of a text."""
    named = [
        f"{number}. {table.KINDS[kind]}{'' if source == 'none found' else f': `{source}`'}\n"
        for (kind, source), number in table.numbered_sources(lines).items()
    ]
    return [f"{level} Sources of the reported numbers\n", "".join(named)] if named else []


def save(records, folder, stem: str = "table") -> dict:
    """Write STEM.md, STEM.csv, STEM_stages.csv, STEM.png, and same_data and ladder as .csv and .png into FOLDER.

    Returns {kind: path}.
    """
    rows = frame.rows(records)
    lines, rest = table.lines_of(rows, records)
    groups, found = samedata.groups(rows, records), ladder.ladders(rows)
    texts = {
        "table": (f"{stem}.md", markdown(records)),
        "csv": (f"{stem}.csv", table.as_csv(lines, rest)),
        "stages": (f"{stem}_stages.csv", stages_csv(records)),
        "same data": ("same_data.csv", table.same_data(groups)),
        "ladders": ("ladder.csv", table.ladders(found)),
    }
    made = {}
    for kind, (name, text) in texts.items():
        made[kind] = Path(folder, name)
        with write(made[kind], "w") as file:
            file.write(text)
    made["picture"] = charts.save(lines, rest, Path(folder, f"{stem}.png"))
    made["same data, picture"] = charts.same_data(groups, Path(folder, "same_data.png"))
    made["ladders, picture"] = charts.ladders(found, Path(folder, "ladder.png"))
    return made


def stages_csv(records) -> str:
    """Time and memory of each stage, in seconds and bytes."""
    header = (
        "paper",
        "experiment",
        "stage",
        "seconds",
        "peak_cpu_bytes",
        "peak_gpu_bytes",
        "gpu",
        "cpu_count",
        "started",
        "key",
        "git_commit",
    )
    cells = []
    for record in records:
        known = {**record.manifest["environment"], **record.manifest, **vars(record)}
        cells.append([("" if known.get(name) is None else known[name]) for name in header])
    return table.rows_as_csv(header, cells)


MAIN = ("mIoU", "PQ (all)", "mAP^r@0.5")  # the metric that a set of pictures is shown with; else its first
MORE = "More numbers of ours (other metrics, labels on the way, losses)"
SYNTHETIC_NOTE = "Synthetic pictures show that the chains run, not how good they are."
PICTURES = re.compile(r"(?P<where>.+, \d+ pictures): (?P<metric>.+)")  # the heading of a table of samedata


def details(summary: str, text: str) -> str:
    """Markdown TEXT that a reader opens by a click on SUMMARY."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{text}\n</details>\n"


def whole(records) -> str:
    """The page of all reported numbers and ours, a section a paper."""
    if not records:
        return markdown(records)
    lines, rest = table.lines_of(frame.rows(records), records)
    parts = ["# Reported and ours\n", LEGEND]
    for paper in sorted({line.reported.paper for line in lines} | {record.paper for record in records}):
        text = of_paper_folded(paper, lines, rest, "###")
        places = {one.experiment: f"{one.title}/index.md" for one in records if one.paper == paper}
        parts += [f"## {TITLES.get(paper, paper)}\n", linked(text, places)]
    return "\n".join(parts)


def linked(text: str, places: dict) -> str:
    """TEXT with links where a cell, or the end of one in brackets, is an experiment's name: PLACES are {name: page}."""
    names = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
    cell = rf"(?<=\| )({names})(?= \|)|(?<= \()({names})(?=\) \|)"
    return re.sub(cell, lambda found: f"[{found[0]}]({places[found[0]]})", text) if places else text


def of_paper_folded(paper: str, lines, rest, level: str = "##") -> str:
    """tables.of_paper with what was run alone: reported numbers that were not, numbers beside the main ones of real
    pictures, and synthetic pictures are folded."""
    lines = run_first(paper, lines)
    rest = [row for row in rest if row.paper == paper]
    parts = [*_reported(lines, level), *_ours(rest, level), *source_list(lines, level)]
    return "\n".join(parts) or "No result yet.\n"


def _reported(lines, level) -> list:
    """Reported numbers that something of ours stands beside; the others folded, with their number."""
    idle = [line for line in lines if line.ours is None and line.near is None]
    shown, numbered = lines[: len(lines) - len(idle)], table.numbered_sources(lines)
    parts = [f"{level} {COMPARED}\n"] if lines else []
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
    return [f"{level} {OWN}\n", _own(main), *folded] if rest else []


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
        shown.append(f"{level} Synthetic pictures\n\n{SYNTHETIC_NOTE}\n\n{opened}\n")
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
