"""What the notebooks on regions, CAMs, weak masks and labels show. Functions return figures through `wsnb.plots`."""

from pathlib import Path

import cv2
import numpy as np

from wsnb import plots
from wsnb.data import read
from wsnb.files import load_npz, read_index
from wsnb.methods import cam_store, hierarchies
from wsnb.papers.spml import snapshots, transforms, weak_masks
from wsnb.plots import charts

RELATIONS = {"image_similarity": "1 image similarity", "annotation": "2 annotation", "co_occurrence": "3 co-occurrence",
             "feature_affinity": "4 feature affinity"}


def random_colours(count):
    """COUNT colours that neighbours can be told apart by, uint8 [COUNT, 3]."""
    return np.random.default_rng(0).integers(40, 240, (max(count, 1), 3)).astype(np.uint8)


def segments_picture(image, segments, mean=False):
    """Segments int [H, W] over a picture: each in a colour of its own, or (MEAN) in its mean colour; -1 stays white."""
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
    """The segmentations of a hierarchy at some heights: regions in their mean colours."""
    found = [hierarchies.regions(tree, height) for height in heights]
    titles = [f"cut at {height:.2g}: {cut.max() + 1} regions" for height, cut in zip(heights, found, strict=True)]
    return plots.grid([segments_picture(image, cut, mean=True) for cut in found], titles, columns=3)


def regions_figure(images, found):
    """Pictures above their regions."""
    titles = [""] * len(images) + [f"{regions.max() + 1} regions" for regions in map(np.asarray, found)]
    tiles = [*images, *(segments_picture(i, r.astype(int)) for i, r in zip(images, found, strict=True))]
    return plots.grid(tiles, titles, columns=len(images))


def counts_figure(counts):
    """Histogram of the number of regions a picture."""
    figure, (axis,) = charts.chart(6, 2.4)
    axis.hist(counts, bins=min(30, max(5, len(set(counts)))), color="C0", edgecolor="k", linewidth=0.4)
    axis.set(xlabel="regions", ylabel="pictures")
    return figure


def losses_figure(epochs, names):
    """Losses over epochs, or an empty frame where nothing was trained."""
    if not epochs:
        figure, (axis,) = charts.chart(6, 1.2)
        axis.set_axis_off()
        axis.text(0.5, 0.5, "nothing was trained here", ha="center")
        return figure
    return charts.loss_figure(epochs, names)


def cams_figure(items, cams, classes):
    """Each picture with the CAM of up to three of its classes. cams: {id: (keys, maps)}."""
    tiles, titles = [], []
    for item in items:
        image, (keys, maps) = read.image(item), cams[item.id]
        tiles.append(image)
        titles.append(item.id)
        for k in range(3):
            tiles.append(plots.heat(image, maps[k]) if k < len(keys) else np.full_like(image, 255))
            titles.append(classes[int(keys[k]) + 1] if k < len(keys) else "")
    return plots.grid(tiles, titles)


def weak_picture(image, mask):
    """A weak mask over its picture: classes in their colours, background grey, unlabelled and void pale."""
    mask = np.asarray(mask)
    shown = plots.overlay(image, np.where(mask >= weak_masks.UNLABELLED, plots.VOID, mask).astype(np.uint8))
    ground = mask == 0
    shown[ground] = (0.35 * shown[ground]).astype(np.uint8)
    return shown


def weak_figure(items, weak_of, truth_of, classes):
    """Pictures, weak masks (background dark, unlabelled pale) and, where given, the true masks."""
    images = [read.image(item) for item in items]
    tiles = [*images, *(weak_picture(i, weak_of(item)) for i, item in zip(images, items, strict=True))]
    if truth_of:
        tiles += [weak_picture(i, truth_of(item)) for i, item in zip(images, items, strict=True)]
    names = [short(np.array(classes[1:])[weak_masks.tags(weak_of(item), len(classes)) > 0]) for item in items]
    rows = ["", "weak mask", "true mask"][: len(tiles) // len(items)]
    titles = [title for row in rows for title in (names if not row else [row] * len(items))]
    return plots.grid(tiles, titles, columns=len(items))


def short(names) -> str:
    """The first two of some names, and how many more there are."""
    more = len(names) - 2
    return ", ".join(names[:2]) + (f" + {more} more" if more > 0 else "")


def threshold_figure(item, cam_folder, power, thresholds):
    """The weak mask from tags of one picture at some thresholds, with the share that stays unlabelled."""
    image, (keys, maps) = read.image(item), cam_store.read(cam_folder, item.id)
    tiles, titles = [], []
    for threshold in thresholds:
        mask = weak_masks.from_tags(maps, keys + 1, power, threshold)
        tiles.append(weak_picture(image, mask))
        titles.append(f"threshold {threshold:g}\n{100 * (mask == weak_masks.UNLABELLED).mean():.0f} % unlabelled")
    return plots.grid(tiles, titles)


def labels_figure(items, weak_of, folders, truth_of=None, second="weak mask"):
    """A row a picture: the picture, its weak (or true: SECOND) mask, the label maps of each folder, the true mask where
    given."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        tiles += [image, weak_picture(image, weak_of(item))]
        tiles += [plots.overlay(image, read_index(folder / f"{item.id}.png")) for folder in folders.values()]
        tiles += [plots.overlay(image, truth_of(item))] if truth_of else []
    columns = 2 + len(folders) + bool(truth_of)
    titles = ["picture", second, *(name.replace("_", " + ") for name in folders), *(["true mask"] if truth_of else [])]
    return plots.grid(tiles, titles + [""] * (len(tiles) - columns), columns=columns, width=11)


def crops_figure(dataset, count=4):
    """Augmented crops with their weak masks, and with their regions if they have any."""
    tiles, bottom, middle = [], [], []
    for i in range(min(count, len(dataset))):
        sample = dataset[i]
        image = transforms.denormalise(sample["x"].numpy())
        regions = sample["regions"].numpy()
        tiles.append(image)
        middle.append(weak_picture(image, sample["semantic"].numpy().astype(np.uint8)))
        bottom.append(segments_picture(image, np.where(regions == plots.VOID, -1, regions)))
    rows = [*tiles, *middle, *bottom] if dataset.regions_of is not None else [*tiles, *middle]
    return plots.grid(rows, columns=len(tiles))


def principal_colours(embeddings):
    """Embeddings float [C, h, w] of several pictures -> uint8 [h, w, 3]: unit length, then the first three principal
    components of all their pixels as red, green, blue."""
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
    """A row a picture: the picture, then its embedding's colours over the training."""
    paths = sorted(Path(folder).glob("embedding_*.npz"))
    paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, 6).round().astype(int))]
    images = [read.image(item) for item in items]
    colours = [principal_colours([load_npz(path)[str(k)] for k in range(len(items))]) for path in paths]
    tiles, titles = [], []
    for k, image in enumerate(images):
        tiles += [image, *(enlarged(one[k], image.shape[:2]) for one in colours)]
        names = ["start" if path.stem.endswith("_000") else f"epoch {int(path.stem[-3:])}" for path in paths]
        titles += ["picture", *names] if k == 0 else [""] * (len(paths) + 1)
    return plots.grid(tiles, titles, columns=len(paths) + 1, width=11)


def scene_figure(scene):
    """Clusters of k-means above, segments below."""
    tiles = [segments_picture(image, enlarged(part, image.shape[:2]))
             for parts in (scene.clusters, scene.segments) for image, part in zip(scene.images, parts, strict=True)]
    titles = [f"{len(np.unique(part))} clusters" for part in scene.clusters]
    titles += [f"{len(np.unique(part[part >= 0]))} segments" for part in scene.segments]
    return plots.grid(tiles, titles, columns=len(scene.images))


def relations_figure(scene, settings, picture, y, x):
    """A row a relation: all pictures of the scene, segments that attract the pixel green, those that repel it red."""
    rows = list(relations_rows(scene, settings, picture, y, x))
    titles = [f"{parts[0]}: {' '.join(parts[1:])}".rstrip() for parts, _ in rows]
    return plots.grid([_beside(row) for _, row in rows], titles, columns=1, width=9)


def relations_rows(scene, settings, picture, y, x):
    """For each relation ((its name, how many segments attract and repel, whether it is off), the scene's pictures with
    the pixel marked)."""
    own = own_segment(scene, picture, y, x)
    bank = scene.prototypes.embedding
    alike = ((bank @ bank[own] + 1) / 2).cpu().numpy()
    for name, values in snapshots.signs(scene, own, settings).items():
        values = values.cpu().numpy()
        row = [_related(image, part, values, alike) for image, part in zip(scene.images, scene.segments, strict=True)]
        _cross(row[picture], y, x)
        off = "" if getattr(settings, name).weight else "(off in training)"
        yield (RELATIONS[name], f"{(values > 0).sum()} attract, {(values < 0).sum()} repel", off), row


def own_segment(scene, picture, y, x) -> int:
    """The segment at (y, x) in 0..1 of a picture; of a void pixel, the picture's first one."""
    part = scene.segments[picture]
    place = tuple(min(int(share * side), side - 1) for share, side in zip((y, x), part.shape, strict=True))
    return int(part[place]) if part[place] >= 0 else int(part.max(initial=0, where=part >= 0))


def _related(image, part, values, alike):
    """One picture: grey, green where attracted, red where repelled, as strongly as alike."""
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
    """Pictures in a row on white, each at its own size."""
    height = max(image.shape[0] for image in images)
    whole = np.full((height, sum(image.shape[1] + gap for image in images) - gap, 3), 255, np.uint8)
    left = 0
    for image in images:
        whole[: image.shape[0], left : left + image.shape[1]] = image
        left += image.shape[1] + gap
    return whole


def enlarged(image, size):
    """A picture brought to a SIZE (height, width) without smoothing: what belongs to a grid cell stays one colour."""
    image = np.asarray(image)
    rows, columns = (np.arange(side) * old // side for side, old in zip(size, image.shape[:2], strict=True))
    return image[rows[:, None], columns]
