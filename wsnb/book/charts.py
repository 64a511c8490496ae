"""Pictures for a talk: methods on the same pictures as bars between their bounds, and the ladders of the chains."""

import textwrap

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wsnb import plots
from wsnb.book import ladder, samedata, table
from wsnb.book.experiments import SYNTHETIC

COLOURS = {  # one colour a supervision, apart for the colour-blind too; the same in every picture
    "image labels": "#0072b2",
    "boxes": "#d55e00",
    "scribbles": "#009e73",
    "points": "#cc79a7",
    "full": "#444444",
    "none": "#aaaaaa",
}
OTHER = "#b8860b"  # mixtures
POINTS = 14
MOST = 16  # bars that stay readable on a slide
LADDERS = 6  # panels
GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # lines do not run through words


def colour(supervision: str) -> str:
    """The colour of a supervision."""
    return COLOURS.get(supervision, OTHER)


def same_data(groups, path):
    """Bars of the first group, real pictures before synthetic ones; the bounds as lines. Writes PATH and returns it."""
    if not groups:
        return plots.save(_empty("nothing has been run on the same pictures yet"), path)
    group = groups[0]
    bars = [one for one in group.entries if one.row.role != "bound"]
    bars = list({(_bar(one), one.row.value): one for one in bars}.values())
    shown = best_of_each(bars, MOST)
    left = len(bars) - len(shown)
    figure = plots.Picture(figsize=(13, 1.9 + 0.52 * max(3, len(shown))), dpi=plots.DPI, layout="constrained")
    axis = figure.subplots()
    for place, one in enumerate(shown):
        axis.barh(place, one.row.value, color=colour(one.row.protocol.supervision), height=0.72, zorder=3)
        ratio = "" if one.ratio is None else f"  ({100 * one.ratio:.0f} % of full)"
        value = f" {table.ours(one.row.value, group.unit)}{ratio}"
        axis.text(one.row.value, place, value, va="center", fontsize=POINTS, zorder=2, bbox=GROUND)
    top = max([one.row.value for one in group.entries] + [1e-9])
    for name, one in _bounds(group).items():
        axis.axvline(one.row.value, color=colour(one.row.protocol.supervision), lw=2, ls="--", zorder=0)
        said = f"{name} {table.ours(one.row.value, group.unit)}"
        side = "left" if one.row.value < top / 8 else "center"
        axis.text(one.row.value, -0.7, said, ha=side, va="bottom", fontsize=POINTS - 3, color="#222222",
                  parse_math=False, bbox=GROUND)
    axis.set(xlim=(0, 1.28 * top), ylim=(max(3, len(shown)) - 0.4, -1.0))
    axis.set_xlabel(f"{group.metric}, {group.unit}".rstrip(", "), fontsize=POINTS - 1)
    backbones = {one.row.protocol.backbone for one in shown}
    common = backbones.pop() if len(backbones) == 1 else ""
    names = [textwrap.shorten(_bar(one).replace(f", {common}", "") if common else _bar(one), 52) for one in shown]
    axis.set_yticks(range(len(shown)), names, fontsize=POINTS, parse_math=False)
    title = group.title + (f", {common}" if common else "")
    axis.set_title(title + (f" ({left} more in same_data.csv)" if left > 0 else ""), fontsize=POINTS + 2,
                   loc="left", parse_math=False)
    _plain(axis)
    used = dict.fromkeys(one.row.protocol.supervision for one in shown)
    if used:
        handles = [Patch(color=colour(name), label=name or "?") for name in used]
        axis.legend(handles=handles, loc="lower right", framealpha=1, edgecolor="none", fontsize=POINTS - 1,
                    title="labels of the training pictures", title_fontsize=POINTS - 1)
    return plots.save(figure, path)


def best_of_each(bars, most):
    """MOST of BARS in their order: the highest of each experiment first of all, so that none is missing."""
    first = {}
    for place, one in enumerate(bars):
        first.setdefault((one.row.paper, one.row.experiment), place)
    others = [place for place in range(len(bars)) if place not in first.values()]
    return [bars[place] for place in sorted([*first.values(), *others][:most])]


def _bounds(group):
    """{name: Entry}: the floor, and the highest full supervision."""
    bounds = [one for one in reversed(group.entries) if one.row.role == "bound"]  # the highest last
    names = {"full": "full supervision", "none": "all background"}
    return {names[one.row.protocol.supervision]: one for one in bounds if one.row.protocol.supervision in names}


def _bar(one):
    of = one.row.protocol
    tags = ", tags given" if of.image_labels == "ground truth" else ""
    return f"{one.row.step or samedata.method(one.row)}{', CRF' if of.crf else ''}{tags}"


def ladders(found, path):
    """A line a chain: the value at each step. Writes PATH and returns it."""
    found = sorted(found, key=lambda one: (one.title.split("/")[1].startswith(SYNTHETIC), one.title))[:LADDERS]
    if not found:
        return plots.save(_empty("no chain with measured steps has been run yet"), path)
    figure = plots.Picture(figsize=(13, 3.6 * len(found)), dpi=plots.DPI, layout="constrained")
    for axis, one in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found, strict=True):
        rows = [row for row in one.rows if row.value is not None][:MOST]
        sizes = {ladder._where(row): None for row in rows}
        for number, where in enumerate(sizes):
            mine = [(place, row.value) for place, row in enumerate(rows) if ladder._where(row) == where]
            axis.plot(*zip(*mine, strict=True), marker="o", ms=8, lw=2, color=list(COLOURS.values())[number % 5],
                      label=f"{where[0]} {where[1]}, {where[2]} pictures" if where else "no protocol")
            for place, value in mine:
                axis.annotate(table.ours(value, one.unit), (place, value), (0, 9), textcoords="offset points",
                              ha="center", fontsize=POINTS - 2)
        names = ["\n".join(textwrap.wrap(ladder.step_words(row), 16)[:4]) for row in rows]
        axis.set_xticks(range(len(rows)), names, fontsize=POINTS - 4, parse_math=False)
        axis.set(xlim=(-0.5, len(rows) - 0.5), ylabel=f"{one.metric}, {one.unit}".rstrip(", "))
        axis.margins(y=0.25)
        axis.set_title(one.title, fontsize=POINTS + 1, loc="left", parse_math=False)
        axis.legend(fontsize=POINTS - 3, frameon=False, loc="best")
        _plain(axis)
    return plots.save(figure, path)


def _plain(axis):
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=POINTS - 3)


def _empty(said):
    figure = plots.Picture(figsize=(10, 1.5), dpi=plots.DPI)
    figure.add_artist(Line2D([0], [0]))
    figure.text(0.03, 0.5, said, fontsize=POINTS + 2, va="center")
    return figure
