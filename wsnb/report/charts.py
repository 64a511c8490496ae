"""Charts for a talk: methods on the same pictures as bars between their bounds, the ladders of the chains, and the
table of what was run; large type, few rows."""

import re
import textwrap
from collections import Counter
from itertools import pairwise

import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from wsnb import viz
from wsnb.report import ladder, same_data, table, text

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
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # lines do not run through text
LABELS, BARS, SIDE, ROW = 4.7, 6.0, 2.9, 0.5  # inches: names, bars, the columns beside them; a bar's height


def colour(supervision: str) -> str:
    """The colour of a supervision."""
    return COLOURS.get(supervision, OTHER)


def _dark(supervision) -> bool:
    """Whether white type can be read on the bar of a supervision."""
    red, green, blue = to_rgb(colour(supervision))
    return 0.3 * red + 0.59 * green + 0.11 * blue < 0.55


def bars(entries) -> viz.Picture:
    """Bars of the first group of same_data.entries, the bounds as lines.

    Numbers that were measured with the image tags of the test pictures given are left out.
    """
    if entries.empty:
        return _empty("nothing has been run on the same pictures yet")
    group = entries[entries.group == entries.group.iloc[0]]
    numbers = group[group.role != "bound"]
    free = numbers[numbers.image_labels != "ground truth"]
    shown = list(best_of_each(free, MOST).itertuples())
    high, note = max(3, len(shown)), _note(numbers, free, shown)
    together = brackets(shown)
    far = 0.022 * len(together)  # shares of the axis beside it
    width, height = LABELS + BARS * (1 + far) + SIDE, 1.6 + 0.24 * len(note.split("\n")) + ROW * high + 1.25
    figure = viz.Picture(figsize=(width, height), dpi=viz.DPI)
    axis = figure.add_axes((LABELS / width, 1.25 / height, BARS / width, ROW * high / height))
    ends = [row.value if pd.isna(row.high) else row.high for row in shown]
    top = 1.04 * max(ends + [row.full_value for row in shown if row.full_method] + [1e-9])
    axis.set(xlim=(0, top), ylim=(high - 0.5, -0.5))
    aside = axis.get_yaxis_transform()  # x in shares of the axis, y in bars
    for place, row in enumerate(shown):
        axis.barh(place, row.value, color=colour(row.supervision), height=0.74, zorder=3)
        inside = row.value > 0.15 * top
        axis.text(0.008 * top if inside else ends[place] + 0.008 * top, place, text.ours(row.value, row.unit),
                  va="center", zorder=4, ha="left", fontsize=POINTS, weight="bold",
                  color="white" if inside and _dark(row.supervision) else "#111111", bbox=None if inside else BEHIND)
        if not pd.isna(row.low):
            axis.plot((row.low, row.high), (place, place), color="#111111", lw=1.5, marker="|", ms=7, zorder=5)
        share = "not run" if pd.isna(row.ratio) else f"{100 * row.ratio:.0f} % of {text.ours(row.full_value, row.unit)}"
        axis.text(1.03 + far, place, share, transform=aside, va="center", fontsize=POINTS, clip_on=False)
        axis.text(1.46 + far, place, _price(row), transform=aside, va="center", ha="right", fontsize=POINTS)
    for number, places in enumerate(together):
        axis.plot([1.02 + 0.022 * number] * len(places), places, transform=aside, color="#111111", lw=1.2, marker="o",
                  ms=3.5, clip_on=False)
    for x, title, side in ((1.03, "of full\nsupervision", "left"), (1.46, "labels,\ns a picture", "right")):
        axis.text(x + far, -0.62, title, transform=aside, va="bottom", ha=side, fontsize=POINTS - 1, color="#444444")
    _bound_lines(axis, group, shown, top)
    names = ["\n".join(textwrap.wrap(name, 46)[:2]) for name in bar_names(shown)]
    axis.set_yticks(range(len(shown)), names, parse_math=False)
    axis.set_xlabel(_axis_label(group), fontsize=POINTS - 1)
    _plain(axis)
    axis.tick_params(axis="y", labelsize=POINTS - 2, length=0)
    backbones = {row.backbone for row in shown}
    common = f", {backbones.pop()}".rstrip(", ") if len(backbones) == 1 else ""
    figure.text(0.15 / width, 1 - 0.12 / height, f"{group.group.iloc[0]}{common}", fontsize=POINTS + 4, weight="bold",
                va="top", parse_math=False)
    figure.text(0.15 / width, 1 - 0.52 / height, note, fontsize=POINTS - 1, va="top", color="#444444", parse_math=False)
    used = dict.fromkeys(row.supervision for row in shown)
    handles = [Patch(color=colour(name), label=name or "?") for name in used]
    figure.legend(handles=[Line2D([], [], lw=0, label="labels of the training pictures:"), *handles], ncols=7,
                  loc="lower left", bbox_to_anchor=(0, 0), frameon=False, fontsize=POINTS, columnspacing=1.2,
                  handlelength=1.2)
    return figure


def brackets(shown) -> list:
    """Places of the rows SHOWN that cannot be distinguished, a list for each letter that two of them share."""
    letters = sorted({letter for row in shown for letter in row.alike.split()}, key=lambda one: (len(one), one))
    places = [[place for place, row in enumerate(shown) if letter in row.alike.split()] for letter in letters]
    return [found for found in places if len(found) > 1]


def best_of_each(rows, most: int):
    """MOST of the ROWS in their order: the highest of each experiment first of all, so that none is missing."""
    first = rows[~rows[["paper", "experiment"]].duplicated()]
    others = rows[rows[["paper", "experiment"]].duplicated()]
    return pd.concat([first, others]).iloc[:most].sort_index()


def _price(row) -> str:
    """Seconds that the labels of a training picture cost, '20?' where no source states the price."""
    return "?" if row.label_prices is None else same_data.price(row).split(" (")[0]


def bar_names(shown) -> list:
    """The bars' names: methods, with the supervision where two have the same method, and what distinguishes the
    experiments where they have the same supervision too."""
    methods = {(row.step or row.method or "?", row.supervision) for row in shown}
    supervisions = Counter(method for method, _ in methods)
    names = []
    for row in shown:
        method = row.step or row.method or "?"
        alike = [one.experiment for one in shown
                 if (one.step or one.method or "?", one.supervision) == (method, row.supervision)]
        parts = [method, row.supervision if supervisions[method] > 1 else "", _own_part(row.experiment, set(alike)),
                 row.preset if row.preset == "fixed" else "", "CRF" if row.crf else ""]
        names.append(", ".join(filter(None, parts)))
    return names


def _own_part(name, names):
    """The parts of an experiment's NAME that not all NAMES have."""
    if len(names) < 2:
        return ""
    parts = [one.split("_") for one in names]
    return " ".join(part for part in name.split("_") if not all(part in one for one in parts))


def _note(numbers, free, shown) -> str:
    """What the chart shows and leaves out."""
    given = len(numbers) - len(free)
    parts = [f"{len(shown)} of {len(free)}, the highest of each experiment and of all; all in same_data.csv"
             if len(shown) < len(free) else "all numbers"]
    parts += ["those with image tags given at test are left out"] if given else []
    parts += ["lines: 95 % if other pictures had been drawn"] if any(not pd.isna(row.low) for row in shown) else []
    parts += ["dots on one line beside the bars: cannot be distinguished"] if brackets(shown) else []
    parts += ["fixed: without the original program's faults"] if any(row.preset == "fixed" for row in shown) else []
    parts += ["?: no source found that states the price"] if any("?" in _price(row) for row in shown) else []
    unlike = dict.fromkeys(name for row in shown for name in row.unlike)
    parts += [f"{', '.join(unlike)} at test differ between methods"] if unlike else []
    return "\n".join(textwrap.wrap("; ".join(parts), 118))


def _bound_lines(axis, group, shown, top):
    """Dashed lines of the floor and of each paper's highest full supervision, named above the bars."""
    full = sorted((row for row in shown if row.full_method), key=lambda row: row.full_value)
    best = {row.full_paper: row for row in full}
    lines = [(row.full_value, f"full, {re.split(r'[,:(]', row.full_method)[0].strip()}\n"
              f"{text.ours(row.full_value, row.unit)}", "full") for row in best.values()]
    floor = group[(group.supervision == "none") & (group.role == "bound")]
    lines += [(row.value, f"all background\n{text.ours(row.value, row.unit)}", "none")
              for row in floor.iloc[:1].itertuples()]
    before, level = None, 0
    for value, said, kind in sorted(lines):
        level = level + 1 if before is not None and value - before < 0.24 * top else 0
        before = value
        axis.axvline(value, color=colour(kind), lw=2, ls="--", zorder=0)
        axis.annotate(said, (value, -0.5), (0, 3 + 34 * level), textcoords="offset points", ha="center", va="bottom",
                      fontsize=POINTS - 2, color="#222222", parse_math=False, annotation_clip=False, bbox=BEHIND)


def _axis_label(rows) -> str:
    return f"{rows.metric.iloc[0]}, {rows.unit.iloc[0]}".rstrip(", ")


def ladders(steps) -> viz.Picture:
    """A panel a chain of ladder.steps: the value at each step from the top down."""
    found = chosen(steps)
    if not found:
        return _empty("no chain with measured steps has been run yet")
    drawn = [(one, *series(one)) for one in found]
    columns = min(2, len(drawn))
    rows = [drawn[k:k + columns] for k in range(0, len(drawn), columns)]
    heights = [1.5 + 0.36 * max(len(names) for _, names, *_ in row) for row in rows]
    figure = viz.Picture(figsize=(8 * columns, sum(heights)), dpi=viz.DPI, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.12)
    axes = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, (one, *parts) in zip(axes.flat, drawn, strict=False):
        axis.set_visible(True)
        _panel(axis, one, *parts)
    figure.supxlabel("a line: made from the step above it", fontsize=POINTS - 1, color="#444444")
    return figure


def chosen(steps) -> list:
    """The steps of at most PANELS ladders: one an experiment, A_PAPER a paper, real pictures and long chains first."""
    sizes = steps.groupby(ladder.KEYS, sort=False).agg(size=("value", "size"), synthetic=("synthetic", "all"))
    sizes = sizes.reset_index().drop_duplicates(["paper", "experiment"])
    sizes = sizes.sort_values(["synthetic", "size", "paper", "experiment"], ascending=[True, False, True, True])
    sizes["turn"] = sizes.groupby("paper").cumcount()
    first = sizes[sizes.turn < A_PAPER].sort_values("turn", kind="stable").iloc[:PANELS]
    first = first.sort_values(["synthetic", "paper", "experiment"])
    return [steps[(steps[ladder.KEYS] == row[ladder.KEYS]).all(axis=1)] for _, row in first.iterrows()]


def series(one) -> tuple:
    """(steps, {series: {step: value}}, {(series, step): the step that it was made from}) of the steps of one ladder.

    A series is what was measured on the same pictures with the same preset; a number of labels without a statement was
    measured on the training pictures. The chain's end comes last.
    """
    one = one[one.value.notna()]
    stated = one[one.stated]
    trained = {_pictures(row) for row in stated.itertuples() if row.split == "train"}
    names, lines, made = {}, {}, {}
    for row in sorted(one.itertuples(), key=lambda row: row.role == "final"):
        where, step = _pictures(row) if row.stated else "", ladder.bare(row.name)
        if not row.stated and ("label" in row.metric or row.name.endswith(", train")):
            where = min(trained) if len(trained) == 1 else "training pictures"
        preset = row.preset if row.stated and stated.preset.nunique() > 1 else ""
        name = ", ".join(filter(None, (where, preset)))
        names[step] = None
        lines.setdefault(name, {})[step] = row.value
        if row.since:
            made[name, step] = ladder.bare(row.since)
    return list(names), lines, made


def _pictures(row) -> str:
    return f"{row.dataset} {row.split}, {row.dataset_size} pictures"


def _panel(axis, one, steps, lines, made):
    """One ladder: steps downwards, values to the right, the numbers where no line runs."""
    places, unit = {step: place for place, step in enumerate(steps)}, one.unit.iloc[0]
    title = f"{one.paper.iloc[0]}/{one.experiment.iloc[0]}"
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
            axis.annotate(text.ours(value, unit), (value, place), (-9 if left else 9, 0), va="center", zorder=2,
                          textcoords="offset points", ha="right" if left else "left", fontsize=POINTS - 1, bbox=BEHIND)
    axis.set_yticks(range(len(steps)), ["\n".join(textwrap.wrap(step, 34)[:2]) for step in steps], parse_math=False)
    axis.set_ylim(len(steps) - 0.4, -0.6)
    axis.margins(x=0.2)
    axis.set_xlabel(_axis_label(one), fontsize=POINTS - 1)
    said = [name for name in lines if name]
    axis.set_title(f"{title}\n{said[0]}" if len(lines) == 1 and said else title, fontsize=POINTS, loc="left",
                   parse_math=False)
    if len(lines) > 1 and said:
        axis.legend(fontsize=POINTS - 3, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=1,
                    borderpad=0, handletextpad=0.2)
        axis.set_title(title, fontsize=POINTS, loc="left", parse_math=False, pad=8 + 17 * len(lines))
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


COLUMNS = {  # of the table, inches at 17 points
    "data": 3.5, "method": 4.6, "trained from": 2.4, "CRF": 0.8, "metric": 1.7, "reported": 1.6, "ours": 1.2,
    "difference": 1.6, "protocols": 3.6,
}  # fmt: skip
RIGHT = ("reported", "ours", "difference")
TABLE_POINTS = 17
TABLE_MOST = 12  # rows that stay readable on a slide


def overview(lines, rest) -> viz.Picture:
    """The table of the lines of match.compare that were run, and of our other results of reported metrics."""
    cells, note = content(lines, rest)
    if cells.empty:
        cells = pd.DataFrame([{**dict.fromkeys(COLUMNS, ""), "method": "nothing has been run yet"}])
    return _draw(cells, note)


def content(lines, rest) -> tuple:
    """(data frame of text, the note under it). Columns of reported numbers stand only where there are some."""
    metrics = set(zip(lines.paper, lines.metric, strict=True))
    rest = rest.loc[[row.stated and ((row.paper, row.metric) in metrics or row.paper not in set(lines.paper))
                     for row in rest.itertuples()]]
    run = lines[lines.found == "ours"]
    shown = _first(highest(rest), TABLE_MOST - len(run))
    ours = run[[f"our_{name}" for name in rest]].rename(columns=lambda name: name.removeprefix("our_"))
    backbones = {name for name in [*ours.backbone, *shown.backbone] if name}
    common = backbones.pop() if len(backbones) == 1 else ""
    made = [{**_cells(row, common), "reported": table.reported(line), "difference": table.difference(line),
             "CRF": text.crf(line.crf), "metric": line.metric, "protocols": _verdict(line)}
            for row, line in zip(ours.itertuples(), run.itertuples(), strict=True)]
    made += [_cells(row, common) for row in shown.itertuples()]
    every = pd.DataFrame(made, columns=list(COLUMNS), dtype=object).fillna("").drop_duplicates(ignore_index=True)
    cells, idle = every.iloc[:TABLE_MOST], len(lines) - len(run)
    more = len(every) - len(cells) + len(rest) - len(shown)
    notes = [f"all with {common}" if common else "", "the highest of each experiment and preset" if len(shown) else "",
             f"{more} more numbers in table.csv" if more > 0 else ""]
    if len(run):
        notes += [f"{idle} reported numbers were not run" if idle else "",
                  "difference in brackets: the protocols differ",
                  "no difference: no reported counterpart" if (cells.protocols == "").any() else ""]
    elif len(cells):
        cells = cells.drop(columns=["reported", "difference", "protocols"])
        notes += ["none has a reported counterpart"
                  + (f": the {idle} reported numbers were not run" if idle else "")]
    return cells, "; ".join(filter(None, notes))


def highest(rows):
    """The highest of ROWS of each experiment, metric and preset, in the order in which they first stand; numbers with
    image tags given at test, and bounds, stand only for themselves."""
    keys = ["paper", "experiment", "metric", "preset", "given", "role", "dataset", "split", "supervision"]
    rows = rows.assign(given=rows.image_labels == "ground truth", first=range(len(rows)))
    groups = rows.groupby(keys, sort=False, dropna=False)
    rows = rows.assign(first=groups["first"].transform("min"))
    return rows.sort_values(["first", "value"], ascending=[True, False], kind="stable").drop_duplicates("first")


def _first(rows, most):
    """MOST of our results that others could report (no steps of a ladder): real data first and what was learned before
    what was not, each paper and each of its experiments in its turn."""
    kinds = ["synthetic", "ladder", "bound", "untrained", "given"]
    names = set(zip(rows.paper, rows.experiment, strict=True))
    rows = rows.assign(
        ladder=rows.role == "ladder", bound=rows.role == "bound", untrained=rows.supervision == "none",
        given=rows.image_labels == "ground truth",
        variant=[any(row.paper == paper and row.experiment.startswith(f"{name}_") for paper, name in names)
                 for row in rows.itertuples()])  # an ablation ("box_no_crf" beside "box") is later  # fmt: skip
    rows["own"] = rows.groupby([*kinds, "paper", "experiment"]).cumcount()
    rows = rows.sort_values([*kinds, "variant", "own"], kind="stable")
    rows["turn"] = rows.groupby([*kinds, "paper"]).cumcount()
    return rows.sort_values([*kinds, "turn"], kind="stable").iloc[:max(most, 0)].sort_values("paper", kind="stable")


def _cells(row, common) -> dict:
    """A row of ours as text; a backbone that all rows have in COMMON stands in the note."""
    parts = (row.method, "tags given at test" if row.image_labels == "ground truth" else "",
             row.backbone if row.backbone != common else "", row.preset if row.preset == "fixed" else "")
    return {"data": f"{text.pictures(row.dataset, row.split)} ({row.dataset_size})",
            "method": ", ".join(filter(None, parts)), "CRF": text.crf(row.crf), "metric": row.metric,
            "trained from": row.supervision if row.supervision != "none" else "nothing",
            "ours": text.ours(row.value, row.unit)}  # fmt: skip


def _verdict(line) -> str:
    return f"differ: {', '.join(name.replace('_', ' ') for name, *_ in line.differs)}" if line.differs else "agree"


def _draw(cells, note):
    columns = {name: COLUMNS[name] for name in cells}
    width = sum(columns.values()) + 0.4
    shown = cells.assign(data=cells.data.where(cells.data != cells.data.shift(), ""))  # not the rows above
    fits = [max(6, int(wide * 7.6)) for wide in columns.values()]  # letters
    blocks = [[textwrap.wrap(cell, letters) or [""] for cell, letters in zip(row, fits, strict=True)]
              for row in [list(columns), *shown.itertuples(index=False)]]
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
        for (name, wide), said in zip(columns.items(), row, strict=True):
            right = name in RIGHT
            tint = {"agree": "#1a7a3a", "differ:": "#a04000"}.get(said[0].split(" ")[0], "#111111")
            axis.text(left + wide - 0.35 if right else left, top + tall / 2, "\n".join(said), fontsize=TABLE_POINTS,
                      va="center_baseline", ha="right" if right else "left", linespacing=1.15, parse_math=False,
                      weight="bold" if number == 0 or name == "ours" else "normal",
                      color=tint if number and name == "protocols" else "#111111")
            left += wide
        top += tall
        axis.plot([0.1, width - 0.1], [top, top], color="#d5d9df" if number else "#222222", lw=0.6 if number else 1.2)
    axis.text(0.25, top + 0.12, "\n".join(below), fontsize=TABLE_POINTS - 3, color="#666666", va="top",
              parse_math=False)
    return figure
