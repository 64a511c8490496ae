"""Figures of the chapter: crops, CAMs, boxes, masks, a scene through all stages, labels over the rounds."""

import cv2
import numpy as np
import pandas as pd

from wsnb import plots
from wsnb.data import read
from wsnb.data.transforms import denormalise
from wsnb.files import read_index
from wsnb.papers.panoptic import annotation, chain
from wsnb.papers.panoptic import options as opts
from wsnb.papers.panoptic.score_files import load_scores
from wsnb.papers.panoptic.space import IGNORE
from wsnb.plots import charts
from wsnb.plots.pictures import ladder_figure

TITLES = {
    "run_score_thresh": "score", "run_check_image_level_tags": "tags", "run_merge_with_mcg_and_grabcut": "M&G merge",
    "run_apply_bbox_prior": "box prior", "run_check_low_iou": "low IoU",
}
CHANGED, AROUND = (255, 255, 0), (0, 0, 0)  # no class is this bright, none has a dark border


def shown(image, labels, space, alpha=0.65):
    """The picture under its labels, in the colours of the space."""
    return plots.overlay(image, labels, alpha, space.palette, space.background)


def legend(space, labels=None, columns=6):
    """The colours of the classes that occur in LABELS (a list of maps; None: all)."""
    present = None if labels is None else sorted(set().union(*(np.unique(m).tolist() for m in labels)) - {IGNORE})
    present = [k for k in present if k < len(space)] if present is not None else None
    return plots.legend(space.names, present, columns, palette=space.palette)


def crops_figure(image, places, tags, space, columns=5):
    """The crops of a picture in their places, each with its tags."""
    rows = len(places) // columns if len(places) % columns == 0 else -(-len(places) // columns)
    order = [x * rows + y for y in range(rows) for x in range(columns) if x * rows + y < len(places)]
    tiles, lines = [], []
    for k in order:
        y0, x0, y1, x1 = places[k]
        names = [space.names[c] for c in np.flatnonzero(tags[k])]
        lines.append([", ".join(names[i:i + 2]) for i in range(0, len(names), 2)] or ["no tag"])
        tiles.append(image[y0:y1, x0:x1])
    most = max(map(len, lines))
    titles = ["\n".join([*[""] * (most - len(one)), *one]) for one in lines]
    return plots.grid(tiles, titles, columns=columns, width=12)


def windows_figure(image, places):
    """The picture with the borders of its overlapping crops."""
    out = image.copy()
    for k, (y0, x0, y1, x1) in enumerate(places):
        colour = plots.PALETTE[1 + k % 15].tolist()
        cv2.rectangle(out, (int(x0), int(y0)), (int(x1) - 1, int(y1) - 1), colour, max(1, image.shape[1] // 400))
    return plots.grid([image, out], ["picture", f"{len(places)} crops"], columns=2, width=11)


def cams_figure(image, classes, maps, labels, space, columns=4):
    """Stitched maps of each class of a picture, and the labels from them."""
    tiles = [plots.heat(image, m) for m in maps] + [shown(image, labels, space)]
    return plots.grid(tiles, [*(space.names[c] for c in classes), "CAM labels"], columns=columns, width=12)


def draw_boxes(image, found, space):
    """The picture with its boxes of things in their classes' colours, groups dashed; stuff is left out."""
    out, thick = image.copy(), max(1, image.shape[1] // 300)
    for k, (x0, y0, x1, y1) in enumerate(found.boxes.tolist()):
        if found.stuff[k]:
            continue
        colour = space.palette[found.labels[k]].tolist()
        if not found.groups[k]:
            cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), colour, thick)
            continue
        for x in range(x0, x1, 8 * thick):
            for y in (y0, y1 - 1):
                cv2.line(out, (x, y), (min(x + 4 * thick, x1 - 1), y), colour, thick)
        for y in range(y0, y1, 8 * thick):
            for x in (x0, x1 - 1):
                cv2.line(out, (x, y), (x, min(y + 4 * thick, y1 - 1)), colour, thick)
    return out


def boxes_figure(items, images, objects, space):
    """Pictures with their boxes."""
    tiles = [draw_boxes(image, found, space) for image, found in zip(images, objects, strict=True)]
    return plots.grid(tiles, [item.id for item in items], columns=2, width=11)


def consensus_figure(image, masks, found, labels, space):
    """Boxes, the union of the GrabCut masks, that of the proposals, and the M&G labels of a picture."""
    grabcut, proposal = (np.full(image.shape[:2], IGNORE, np.uint8) for _ in range(2))
    for k, one, other in masks:
        grabcut[one], proposal[other] = found.labels[k], found.labels[k]
    out = image.copy()
    out[labels == IGNORE] = plots.VOID_COLOUR
    things = np.isin(labels, space.things)
    out[things] = (0.35 * image + 0.65 * space.palette[np.where(things, labels, 0)])[things].astype(np.uint8)

    def tint(mask):
        one = mask != IGNORE
        return np.where(one[..., None], 0.35 * image + 0.65 * space.palette[mask], image).astype(np.uint8)

    tiles = [draw_boxes(image, found, space), tint(grabcut), tint(proposal), out]
    return plots.grid(tiles, ["boxes", "GrabCut", "proposals", "M&G: both agree; light: they differ"], 2, width=11)


def changed_picture(image, before, after, space):
    """The picture under its labels, the pixels that differ from those BEFORE in yellow with a dark border."""
    out, changed = shown(image, after, space), before != after
    wide = 2 * max(1, image.shape[1] // 400) + 1
    border = cv2.dilate(changed.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
    out[border > 0] = AROUND
    out[changed] = CHANGED
    return out


def scene_figure(image, truth, start, after, instances, space, first="prediction"):
    """One scene through all rules: picture, truth, start labels, what each rule changed in yellow, labels,
    instances."""
    tiles = [image, shown(image, truth, space), shown(image, start, space)]
    titles, before = ["picture", "ground truth (never seen)", first], start
    for rule, labels in after.items():
        tiles.append(changed_picture(image, before, labels, space))
        titles.append(f"{TITLES[rule]}: {100 * (before != labels).mean():.1f} % changed, yellow")
        before = labels
    tiles.append(shown(image, before, space))
    titles.append("labels")
    if instances is not None:
        tiles.append(instance_picture(image, instances))
        titles.append("instances")
    return plots.grid(tiles, titles, columns=3, width=12)


def instance_picture(image, found):
    """Each instance in a colour of its own, stuff ones too; ignored light."""
    ids = found.ids.astype(np.int64)
    table = plots.PALETTE.copy()
    table[1:255] = plots.PALETTE[1 + (np.arange(1, 255) * 37) % 250]
    return plots.overlay(image, ids.astype(np.uint8), 0.7, table, 0)


def each_rule_off_figure(image, inputs, options, space):
    """The static twin of the checkboxes: one picture for each rule that is off, what differs in yellow."""
    whole = chain.clean(options=options, **inputs)[1]
    tiles, titles = [shown(image, whole, space)], ["all rules"]
    for rule in opts.RULES:
        if getattr(options, rule):
            last = chain.clean(options=opts.changed(options, **{rule: False}), **inputs)[1]
            tiles.append(changed_picture(image, whole, last, space))
            titles.append(f"without {TITLES[rule]}: {100 * (whole != last).mean():.1f} % differ")
    return plots.grid(tiles, titles, columns=3, width=12)


def sweep_figure(rows, chosen):
    """Quality of CAM labels over thresholds."""
    names = ("labelled", "right", "mIoU", "mIoU, labelled")
    return charts.sweep_figure([row["threshold"] for row in rows], {n: [row[n] for row in rows] for n in names}, chosen,
                               label="%")


def sweep_table(rows):
    """The same as a frame."""
    return pd.DataFrame(rows).set_index("threshold").round(1)


def share_figure(shares, space, label):
    """A bar in % for each class of SHARES {class: %}, in the class's own colour whichever classes are missing."""
    colours = [space.palette[list(space.names).index(name)] for name in shares]
    return charts.class_figure(pd.DataFrame({label: shares}), list(shares), colours, label)


def ladder(items, folders, space):
    """Pictures, their truth and their labels in FOLDERS {title: folder}."""
    return ladder_figure(items, read.image, lambda item: read.mask(space.layout, item, len(space)), folders,
                         space.palette, space.background, width=12)


def opinions_table(masks, found, item, space):
    """How well each opinion fits the true things of a picture: mean IoU of GrabCut, proposal and both, in %."""
    mask, ids = read.mask(space.layout, item, len(space)), annotation.instances_of(space.layout, item)
    rows = []
    for k, grabcut, proposal in masks:
        x0, y0, x1, y1 = found.boxes[k]
        inside = ids[y0:y1, x0:x1][mask[y0:y1, x0:x1] == found.labels[k]]
        if not (inside > 0).any():
            continue
        truth = ids == np.bincount(inside[inside > 0]).argmax()
        row = {"class": space.names[found.labels[k]], "pixels of the box": int(found.areas[k])}
        for name, one in (("GrabCut", grabcut), ("proposal", proposal), ("both agree", grabcut & proposal)):
            row[f"IoU of {name}, %"] = 100 * (one & truth).sum() / max((one | truth).sum(), 1)
        rows.append(row)
    return pd.DataFrame(rows)


def rounds_figure(history):
    """Label quality after the kick-off (round 0) and after each round. history: dicts of `quality.plain`.

    Each panel has a scale of its own, at least 6 % high: the rounds change less than the measures differ.
    """
    groups = {"all classes": ("mIoU", "PQ"), "things and stuff": ("PQ (things)", "PQ (stuff)"),
              "share labelled, right among them": ("labelled", "right")}
    figure, axes = charts.chart(9.5, 2.9, columns=len(groups))
    rounds = [row["round"] for row in history]
    for axis, (title, names) in zip(axes, groups.items(), strict=True):
        for name in names:
            values = [np.nan if row.get(name) is None else row[name] for row in history]
            axis.plot(rounds, values, "o-", markersize=4, label=name)
        low, high = axis.get_ylim()
        axis.set_ylim(max(0, min(low, (low + high) / 2 - 3)), min(102, max(high, (low + high) / 2 + 3)))
        axis.set(xlabel="round (0: kick-off)", ylabel="%", xticks=rounds)
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8)
    return figure


def labels_through(image, item, folders, truth, space):
    """A picture's labels in each of FOLDERS {title: folder} beside its truth."""
    tiles = [image, shown(image, truth, space)]
    tiles += [shown(image, read_index(folder / f"{item.id}.png"), space) for folder in folders.values()]
    return plots.grid(tiles, ["picture", "ground truth", *folders], columns=3, width=12)


def training_crops_figure(samples, space):
    """Crops as the network gets them, above their labels."""
    images = [(denormalise(s["x"]).permute(1, 2, 0).clip(0, 1).numpy() * 255).astype(np.uint8) for s in samples]
    labels = [plots.colour(s["label"].numpy().astype(np.uint8), space.palette) for s in samples]
    return plots.grid([*images, *labels], [s["id"] for s in samples] + [""] * len(samples), len(samples), 12)


def predictions_figure(items, folder, space):
    """Pictures, predicted labels and their scores (dark: unsure)."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        scores = load_scores(folder / "scores" / f"{item.id}.mat")
        tiles += [image, shown(image, read_index(folder / "labels" / f"{item.id}.png"), space),
                  (255 * scores).astype(np.uint8)]
        titles += [item.id, "prediction", f"score, mean {scores.mean():.2f}"]
    return plots.grid(tiles, titles, columns=3, width=12)


def scores_figure(scores):
    """The share of pixels whose score is at least a threshold."""
    figure, (axis,) = charts.chart(6, 2.6)
    thresholds = np.linspace(0, 1, 101)
    counts, _ = np.histogram(scores, np.append(thresholds, 2.0))
    axis.plot(thresholds, 100 * counts[::-1].cumsum()[::-1] / max(counts.sum(), 1))
    axis.set(xlabel="score threshold", ylabel="pixels kept, %", ylim=(0, 102))
    return figure
