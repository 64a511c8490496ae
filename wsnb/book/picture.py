"""The table as a picture for a talk: large type, few rows, only what was run."""

import textwrap
from collections import Counter

from matplotlib.patches import Rectangle

from wsnb import plots
from wsnb.book import table
from wsnb.book.experiments import SYNTHETIC

COLUMNS = {  # inches at 17 points
    "data": 3.5, "method": 4.6, "trained from": 2.4, "CRF": 0.8, "metric": 1.7, "reported": 1.6, "ours": 1.2,
    "difference": 1.6, "protocols": 3.6,
}  # fmt: skip
COMPARED = ("reported", "difference", "protocols")  # left out where nothing of ours has a reported counterpart
RIGHT = ("reported", "ours", "difference")
POINTS = 17
MOST = 12  # rows that stay readable on a slide
GOOD, BAD, FAINT = "#1a7a3a", "#a04000", "#666666"
EMPTY = {**dict.fromkeys(COLUMNS, ""), "method": "nothing has been run yet"}


def save(lines, rest, path):
    """Draw the Lines that were run, and our other results of the reported metrics, to PATH. Returns it."""
    cells, note = content(lines, rest)
    return plots.save(_draw(cells or [EMPTY], note), path)


def content(lines, rest) -> tuple:
    """(rows of {column: text}, the words under them). A column stands only where a row has something in it."""
    reported = {(line.reported.paper, line.reported.metric) for line in lines}
    papers = {line.reported.paper for line in lines}
    rest = [
        row for row in rest if row.protocol and ((row.paper, row.name) in reported or row.paper not in papers)
    ]
    compared = [line for line in lines if line.ours is not None]
    shown = _chosen(highest(rest), MOST - len(compared))
    backbones = {row.protocol.backbone for row in [*(line.ours for line in compared), *shown] if row.protocol.backbone}
    common = backbones.pop() if len(backbones) == 1 else ""
    made = [_compared(line, common) for line in compared] + [_own(row, common) for row in shown]
    made = [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in made)]
    cells = made[:MOST]
    notes = [f"all with {common}"] if common else []
    notes += ["the highest of each experiment and preset"] if shown else []
    more = len(made) - len(cells) + len(rest) - len(shown)
    notes += [f"{more} more numbers in table.csv"] if more > 0 else []
    idle = sum(line.ours is None for line in lines)
    if compared:
        notes += [f"{idle} reported numbers were not run"] if idle else []
        notes += ["difference in brackets: the protocols differ"]
        notes += ["no difference: no reported counterpart"] if any(not row["protocols"] for row in cells) else []
    elif cells:
        cells = [{name: text for name, text in row.items() if name not in COMPARED} for row in cells]
        notes += [f"none has a reported counterpart: the {idle} reported numbers were not run" if idle
                  else "none has a reported counterpart"]
    return cells, "; ".join(notes)


def highest(rows) -> list:
    """The highest of ROWS of each experiment, metric and preset, in the order in which they first stand; numbers with
    image tags given at test, and bounds, stand only for themselves."""
    best = {}
    for row in rows:
        of = row.protocol
        key = (row.paper, row.experiment, row.name, of.preset, of.image_labels == "ground truth", row.role, of.dataset,
               of.split, of.supervision)
        if key not in best or (row.value is not None and row.value > (best[key].value or 0)):
            best[key] = row
    return list(best.values())


def _chosen(rows, most):
    """Our results that others could report (no steps of a ladder), real data first and what was learned before what was
    not, each paper and each of its experiments in its turn until there are MOST; the others after them."""
    turn, own = Counter(), Counter()
    names = {(row.paper, row.experiment) for row in rows}

    def kind(row):
        of = row.protocol
        synthetic = row.experiment.startswith(SYNTHETIC)
        told = getattr(of, "image_labels", "") == "ground truth"
        return synthetic, row.role == "ladder", row.role == "bound", of.supervision == "none", told

    def within(row):  # its place among the numbers of its experiment; an ablation ("box_no_crf" beside "box") is later
        variant = any(row.paper == paper and row.experiment.startswith(f"{name}_") for paper, name in names)
        own[*kind(row), row.paper, row.experiment] += 1
        return *kind(row), variant, own[*kind(row), row.paper, row.experiment]

    def order(row):
        turn[*kind(row), row.paper] += 1
        return *kind(row), turn[*kind(row), row.paper]

    ordered = sorted(sorted(rows, key=within), key=order)
    first = ordered[: max(most, 0)]
    return sorted(first, key=lambda row: row.paper) + ordered[len(first) :]


def _compared(line, common):
    item, row = line.reported, line.ours
    differs = ", ".join(name.replace("_", " ") for name, *_ in line.differs)
    return {**_what(row.protocol, common), "CRF": table.crf_word(item.crf), "metric": item.metric,
            "reported": table.reported_words(item), "ours": table.ours(row.value), "difference": table.difference(line),
            "protocols": "agree" if line.match else f"differ: {differs}"}


def _own(row, common):
    return {**_what(row.protocol, common), "CRF": table.crf_word(row.protocol.crf), "metric": row.name, "reported": "",
            "ours": table.ours(row.value, row.unit), "difference": "", "protocols": ""}


def _what(protocol, common):
    """Cells of data, method and supervision; a backbone that all rows have in COMMON is told under the table."""
    known = "tags given at test" if protocol.image_labels == "ground truth" else ""
    backbone = protocol.backbone if protocol.backbone != common else ""
    preset = protocol.preset if protocol.preset == "fixed" else ""
    return {"data": f"{table.split_words(protocol)} ({protocol.dataset_size})",
            "method": ", ".join(filter(None, (protocol.method, known, backbone, preset))),
            "trained from": protocol.supervision if protocol.supervision != "none" else "nothing"}


def _wrapped(cell, width):
    return textwrap.wrap(cell, max(6, int(width * 7.6))) or [""]


def _draw(cells, note):
    columns = {name: COLUMNS[name] for name in COLUMNS if name in cells[0]}
    width = sum(columns.values()) + 0.4
    texts = [list(columns)]
    for former, row in zip([None, *cells], cells, strict=False):  # what stands above is not said again
        same = former is not None and former["data"] == row["data"]
        texts.append(["" if name == "data" and same else row[name] for name in columns])
    blocks = [[_wrapped(cell, wide) for cell, wide in zip(row, columns.values(), strict=True)] for row in texts]
    heights = [0.2 + 0.3 * max(map(len, row)) for row in blocks]
    below = textwrap.wrap(note, int(width * 9.2))
    height = sum(heights) + 0.45 + 0.27 * len(below)
    figure = plots.Picture(figsize=(width, height), dpi=plots.DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(height, 0))
    axis.set_axis_off()
    top = 0.15
    for number, (row, tall) in enumerate(zip(blocks, heights, strict=True)):
        if number % 2:
            axis.add_patch(Rectangle((0.1, top), width - 0.2, tall, facecolor="#f2f4f7", edgecolor="none"))
        left = 0.25
        for (name, wide), text in zip(columns.items(), row, strict=True):
            right = name in RIGHT
            axis.text(
                left + wide - 0.35 if right else left,
                top + tall / 2,
                "\n".join(text),
                fontsize=POINTS,
                va="center_baseline",
                ha="right" if right else "left",
                weight="bold" if number == 0 or name == "ours" else "normal",
                color=_colour(number, name, text[0]),
                linespacing=1.15,
                parse_math=False,
            )
            left += wide
        top += tall
        axis.plot(
            [0.1, width - 0.1],
            [top, top],
            color="#222222" if number == 0 else "#d5d9df",
            lw=1.2 if number == 0 else 0.6,
        )
    axis.text(0.25, top + 0.12, "\n".join(below), fontsize=POINTS - 3, color=FAINT, va="top", parse_math=False)
    return figure


def _colour(row, column, text):
    if row == 0 or column != "protocols":
        return "#111111"
    return GOOD if text == "agree" else BAD if text.startswith("differ") else FAINT
