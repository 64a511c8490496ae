"""The figures of this chapter's notebooks. Functions return them; pictures come through `wsnb.viz`.

The last two functions serve the reader's controls: each returns a function of the control's value. What does not depend
on it is made at the first call; pictures are worked on at about the size at which they are seen.
"""

from functools import cache, partial

import cv2
import numpy as np
import torch

from wsnb import viz
from wsnb.data import read, transforms
from wsnb.ops import affinity, cam, crf, gradcam
from wsnb.papers.no_people_allowed import cams, confident_labels, data, inference, instances, irnet, pseudo_masks
from wsnb.viz.charts import chart
from wsnb.viz.pictures import known_truth
from wsnb.viz.tiles import SIDE, smaller, tiles

PALETTE = viz.PALETTE


def tag_counts_figure(items, tags, classes, most=30):
    """Draw how many pictures have each tag; the commonest first."""
    counts = np.sum([tags(item) for item in items], axis=0)
    order = np.argsort(-counts, kind="stable")[:most]
    figure, (axis,) = chart(9.5, 2.8)
    axis.bar(range(len(order)), counts[order], color=PALETTE[(order + 1) % 255] / 255, edgecolor="k", linewidth=0.4)
    axis.set_xticks(range(len(order)), [classes[k + 1] for k in order], rotation=60, ha="right")
    axis.set(ylabel=f"of {len(items)} pictures")
    return figure


def picture_of(x):
    """Turn a network's input [3, H, W] as uint8 [H, W, 3]."""
    return (transforms.denormalise(x).clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()


def named(tags, classes, most=3):
    """List the names of the classes whose entry in TAGS is positive."""
    names = [classes[k + 1] for k in np.flatnonzero(np.asarray(tags) > 0)]
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "") or "(no tag)"


def samples_figure(dataset, classes, count=8):
    """Draw the first augmented pictures with their tags."""
    picked = [dataset[k] for k in range(min(count, len(dataset)))]
    return viz.grid([picture_of(s["x"]) for s in picked], [named(s["tags"], classes) for s in picked])


def tags_figure(items, found, classes):
    """Draw pictures with the tags that are more likely than not."""
    return viz.grid([read.image(item) for item in items], [named(f > 0.5, classes) for f in found])


def first_class(item, tags):
    """Give the picture's first tag as a list of one 0-based class; class 0 where there is none."""
    return np.flatnonzero(tags(item))[:1].tolist() or [0]


def methods_figure(net, item, tags, classes, p, device):
    """Draw one class by CAM, Grad-CAM with both readings of the ReLU, Grad-CAM++."""
    image = data.sized(read.image(item), p.picture_side, p.picture_scale)
    x, keys = data.network_input(image).to(device), first_class(item, tags)
    maps = {"CAM": cam.activation_map(net.deep(x), net.class_weights[keys])}
    maps["Grad-CAM"] = gradcam.gradcam(net, net.cam_layer, x, keys)
    maps["Grad-CAM, in-place"] = gradcam.gradcam(net, net.cam_layer, x, keys, inplace_relu=True)
    maps["Grad-CAM++"] = gradcam.gradcam(net, net.cam_layer, x, keys, True, True)
    shown = [heated(image, one[0].detach().cpu().numpy()) for one in maps.values()]
    return viz.grid([image, *shown], [classes[keys[0] + 1], *maps], columns=5)


def heated(image, maps):
    """Draw the picture under a map [1, h, w], scaled to its own maximum."""
    return viz.heat(image, cam.over_joint_maximum(np.nan_to_num(maps))[0])


def scales_figure(net, item, tags, classes, p, device):
    """Draw the map of one class at each scale, with its maximum against scale 1."""
    image = data.sized(read.image(item), p.picture_side, p.picture_scale)
    x, keys = data.network_input(image).to(device), first_class(item, tags)
    method = "cam" if p.cam_method == "irn cam" else p.cam_method
    settings = cams.Settings(method, p.picture_side, p.picture_scale, tuple(p.cam_scales), p.inplace_relu)
    chosen = torch.as_tensor(keys, device=x.device)
    each = cam.multiscale(lambda x: cams.maps_at_one_scale(net, x, chosen, settings), x, p.cam_scales)
    each = [one.detach().cpu().numpy() for one in each]
    first = max(float(np.abs(each[0]).max()), 1e-12)
    titles = [f"scale {s:g}: {np.abs(one).max() / first:.2f} of the first" for s, one in
              zip(p.cam_scales, each, strict=True)]
    return viz.grid([heated(image, one) for one in each], titles, columns=4)


def normalise_figure(items, store, classes):
    """Draw the classes of pictures under the joint maximum and under each class's own."""
    pictures = [(image, *cam.read(store, item.id, image.shape[:2]))
                for item, image in zip(items, map(read.image, items), strict=True)]
    shown = [(image, classes[key + 1], raw, k) for image, keys, raw in pictures for k, key in enumerate(keys[:2])]
    if not shown:
        return blank("no class on these pictures")

    def under(rule):
        return lambda one: (viz.heat(one[0], cam.normalised(one[2], rule)[one[3]]), f"{one[1]}, {rule}")

    columns = {"picture": lambda one: one[0], **{rule: under(rule) for rule in cam.NORMALISE}}
    return viz.rows(shown[:6], columns, width=9)


def blank(text):
    """Draw an empty picture that says why."""
    return viz.grid([np.full((40, 300, 3), 255, np.uint8)], [text], columns=1, width=5)


def strongest(item, store, classes):
    """Draw the strongest class map of a picture over it: (image, the names of its classes)."""
    image = read.image(item)
    keys, raw = cam.read(store, item.id, image.shape[:2])
    top = cam.over_joint_maximum(raw).max(0) if len(keys) else np.zeros(image.shape[:2])
    return viz.heat(image, top), named(np.isin(np.arange(len(classes) - 1), keys), classes)


def class_maps_figure(items, store, classes):
    """Draw a row a picture: the picture and its strongest class map."""
    return viz.rows(items, {"picture": read.image, "strongest class": partial(strongest, store=store, classes=classes)},
                    width=6)


def thresholded(item, store, threshold, rule):
    """Draw a picture under the labels of its stored maps at a threshold."""
    image = read.image(item)
    keys, raw = cam.read(store, item.id, image.shape[:2])
    return viz.overlay(image, cam.labels(cam.normalised(raw, rule), keys + 1, threshold))


def thresholds_figure(foreground, background):
    """Draw the values of the strongest class map that mean background, unsure and object."""
    figure, (axis,) = chart(9, 1.4)
    parts = [("background", min(background, foreground), "0.55"), ("unsure", max(0, foreground - background), "0.9"),
             ("object", 1 - foreground, "C2")]
    start = 0.0
    for part, width, colour in parts:
        axis.barh(0, width, left=start, color=colour, edgecolor="k", linewidth=0.4, label=part)
        start += width
    axis.axvline(foreground, color="k")
    axis.axvline(background, color="k", linestyle="--")
    axis.set_yticks([])
    axis.set(xlabel="strongest class map (line: foreground threshold, dashed: background threshold)", xlim=(0, 1))
    axis.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1.0))
    return figure


def label_crf_figure(item, store, thresholds, field, params_cam):
    """Draw one picture with labels by the foreground threshold, by the background threshold, both after the CRF,
    combined."""
    image = data.sized(read.image(item), params_cam.picture_side, params_cam.picture_scale)
    keys, raw = cam.read(store, item.id, image.shape[:2])
    maps, numbers = cam.normalised(raw, thresholds.normalise), np.concatenate([[0], keys + 1])
    before = [cam.thresholded(maps, t) for t in (thresholds.foreground, thresholds.background)]
    after = crf.refine_labels(image, before, len(numbers), field)
    shown = [numbers[labels].astype(np.uint8) for labels in (*before, *after)]
    shown.append(confident_labels.confident(*(numbers[labels] for labels in after)))
    titles = ["foreground", "background", "foreground, CRF", "background, CRF", "confident"]
    return viz.grid([image, *(viz.overlay(image, one) for one in shown)], ["picture", *titles], columns=3)


def under_labels(item, folder):
    """Draw a picture under its label map in a folder of index PNGs, brought to the picture's size."""
    image = read.image(item)
    return viz.overlay(image, fitted(data.label_in(folder, item), image.shape[:2]))


def under_truth(item, truth_of):
    """Draw a picture under its ground truth; light where there is none."""
    image = read.image(item)
    return viz.overlay(image, known_truth(item, truth_of, image.shape[:2]))


def fitted(label, size):
    """Resize a label map by the nearest pixel."""
    return cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST)


def labels_figure(items, truth_of, folders, width=10.0):
    """Draw a row a picture: picture, ground truth, the label map of each folder {title: folder}."""
    maps = {title: partial(under_labels, folder=folder) for title, folder in folders.items()}
    truth = partial(under_truth, truth_of=truth_of)
    return viz.rows(items, {"picture": read.image, "ground truth": truth, **maps}, width)


def steps_figure(items, truth_of, stages, threshold, rule):
    """Draw the same pictures from step to step: truth, class maps above THRESHOLD, confident labels, walk,
    segmentation."""
    later = {"CAM + CRF": stages["03_labels"] / "crf", "confident": stages["03_labels"] / "labels",
             "walk": stages["05_walk"] / "masks", "segmentation": stages["07_inference"] / "labels_train"}
    maps = partial(thresholded, store=stages["02_cam"] / "cams", threshold=threshold, rule=rule)
    return viz.rows(items, {"picture": read.image, "truth": partial(under_truth, truth_of=truth_of), "CAM": maps,
                            **{title: partial(under_labels, folder=folder) for title, folder in later.items()}}, 12)


def label_samples_figure(dataset, grid="", count=4):
    """Draw augmented pictures with their label maps, at stride 4 by the rule GRID; unsure pixels are light."""
    def labels(sample):
        image, label = picture_of(sample["x"]), sample["label"].numpy().astype(np.uint8)
        if grid:
            label = fitted(data.quartered(sample["label"][None], grid)[0].numpy().astype(np.uint8), image.shape[:2])
        return viz.overlay(image, label)

    samples = [dataset[k] for k in range(min(count, len(dataset)))]
    return viz.rows(samples, {"picture": lambda sample: (picture_of(sample["x"]), sample["id"]),
                              "labels at stride 4" if grid else "labels": labels}, width=6)


def segmented(item, net, style, p, scales, device):
    """Draw a picture under the segmenter's labels; p: parameters of 06."""
    image = read.image(item)
    return viz.overlay(image, inference.label_picture(net, image, style, p.seg_side, p.seg_base, scales, device))


def variants_figure(net, item, p, params_segmenter, device):
    """Draw labels by each scale alone, then by all; p: parameters of 07."""
    variants = {f"scale {scale:g}": (scale,) for scale in p.test_scales} | {"all": tuple(p.test_scales)}
    return viz.rows([item], {"picture": read.image, **{
        title: partial(segmented, net=net, style=p.test_style, p=params_segmenter, scales=scales, device=device)
        for title, scales in variants.items()}})


def segmented_figure(net, items, p, device):
    """Draw pictures labelled by the segmenter at scale 1, shaped as it was trained; p: parameters of 06."""
    style = "smooth" if p.seg_style == "squashed" else "own shape"
    return viz.grid([segmented(item, net, style, p, (1.0,), device) for item in items])


def pairs_figure(radius):
    """Draw the search directions, and the paths of the longest ones."""
    figure, (left, right) = chart(7, 3, 2)
    ends = np.array(affinity.directions(radius))
    left.scatter(ends[:, 1], ends[:, 0], s=18, color="C0")
    left.scatter([0], [0], s=40, color="k")
    left.set(title=f"{len(ends)} directions", xlabel="x", ylabel="y", aspect="equal")
    left.invert_yaxis()
    longest = affinity.path(*max(affinity.directions(radius), key=lambda d: (len(affinity.path(*d)), d)))
    right.scatter(longest[:, 1], longest[:, 0], s=18, color="C1")
    right.plot([0, longest[0, 1]], [0, longest[0, 0]], color="k", linewidth=0.8)
    right.set(title=f"a path of {len(longest)} pixels", xlabel="x", aspect="equal")
    right.invert_yaxis()
    return figure


def irnet_figure(net, items, side, scale):
    """Draw a row a picture: the picture, its boundaries, its displacements."""
    found = {item.id: irnet.boundaries(net, read.image(item), side, scale) for item in items}
    return viz.rows(items, {"picture": read.image,
                            "boundaries": lambda item: viz.heat(read.image(item), found[item.id][0]),
                            "displacements": lambda item: instances.wheel(found[item.id][1],
                                                                          read.image(item).shape[:2])}, width=8)


def walked_over(net, item, store, walk, p, scale, steps):
    """Draw the strongest of a picture's class maps after 2^STEPS steps, over the picture; p: parameters of 05."""
    image = read.image(item)
    edge, _, cover = irnet.boundaries(net, image, p.walk_side, scale, p.walk_pad)
    keys, raw = cam.read(store, item.id, "stored")
    if not len(keys):
        return image
    spread = pseudo_masks.walked(cam.normalised(raw, walk.normalise), edge, walk.radius, walk.beta, steps)
    return viz.heat(image, pseudo_masks.enlarged(spread, image.shape[:2], cover).max(0))


def walk_figure(net, item, store, walk, p, scale):
    """Draw boundaries, and the strongest class map after 0, 3, 6 and all doublings of the steps."""
    image = read.image(item)
    edge, *_ = irnet.boundaries(net, image, p.walk_side, scale, p.walk_pad)
    shown = {"picture": image, "boundaries": viz.heat(image, edge)}
    for steps in (0, min(3, walk.exp_times), min(6, walk.exp_times), walk.exp_times):
        shown[f"{2**steps} steps"] = walked_over(net, item, store, walk, p, scale, steps)
    return viz.grid(shown.values(), shown, columns=3)


def centroids_figure(net, items, scale, pad, settings):
    """Draw a row a picture: its boundaries, its displacements, the groups of pixels that arrive at one place."""
    found = {item.id: irnet.boundaries(net, read.image(item), 0, scale, pad) for item in items}

    def coloured(item):
        numbers = instances.groups(found[item.id][1], settings)
        colours = (numbers * 37 % 254 + 1).astype(np.uint8)
        return PALETTE[fitted(colours, read.image(item).shape[:2])], f"{numbers.max() + 1} groups"

    return viz.rows(items, {"picture": read.image,
                            "boundaries": lambda item: viz.heat(read.image(item), found[item.id][0]),
                            "displacements": lambda item: instances.wheel(found[item.id][1],
                                                                          read.image(item).shape[:2]),
                            "groups": coloured})


def instances_figure(items, detections, layout):
    """Draw a row a picture: its true instances and its detections, numbered by colour."""
    def true(item):
        numbers = read.instances(layout, item)
        return viz.overlay(read.image(item), np.where(numbers == 255, 0, numbers).astype(np.uint8))

    def found(item):
        image = read.image(item)
        return viz.overlay(image, instances.numbered(detections[item.id], image.shape[:2]))

    return viz.rows(items, {"true instances": true, "detections": found}, 6) if items else blank(
        "no picture with instances")


def threshold_control(items, store, rule, side=SIDE):
    """Make a function of the threshold in %: the labels of some pictures from their class maps in STORE."""

    @cache
    def opened():
        images = [smaller(read.image(item), side) for item in items]
        stored = [cam.read(store, item.id, image.shape[:2]) for item, image in zip(items, images, strict=True)]
        return [(image, keys + 1, cam.normalised(maps, rule))
                for image, (keys, maps) in zip(images, stored, strict=True)]

    def show(percent=30):
        return tiles([viz.overlay(image, cam.labels(maps, keys, percent / 100)) for image, keys, maps in opened()])

    return show


def walk_control(net, item, store, walk, p, scale, most=8, side=SIDE):
    """Make a function of the doublings of the steps: a picture's labels above 0.3 after the walk.

    walk: `pseudo_masks.Walk`; p: parameters of 05. The walks of 0 to MOST doublings are made at the first call.
    """

    @cache
    def opened():
        image = read.image(item)
        edge, _, cover = irnet.boundaries(net, image, p.walk_side, scale, p.walk_pad)
        keys, raw = cam.read(store, item.id, "stored")
        small, maps = smaller(image, side), cam.normalised(raw, walk.normalise)
        if not len(keys):
            return small, [np.zeros(small.shape[:2], np.uint8)] * (most + 1)
        walked = [pseudo_masks.walked(maps, edge, walk.radius, walk.beta, k) for k in range(most + 1)]
        enlarged = [pseudo_masks.enlarged(one, small.shape[:2], cover) for one in walked]
        return small, [cam.labels(maps, keys + 1, 0.3) for maps in enlarged]

    def show(steps=most):
        image, labels = opened()
        return tiles([image, viz.overlay(image, labels[steps])], ["picture", f"{2**steps} steps"], 2, 640)

    return show
