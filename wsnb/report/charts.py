"""Pictures for a talk: methods on the same pictures as bars between their bounds, and the ladders of the chains.

The table as a picture for a talk: large type, few rows, only what was run.
"""

import re
import textwrap
from collections import Counter
from itertools import pairwise

from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from wsnb import viz
from wsnb.report import ladder, table
from wsnb.report import same_data as samedata
from wsnb.run.experiments import SYNTHETIC

COLOURS = {  # one colour a supervision, apart for the colour-blind too; the same in every picture
    "image labels": "#0072b2",
    "boxes": "#d55e00",
    "scribbles": "#009e73",
    "points": "#cc79a7",
    "full": "#444444",
    "none": "#aaaaaa",
}
OTHER = "#b8860b"  # mixtures
SERIES = ("#222222", "#7a3db8", "#8a8a8a", "#5b8c00")  # of ladders: none of them is a supervision's
POINTS = 14
MOST = 16  # bars that stay readable on a slide
PANELS, A_PAPER = 6, 2  # ladders of the picture, and of one paper
GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # lines do not run through words
LABELS, BARS, SIDE, ROW = 4.7, 6.0, 2.9, 0.5  # inches: names, bars, the columns beside them; a bar's height


def colour(supervision: str) -> str:
    """The colour of a supervision."""
    return COLOURS.get(supervision, OTHER)


def _dark(one) -> bool:
    """Whether white type can be read on an Entry's bar."""
    red, green, blue = to_rgb(colour(one.row.protocol.supervision))
    return 0.3 * red + 0.59 * green + 0.11 * blue < 0.55


def given(one) -> bool:
    """Whether an Entry was told at test which classes a picture holds."""
    return one.row.protocol.image_labels == "ground truth"


def same_data(groups, path):
    """Bars of the first group, real pictures before synthetic ones, the bounds as lines. Writes PATH and returns it.

    Numbers that were measured with the image tags of the test pictures given are left out.
    """
    if not groups:
        return viz.save(_empty("nothing has been run on the same pictures yet"), path)
    group = groups[0]
    numbers = [one for one in group.entries if one.row.role != "bound"]
    shown = best_of_each([one for one in numbers if not given(one)], MOST)
    high, said = max(3, len(shown)), _said(group, numbers, shown)
    width, height = LABELS + BARS + SIDE, 1.6 + 0.24 * len(said.split("\n")) + ROW * high + 1.25
    figure = viz.Picture(figsize=(width, height), dpi=viz.DPI)
    axis = figure.add_axes((LABELS / width, 1.25 / height, BARS / width, ROW * high / height))
    top = 1.04 * max([one.row.value for one in [*shown, *_full(shown)]] + [1e-9])
    axis.set(xlim=(0, top), ylim=(high - 0.5, -0.5))
    aside = axis.get_yaxis_transform()  # x in shares of the axis, y in bars
    for place, one in enumerate(shown):
        value, words = one.row.value, table.ours(one.row.value, group.unit)
        axis.barh(place, value, color=colour(one.row.protocol.supervision), height=0.74, zorder=3)
        inside = value > 0.15 * top
        axis.text(value - 0.008 * top if inside else value + 0.008 * top, place, words, va="center", zorder=4,
                  ha="right" if inside else "left", color="white" if inside and _dark(one) else "#111111",
                  fontsize=POINTS, weight="bold", bbox=None if inside else GROUND)
        axis.text(1.03, place, of_words(one), transform=aside, va="center", fontsize=POINTS, clip_on=False)
        axis.text(1.46, place, price_words(one), transform=aside, va="center", ha="right", fontsize=POINTS)
    axis.text(1.03, -0.62, "of full\nsupervision", transform=aside, va="bottom", fontsize=POINTS - 1, color="#444444")
    axis.text(1.46, -0.62, "labels,\ns a picture", transform=aside, va="bottom", ha="right", fontsize=POINTS - 1,
              color="#444444")
    _bound_lines(axis, group, shown, top)
    names = bar_names(shown)
    axis.set_yticks(range(len(shown)), ["\n".join(textwrap.wrap(name, 46)[:2]) for name in names], parse_math=False)
    axis.set_xlabel(f"{group.metric}, {group.unit}".rstrip(", "), fontsize=POINTS - 1)
    _plain(axis)
    axis.tick_params(axis="y", labelsize=POINTS - 2, length=0)
    figure.text(0.15 / width, 1 - 0.12 / height, f"{group.title}{_common(shown, ', {}')}", fontsize=POINTS + 4,
                weight="bold", va="top", parse_math=False)
    figure.text(0.15 / width, 1 - 0.52 / height, said, fontsize=POINTS - 1, va="top", color="#444444",
                parse_math=False)
    used = dict.fromkeys(one.row.protocol.supervision for one in shown)
    handles = [Patch(color=colour(name), label=name or "?") for name in used]
    figure.legend(handles=[Line2D([], [], lw=0, label="labels of the training pictures:"), *handles], ncols=7,
                  loc="lower left", bbox_to_anchor=(0, 0), frameon=False, fontsize=POINTS, columnspacing=1.2,
                  handlelength=1.2)
    return viz.save(figure, path)


def best_of_each(bars, most):
    """MOST of BARS in their order: the highest of each experiment first of all, so that none is missing."""
    first = {}
    for place, one in enumerate(bars):
        first.setdefault((one.row.paper, one.row.experiment), place)
    others = [place for place in range(len(bars)) if place not in first.values()]
    return [bars[place] for place in sorted([*first.values(), *others][:most])]


def of_words(one) -> str:
    """'74 % of 39.2': which bound a share refers to."""
    if one.ratio is None or one.full is None:
        return "not run"
    return f"{100 * one.ratio:.0f} % of {table.ours(one.full.value, one.full.unit)}"


def price_words(one) -> str:
    """Seconds that the labels of a training picture cost, '20?' where no source states the price."""
    return "?" if one.cost is None else samedata.cost_words(one.cost).split(" (")[0]


def bar_names(shown) -> list:
    """The bars' names: methods, with the supervision where two have the same method, and what tells the experiments
    apart where they have the same supervision too."""
    methods = Counter((_method(one), one.row.protocol.supervision) for one in shown)
    supervisions = Counter(method for method, _ in methods)
    names = []
    for one in shown:
        method, of = _method(one), one.row.protocol
        twins = {other.row.experiment for other in shown
                 if (_method(other), other.row.protocol.supervision) == (method, of.supervision)}
        parts = [method, of.supervision if supervisions[method] > 1 else "", _apart(one.row.experiment, twins),
                 of.preset if of.preset == "fixed" else "", "CRF" if of.crf else ""]
        names.append(", ".join(filter(None, parts)))
    return names


def _method(one):
    return one.row.step or one.row.protocol.method or "?"


def _apart(name, names):
    """The words of an experiment's NAME that not all NAMES have."""
    if len(names) < 2:
        return ""
    words = [one.split("_") for one in names]
    return " ".join(word for word in name.split("_") if not all(word in one for one in words))


def _common(shown, form):
    backbones = {one.row.protocol.backbone for one in shown}
    return form.format(*backbones) if len(backbones) == 1 and all(backbones) else ""


def _said(group, numbers, shown):
    told = sum(map(given, numbers))
    parts = [f"{len(shown)} of {len(numbers) - told}, the highest of each experiment and of all; all in same_data.csv"
             if len(shown) < len(numbers) - told else "all numbers"]
    parts += ["those with image tags given at test are left out"] if told else []
    parts += ["fixed: without the original program's faults"] if any(
        one.row.protocol.preset == "fixed" for one in shown) else []
    parts += ["?: no source found that states the price"] if any("?" in price_words(one) for one in shown) else []
    unlike = dict.fromkeys(name for one in shown for name in one.unlike)
    parts += [f"{', '.join(unlike)} at test differ between methods"] if unlike else []
    return "\n".join(textwrap.wrap("; ".join(parts), 118))


def _full(shown) -> list:
    """Entries' full supervisions as things with a row, each once."""
    return [samedata.Entry(row, None, None) for row in {id(one.full): one.full for one in shown if one.full}.values()]


def _bound_lines(axis, group, shown, top):
    """Dashed lines of the floor and of each paper's highest full supervision, named above the bars."""
    best = {one.row.paper: one.row for one in sorted(_full(shown), key=lambda one: one.row.value)}
    lines = [(row.value, f"full, {_short(row)}\n{table.ours(row.value, row.unit)}", "full") for row in best.values()]
    floor = [one.row for one in group.entries if one.row.protocol.supervision == "none" and one.row.role == "bound"]
    if floor:
        lines.append((floor[0].value, f"all background\n{table.ours(floor[0].value, group.unit)}", "none"))
    former, level = None, 0
    for value, said, kind in sorted(lines):
        level = level + 1 if former is not None and value - former < 0.24 * top else 0
        former = value
        axis.axvline(value, color=colour(kind), lw=2, ls="--", zorder=0)
        axis.annotate(said, (value, -0.5), (0, 3 + 34 * level), textcoords="offset points", ha="center", va="bottom",
                      fontsize=POINTS - 2, color="#222222", parse_math=False, annotation_clip=False, bbox=GROUND)


def _short(row):
    return re.split(r"[,:(]", row.protocol.method or row.paper)[0].strip()


def ladders(found, path):
    """A panel a chain: the value at each step from the top down. Writes PATH and returns it."""
    found = chosen(found)
    if not found:
        return viz.save(_empty("no chain with measured steps has been run yet"), path)
    drawn = [(one, *series(one)) for one in found]
    columns = min(2, len(drawn))
    rows = [drawn[k:k + columns] for k in range(0, len(drawn), columns)]
    heights = [1.5 + 0.36 * max(len(steps) for _, steps, *_ in row) for row in rows]
    figure = viz.Picture(figsize=(8 * columns, sum(heights)), dpi=viz.DPI, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.12)
    axes = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, (one, *parts) in zip(axes.flat, drawn, strict=False):
        axis.set_visible(True)
        _panel(axis, one, *parts)
    figure.supxlabel("a line: made from the step above it", fontsize=POINTS - 1, color="#444444")
    return viz.save(figure, path)


def chosen(found) -> list:
    """At most PANELS ladders: one an experiment, A_PAPER a paper, real pictures and long chains first."""
    best = {}
    for one in found:
        best.setdefault(one.title, one)
    order = sorted(best.values(), key=lambda one: (one.title.split("/")[1].startswith(SYNTHETIC), -len(one.rows),
                                                   one.title))
    turns, papers = [], Counter()
    for one in order:
        paper = one.title.split("/")[0]
        turns.append((papers[paper], one))
        papers[paper] += 1
    first = [one for turn, one in sorted(turns, key=lambda pair: pair[0]) if turn < A_PAPER][:PANELS]
    return sorted(first, key=lambda one: (one.title.split("/")[1].startswith(SYNTHETIC), one.title))


def series(one):
    """(steps, {series: {step: value}}, {(series, step): the step that it was made from}) of a Ladder.

    A series is what was measured on the same pictures with the same preset; a number of labels without a statement was
    measured on the training pictures. The chain's end comes last.
    """
    rows = [pair for pair in zip(one.rows, one.moved, strict=True) if pair[0].value is not None]
    places = list(dict.fromkeys(ladder._where(row) for row, _ in rows if ladder._where(row)))
    trained = [place for place in places if place[1] == "train"]
    presets = {row.protocol.preset for row, _ in rows if row.protocol}
    steps, lines, made = {}, {}, {}
    for row, (_, since) in sorted(rows, key=lambda pair: pair[0].role == "final"):
        where, step = ladder._where(row), ladder.step_words(row)
        if where is None and ("label" in one.metric or step.endswith(", train")):
            where = trained[0] if len(trained) == 1 else "training pictures"
        preset = row.protocol.preset if row.protocol and len(presets) > 1 else ""
        name = where if isinstance(where, str | None) else f"{where[0]} {where[1]}, {where[2]} pictures"
        name = ", ".join(filter(None, (name, preset)))
        steps[_bare(step)] = None
        lines.setdefault(name, {})[_bare(step)] = row.value
        if since:
            made[name, _bare(step)] = _bare(since)
    return list(steps), lines, made


def _bare(step):
    """A step's name without its pictures and preset, which its series names."""
    return re.sub(r", (train|faithful|fixed)\b", "", step)


def _panel(axis, one, steps, lines, made):
    """One ladder: steps downwards, values to the right, the numbers where no line runs."""
    places = {step: place for place, step in enumerate(steps)}
    for number, (name, values) in enumerate(lines.items()):
        tint = SERIES[number % len(SERIES)]
        for since, step in pairwise(values):  # a longer line would pass by steps that it has nothing to do with
            if made.get((name, step)) == since:
                axis.plot((values[since], values[step]), (places[since], places[step]), color=tint, lw=1.5, alpha=0.45,
                          zorder=1)
        dots = [places[step] for step in values]
        axis.plot(list(values.values()), dots, color=tint, lw=0, marker="o", ms=8, label=name, zorder=3)
    for step, place in places.items():
        here = sorted((values[step], name) for name, values in lines.items() if step in values)
        for k, (value, name) in enumerate(here):
            near = [b if a == step else a for a, b in pairwise(lines[name]) if step in (a, b)]
            near = [lines[name][other] for other in near if made.get((name, other)) == step
                    or made.get((name, step)) == other]  # where its lines lead
            left = k == 0 if len(here) > 1 else bool(near) and sum(near) / len(near) > value
            axis.annotate(table.ours(value, one.unit), (value, place), (-9 if left else 9, 0), va="center", zorder=2,
                          textcoords="offset points", ha="right" if left else "left", fontsize=POINTS - 1, bbox=GROUND)
    names = ["\n".join(textwrap.wrap(step, 34)[:2]) for step in steps]
    axis.set_yticks(range(len(steps)), names, parse_math=False)
    axis.set_ylim(len(steps) - 0.4, -0.6)
    axis.margins(x=0.2)
    axis.set_xlabel(f"{one.metric}, {one.unit}".rstrip(", "), fontsize=POINTS - 1)
    said = [name for name in lines if name]
    title = f"{one.title}\n{said[0]}" if len(lines) == 1 and said else one.title
    axis.set_title(title, fontsize=POINTS, loc="left", parse_math=False)
    if len(lines) > 1 and said:
        axis.legend(fontsize=POINTS - 3, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=1,
                    borderpad=0, handletextpad=0.2)
        axis.set_title(one.title, fontsize=POINTS, loc="left", parse_math=False, pad=8 + 17 * len(lines))
    _plain(axis)
    axis.tick_params(axis="y", labelsize=POINTS - 1)


def _plain(axis):
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=POINTS - 3)


def _empty(said):
    figure = viz.Picture(figsize=(10, 1.5), dpi=viz.DPI)
    figure.add_artist(Line2D([0], [0]))
    figure.text(0.03, 0.5, said, fontsize=POINTS + 2, va="center")
    return figure


COLUMNS = {  # inches at 17 points
    "data": 3.5, "method": 4.6, "trained from": 2.4, "CRF": 0.8, "metric": 1.7, "reported": 1.6, "ours": 1.2,
    "difference": 1.6, "protocols": 3.6,
}  # fmt: skip
COMPARED = ("reported", "difference", "protocols")  # left out where nothing of ours has a reported counterpart
RIGHT = ("reported", "ours", "difference")
TABLE_POINTS = 17
TABLE_MOST = 12  # rows that stay readable on a slide
GOOD, BAD, FAINT = "#1a7a3a", "#a04000", "#666666"
EMPTY = {**dict.fromkeys(COLUMNS, ""), "method": "nothing has been run yet"}


def save(lines, rest, path):
    """Draw the Lines that were run, and our other results of the reported metrics, to PATH. Returns it."""
    cells, note = content(lines, rest)
    return viz.save(_draw(cells or [EMPTY], note), path)


def content(lines, rest) -> tuple:
    """(rows of {column: text}, the words under them). A column stands only where a row has something in it."""
    reported = {(line.reported.paper, line.reported.metric) for line in lines}
    papers = {line.reported.paper for line in lines}
    rest = [
        row for row in rest if row.protocol and ((row.paper, row.name) in reported or row.paper not in papers)
    ]
    compared = [line for line in lines if line.ours is not None]
    shown = _chosen(highest(rest), TABLE_MOST - len(compared))
    backbones = {row.protocol.backbone for row in [*(line.ours for line in compared), *shown] if row.protocol.backbone}
    common = backbones.pop() if len(backbones) == 1 else ""
    made = [_compared(line, common) for line in compared] + [_own(row, common) for row in shown]
    made = [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in made)]
    cells = made[:TABLE_MOST]
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
    figure = viz.Picture(figsize=(width, height), dpi=viz.DPI)
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
                fontsize=TABLE_POINTS,
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
    axis.text(0.25, top + 0.12, "\n".join(below), fontsize=TABLE_POINTS - 3, color=FAINT, va="top", parse_math=False)
    return figure


def _colour(row, column, text):
    if row == 0 or column != "protocols":
        return "#111111"
    return GOOD if text == "agree" else BAD if text.startswith("differ") else FAINT
