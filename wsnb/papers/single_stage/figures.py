"""What the notebooks of this paper show. Functions return figures; pictures come through `wsnb.viz`.

What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call, so that an answer comes at once.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb import viz
from wsnb.data import transforms, voc
from wsnb.files import load_npz
from wsnb.ops.crf import crf_labels
from wsnb.ops.pamr import pamr
from wsnb.papers.single_stage import losses, model
from wsnb.papers.single_stage import steps as snapshots
from wsnb.viz.charts import chart
from wsnb.viz.tiles import side_for, smaller, tiles


def crops_figure(dataset, classes, count=8):
    """The first augmented crops of a data set, with their tags."""
    picked = [dataset[i] for i in range(min(count, len(dataset)))]
    titles = [", ".join(np.array(classes[1:])[s["tags"].numpy() > 0]) or "(no tag)" for s in picked]
    return viz.grid([_bytes(s["image"]) for s in picked], titles)


def focal_figure(power, floor):
    """The focal mask penalty over the size of a mask."""
    figure, (axis,) = chart(5, 2.6)
    size = torch.linspace(0, 1, 101)
    axis.plot(size, losses.focal_penalty(size, power, floor))
    axis.set(xlabel="mean of the mask (share of the picture)", ylabel="penalty", title="small masks are punished")
    return figure


def history_figure(history, pretrain):
    """Losses of training, validation, and the share of complete pseudo labels."""
    figure, (left, right) = chart(columns=2)
    for name in ("tag_loss", "mask_loss"):
        left.plot(
            [row["epoch"] for row in history["epochs"]],
            [row[name] for row in history["epochs"]],
            label=f"{name.replace('_', ' ')}, training",
        )
    left.plot(
        [row["epoch"] for row in history["validation"]],
        [row["val"]["loss"] for row in history["validation"]],
        "o-",
        label="total, validation",
        color="0.5",
    )
    right.plot(
        [row["epoch"] for row in history["epochs"]],
        [row["complete"] for row in history["epochs"]],
        label="complete pseudo labels",
    )
    right.plot(
        [row["epoch"] for row in history["validation"]],
        [row["val"]["mAP"] for row in history["validation"]],
        "o-",
        label="mAP of the tags, validation",
        color="0.5",
    )
    learned = [row["val"]["loss"] for row in history["validation"] if row["epoch"] > 0]
    learned += [row[name] for row in history["epochs"] for name in ("tag_loss", "mask_loss")]
    if learned:
        left.set_ylim(0, 1.1 * max(learned))  # an untrained network's loss would flatten everything
    right.set_ylim(0, 1.02)
    for axis in (left, right):
        axis.axvline(pretrain, color="k", linestyle="--", linewidth=0.8)
        axis.set_xlabel("epoch")
        axis.legend(fontsize=9)
    return figure


def snapshots_figure(folder, items, size, columns=6):
    """A row a picture: the picture, then the winning class at some epochs, among its true tags."""
    paths = sorted(Path(folder).glob("epoch_*.npz"))
    paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, columns).round().astype(int))]
    tiles, titles = [], []
    for n, item in enumerate(items):
        image, _ = snapshots.network_input(item, size)
        truth = voc.read_mask(item, 256)
        tiles.append(image)
        titles.append("picture" if n == 0 else "")
        for path in paths:
            masks = load_npz(path)["masks"][n].astype(np.float32)
            keep = np.isin(np.arange(len(masks)), [0, *np.unique(truth[truth != 255])])
            small = (masks * keep[:, None, None]).transpose(1, 2, 0)
            winner = cv2.resize(small, (size, size)).argmax(2).astype(np.uint8)
            tiles.append(viz.overlay(image, winner))
            titles.append(_epoch_name(path) if n == 0 else "")
    return viz.grid(tiles, titles, columns=len(paths) + 1, width=11)


def _epoch_name(path):
    number = re.fullmatch(r"epoch_(\d+)", path.stem)
    return f"before epoch {int(number[1])}" if number else "at the end"


def _refine(image, masks, settings, iterations):
    """As in training: at the masks' size, then enlarged to the picture's."""
    masks = torch.from_numpy(masks.astype(np.float32))[None]
    small = model.upsample(transforms.to_unit(image)[None], masks.shape[-2:])
    return model.upsample(pamr(small, masks, settings.dilations, iterations), image.shape[:2])[0].numpy()


def refinement_figure(image, masks, classes_present, settings, steps=(0, 1, 3, 10)):
    """Masks before and after some iterations of PAMR: the winner, and the map of the first object."""
    chosen = masks[list(classes_present)]
    labels_of = np.array(classes_present, np.uint8)
    tiles, titles = [], []
    for n in steps:
        soft = _refine(image, chosen, settings, n)
        tiles.append(viz.overlay(image, labels_of[soft.argmax(0)]))
        titles.append(f"{n} iterations")
    tiles += [viz.heat(image, _refine(image, chosen, settings, n)[-1]) for n in steps]
    return viz.grid(tiles, titles + [""] * len(steps), columns=len(steps))


def crf_figure(image, scores, field):
    """Labels of scores [C, H, W] without the CRF, with it, and with a narrower and a wider reach over colours."""
    chosen = {"CRF": field, "very like colours": replace(field, bilateral_srgb=3.0),
              "nearly any colour": replace(field, bilateral_srgb=60.0)}
    labels = [scores.argmax(0).astype(np.uint8), *(crf_labels(image, scores, one) for one in chosen.values())]
    return viz.grid([image, *(viz.overlay(image, one) for one in labels)], ["picture", "without CRF", *chosen],
                      columns=5, width=12)


@torch.no_grad()
def gate_figure(network, item, size, psi=(0.0, 0.3, 0.6, 1.0)):
    """What the decoder says with more and more of the shallow feature in the gate's mixture."""
    image, x = snapshots.network_input(item, size)
    kept = network.psi
    device = next(network.parameters()).device
    tiles, titles = [image], ["picture"]
    try:
        for value in psi:
            network.psi = value
            masks = model.upsample(network(x.to(device)).softmax(1), (size, size))[0]
            tiles.append(viz.overlay(image, masks.argmax(0).cpu().numpy().astype(np.uint8)))
            titles.append(f"{value:g} shallow" + (" (as tested)" if value == kept else ""))
    finally:
        network.psi = kept
    return viz.grid(tiles, titles, columns=len(tiles), width=11)


def scores_figure(scores, classes, tags, cut):
    """Bars of the tag scores [C - 1] of one picture; true tags are marked, the cut is a line."""
    figure, (axis,) = chart(9, 2.6)
    colours = viz.PALETTE[1 : len(classes)] / 255
    axis.bar(range(len(scores)), scores, color=colours, edgecolor=["k" if t else "w" for t in tags], linewidth=1.6)
    axis.axhline(cut, color="k", linestyle="--", linewidth=0.8)
    axis.set_xticks(
        range(len(scores)),
        [("* " if t else "") + name for name, t in zip(classes[1:], tags, strict=True)],
        rotation=60,
        ha="right",
    )
    axis.set(ylim=(0, 1), ylabel="score", title="image tags: predicted score (* true tag, line: cut)")
    return figure


def shown_input(x):
    """A network input [3, H, W] as a picture uint8 [H, W, 3]; the padding, 0 after normalisation, looks grey."""
    return _bytes(transforms.denormalise(x))


def _bytes(unit):
    return (unit.clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()


def refinement(image, masks, present, settings, most=40):
    """A function of PAMR's iterations: the winning class of a picture uint8 [H, W, 3] after them.

    masks float [C, h, w] in [0, 1], of which the classes PRESENT may win. An iteration goes on from the one before, so
    all of them are made at the first call.
    """

    @cache
    def opened():
        kept = [torch.from_numpy(np.clip(masks[present], 0, 1).astype(np.float32))[None]]
        small = model.upsample(transforms.to_unit(image)[None], kept[0].shape[-2:])  # as in training
        for _ in range(most):
            kept.append(pamr(small, kept[-1], settings.dilations, 1, band=small.shape[-2]))
        return kept

    def show(iterations=settings.iterations):
        soft = model.upsample(opened()[iterations], image.shape[:2])[0]
        labels = np.array(present, np.uint8)[soft.numpy().argmax(0)]
        return tiles([image, viz.overlay(image, labels)], ["picture", f"{iterations} iterations"], 2, 700)

    return show


def scaled(field, factor):
    """The `crf.CRF` for a picture whose sides are FACTOR times as long: its distances in pixels shrink alike."""
    return replace(field, gaussian_sxy=field.gaussian_sxy * factor, bilateral_sxy=field.bilateral_sxy * factor)


def crf(image, scores, field):
    """A function of the CRF's parameters: labels without it, and with it.

    image uint8 [H, W, 3], scores float [C, H, W]. It works on a picture of 200 pixels (fewer for more than 8 classes
    with a score), with the distances shrunk alike: fine borders differ a little from those at full size.
    """

    @cache
    def opened():
        side = side_for(image.shape, np.count_nonzero(scores.max((1, 2)) > 0))
        small = smaller(image, side)
        found = np.stack([smaller(one, side) for one in np.asarray(scores, np.float32)])
        return small, found, small.shape[1] / image.shape[1]

    def show(iterations=field.iterations, distance=field.bilateral_sxy, colour=field.bilateral_srgb,
             weight=field.bilateral_compat):
        small, found, factor = opened()
        chosen = replace(field, iterations=iterations, bilateral_sxy=distance, bilateral_srgb=colour,
                         bilateral_compat=weight)
        before = found.argmax(0).astype(np.uint8)
        labels = crf_labels(small, found, scaled(chosen, factor)) if iterations else before
        changed = 100 * np.mean(labels != before)
        return tiles([small, viz.overlay(small, before), viz.overlay(small, labels)],
                     ["picture", "without CRF", f"with CRF: {changed:.1f} % changed"], 3, 840)

    return show
