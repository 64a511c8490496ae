"""What the notebooks from pseudo labels to inference show. Functions return figures through `wsnb.plots`."""

from dataclasses import replace

import numpy as np

from wsnb import plots
from wsnb.data import read
from wsnb.methods.segsort import retrieval
from wsnb.papers.spml import bank, inference
from wsnb.papers.spml.views import enlarged, weak_picture
from wsnb.plots import charts


def walk_figure(item, maps_of, walker, weak, steps=None):
    """A picture, its weak mask, and the winning class after some steps of the walk (0: the seeds)."""
    image = read.image(item)
    steps = (0, 4, walker.steps) if steps is None else steps
    tiles, titles = [image, weak_picture(image, weak)], ["picture", "weak mask"]
    for count in dict.fromkeys(steps):
        maps = maps_of(image, walker=replace(walker, steps=count))
        tiles.append(plots.overlay(image, enlarged(maps.argmax(axis=0).astype(np.uint8), image.shape[:2])))
        titles.append(f"after {count} steps" if count else "seeds")
    return plots.grid(tiles, titles, columns=len(tiles))


def prototypes_figure(items, cut, label_of):
    """Pictures, their pseudo labels, and the class that each segment takes at the picture's own scale."""
    tiles = [read.image(item) for item in items]
    tiles += [weak_picture(read.image(item), label_of(item)) for item in items]
    for item in items:
        image = read.image(item)
        rows, index = cut(image)
        labels = bank.labels_of(index, label_of(item), len(rows))
        index = index.cpu().numpy()
        tiles.append(_outlined(weak_picture(image, enlarged(labels[index], image.shape[:2])), index))
    titles = [title for title in ("picture", "labels", "segments") for _ in items]
    return plots.grid(tiles, titles, columns=len(items))


def class_counts_figure(counts):
    """Bars of the number of segments of each class, on a logarithmic scale."""
    figure, (axis,) = charts.chart(9, 2.8)
    axis.bar(range(len(counts)), np.maximum(counts.to_numpy(float), 0.5), color=plots.PALETTE[: len(counts)] / 255,
             edgecolor="k", linewidth=0.4)
    axis.set_yscale("log")
    axis.set_xticks(range(len(counts)), counts.index, rotation=60, ha="right")
    axis.set(ylabel="segments")
    return figure


def plane_figure(memory, classes):
    """The two first principal components of at most 3000 prototypes, in the colours of their classes."""
    step = max(1, len(memory.label) // 3000)
    rows, labels = memory.prototype[::step].cpu().numpy(), memory.label[::step].cpu().numpy()
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(centred.T))
    places = centred @ vectors[:, ::-1][:, :2]
    figure, (axis,) = charts.chart(6.5, 4.5)
    for label in np.unique(labels):
        chosen = labels == label
        axis.scatter(*places[chosen].T, s=8, color=plots.PALETTE[label] / 255, label=classes[label], linewidths=0)
    axis.set(xlabel="first component", ylabel="second component")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure


def query_of(item, cut, truth_of):
    """(y, x) in 0..1 of a pixel in the middle of the picture's objects, else its centre."""
    truth = truth_of(item)
    objects = np.flatnonzero((truth > 0) & (truth < 254))
    if not len(objects):
        return 0.5, 0.5
    y, x = divmod(int(objects[len(objects) // 2]), truth.shape[1])
    return round(y / truth.shape[0], 2), round(x / truth.shape[1], 2)


def neighbours_figure(item, place, cut, memory, items, classes):
    """A query segment, outlined, and the training segments nearest to it, boxed in their pictures."""
    image = read.image(item)
    return plots.grid(*neighbours_tiles(image, *cut(image), place, memory, items, classes), columns=5)


def neighbours_tiles(image, rows, index, place, memory, items, classes):
    """The same as (pictures, titles), from the prototypes ROWS [S, C] and the segments INDEX [h, w] of the picture."""
    part = tuple(min(int(share * side), side - 1) for share, side in zip(place, index.shape, strict=True))
    own = int(index[part])
    cosines, places = retrieval.neighbours(rows[own : own + 1], memory.prototype, 9)
    tiles = [_outlined(image, (index == own).long().cpu().numpy(), (255, 255, 0), 2)]
    titles = ["query"]
    for cosine, k in zip(cosines[0].tolist(), places[0].tolist(), strict=True):
        tiles.append(_boxed(read.image(items[memory.picture[k]]), memory.box[k], plots.PALETTE[int(memory.label[k])]))
        titles.append(f"{cosine:.3f} {classes[int(memory.label[k])]}")
    return tiles, titles


def maps_figure(image, maps, classes):
    """The winning class and the three largest maps of a picture."""
    small = inference.crf_image(image, maps.shape[1:])
    order = np.argsort(-maps.mean(axis=(1, 2)))[:3]
    tiles = [plots.overlay(small, maps.argmax(axis=0).astype(np.uint8)), *(plots.heat(small, maps[c]) for c in order)]
    return plots.grid(tiles, ["winner", *(classes[c] for c in order)])


def _outlined(image, index, colour=(255, 255, 255), width=1):
    """A picture with the borders of an index map drawn on it."""
    index = enlarged(index, image.shape[:2])
    edge = np.zeros(index.shape, bool)
    for k in range(1, width + 1):
        edge[:, k:] |= index[:, k:] != index[:, :-k]
        edge[k:] |= index[k:] != index[:-k]
    shown = image.copy()
    shown[edge] = colour
    return shown


def _boxed(image, box, colour):
    """A picture, dimmed outside of a box (0..1) that is drawn in COLOUR."""
    height, wide = image.shape[:2]
    x0, y0, x1, y1 = (int(round(float(v) * side)) for v, side in zip(box, (wide, height, wide, height), strict=True))
    shown = (image * 0.45).astype(np.uint8)
    top, left = max(0, y0 - 3), max(0, x0 - 3)
    shown[top : y1 + 3, left : x1 + 3] = colour
    shown[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    return shown
