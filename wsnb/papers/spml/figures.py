"""Figures of the notebooks, through `wsnb.viz`, and their controls, each a function of the controls' values.

All that does not depend on a control's values is made at the first call; pictures are drawn at about the size at which
they are seen, so that an answer comes at once.
"""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from wsnb import viz
from wsnb.data import read
from wsnb.files import load_npz
from wsnb.ops import cam, hierarchies
from wsnb.ops.segsort import retrieval
from wsnb.papers.spml import data, inference, prototypes, steps, weak_labels
from wsnb.viz import charts
from wsnb.viz.interactive import Click
from wsnb.viz.tiles import SIDE, smaller, tiles

RELATIONS = {"image_similarity": "1 image similarity", "annotation": "2 annotation", "co_occurrence": "3 co-occurrence",
             "feature_affinity": "4 feature affinity"}


def random_colours(count):
    """Draw COUNT random colours, uint8 [COUNT, 3]."""
    return np.random.default_rng(0).integers(40, 240, (max(count, 1), 3)).astype(np.uint8)


def segments_picture(image, segments, mean=False):
    """Draw segments int [H, W] over a picture: each in a colour of its own, or (MEAN) in its mean colour; -1 stays
    white."""
    ids = np.asarray(segments)
    flat = np.where(ids < 0, ids.max() + 1, ids).ravel()
    if mean:
        count = np.maximum(np.bincount(flat), 1)
        colours = np.stack([np.bincount(flat, image[..., c].ravel()) / count for c in range(3)], 1)
    else:
        colours = random_colours(flat.max() + 1)
    shown = colours[flat].reshape(*ids.shape, 3)
    shown = shown if mean else 0.45 * image + 0.55 * shown
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    shown[edge] = 255
    shown[ids < 0] = 255
    return shown.astype(np.uint8)


def cuts_figure(image, tree, heights):
    """Show a hierarchy cut at some heights: regions in their mean colours."""
    found = [hierarchies.regions(tree, height) for height in heights]
    titles = [f"cut at {height:.2g}: {cut.max() + 1} regions" for height, cut in zip(heights, found, strict=True)]
    return viz.grid([segments_picture(image, cut, mean=True) for cut in found], titles, columns=3)


def regions_figure(items, regions_of):
    """Show a row a picture: the picture and its regions."""
    def regions(item):
        found = regions_of(item).astype(int)
        return segments_picture(read.image(item), found), f"{found.max() + 1} regions"

    return viz.rows(items, {"picture": read.image, "regions": regions}, width=6)


def counts_figure(counts):
    """Draw a histogram of the number of regions a picture."""
    figure, (axis,) = charts.chart(6, 2.4)
    axis.hist(counts, bins=min(30, max(5, len(set(counts)))), color="C0", edgecolor="k", linewidth=0.4)
    axis.set(xlabel="regions", ylabel="pictures")
    return figure


def losses_figure(epochs, names):
    """Draw losses over epochs, or an empty frame where nothing was trained."""
    if not epochs:
        figure, (axis,) = charts.chart(6, 1.2)
        axis.set_axis_off()
        axis.text(0.5, 0.5, "nothing was trained here", ha="center")
        return figure
    return charts.loss_figure(epochs, names)


def cams_figure(items, folder, classes):
    """Show a row a picture: the picture and the CAMs of up to three of its classes, from FOLDER."""
    def cam_of(item, k):
        image, (keys, maps) = read.image(item), cam.read(folder, item.id)
        return (viz.heat(image, maps[k]), classes[int(keys[k]) + 1]) if k < len(keys) else np.full_like(image, 255)

    columns = {f"CAM {k + 1}": partial(cam_of, k=k) for k in range(3)}
    return viz.rows(items, {"picture": lambda item: (read.image(item), item.id), **columns})


def weak_picture(image, mask):
    """Draw a weak mask over its picture: classes in their colours, background grey, unlabelled and void pale."""
    mask = np.asarray(mask)
    shown = viz.overlay(image, np.where(mask >= weak_labels.UNLABELLED, viz.VOID, mask).astype(np.uint8))
    background = mask == 0
    shown[background] = (0.35 * shown[background]).astype(np.uint8)
    return shown


def weak_figure(items, weak_of, truth_of, classes):
    """Show a row a picture: the picture with its tags, its weak mask and, where TRUTH_OF is given, its true mask."""
    def picture(item):
        return read.image(item), short(np.array(classes[1:])[weak_labels.tags(weak_of(item), len(classes)) > 0])

    masks = {"weak mask": weak_of, **({"true mask": truth_of} if truth_of else {})}
    return viz.rows(items, {"picture": picture, **{name: mask_column(of) for name, of in masks.items()}}, width=8)


def mask_column(mask_of):
    """Make a column of `viz.rows`: the masks mask_of(item) over their pictures."""
    return lambda item: weak_picture(read.image(item), mask_of(item))


def overlay_column(labels_of):
    """Make a column of `viz.rows`: the label maps labels_of(item) over their pictures."""
    return lambda item: viz.overlay(read.image(item), labels_of(item))


def short(names) -> str:
    """Join the first two of some names and the number of others."""
    more = len(names) - 2
    return ", ".join(names[:2]) + (f" + {more} more" if more > 0 else "")


def threshold_figure(item, cam_folder, power, thresholds):
    """Show the weak mask from tags of one picture at some thresholds, with the share that stays unlabelled."""
    image, (keys, maps) = read.image(item), cam.read(cam_folder, item.id)
    tiles, titles = [], []
    for threshold in thresholds:
        mask = weak_labels.from_tags(maps, keys + 1, power, threshold)
        tiles.append(weak_picture(image, mask))
        titles.append(f"threshold {threshold:g}\n{100 * (mask == weak_labels.UNLABELLED).mean():.0f} % unlabelled")
    return viz.grid(tiles, titles)


def labels_figure(items, weak_of, folders, truth_of=None, second="weak mask"):
    """Show a row a picture: the picture, its weak (or true: SECOND) mask, the label maps of each of FOLDERS, the true
    mask where given."""
    columns = {folder.name.replace("_", " + "): overlay_column(weak_labels.in_folder(folder)) for folder in folders}
    columns |= {"true mask": overlay_column(truth_of)} if truth_of else {}
    return viz.rows(items, {"picture": read.image, second: mask_column(weak_of), **columns}, width=11)


def crops_figure(dataset, count=4):
    """Show a row a crop: the augmented crop, its weak mask, and its regions if it has any."""
    def picture(sample):
        return data.denormalise(sample["x"].numpy())

    def regions(sample):
        found = sample["regions"].numpy()
        return segments_picture(picture(sample), np.where(found == viz.VOID, -1, found))

    columns = {"crop": picture,
               "labels": lambda sample: weak_picture(picture(sample), sample["semantic"].numpy().astype(np.uint8))}
    columns |= {} if dataset.regions_of is None else {"regions": regions}
    return viz.rows([dataset[k] for k in range(min(count, len(dataset)))], columns, width=6)


def principal_colours(embeddings):
    """Colour embeddings float [C, h, w] of several pictures: uint8 [h, w, 3]: unit length, then the first three
    principal components of all their pixels as red, green, blue."""
    rows = [e.reshape(len(e), -1).T.astype(np.float32) for e in embeddings]
    rows = [r / np.maximum(np.linalg.norm(r, axis=1, keepdims=True), 1e-12) for r in rows]
    every = np.concatenate(rows)
    _, vectors = np.linalg.eigh(np.cov(every.T))
    axes = vectors[:, ::-1][:, :3]
    axes = axes * np.sign(axes.sum(axis=0) + 1e-12)
    values = [(r - every.mean(axis=0)) @ axes for r in rows]
    low, high = np.percentile(np.concatenate(values), (2, 98), axis=0)
    scaled = [np.clip((v - low) / np.maximum(high - low, 1e-6), 0, 1) for v in values]
    shaped = [s.reshape(*e.shape[1:], s.shape[1]) for s, e in zip(scaled, embeddings, strict=True)]
    return [(255 * s).astype(np.uint8) for s in shaped]


def embedding_figure(items, folder):
    """Show a row a picture: the picture, then its embedding's colours over the training."""
    paths = sorted(Path(folder).glob("embedding_*.npz"))
    paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, 6).round().astype(int))]
    images = [read.image(item) for item in items]

    def colours(path):
        found = principal_colours([load_npz(path)[str(k)] for k in range(len(items))])
        return lambda k: enlarged(found[k], images[k].shape[:2])

    epochs = [int(path.stem[-3:]) for path in paths]
    columns = {f"epoch {n}" if n else "start": colours(path) for n, path in zip(epochs, paths, strict=True)}
    return viz.rows(range(len(items)), {"picture": lambda k: images[k], **columns}, width=11)


def scene_figure(scene):
    """Show a row a picture: the picture, its clusters of k-means, its segments."""
    def column(parts, name):
        def drawn(k):
            part = np.asarray(parts[k])
            picture = segments_picture(scene.images[k], enlarged(part, scene.images[k].shape[:2]))
            return picture, f"{len(np.unique(part[part >= 0]))} {name}"

        return drawn

    return viz.rows(range(len(scene.images)), {"picture": lambda k: scene.images[k], "clusters": column(
        scene.clusters, "clusters"), "segments": column(scene.segments, "segments")})


def relations_figure(scene, settings, picture, y, x):
    """Show a row a relation: all pictures of the scene, segments that attract the pixel green, those that repel it
    red."""
    rows = list(relations_rows(scene, settings, picture, y, x))
    titles = [f"{parts[0]}: {' '.join(parts[1:])}".rstrip() for parts, _ in rows]
    return viz.grid([_beside(row) for _, row in rows], titles, columns=1, width=9)


def relations_rows(scene, settings, picture, y, x):
    """Yield for each relation ((its name, how many segments attract and repel, whether it is off), the scene's pictures
    with the pixel marked)."""
    own = own_segment(scene, picture, y, x)
    rows = scene.prototypes.embedding
    alike = ((rows @ rows[own] + 1) / 2).cpu().numpy()
    for name, values in steps.relation_signs(scene, own, settings).items():
        values = values.cpu().numpy()
        row = [_related(image, part, values, alike) for image, part in zip(scene.images, scene.segments, strict=True)]
        _cross(row[picture], y, x)
        off = "" if getattr(settings, name).weight else "(off in training)"
        yield (RELATIONS[name], f"{(values > 0).sum()} attract, {(values < 0).sum()} repel", off), row


def own_segment(scene, picture, y, x) -> int:
    """Find the segment at (y, x) in 0..1 of a picture; of a void pixel, the picture's first one."""
    part = scene.segments[picture]
    place = tuple(min(int(share * side), side - 1) for share, side in zip((y, x), part.shape, strict=True))
    return int(part[place]) if part[place] >= 0 else int(part.max(initial=0, where=part >= 0))


def _related(image, part, values, alike):
    """Draw one picture: grey, green where attracted, red where repelled, as strongly as alike."""
    part = enlarged(part, image.shape[:2])
    known = np.maximum(part, 0)
    sign, weight = values[known] * (part >= 0), 0.15 + 0.5 * alike[known]
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2) * 0.7 + 40
    colour = np.where(sign[..., None] > 0, (30, 180, 60), (210, 40, 40))
    mixed = grey * (1 - weight[..., None]) + colour * weight[..., None]
    return np.where(sign[..., None] != 0, mixed, grey).astype(np.uint8)


def _cross(image, y, x, reach=5):
    row, column = (min(int(share * side), side - 1) for share, side in zip((y, x), image.shape[:2], strict=True))
    cv2.drawMarker(image, (column, row), (255, 255, 0), cv2.MARKER_CROSS, 2 * reach + 1, 2)


def _beside(images, gap=4):
    """Join pictures in a row on white, each at its own size."""
    height = max(image.shape[0] for image in images)
    whole = np.full((height, sum(image.shape[1] + gap for image in images) - gap, 3), 255, np.uint8)
    left = 0
    for image in images:
        whole[: image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1] + gap
    return whole


def enlarged(image, size):
    """Enlarge a picture to SIZE (height, width) without smoothing: each grid cell keeps one colour."""
    image = np.asarray(image)
    rows, columns = (np.arange(side) * old // side for side, old in zip(size, image.shape[:2], strict=True))
    return image[rows[:, None], columns]


def walk_figure(item, maps_of, walker, weak, steps=None):
    """Show a picture, its weak mask, and the winning class after some steps of the walk (0: the seeds)."""
    image = read.image(item)
    steps = (0, 4, walker.steps) if steps is None else steps
    tiles, titles = [image, weak_picture(image, weak)], ["picture", "weak mask"]
    for count in dict.fromkeys(steps):
        maps = maps_of(image, walker=replace(walker, steps=count))
        tiles.append(viz.overlay(image, enlarged(maps.argmax(axis=0).astype(np.uint8), image.shape[:2])))
        titles.append(f"after {count} steps" if count else "seeds")
    return viz.grid(tiles, titles, columns=len(tiles))


def prototypes_figure(items, clustering, label_of):
    """Show a row a picture: the picture, its labels, and the class that each segment takes at the picture's own
    scale."""
    def segments(item):
        image = read.image(item)
        rows, index = clustering(image)
        labels = prototypes.labels_of(index, label_of(item), len(rows))
        index = index.cpu().numpy()
        return _outlined(weak_picture(image, enlarged(labels[index], image.shape[:2])), index)

    return viz.rows(items, {"picture": read.image, "labels": mask_column(label_of), "segments": segments}, width=8)


def class_counts_figure(counts):
    """Draw bars of the number of segments of each class, on a logarithmic scale."""
    figure, (axis,) = charts.chart(9, 2.8)
    axis.bar(range(len(counts)), np.maximum(counts.to_numpy(float), 0.5), color=viz.PALETTE[: len(counts)] / 255,
             edgecolor="k", linewidth=0.4)
    axis.set_yscale("log")
    axis.set_xticks(range(len(counts)), counts.index, rotation=60, ha="right")
    axis.set(ylabel="segments")
    return figure


def plane_figure(memory, classes):
    """Draw the two first principal components of at most 3000 prototypes, in the colours of their classes."""
    step = max(1, len(memory.label) // 3000)
    rows, labels = memory.prototype[::step].cpu().numpy(), memory.label[::step].cpu().numpy()
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(centred.T))
    places = centred @ vectors[:, ::-1][:, :2]
    figure, (axis,) = charts.chart(6.5, 4.5)
    for label in np.unique(labels):
        chosen = labels == label
        axis.scatter(*places[chosen].T, s=8, color=viz.PALETTE[label] / 255, label=classes[label], linewidths=0)
    axis.set(xlabel="first component", ylabel="second component")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure


def neighbours_figure(item, place, clustering, memory, items, classes):
    """Show a query segment, outlined, and the training segments nearest to it, boxed in their pictures."""
    image = read.image(item)
    return viz.grid(*neighbours_tiles(image, *clustering(image), place, memory, items, classes), columns=5)


def neighbours_tiles(image, rows, index, place, memory, items, classes):
    """Make the same as (pictures, titles), from the prototypes ROWS [S, C] and the segments INDEX [h, w] of the
    picture."""
    part = tuple(min(int(share * side), side - 1) for share, side in zip(place, index.shape, strict=True))
    own = int(index[part])
    cosines, places = retrieval.nearest_neighbours(rows[own : own + 1], memory.prototype, 9)
    tiles = [_outlined(image, (index == own).long().cpu().numpy(), (255, 255, 0), 2)]
    titles = ["query"]
    for cosine, k in zip(cosines[0].tolist(), places[0].tolist(), strict=True):
        tiles.append(_boxed(read.image(items[memory.picture[k]]), memory.box[k], viz.PALETTE[int(memory.label[k])]))
        titles.append(f"{cosine:.3f} {classes[int(memory.label[k])]}")
    return tiles, titles


def maps_figure(image, maps, classes):
    """Show the winning class and the three largest maps of a picture."""
    small = inference.crf_image(image, maps.shape[1:])
    order = np.argsort(-maps.mean(axis=(1, 2)))[:3]
    tiles = [viz.overlay(small, maps.argmax(axis=0).astype(np.uint8)), *(viz.heat(small, maps[c]) for c in order)]
    return viz.grid(tiles, ["winner", *(classes[c] for c in order)])


def _outlined(image, index, colour=(255, 255, 255), width=1):
    """Draw a picture with the borders of an index map drawn on it."""
    index = enlarged(index, image.shape[:2])
    edge = np.zeros(index.shape, bool)
    for k in range(1, width + 1):
        edge[:, k:] |= index[:, k:] != index[:, :-k]
        edge[k:] |= index[k:] != index[:-k]
    shown = image.copy()
    shown[edge] = colour
    return shown


def _boxed(image, box, colour):
    """Draw a picture, dimmed outside of a box (0..1) that is drawn in COLOUR."""
    height, wide = image.shape[:2]
    x0, y0, x1, y1 = (int(round(float(v) * side)) for v, side in zip(box, (wide, height, wide, height), strict=True))
    shown = (image * 0.45).astype(np.uint8)
    top, left = max(0, y0 - 3), max(0, x0 - 3)
    shown[top : y1 + 3, left : x1 + 3] = colour
    shown[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    return shown


def cut_control(image, tree, start):
    """Return a function of the height at which the tree is cut: regions in their mean colours."""
    small = smaller(image, 2 * SIDE)

    def show(height=start):
        found = hierarchies.regions(tree, height)
        drawn = segments_picture(small, enlarged(found, small.shape[:2]), mean=True)
        return tiles([small, drawn], ["picture", f"cut at {height:.2g}: {found.max() + 1} regions"], 2, 840)

    return show


def relations_control(scene, settings, start):
    """Return a function of a picture of the scene and a pixel (y, x in 0..1): a row a relation, segments that attract
    the pixel green, those that repel it red."""

    @cache
    def opened():
        return replace(scene, images=[smaller(image, SIDE) for image in scene.images])

    def show(picture=start[0], y=start[1], x=start[2]):
        drawn, titles, count = [], [], len(scene.images)
        for parts, row in relations_rows(opened(), settings, picture, y, x):
            drawn += row
            titles += ([*parts] if count >= 3 else ["\n".join(parts)]) + [""] * (count - (3 if count >= 3 else 1))
        return tiles(drawn, titles, count)

    return show


def neighbours_control(shown, start, clustering, memory, items, classes):
    """Return a function of a picture of SHOWN and a pixel (y, x in 0..1): its segment, and the training segments
    nearest to it. A picture goes through CLUSTERING when it is first asked for."""

    @cache
    def segments(picture):
        image = read.image(shown[picture])
        return image, *clustering(image)

    def show(picture=0, y=start[0], x=start[1]):
        pictures, titles = neighbours_tiles(*segments(picture), (y, x), memory, items, classes)
        return tiles([smaller(one, SIDE) for one in pictures], titles, 5)

    return show


def neighbours_click():
    """Set the pixel of `neighbours_control` by a click on its first tile."""
    return Click(lambda tile, x, y: {"y": round(y, 3), "x": round(x, 3)} if tile == 0 else None)


def relations_click(scene):
    """Set the picture and the pixel of `relations_control` by a click on a tile of any row."""
    return Click(lambda tile, x, y: {"picture": tile % len(scene.images), "y": round(y, 3), "x": round(x, 3)})
