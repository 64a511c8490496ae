"""Figures and controls of this paper's notebooks; pictures come through `wsnb.viz`.

A control is a function of the values that a reader sets. Everything that does not depend on them is made at its first
call, and then it answers at once.
"""

import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb import viz
from wsnb.data import transforms, voc
from wsnb.files import load_npz
from wsnb.ops.crf import crf_labels
from wsnb.ops.pamr import pamr
from wsnb.papers.single_stage import losses, model, steps
from wsnb.viz import tiles
from wsnb.viz.charts import chart


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
    axis.set(xlabel="mean of the mask (share of the picture)", ylabel="penalty")
    return figure


def history_figure(history, pretrain):
    """Losses of training and validation, and the share of complete pseudo labels, over the epochs."""
    figure, (left, right) = chart(columns=2)
    epochs = [row["epoch"] for row in history["epochs"]]
    validated = [row["epoch"] for row in history["validation"]]

    def draw(axis, trained, value, label):
        for name, title in trained.items():
            axis.plot(epochs, [row[name] for row in history["epochs"]], label=title)
        axis.plot(validated, [row["val"][value] for row in history["validation"]], "o-", label=label, color="0.5")

    draw(left, {"tag_loss": "tag loss, training", "mask_loss": "mask loss, training"}, "loss", "total, validation")
    draw(right, {"complete": "complete pseudo labels"}, "mAP", "mAP of the tags, validation")
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

    def winner(numbered, path):
        number, item = numbered
        image, truth = steps.network_input(item, size)[0], voc.read_mask(item, 256)
        masks = load_npz(path)["masks"][number].astype(np.float32)
        keep = np.isin(np.arange(len(masks)), [0, *np.unique(truth[truth != 255])])
        small = (masks * keep[:, None, None]).transpose(1, 2, 0)
        return viz.overlay(image, cv2.resize(small, (size, size)).argmax(2).astype(np.uint8))

    shown = {_epoch_name(path): partial(winner, path=path) for path in paths}
    return viz.rows(enumerate(items), {"picture": lambda one: steps.network_input(one[1], size)[0], **shown}, width=11)


def _epoch_name(path):
    number = re.fullmatch(r"epoch_(\d+)", path.stem)
    return f"before epoch {int(number[1])}" if number else "at the end"


def pamr_figure(image, masks, present, settings, iterations=(0, 1, 3, 10)):
    """Masks float [C, h, w] before and after some iterations of PAMR, among the classes PRESENT: the winner, and the
    map of the last of them."""

    def refined(count):  # as in training: at the masks' size, then enlarged to the picture's
        chosen = torch.from_numpy(masks[list(present)].astype(np.float32))[None]
        small = model.upsample(transforms.to_unit(image)[None], chosen.shape[-2:])
        return model.upsample(pamr(small, chosen, settings.dilations, count), image.shape[:2])[0].numpy()

    soft = {count: refined(count) for count in iterations}
    winners = [viz.overlay(image, np.array(present, np.uint8)[one.argmax(0)]) for one in soft.values()]
    titles = [f"{count} iterations" for count in soft] + [""] * len(soft)
    return viz.grid([*winners, *(viz.heat(image, one[-1]) for one in soft.values())], titles, columns=len(soft))


def crf_figure(image, scores, field):
    """Labels of scores [C, H, W] without the CRF, with it, and with a narrower and a wider reach over colours."""
    chosen = {"CRF": field, "very like colours": replace(field, bilateral_srgb=3.0),
              "nearly any colour": replace(field, bilateral_srgb=60.0)}
    labels = [scores.argmax(0).astype(np.uint8), *(crf_labels(image, scores, one) for one in chosen.values())]
    return viz.grid([image, *(viz.overlay(image, one) for one in labels)], ["picture", "without CRF", *chosen],
                    columns=5, width=12)


@torch.no_grad()
def gate_figure(network, item, size, psi=(0.0, 0.3, 0.6, 1.0)):
    """The masks with more and more of the shallow feature in the stochastic gate's mixture."""
    image, x = steps.network_input(item, size)
    kept = network.psi
    device = next(network.parameters()).device
    images, titles = [image], ["picture"]
    try:
        for value in psi:
            network.psi = value
            masks = model.upsample(network(x.to(device)).softmax(1), (size, size))[0]
            images.append(viz.overlay(image, masks.argmax(0).cpu().numpy().astype(np.uint8)))
            titles.append(f"{value:g} shallow" + (" (as tested)" if value == kept else ""))
    finally:
        network.psi = kept
    return viz.grid(images, titles, columns=len(images), width=11)


def scores_figure(scores, classes, tags, cut):
    """Bars of the tag scores [C - 1] of one picture; true tags are marked, the cut is a line."""
    figure, (axis,) = chart(9, 2.6)
    colours = viz.PALETTE[1 : len(classes)] / 255
    axis.bar(range(len(scores)), scores, color=colours, edgecolor=["k" if t else "w" for t in tags], linewidth=1.6)
    axis.axhline(cut, color="k", linestyle="--", linewidth=0.8, label="cut")
    axis.bar(0, 0, color="w", edgecolor="k", linewidth=1.6, label="* true tag")
    axis.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    axis.set_xticks(
        range(len(scores)),
        [("* " if t else "") + name for name, t in zip(classes[1:], tags, strict=True)],
        rotation=60,
        ha="right",
    )
    axis.set(ylim=(0, 1), ylabel="predicted score")
    return figure


def input_picture(x):
    """A network input [3, H, W] as a picture uint8 [H, W, 3]; the padding, 0 after normalisation, looks grey."""
    return _bytes(transforms.denormalise(x))


def _bytes(unit):
    return (unit.clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()


def pamr_control(image, masks, present, settings, most=40):
    """A function of PAMR's iterations: the winning class of a picture uint8 [H, W, 3] after them.

    masks float [C, h, w] in [0, 1], of which the classes PRESENT may win. An iteration goes on from the one before, and
    all of them are made at the first call.
    """

    @cache
    def refined():
        kept = [torch.from_numpy(np.clip(masks[present], 0, 1).astype(np.float32))[None]]
        small = model.upsample(transforms.to_unit(image)[None], kept[0].shape[-2:])  # as in training
        for _ in range(most):
            kept.append(pamr(small, kept[-1], settings.dilations, 1, band=small.shape[-2]))
        return kept

    def show(iterations=settings.iterations):
        soft = model.upsample(refined()[iterations], image.shape[:2])[0]
        labels = np.array(present, np.uint8)[soft.numpy().argmax(0)]
        return tiles.tiles([image, viz.overlay(image, labels)], ["picture", f"{iterations} iterations"], 2, 700)

    return show


def scaled(field, factor):
    """The `crf.CRF` for a picture whose sides are FACTOR times as long: its distances in pixels shrink alike."""
    return replace(field, gaussian_sxy=field.gaussian_sxy * factor, bilateral_sxy=field.bilateral_sxy * factor)


def crf_control(image, scores, field):
    """A function of the CRF's parameters: labels without it, and with it.

    image uint8 [H, W, 3], scores float [C, H, W]. It works on a picture of 200 pixels (fewer for more than 8 classes
    with a score), with the distances shrunk alike: fine borders differ a little from those at full size.
    """

    @cache
    def reduced():
        side = tiles.side_for(image.shape, np.count_nonzero(scores.max((1, 2)) > 0))
        small = tiles.smaller(image, side)
        found = np.stack([tiles.smaller(one, side) for one in np.asarray(scores, np.float32)])
        return small, found, small.shape[1] / image.shape[1]

    def show(iterations=field.iterations, distance=field.bilateral_sxy, colour=field.bilateral_srgb,
             weight=field.bilateral_compat):
        small, found, factor = reduced()
        chosen = replace(field, iterations=iterations, bilateral_sxy=distance, bilateral_srgb=colour,
                         bilateral_compat=weight)
        before = found.argmax(0).astype(np.uint8)
        labels = crf_labels(small, found, scaled(chosen, factor)) if iterations else before
        changed = 100 * np.mean(labels != before)
        return tiles.tiles([small, viz.overlay(small, before), viz.overlay(small, labels)],
                           ["picture", "without CRF", f"with CRF: {changed:.1f} % changed"], 3, 840)

    return show
