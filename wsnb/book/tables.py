"""The table as files: Markdown, CSV and a picture, from records alone; the same bytes each time."""

from pathlib import Path

from wsnb.book import charts, ladder, picture, results, samedata, table, table_csv
from wsnb.files import write

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
    rows = results.rows(records)
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
            ladders(ladder.ladders(rows)),
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


def ladders(found, level: str = "###") -> str:
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
    return "\n".join([*parts, *sources(lines, level)]) or "No result yet.\n"


def run_first(paper: str, lines) -> list:
    """The Lines of one paper: those with a number of ours, those with one nearby, those that were not run."""
    lines = [line for line in lines if line.reported.paper == paper]
    return sorted(lines, key=lambda line: (line.ours is None, line.near is None))


def sources(lines, level: str) -> list:
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
    rows = results.rows(records)
    lines, rest = table.lines_of(rows, records)
    groups, found = samedata.groups(rows, records), ladder.ladders(rows)
    texts = {
        "table": (f"{stem}.md", markdown(records)),
        "csv": (f"{stem}.csv", table_csv.as_csv(lines, rest)),
        "stages": (f"{stem}_stages.csv", stages_csv(records)),
        "same data": ("same_data.csv", table_csv.same_data(groups)),
        "ladders": ("ladder.csv", table_csv.ladders(found)),
    }
    made = {}
    for kind, (name, text) in texts.items():
        made[kind] = Path(folder, name)
        with write(made[kind], "w") as file:
            file.write(text)
    made["picture"] = picture.save(lines, rest, Path(folder, f"{stem}.png"))
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
    return table_csv.rows_as_csv(header, cells)
