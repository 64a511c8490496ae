"""Charts of numbers: losses over epochs, a score per class, confusions, the quality of labels by stage."""

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from wsnb import metrics, viz


def chart(width=9.0, height=3.2, columns=1):
    """An empty figure with its axes in a row."""
    figure = viz.Picture(figsize=(width, height), dpi=viz.DPI, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def loss_figure(epochs, names=("loss",)):
    """Lines of the values NAMES over epochs: rows {"epoch": int, name: value}. On a logarithmic scale where one value
    would press the others flat."""
    figure, (axis,) = chart(6, 2.8)
    for name in names:
        axis.plot([row["epoch"] + 1 for row in epochs], [row[name] for row in epochs], "o-", markersize=3,
                  label=name.replace("_", " "))
    means = [np.mean([row[name] for row in epochs]) for name in names] if epochs else []
    axis.set(xlabel="epoch", ylabel="mean over the epoch")
    if means and 0 < 10 * min(means) < max(means):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    whole_epochs(axis)
    axis.legend()
    return figure


def whole_epochs(axis):
    """Ticks at whole numbers only: there is no epoch 1.5."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def class_figure(values, classes, palette=viz.PALETTE, label="IoU, %"):
    """Bars of a score per class, a group per column of the frame VALUES (in %)."""
    figure, (axis,) = chart(9.5, 3.2)
    width = 0.8 / len(values.columns)
    alphas = np.linspace(1.0, 0.35, len(values.columns)) if len(values.columns) > 2 else (1.0, 0.55)
    for i, kind in enumerate(values.columns):
        place = np.arange(len(classes)) + (i - (len(values.columns) - 1) / 2) * width
        axis.bar(place, values[kind].to_numpy(float), width, color=np.asarray(palette)[: len(classes)] / 255,
                 alpha=alphas[i], edgecolor="k", linewidth=0.4)
    axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
    axis.set(ylabel=label, ylim=(0, 100))
    if len(values.columns) > 1:
        shades = [Patch(facecolor="0.2", alpha=alpha, edgecolor="k", linewidth=0.4) for alpha in alphas]
        axis.legend(shades, [str(kind).replace("_", " ") for kind in values.columns], ncols=len(values.columns),
                    loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def confusion_figure(table, classes):
    """Rows of the confusion matrix TABLE [C, C] or [N, C, C] in %; rows of absent classes, and shares below half a
    percent, stay empty."""
    table = metrics.total(table)
    total = table.sum(1, keepdims=True)
    share = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
    side = 2.5 + 0.36 * len(classes)  # inches: two digits fit into a cell
    figure, (axis,) = chart(side + 0.8, side)
    shown = axis.imshow(100 * share, vmin=0, vmax=100, cmap="viridis")
    for row, column in np.argwhere(share >= 0.005):
        axis.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=8,
                  color="k" if share[row, column] > 0.6 else "w")
    axis.set_xticks(range(len(classes)), classes, rotation=90)
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="prediction", ylabel="ground truth")
    figure.colorbar(shown, ax=axis, label="% of the true pixels")
    return figure


def quality_figure(steps, label="mIoU of the labels, %"):
    """The quality ladder: a bar for each step, its value above it. steps: {name: value in %, or {name: value}}."""
    groups = {name: value if isinstance(value, dict) else {"": value} for name, value in steps.items()}
    kinds = list(dict.fromkeys(kind for value in groups.values() for kind in value))
    figure, (axis,) = chart(max(5.0, 1.3 * len(groups) + 1), 3.2)
    width = 0.8 / len(kinds)
    for i, kind in enumerate(kinds):
        for k, value in enumerate(groups.values()):
            if value.get(kind) is not None:
                place = k + (i - (len(kinds) - 1) / 2) * width
                axis.bar(place, value[kind], width, color=f"C{i}", edgecolor="k", linewidth=0.4,
                         label=kind if k == 0 and kind else None)
                axis.text(place, value[kind] + 1, f"{value[kind]:.1f}", ha="center", fontsize=9)
    axis.set_xticks(range(len(groups)), list(groups), rotation=20 if len(groups) > 4 else 0)
    top = max((v for value in groups.values() for v in value.values() if v is not None), default=0)
    axis.set(ylabel=label, ylim=(0, max(10, 1.15 * top)))
    if any(kinds) and axis.patches:
        axis.legend()
    return figure


def sweep_figure(thresholds, curves, chosen=None, label="mIoU, %", across="threshold"):
    """Curves {name: values} over THRESHOLDS, or what ACROSS calls the horizontal axis; CHOSEN is marked."""
    figure, (axis,) = chart(7.2, 2.8)
    for name, values in curves.items():
        axis.plot(thresholds, values, label=name)
    if chosen is not None:
        axis.axvline(chosen, color="k", linestyle="--", linewidth=0.8, label=f"chosen: {chosen:g}")
    axis.set(xlabel=across, ylabel=label)
    if axis.lines:
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))  # beside the axes: within, it covered a curve
    return figure
