"""The table as a picture for a talk: large type, only what was run."""

import textwrap
from collections import Counter

from matplotlib.patches import Rectangle

from wsnb import plots
from wsnb.book import table
from wsnb.book.experiments import SYNTHETIC

HEADER = ("data", "method", "CRF", "metric", "reported", "ours", "difference", "protocols")
WIDTHS = (2.6, 4.1, 0.7, 1.3, 1.4, 1.2, 1.5, 4.2)  # inches at 15 points
POINTS = 15
MOST = 18  # rows that stay readable on a slide
GOOD, BAD, FAINT = "#1a7a3a", "#a04000", "#666666"


def save(lines, rest, path):
    """Draw the Lines that were run, and our other results of the reported metrics, to PATH. Returns it."""
    reported = {(line.reported.paper, line.reported.metric) for line in lines}
    papers = {line.reported.paper for line in lines}
    rest = [
        row for row in rest if row.protocol and ((row.paper, row.name) in reported or row.paper not in papers)
    ]
    compared = [line for line in lines if line.ours is not None]
    cells = [_compared(line) for line in compared] + [_own(row) for row in _chosen(rest, MOST - len(compared))]
    cells = [
        list(row) for row in dict.fromkeys(map(tuple, cells))
    ]  # a bound may stand in several experiments
    notes = []
    if len(cells) > MOST:
        notes.append(f"{len(cells) - MOST} more in table.csv")
        cells = cells[:MOST]
    idle = sum(line.ours is None for line in lines)
    if idle:
        notes.append(f"{idle} reported numbers not run")
    notes.append("difference in brackets: the protocols differ")
    return plots.save(_draw(cells or [["nothing has been run yet"] + [""] * 7], "; ".join(notes)), path)


def _chosen(rows, most):
    """Our results that others could report (no steps of a ladder), real data first and what was learned before what was
    not, each paper in its turn until there are MOST; the others after them."""
    turn = Counter()

    def order(row):
        synthetic = row.experiment.startswith(SYNTHETIC)
        kind = (synthetic, row.role == "ladder", row.role == "bound", row.protocol.supervision == "none")
        turn[*kind, row.paper] += 1
        return *kind, turn[*kind, row.paper]

    ordered = sorted(rows, key=order)
    first = ordered[: max(most, 0)]
    return sorted(first, key=lambda row: row.paper) + ordered[len(first) :]


def _compared(line):
    item, row = line.reported, line.ours
    fields = (
        "agree" if line.match else "differ: " + ", ".join(name.replace("_", " ") for name, *_ in line.differs)
    )
    return [
        *_what(row.protocol),
        table.crf_word(item.crf),
        item.metric,
        table.reported_words(item),
        table.ours(row.value),
        table.difference(line),
        fields,
    ]


def _own(row):
    value = table.ours(row.value, row.unit)
    crf = table.crf_word(row.protocol.crf)
    return [*_what(row.protocol), crf, row.name, "", value, "", "no reported counterpart"]


def _what(protocol):
    """Cells of data and method."""
    known = "tags known" if protocol.image_labels == "ground truth" else ""
    labels = f"from {protocol.supervision}" if protocol.supervision not in ("", "none") else ""
    preset = protocol.preset if protocol.preset == "fixed" else ""
    method = ", ".join(filter(None, (protocol.method, known, protocol.backbone, labels, preset)))
    return f"{table.split_words(protocol)} ({protocol.dataset_size})", method


def _wrapped(cell, width):
    return textwrap.wrap(cell, max(6, int(width * 8.2))) or [""]


def _draw(cells, note):
    blocks = [
        [_wrapped(cell, width) for cell, width in zip(row, WIDTHS, strict=True)] for row in [HEADER, *cells]
    ]
    heights = [0.16 + 0.27 * max(map(len, row)) for row in blocks]
    width, height = sum(WIDTHS) + 0.4, sum(heights) + 0.75
    figure = plots.Picture(figsize=(width, height), dpi=plots.DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(height, 0))
    axis.set_axis_off()
    top = 0.15
    for number, (row, tall) in enumerate(zip(blocks, heights, strict=True)):
        if number % 2:
            axis.add_patch(Rectangle((0.1, top), width - 0.2, tall, facecolor="#f2f4f7", edgecolor="none"))
        left = 0.25
        for column, (text, wide) in enumerate(zip(row, WIDTHS, strict=True)):
            right = 4 <= column <= 6
            axis.text(
                left + wide - 0.35 if right else left,
                top + tall / 2,
                "\n".join(text),
                fontsize=POINTS,
                va="center_baseline",
                ha="right" if right else "left",
                weight="bold" if number == 0 or column == 5 else "normal",
                color=_colour(number, column, text[0]),
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
    axis.text(0.25, top + 0.3, note, fontsize=POINTS - 3, color=FAINT, va="center", parse_math=False)
    return figure


def _colour(row, column, text):
    if row == 0 or column != 7:
        return "#111111"
    return GOOD if text == "agree" else BAD if text.startswith("differ") else FAINT
