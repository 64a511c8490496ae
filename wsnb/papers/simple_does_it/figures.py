"""What the notebooks of this paper show. Functions return figures; pictures come through `wsnb.viz`.

What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are worked on at about the size at which they are seen, so that an answer comes at once.
"""

from functools import cache

import cv2
import numpy as np

from wsnb import viz
from wsnb.data import read
from wsnb.files import read_index
from wsnb.ops import grabcut
from wsnb.papers.simple_does_it import box_labels, semantic
from wsnb.viz.charts import chart, whole_epochs
from wsnb.viz.interactive import Drag
from wsnb.viz.pictures import known_truth
from wsnb.viz.tiles import SIDE, smaller, tiles


def book_pictures(items, layout, n_classes, count=4):
    """The same few pictures throughout: spread over the split, with objects if possible."""
    spread = items[:: max(1, len(items) // (4 * count))]
    known = [item for item in spread if item.mask is not None or item.tags is not None]  # not in VOC's test split
    with_objects = [item for item in known if read.tags(layout, item, n_classes).any()]
    return (with_objects or items[:: max(1, len(items) // count)])[:count]


def _truth(layout, item, image, n_classes):
    return known_truth(item, lambda item: read.mask(layout, item, n_classes), image.shape[:2])


def outlined(image, boxes, labels=None, width=2):
    """The picture with its boxes drawn in the colours of their classes."""
    drawn = np.ascontiguousarray(image.copy())
    for k, (x0, y0, x1, y1) in enumerate(np.asarray(boxes, int).reshape(-1, 4).tolist()):
        colour = (255, 255, 0) if labels is None else tuple(int(v) for v in viz.PALETTE[labels[k]])
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), (255, 255, 255), width + 2)
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), colour, width)
    return drawn


def boxes_figure(source, items, count=8):
    """Pictures with their boxes: all that training knows of them."""
    tiles, titles = [], []
    for item in items[:count]:
        boxes, labels = box_labels.boxes_of(source, item)
        tiles.append(outlined(read.image(item), boxes, labels))
        titles.append(", ".join(source.names[c] for c in dict.fromkeys(labels.tolist())) or "(no object)")
    return viz.grid(tiles, titles)


def cues_figure(picture, box):
    """Step by step for one box: boundary strength, contours, and what each kind of mask makes of it."""
    from wsnb.ops import hierarchies

    strength = hierarchies.contours(picture.hierarchy)
    tiles = [outlined(picture.image, [box]), _grey(picture.boundary), _grey(strength)]
    titles = ["box", "boundary strength", "contours of the hierarchy"]
    for kind in ("grabcut", "grabcut_plus", "proposal"):
        tiles.append(tinted(picture.image, picture.object_mask(kind, box), box))
        titles.append({"grabcut": "GrabCut", "grabcut_plus": "GrabCut+", "proposal": "proposal"}[kind])
    both = picture.object_mask("proposal", box) & picture.object_mask("grabcut_plus", box)
    tiles += [viz.heat(picture.image, picture.object_mask("votes", box)), tinted(picture.image, both, box)]
    return viz.grid(tiles, [*titles, f"votes of {picture.settings.runs} runs", "proposal and GrabCut+"])


def _grey(values):
    top = max(float(values.max()), 1e-6)
    return (255 - 255 * np.clip(values / top, 0, 1)).astype(np.uint8)


def tinted(image, mask, box=None):
    """The picture with an object mask in red and its box."""
    shown = viz.overlay(image, mask.astype(np.uint8) * 15)
    return shown if box is None else outlined(shown, [box])


def recipes_figure(items, source, folder, names, layout):
    """A row a picture: boxes, ground truth, and the label map of every recipe; light pixels are not known."""
    tiles = []
    for item in items:
        image = read.image(item)
        boxes, labels = box_labels.boxes_of(source, item)
        maps = [read_index(folder / name / f"{item.id}.png") for name in names]
        truth = _truth(layout, item, image, len(source.names))
        tiles += [outlined(image, boxes, labels), *(viz.overlay(image, m) for m in (truth, *maps))]
    heads = ["boxes", "ground truth", *(semantic.title(name) for name in names)]
    return viz.grid(tiles, heads + [""] * (len(tiles) - len(heads)), columns=len(heads), width=1.4 * len(heads))


def maps_figure(items, layout, n_classes, folders):
    """A row a picture: picture, ground truth, and the map of each folder {name: folder}."""
    tiles = []
    for item in items:
        image = read.image(item)
        maps = [read_index(folder / f"{item.id}.png") for folder in folders.values()]
        tiles += [image, *(viz.overlay(image, m) for m in (_truth(layout, item, image, n_classes), *maps))]
    heads = ["picture", "ground truth", *(semantic.title(name) for name in folders)]
    return viz.grid(tiles, heads + [""] * (len(tiles) - len(heads)), columns=len(heads), width=1.9 * len(heads))


def scores_figure(frame):
    """Bars of label mIoU and trained mIoU, a pair a recipe (columns of the frame, rows its names; in %)."""
    figure, (axis,) = chart(max(6.0, 0.95 * len(frame) + 2), 3.4)
    kinds = list(frame.columns)
    width = 0.8 / len(kinds)
    for i, kind in enumerate(kinds):
        place = np.arange(len(frame)) + (i - (len(kinds) - 1) / 2) * width
        values = frame[kind].to_numpy(float)
        axis.bar(place, np.nan_to_num(values), width, label=kind, edgecolor="k", linewidth=0.4)
        for x, value in zip(place, values, strict=True):
            if np.isfinite(value):
                axis.text(x, value + 0.8, f"{value:.1f}", ha="center", fontsize=8)
    axis.set_xticks(range(len(frame)), list(frame.index), rotation=20, ha="right")
    axis.set(ylabel="mIoU, %", ylim=(0, min(118, 1.18 * np.nan_to_num(frame.to_numpy(float)).max(initial=10))))
    axis.legend(loc="upper left", ncols=len(kinds), fontsize=9)
    return figure


def losses_figure(epochs):
    """The loss of each network over its epochs: {name: rows {"epoch", "loss"}}."""
    figure, (axis,) = chart(6.5, 3)
    for name, rows in epochs.items():
        axis.plot([row["epoch"] + 1 for row in rows], [row["loss"] for row in rows], "o-", markersize=3,
                  label=semantic.title(name))
    axis.set(xlabel="epoch", ylabel="cross-entropy")
    whole_epochs(axis)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=9)
    return figure


def outlined_objects_figure(image, found, boxes, classes):
    """A picture's objects (number, class, mask) and their boxes, one tile an object."""
    tiles, titles = [outlined(image, boxes)], ["boxes"]
    for (k, label, mask), box in list(zip(found, boxes, strict=True))[:7]:
        tiles.append(tinted(image, mask, box))
        titles.append(f"{k}: {classes[label]}")
    return viz.grid(tiles, titles)


def guesses_figure(picture, box, kinds):
    """What each kind of guess makes of one box."""
    tiles = [tinted(picture.image, picture.object_mask(kind, box), box) for kind in kinds]
    names = {"grabcut": "GrabCut", "grabcut_plus": "GrabCut+"}
    return viz.grid([outlined(picture.image, [box]), *tiles], ["box", *(names.get(k, k) for k in kinds)], columns=3)


def labels_figure(prepared, pairs, items, count=8):
    """Objects spread over a split: label from the box and true mask beside each other."""
    chosen = pairs[:: max(1, len(pairs) // count)][:count]
    tiles, titles = [], []
    for image_name, mask_name, box in chosen:
        image = read.image(items[image_name.rpartition(".")[0]])
        for folder, title in (("inst_grabcuts", "label from the box"), ("inst_masks", "true mask")):
            tiles.append(tinted(image, _mask(prepared / folder / mask_name, image), box))
            titles.append(title if (prepared / folder / mask_name).exists() else "not known")
    return viz.grid(tiles or [_blank()], titles or ["no object"], columns=min(4, max(1, len(tiles))))


def _mask(path, image):
    """The mask in the file PATH, bool [H, W]; none of the IMAGE's pixels where there is no file."""
    return read_index(path) > 0 if path.exists() else np.zeros(image.shape[:2], bool)


def _blank():
    return np.full((60, 240, 3), 255, np.uint8)


def kernels_figure(weight, count=8):
    """First kernels [O, 4, h, w]: their colour part above, the new channel below, both to one scale each."""
    colour, new = (_tile(part) for part in (weight[:count, :3], weight[:count, 3:].repeat(1, 3, 1, 1)))
    titles = [f"kernel {k}" for k in range(len(colour))] + ["new channel"] + [""] * (len(new) - 1)
    return viz.grid([*colour, *new], titles, columns=len(colour), width=9)


def _tile(kernels):
    """Kernels [O, 3, h, w] as enlarged pictures, grey at 0."""
    values = kernels.detach().cpu().numpy().transpose(0, 2, 3, 1)
    shown = np.clip(127.5 + 127.5 * values / max(np.abs(values).max(), 1e-12), 0, 255).astype(np.uint8)
    return [cv2.resize(tile, (48, 48), interpolation=cv2.INTER_NEAREST) for tile in shown]


def samples_figure(samples, items, count=4):
    """Samples as the network gets them: box on the picture, label."""
    tiles, titles = [], []
    for i in range(0, len(samples), max(1, len(samples) // count)):
        x, label, name = samples[i]
        image = cv2.resize(read.image(items[name.rpartition("_")[0]]), x.shape[:1:-1], interpolation=cv2.INTER_AREA)
        drawn = (x[0, 3] > 0).numpy()
        tiles += [np.where(drawn[..., None], image, image // 3), viz.overlay(image, label[0, 0].byte().numpy() * 15)]
        titles += [f"{image.shape[1]}x{image.shape[0]}, box map", "label"]
    return viz.grid(tiles[: 2 * count], titles[: 2 * count])


def instance_losses_figure(history, last_steps):
    """Loss over steps of each network; lines where the supervision changes."""
    figure, (axis,) = chart(7, 3)
    for kind, rows in history.items():
        axis.plot([row["step"] for row in rows], [row["loss"] for row in rows], label=f"trained on {kind} labels")
    for last in last_steps[:-1]:
        axis.axvline(last, color="k", linestyle="--", linewidth=0.8)
    axis.set(xlabel="step", ylabel="total loss of a sample")
    if any(history.values()):
        axis.set_yscale("log")
        axis.legend()
    return figure


def probability_figure(image, box, maps):
    """The box, and each network's probability of object."""
    tiles = [outlined(image, [box]), *(outlined(viz.heat(image, values), [box]) for values in maps.values())]
    return viz.grid(tiles, ["box", *(f"trained on {kind} labels" for kind in maps)], width=9)


def instances_drawn(image, masks, boxes, alpha=0.5):
    """The picture with each object in a bright colour of its own and its box, two pixels wide."""
    shown = image.astype(np.float32)
    hues = np.linspace(0, 179, len(masks), endpoint=False).astype(np.uint8)
    for mask, hue in zip(masks, hues, strict=True):
        colour = cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
        shown[mask] = (1 - alpha) * shown[mask] + alpha * colour
    return outlined((shown + 0.5).astype(np.uint8), boxes, width=1)


def predictions_figure(folder, prepared, groups, items, count=6):
    """A row a picture: its boxes, true masks, label masks, and the masks of every network."""
    kinds = sorted((place.name for place in folder.iterdir()), reverse=True)
    names = list(groups)[:: max(1, len(groups) // count)][:count]
    places = [prepared / "inst_masks", prepared / "inst_grabcuts", *(folder / kind for kind in kinds)]
    tiles = []
    for name in names:
        image, boxes = read.image(items[name]), [box for *_, box in groups[name]]
        tiles.append(outlined(image, boxes))
        for place in places:
            masks = [_mask(place / mask_name, image) for _, mask_name, _ in groups[name]]
            tiles.append(instances_drawn(image, masks, boxes))
    heads = ["boxes", "true masks", "labels from boxes", *(f"trained on {kind}" for kind in kinds)]
    return viz.grid(tiles, heads + [""] * (len(tiles) - len(heads)), columns=len(heads), width=11)


def measures_figure(table):
    """Bars of mAP^r and ABO, a group a kind of masks."""
    figure = scores_figure(table)
    figure.axes[0].set(ylabel="%")
    return figure


def overlaps_figure(overlaps):
    """The share of objects with at least an IoU: {name: IoUs}."""
    figure, (axis,) = chart(6.5, 3.2)
    levels = np.linspace(0, 1, 101)
    for name, values in overlaps.items():
        if len(values):
            axis.plot(levels, [100 * np.mean(np.asarray(values) >= level) for level in levels], label=name)
    axis.set(xlabel="IoU of at least", ylabel="objects, %", xlim=(0, 1), ylim=(0, 100))
    if any(len(values) for values in overlaps.values()):
        axis.legend(fontsize=9)
    return figure


def good_and_bad_objects_figure(records, pairs, predicted, prepared, items, count=4):
    """COUNT best, middling and worst masks: label from the box, prediction, true mask."""
    ious = np.concatenate([np.diag(record.ious) for record in records] or [np.zeros(0)])
    order = np.argsort(-ious, kind="stable")
    middle = max(0, (len(order) - count) // 2)
    chosen = list(dict.fromkeys([*order[:count], *order[middle : middle + count], *order[-count:]]))
    tiles, titles = [], []
    for k in chosen:
        image_name, mask_name, box = pairs[k]
        image = read.image(items[image_name.rpartition(".")[0]])
        for place, title in ((predicted, f"IoU {100 * ious[k]:.0f} %"), (prepared / "inst_masks", "true mask")):
            tiles.append(tinted(image, read_index(place / mask_name) > 0, box))
            titles.append(title)
    return viz.grid(tiles or [_blank()], titles or ["no object"], columns=min(8, max(1, len(tiles))), width=12)


CUT_SIDE = 180  # pixels: GrabCut's time goes with them, and it has to answer on slow machines too


def box_in(shape, left, top, right, bottom) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1, half-open, a pixel at least) of four sides in % of a picture of SHAPE, in any order."""
    height, width = shape[:2]
    x, y = sorted((round(left / 100 * width), round(right / 100 * width))), sorted(
        (round(top / 100 * height), round(bottom / 100 * height)))
    x0, y0 = min(x[0], width - 1), min(y[0], height - 1)
    return x0, y0, max(x[1], x0 + 1), max(y[1], y0 + 1)


def box_for_networks(image, kinds, probability, side=SIDE):
    """A function of left, top, right, bottom (in %): what each network of KINDS takes for the object in that box.

    probability(kind, image, box) -> float [H, W]; it sees the picture as it is, which is drawn smaller.
    """

    def show(left=10, top=10, right=90, bottom=90):
        box = box_in(image.shape, left, top, right, bottom)
        pictures = [image, *(viz.heat(image, probability(kind, image, box)) for kind in kinds)]
        return tiles([smaller(outlined(one, [box]), 2 * side) for one in pictures],
                     ["box", *(f"trained on {kind} labels" for kind in kinds)], 3)

    return show


def drawn():
    """What a box drawn on any of the tiles, which show one picture, sets: the four sides in %."""
    return Drag(lambda tile, *sides: {name: round(100 * share) for name, share in
                                      zip(("left", "top", "right", "bottom"), sides, strict=True)})


def box_by_hand(image, settings, side=CUT_SIDE):
    """A function of left, top, right, bottom (in %) that shows GrabCut, the proposal and their consensus in that box.

    Everything is computed on a picture whose longer side has SIDE pixels, the hierarchy once, and GrabCut takes two
    iterations instead of five, so that it answers at once.
    """

    @cache
    def opened():
        picture = box_labels.Picture(smaller(image, side), settings)
        picture.object_mask("proposal", (0, 0, 2, 2))  # computes the hierarchy
        return picture

    def show(left=20, top=20, right=80, bottom=80):
        picture = opened()
        box = box_in(picture.shape, left, top, right, bottom)
        cut = grabcut.grabcut_label(picture.image, box, settings.seed, iterations=2)
        proposal = picture.object_mask("proposal", box)
        masks = (cut, proposal, cut & proposal)
        pictures = [outlined(picture.image, [box]), *(tinted(picture.image, mask) for mask in masks)]
        return tiles(pictures, ["box", "GrabCut, 2 iterations", "proposal", "consensus"])

    return show
