"""Figures of the chapter, stage by stage, and the functions behind the reader's controls.

What a control does not change is made at its function's first call; pictures are drawn, and slow ones computed, at
about the size at which they are seen.
"""

from dataclasses import replace
from functools import cache, partial

import cv2
import numpy as np
import pandas as pd

from wsnb import viz
from wsnb.data import read
from wsnb.data.transforms import denormalise
from wsnb.files import read_index
from wsnb.papers.panoptic import cams, cleanup, data, evaluate, instance_network
from wsnb.papers.panoptic.label_space import IGNORE
from wsnb.papers.panoptic.predict import load_scores, scores_file
from wsnb.viz import charts
from wsnb.viz.pictures import known_truth, segments_overlay
from wsnb.viz.tiles import SIDE, side_for, smaller, smaller_labels, tiles

TITLES = {
    "run_score_thresh": "score", "run_check_image_level_tags": "tags", "run_merge_with_mcg_and_grabcut": "M&G merge",
    "run_apply_bbox_prior": "box prior", "run_check_low_iou": "low IoU",
}
CHANGED, AROUND = (255, 255, 0), (0, 0, 0)  # no class is this bright, none has a dark border


def shown(image, labels, space, alpha=0.65):
    """Draw a picture under its labels, in the colours of the space."""
    return viz.overlay(image, labels, alpha, space.palette, space.background)


def legend(space, labels=None, columns=6):
    """Draw the colours of the classes that occur in LABELS (a list of maps; None: all)."""
    present = None if labels is None else sorted(set().union(*(np.unique(m).tolist() for m in labels)) - {IGNORE})
    present = [k for k in present if k < len(space)] if present is not None else None
    return viz.legend(space.names, present, columns, palette=space.palette)


def small_maps(maps, space, width=7):
    """Draw label maps of a few pixels side by side, a block a pixel: {title: uint8 [H, W]}."""
    return viz.grid([viz.colour(labels, space.palette) for labels in maps.values()], list(maps), len(maps), width)


def ladder(items, folders, space):
    """Draw a row a picture: the picture, its truth (light where there is none), its labels in FOLDERS {title: folder}.
    """
    def truth(item):
        image = read.image(item)
        mask = known_truth(item, lambda item: read.mask(space.layout, item, len(space)), image.shape[:2])
        return shown(image, mask, space)

    def labels(item, folder):
        return shown(read.image(item), read_index(folder / f"{item.id}.png"), space)

    columns = {title: partial(labels, folder=folder) for title, folder in folders.items()}
    return viz.rows(items, {"picture": read.image, "ground truth": truth, **columns}, width=12)


# 01 crops, 02 cams


def crops_figure(image, places, tags, space, columns=5):
    """Draw the crops of a picture in their places, each with its tags."""
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
    return viz.grid(tiles, titles, columns=columns, width=12)


def windows_figure(image, places):
    """Draw the borders of overlapping crops on a picture."""
    out = image.copy()
    for k, (y0, x0, y1, x1) in enumerate(places):
        colour = viz.PALETTE[1 + k % 15].tolist()
        cv2.rectangle(out, (int(x0), int(y0)), (int(x1) - 1, int(y1) - 1), colour, max(1, image.shape[1] // 400))
    return viz.grid([image, out], ["picture", f"{len(places)} crops"], columns=2, width=11)


def cams_figure(image, classes, maps, labels, space, columns=4):
    """Draw the stitched maps of each class of a picture, and the labels from them."""
    tiles = [viz.heat(image, m) for m in maps] + [shown(image, labels, space)]
    return viz.grid(tiles, [*(space.names[c] for c in classes), "CAM labels"], columns=columns, width=12)


def sweep_figure(rows, chosen):
    """Draw the quality of CAM labels over thresholds; CHOSEN is marked."""
    names = ("labelled", "right", "mIoU", "mIoU, labelled")
    return charts.sweep_figure([row["threshold"] for row in rows], {n: [row[n] for row in rows] for n in names}, chosen,
                               label="%")


def threshold(image, classes, maps, space, start, side=2 * SIDE):
    """Make a function of the threshold: labels from the stitched class maps [K, H, W] of a picture."""

    @cache
    def opened():
        small = smaller(image, side)
        return small, np.array([smaller(one, side) for one in maps]).reshape(-1, *small.shape[:2])

    def show(threshold=start):
        small, found = opened()
        labels = cams.labels_from(classes, found, threshold)
        return tiles([small, shown(small, labels, space)],
                     ["picture", f"{100 * np.mean(labels != IGNORE):.0f} % labelled"], 2)

    return show


# 03 boxes, 04 masks


def draw_boxes(image, found, space):
    """Draw the boxes of instances in their classes' colours, groups dashed; stuff is left out."""
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


def consensus_figure(image, pairs, found, labels, space):
    """Draw boxes, the union of the GrabCut masks, that of the proposals, and the M&G labels of a picture."""
    grabcut, proposal = (np.full(image.shape[:2], IGNORE, np.uint8) for _ in range(2))
    for k, one, other in pairs:
        grabcut[one], proposal[other] = found.labels[k], found.labels[k]
    out = image.copy()
    out[labels == IGNORE] = viz.VOID_COLOUR
    things = np.isin(labels, space.things)
    out[things] = (0.35 * image + 0.65 * space.palette[np.where(things, labels, 0)])[things].astype(np.uint8)

    def tint(mask):
        one = mask != IGNORE
        return np.where(one[..., None], 0.35 * image + 0.65 * space.palette[mask], image).astype(np.uint8)

    tiles = [draw_boxes(image, found, space), tint(grabcut), tint(proposal), out]
    return viz.grid(tiles, ["boxes", "GrabCut", "proposals", "M&G: both agree; light: they differ"], 2, width=11)


def agreement_table(pairs, found, item, space):
    """Tabulate how well GrabCut, proposal and what both agree on fit the true instances of a picture: IoU in %."""
    mask, ids = read.mask(space.layout, item, len(space)), data.instances_of(space.layout, item)
    rows = []
    for k, grabcut, proposal in pairs:
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


# 05 labels, 08 iterate


def changed_picture(image, before, after, space):
    """Draw a picture under its labels, the pixels that differ from those BEFORE in yellow with a dark border."""
    out, changed = shown(image, after, space), before != after
    wide = 2 * max(1, image.shape[1] // 400) + 1
    border = cv2.dilate(changed.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
    out[border > 0] = AROUND
    out[changed] = CHANGED
    return out


def scene_figure(image, truth, start, after, instances, space, first="prediction"):
    """Draw one scene through all rules: picture, truth, start labels, what each rule changed in yellow, labels,
    instances.
    """
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
    return viz.grid(tiles, titles, columns=3, width=12)


def instance_picture(image, found):
    """Draw each instance in a colour of its own, stuff classes too; ignored pixels light."""
    ids = found.ids.astype(np.int64)
    table = viz.PALETTE.copy()
    table[1:255] = viz.PALETTE[1 + (np.arange(1, 255) * 37) % 250]
    return viz.overlay(image, ids.astype(np.uint8), 0.7, table, 0)


def each_rule_off_figure(image, inputs, options, space):
    """Draw one picture for each rule that is off, what differs from all rules in yellow."""
    whole = cleanup.clean(options=options, **inputs)[1]
    tiles, titles = [shown(image, whole, space)], ["all rules"]
    for rule in cleanup.RULES:
        if getattr(options, rule):
            last = cleanup.clean(options=replace(options, **{rule: False}), **inputs)[1]
            tiles.append(changed_picture(image, whole, last, space))
            titles.append(f"without {TITLES[rule]}: {100 * (whole != last).mean():.1f} % differ")
    return viz.grid(tiles, titles, columns=3, width=12)


def rounds_figure(history):
    """Draw the quality of labels after the kick-off (round 0) and after each round. history: rows of `evaluate.plain`.

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


def rules(image, inputs, options, space, side=2 * SIDE):
    """Make a function of the clean-up's switches: labels before, by all rules, by those that are on, what differs.

    inputs: what `cleanup.clean` takes. The rules work on the whole picture; it is drawn smaller.
    """

    @cache
    def opened():
        whole = cleanup.clean(options=options, **inputs)[1]
        small = smaller(image, side)
        parts = [smaller_labels(one, side) for one in (inputs["labels"], whole)]
        return small, whole, parts[1], [shown(small, one, space) for one in parts]

    def show(score=True, tags=True, merge=True, box_prior=True, low_iou=True):
        small, whole, before, drawn = opened()
        on = dict(zip(cleanup.RULES, (score, tags, merge, box_prior, low_iou), strict=True))
        off = [rule for rule in cleanup.RULES if getattr(options, rule) and not on[rule]]
        last = cleanup.clean(options=replace(options, **dict.fromkeys(off, False)), **inputs)[1]
        after, names = smaller_labels(last, side), ", ".join(TITLES[rule] for rule in off) or "none"
        pictures = [*drawn, shown(small, after, space), changed_picture(small, before, after, space)]
        return tiles(pictures, ["before", "all rules", f"off: {names}", f"{100 * np.mean(whole != last):.1f} % differ"],
                     2)

    return show


# 06 train, 07 predict


def training_crops_figure(samples, space):
    """Draw crops as the network gets them, above their labels."""
    images = [(denormalise(s["x"]).permute(1, 2, 0).clip(0, 1).numpy() * 255).astype(np.uint8) for s in samples]
    labels = [viz.colour(s["label"].numpy().astype(np.uint8), space.palette) for s in samples]
    return viz.grid([*images, *labels], [s["id"] for s in samples] + [""] * len(samples), len(samples), 12)


def predictions_figure(items, folder, space):
    """Draw a row a picture: the picture, its predicted labels and their scores (dark: unsure)."""
    def labels(item):
        return shown(read.image(item), read_index(folder / "labels" / f"{item.id}.png"), space)

    def scores(item):
        found = load_scores(scores_file(folder / "scores", item.id), read.image(item).shape[:2])
        return (255 * found).astype(np.uint8), f"score, mean {found.mean():.2f}"

    return viz.rows(items, {"picture": read.image, "prediction": labels, "score": scores}, width=12)


def scores_figure(scores):
    """Draw the share of pixels whose score is at least a threshold."""
    figure, (axis,) = charts.chart(6, 2.6)
    thresholds = np.linspace(0, 1, 101)
    counts, _ = np.histogram(scores, np.append(thresholds, 2.0))
    axis.plot(thresholds, 100 * counts[::-1].cumsum()[::-1] / max(counts.sum(), 1))
    axis.set(xlabel="score threshold", ylabel="pixels kept, %", ylim=(0, 102))
    return figure


def share_figure(shares, space, label):
    """Draw a bar in % for each class of SHARES {class: %}, in the class's own colour whichever classes are missing."""
    colours = [space.palette[list(space.names).index(name)] for name in shares]
    return charts.class_figure(pd.DataFrame({label: shares}), list(shares), colours, label)


# 09 instances, 10 evaluate


def draw_segments(image, ids, classes, space):
    """Draw the segments of a picture, ids [H, W] with {id: class}: instances of a thing class in shades of its colour.
    """
    return segments_overlay(image, ids, classes, space.palette, space.things, (space.background,))


def segment_columns(folders, space) -> dict:
    """Make the columns of `viz.rows`: picture, true segments, segments in FOLDERS {detector: folder}."""
    def truth(item):
        return draw_segments(read.image(item), *evaluate.true_segments(item, space), space)

    def found(item, folder):
        return draw_segments(read.image(item), *evaluate.found_segments(item, folder), space)

    columns = {f"boxes: {name}": partial(found, folder=folder) for name, folder in folders.items()}
    return {"picture": read.image, "ground truth": truth, **columns}


def field(image, probabilities, detected, space, settings):
    """Make a function of the mean field's steps and the weights of the unary terms: the instances of a picture.

    As `instance_network.assign` with these SETTINGS, on a picture of 200 pixels (fewer for more than 8 labels) and with
    the CRF's distances shrunk alike: fine borders differ a little.
    """

    @cache
    def opened():
        side = side_for(image.shape, len(space.stuff) + len(detected))
        small = smaller(image, side)
        factor = small.shape[1] / (image.shape[1] * min(1, settings.side / max(image.shape[:2])))
        found = detected.scaled(small.shape[0] / image.shape[0], small.shape[1] / image.shape[1])
        maps = np.stack([smaller(one, side) for one in np.asarray(probabilities, np.float32)])
        crf = replace(settings.field, gaussian_sxy=settings.field.gaussian_sxy * factor,
                      bilateral_sxy=settings.field.bilateral_sxy * factor)
        return small, maps, found, crf

    def show(iterations=settings.field.iterations, box_weight=settings.box_weight,
             global_weight=settings.global_weight):
        small, maps, found, crf = opened()
        one = replace(settings, field=replace(crf, iterations=iterations), box_weight=box_weight,
                      global_weight=max(global_weight, 0.01))  # not both 0
        winner, labels = instance_network.assign(small, maps, found, space, one)
        drawn = draw_segments(small, winner + 256, dict(enumerate(labels.classes, 256)), space)
        return tiles([small, drawn], ["picture", f"{iterations} steps"], 2, 840)

    return show
