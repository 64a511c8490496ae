"""Figures and controls of this paper's notebooks; pictures come through `wsnb.viz`.

A control is a function of the values that a reader sets. Everything that does not depend on them is made at its first
call, and pictures are worked on at about the size at which they are seen: it answers at once.
"""

from functools import cache, partial

import cv2
import numpy as np

from wsnb import viz
from wsnb.data import read
from wsnb.files import read_index
from wsnb.ops import grabcut, hierarchies
from wsnb.papers.simple_does_it import box_labels, semantic
from wsnb.viz import tiles
from wsnb.viz.charts import chart, whole_epochs
from wsnb.viz.interactive import Drag
from wsnb.viz.pictures import best_and_worst, boxes_overlay, known_truth, overlaid, saved

CUT_SIDE = 180  # pixels: GrabCut's time goes with them, and it has to answer on slow machines too
KINDS = {"rectangle": "rectangle", "ellipse": "ellipse", "grabcut": "GrabCut", "grabcut_plus": "GrabCut+",
         "proposal": "proposal"}  # of masks


def tinted(image, mask, box=None):
    """The picture with an object mask in red, and its box."""
    shown = viz.overlay(image, mask.astype(np.uint8) * 15)
    return shown if box is None else boxes_overlay(shown, [box])


def boxes_figure(inputs, items, count=8):
    """Pictures with their boxes: the whole annotation of the training."""
    images, titles = [], []
    for item in items[:count]:
        boxes, labels = box_labels.boxes_of(inputs, item)
        images.append(boxes_overlay(read.image(item), boxes, labels))
        titles.append(", ".join(inputs.names[c] for c in dict.fromkeys(labels.tolist())) or "(no object)")
    return viz.grid(images, titles)


def masks_figure(picture, box, kinds):
    """The mask of one box by each kind."""
    images = [tinted(picture.image, picture.object_mask(kind, box), box) for kind in kinds]
    return viz.grid([boxes_overlay(picture.image, [box]), *images], ["box", *(KINDS[k] for k in kinds)], columns=3)


def cues_figure(picture, box):
    """Step by step for one box: boundary strength, contours, the masks of it, and the votes of GrabCut+^i."""
    kinds = ("grabcut", "grabcut_plus", "proposal")
    masks = {KINDS[kind]: picture.object_mask(kind, box) for kind in kinds}
    masks["proposal and GrabCut+"] = masks["proposal"] & masks["GrabCut+"]
    images = {"box": boxes_overlay(picture.image, [box]), "boundary strength": _grey(picture.boundary),
              "contours of the hierarchy": _grey(hierarchies.contours(picture.hierarchy)),
              **{title: tinted(picture.image, mask, box) for title, mask in masks.items()},
              f"votes of {picture.settings.runs} runs": viz.heat(picture.image, picture.object_mask("votes", box))}
    return viz.grid(list(images.values()), list(images))


def _grey(values):
    top = max(float(values.max()), 1e-6)
    return (255 - 255 * np.clip(values / top, 0, 1)).astype(np.uint8)


def methods_figure(items, inputs, folder, methods):
    """A row a picture: boxes, ground truth, and its labels by every method; light pixels are not known."""

    def truth(item):
        return known_truth(item, lambda item: read.mask(inputs.layout, item, len(inputs.names)),
                           read.image(item).shape[:2])

    maps = {"ground truth": truth} | {semantic.title(method): saved(folder / method) for method in methods}
    columns = {"boxes": lambda item: boxes_overlay(read.image(item), *box_labels.boxes_of(inputs, item))}
    columns |= {title: partial(overlaid, image_of=read.image, labels_of=labels_of) for title, labels_of in maps.items()}
    return viz.rows(items, columns, width=1.4 * len(columns))


def scores_figure(frame):
    """Bars of label mIoU and trained mIoU, a pair a label method (columns of the frame, rows its names; in %)."""
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


def objects_figure(image, found, boxes, classes):
    """A picture's objects (number, class, mask) and their boxes, one tile an object."""
    images, titles = [boxes_overlay(image, boxes)], ["boxes"]
    for (k, label, mask), box in list(zip(found, boxes, strict=True))[:7]:
        images.append(tinted(image, mask, box))
        titles.append(f"{k}: {classes[label]}")
    return viz.grid(images, titles)


def object_labels_figure(prepared, pairs, items, count=8):
    """Objects spread over a split: label from the box and true mask beside each other."""
    return _objects(pairs[:: max(1, len(pairs) // count)][:count], items, across=2, width=10, columns={
        "label from the box": lambda pair: prepared / "inst_grabcuts" / pair[1],
        "true mask": lambda pair: prepared / "inst_masks" / pair[1]})


def _objects(pairs, items, columns, across, width):
    """Objects in rows of ACROSS, a column for each {title: function(pair) -> file of a mask}."""

    def drawn(pair, title, path_of):
        (image_name, _, box), path = pair, path_of(pair)
        image = read.image(items[image_name.rpartition(".")[0]])
        return tinted(image, _mask(path, image), box), title if path.exists() else "not known"

    shown = {title: partial(drawn, title=title, path_of=path_of) for title, path_of in columns.items()}
    return viz.rows(pairs, shown, width, across)


def _mask(path, image):
    """The mask in the file PATH, bool [H, W]; none of the IMAGE's pixels where there is no file."""
    return read_index(path) > 0 if path.exists() else np.zeros(image.shape[:2], bool)


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
    """Samples of the training: box map on the picture, label."""
    images, titles = [], []
    for i in range(0, len(samples), max(1, len(samples) // count)):
        x, label, name = samples[i]
        image = cv2.resize(read.image(items[name.rpartition("_")[0]]), x.shape[:1:-1], interpolation=cv2.INTER_AREA)
        drawn = (x[0, 3] > 0).numpy()
        images += [np.where(drawn[..., None], image, image // 3), viz.overlay(image, label[0, 0].byte().numpy() * 15)]
        titles += [f"{image.shape[1]}x{image.shape[0]}, box map", "label"]
    return viz.grid(images[: 2 * count], titles[: 2 * count])


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
    heats = [boxes_overlay(viz.heat(image, values), [box]) for values in maps.values()]
    return viz.grid([boxes_overlay(image, [box]), *heats], ["box", *(f"trained on {kind} labels" for kind in maps)],
                    width=9)


def instances_drawn(image, masks, boxes, alpha=0.5):
    """The picture with each object in a bright colour of its own, and the boxes."""
    shown = image.astype(np.float32)
    hues = np.linspace(0, 179, len(masks), endpoint=False).astype(np.uint8)
    for mask, hue in zip(masks, hues, strict=True):
        colour = cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
        shown[mask] = (1 - alpha) * shown[mask] + alpha * colour
    return boxes_overlay((shown + 0.5).astype(np.uint8), boxes)


def predictions_figure(folder, prepared, groups, items, count=6):
    """A row a picture: its boxes, true masks, label masks, and the masks of every network."""
    kinds = sorted((place.name for place in folder.iterdir()), reverse=True)
    places = {"true masks": prepared / "inst_masks", "labels from boxes": prepared / "inst_grabcuts",
              **{f"trained on {kind}": folder / kind for kind in kinds}}

    def drawn(name, place=None):
        image, boxes = read.image(items[name]), [box for *_, box in groups[name]]
        masks = [_mask(place / mask_name, image) for _, mask_name, _ in groups[name]] if place else []
        return instances_drawn(image, masks, boxes)

    columns = {"boxes": drawn} | {title: partial(drawn, place=place) for title, place in places.items()}
    return viz.rows(list(groups)[:: max(1, len(groups) // count)][:count], columns, width=11)


def measures_figure(table):
    """Bars of mAP^r and ABO, a group a kind of masks (columns and rows of the table)."""
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
    """COUNT best, middling and worst masks: prediction and true mask."""
    ious = np.concatenate([np.diag(record.ious) for record in records] or [np.zeros(0)])
    order = np.argsort(-ious, kind="stable")[best_and_worst(len(ious), count)]
    images, titles = [], []
    for k in order:
        image_name, mask_name, box = pairs[k]
        image = read.image(items[image_name.rpartition(".")[0]])
        for place, title in ((predicted, f"IoU {100 * ious[k]:.0f} %"), (prepared / "inst_masks", "true mask")):
            images.append(tinted(image, read_index(place / mask_name) > 0, box))
            titles.append(title)
    if not images:
        images, titles = [np.full((60, 240, 3), 255, np.uint8)], ["no object"]
    return viz.grid(images, titles, columns=8, width=12)


def box_in(shape, left, top, right, bottom) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1, half-open, a pixel at least) of four sides in % of a picture of SHAPE, in any order."""
    height, width = shape[:2]
    x, y = sorted((round(left / 100 * width), round(right / 100 * width))), sorted(
        (round(top / 100 * height), round(bottom / 100 * height)))
    x0, y0 = min(x[0], width - 1), min(y[0], height - 1)
    return x0, y0, max(x[1], x0 + 1), max(y[1], y0 + 1)


def box_drag():
    """Set the four sides in % by a box drawn on any of the tiles, which show one picture."""
    return Drag(lambda tile, *sides: {name: round(100 * share) for name, share in
                                      zip(("left", "top", "right", "bottom"), sides, strict=True)})


def network_control(image, kinds, probability, side=tiles.SIDE):
    """A function of left, top, right, bottom (in %): the object in that box by each network of KINDS.

    probability(kind, image, box) -> float [H, W]; it sees the picture as it is, which is drawn smaller.
    """

    def show(left=10, top=10, right=90, bottom=90):
        box = box_in(image.shape, left, top, right, bottom)
        images = [image, *(viz.heat(image, probability(kind, image, box)) for kind in kinds)]
        return tiles.tiles([tiles.smaller(boxes_overlay(one, [box]), 2 * side) for one in images],
                           ["box", *(f"trained on {kind} labels" for kind in kinds)], 3)

    return show


def grabcut_control(image, settings, side=CUT_SIDE, sides=(20, 20, 80, 80)):
    """A function of left, top, right, bottom (in %): GrabCut, the proposal and their consensus in that box.

    Everything is computed on a picture whose longer side has SIDE pixels, the hierarchy once, and GrabCut takes two
    iterations instead of five. SIDES: where the box begins.
    """

    @cache
    def opened():
        picture = box_labels.Picture(tiles.smaller(image, side), settings)
        picture.object_mask("proposal", (0, 0, 2, 2))  # computes the hierarchy
        return picture

    def show(left=sides[0], top=sides[1], right=sides[2], bottom=sides[3]):
        picture = opened()
        box = box_in(picture.shape, left, top, right, bottom)
        cut = grabcut.grabcut_label(picture.image, box, settings.seed, iterations=2)
        proposal = picture.object_mask("proposal", box)
        masks = (cut, proposal, cut & proposal)
        images = [boxes_overlay(picture.image, [box]), *(tinted(picture.image, mask) for mask in masks)]
        return tiles.tiles(images, ["box", "GrabCut, 2 iterations", "proposal", "consensus"])

    return show
